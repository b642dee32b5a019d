"""Pictures of a run with matplotlib, a file for each kind."""
