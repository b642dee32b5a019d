"""Frames between MPI ranks."""
