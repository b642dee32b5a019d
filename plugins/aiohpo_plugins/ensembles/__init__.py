"""Ensemble builders: top-k, greedy selection, and gradient descent on weights and calibrators together."""
