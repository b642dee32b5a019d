"""A set of unit-encoded configurations at eight bytes each.

What is kept is the hash of each row (:mod:`aiohpo.space.row_hashes`), sorted; a false "seen" has a chance of n * 2^-64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..space.row_hashes import row_hashes

if TYPE_CHECKING:
    from ..plugin import FloatArray

_MERGE_ABOVE = 512


class KnownRows:
    """Grows by :meth:`add`, answers :meth:`contains`."""

    __slots__ = ("_recent", "_recent_set", "_sorted")

    def __init__(self) -> None:
        self._sorted: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._recent: list[int] = []
        self._recent_set: set[int] = set()

    def add(self, X: FloatArray) -> None:
        hashes = row_hashes(X).tolist()
        self._recent += hashes
        self._recent_set.update(hashes)
        if len(self._recent) > _MERGE_ABOVE:
            self._sorted = np.sort(np.concatenate([self._sorted, np.array(self._recent, np.uint64)]))
            self._recent, self._recent_set = [], set()

    def contains(self, X: FloatArray) -> NDArray[np.bool_]:
        h = row_hashes(X)
        recent = self._recent_set
        found = np.fromiter((x in recent for x in h.tolist()), np.bool_, len(h))
        if len(self._sorted):
            at = np.minimum(np.searchsorted(self._sorted, h), len(self._sorted) - 1)
            found |= self._sorted[at] == h
        return found

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)
