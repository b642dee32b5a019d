"""The evaluator that runs objectives in another process: the child, the pipe to it, its end."""
