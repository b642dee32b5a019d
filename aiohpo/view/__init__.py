"""What it means: the log reduced to columns, observations, trials, rungs and the best trial. Pure."""
