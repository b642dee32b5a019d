"""Optuna's samplers as searchers."""
