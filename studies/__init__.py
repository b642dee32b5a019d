"""The figures that the literature publishes, reproduced: a folder for each study; see README.md."""
