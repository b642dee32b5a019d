"""Asynchronous successive halving (Li et al., arXiv 1810.05934): its tail, its wrong promotions, its horizon."""

from __future__ import annotations

from .study import ASHAStudy

STUDY = ASHAStudy()
