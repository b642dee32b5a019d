"""What happened: the events, their log, and the life of a trial."""
