"""The page in a browser: a live server for the log of a run, and the report in a single file."""
