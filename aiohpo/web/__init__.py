"""The page in a browser: a server of what a run's log says, live, and the report that is one file."""
