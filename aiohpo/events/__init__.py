"""What happened: the kinds of event, their bytes, the log, and the life of a trial. Pure."""
