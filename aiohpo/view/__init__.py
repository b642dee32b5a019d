"""What the events mean: the log as columns, observations, trials and summaries. Pure."""
