"""Folds: which rows are held out together. A function of the targets and a seed only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from aiohpo.plugin import IntArray


def assign(y: Any, folds: int, seed: int) -> IntArray:
    """Return (n,) the fold of each row, 0 to ``folds`` - 1, of equal size within one row.

    Rows are dealt out in the order of their target, so that each class, and each range of values, is spread evenly;
    which of equal rows goes where is random.
    """
    shuffled = np.random.default_rng(seed).permutation(len(y))
    found = np.empty(len(y), dtype=np.int64)
    found[shuffled[np.argsort(np.asarray(y)[shuffled], kind="stable")]] = np.arange(len(y)) % folds
    return found
