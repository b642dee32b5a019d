"""What it means: the log folded into columns, observations, trials, rungs and the best trial. Pure."""
