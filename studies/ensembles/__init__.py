"""Ensembles of searched networks, their calibration and their uncertainty (Gouneau's report on DeepHyper)."""

from .study import EnsembleStudy

STUDY = EnsembleStudy()
