"""What is on disk: journals, blobs, run directories, and whether a journal's writer still lives."""
