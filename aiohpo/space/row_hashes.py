"""Hashes of unit rows, which tell configurations apart at eight bytes each.

Rows are compared to nine decimals, far below any difference a model could feel and far above rounding in encoding and
decoding. Two different rows have the same hash with a chance of 2^-64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..plugin import FloatArray


def row_hashes(X: FloatArray) -> NDArray[np.uint64]:
    """Return one 64-bit hash for each row of ``X`` (k, d); inactive entries (NaN) count as a value of their own."""
    cells = np.where(np.isnan(X), -1.0, np.rint(X * 1e9)).astype(np.int64).view(np.uint64)
    h = np.full(len(X), 0x9E3779B97F4A7C15, np.uint64)
    for column in cells.T:
        h = _mix(h ^ column)
    return h


def _mix(h: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele et al., 2014)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))
