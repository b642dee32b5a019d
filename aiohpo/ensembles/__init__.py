"""Models together, as data: ensembles, metrics, calibrators and uncertainty."""
