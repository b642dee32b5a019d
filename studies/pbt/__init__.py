"""Population based training: its parts, against constant hyperparameters (Jaderberg et al., arXiv 1711.09846)."""

from __future__ import annotations

from .study import PBTStudy

STUDY = PBTStudy()
