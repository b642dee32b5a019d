"""Putting a worker together: what a study says, its replica on this machine, the parts of a worker."""
