"""ADBO with early stopping at up to 4,096 workers, and what faults cost it (Egele et al., arXiv 2207.00479)."""

from __future__ import annotations

from .study import StoppingStudy

STUDY = StoppingStudy()
