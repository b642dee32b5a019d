"""A set of unit-encoded configurations at eight bytes each.

Rows are compared to nine decimals, far below any difference a model could feel and far above rounding in
encoding and decoding. What is kept is a 64-bit hash of each row, sorted; a false "seen" has a chance of
n * 2^-64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..plugin import FloatArray

_MERGE_ABOVE = 512


class SeenRows:
    """Grows by :meth:`add`, answers :meth:`contains`."""

    __slots__ = ("_recent", "_recent_set", "_sorted")

    def __init__(self) -> None:
        self._sorted: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._recent: list[int] = []
        self._recent_set: set[int] = set()

    def add(self, X: FloatArray) -> None:
        hashes = row_hash(X).tolist()
        self._recent += hashes
        self._recent_set.update(hashes)
        if len(self._recent) > _MERGE_ABOVE:
            self._sorted = np.sort(np.concatenate([self._sorted, np.array(self._recent, np.uint64)]))
            self._recent, self._recent_set = [], set()

    def contains(self, X: FloatArray) -> NDArray[np.bool_]:
        h = row_hash(X)
        recent = self._recent_set
        found = np.fromiter((x in recent for x in h.tolist()), np.bool_, len(h))
        if len(self._sorted):
            at = np.minimum(np.searchsorted(self._sorted, h), len(self._sorted) - 1)
            found |= self._sorted[at] == h
        return found

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)


def row_hash(X: FloatArray) -> NDArray[np.uint64]:
    """One 64-bit hash for each row of ``X`` (k, d); inactive entries (NaN) count as a value of their own."""
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
