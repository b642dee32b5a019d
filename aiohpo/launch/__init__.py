"""Starting workers and bringing them together: processes, addresses, meeting in a directory, Slurm."""
