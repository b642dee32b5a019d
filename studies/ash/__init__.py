"""Successive halving on many workers against one (Han and Jiang, ASH)."""

from __future__ import annotations

from .study import ASHStudy

STUDY = ASHStudy()
