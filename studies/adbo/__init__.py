"""Asynchronous decentralised Bayesian optimisation at up to 4,096 workers (Egele et al., arXiv 2207.00479)."""

from __future__ import annotations

from .study import ADBOStudy

STUDY = ADBOStudy()
