"""Evaluating in other processes: the child, the wire to it, its output and its end."""
