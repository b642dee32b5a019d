"""Configurations as points of which only the squared distances matter.

A number is a coordinate as it is; 0.5 stands for an inactive one, which is told apart by the category that it depends
on. A category is one coordinate per choice, of some height h: two choices are at squared distance 2 h^2, and an
inactive one is at h^2 from all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiohpo.space.space import CATEGORICAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space

INACTIVE = 0.5


class Embedding:
    """The embedding of one space.

    numbers     (k,) the columns of the unit encoding that are numbers; they are the first k coordinates
    categories  the other columns
    column      (e,) which column each coordinate comes from
    """

    def __init__(self, space: Space, height: float) -> None:
        self.numbers: NDArray[np.intp] = np.flatnonzero(space.kinds != CATEGORICAL)
        self.categories: NDArray[np.intp] = np.flatnonzero(space.kinds == CATEGORICAL)
        self._cardinality = space.cardinality[self.categories].astype(int)
        self._height = height
        self.column: NDArray[np.intp] = np.concatenate([self.numbers, np.repeat(self.categories, self._cardinality)])

    def embed(self, U: FloatArray) -> FloatArray:
        """Return the coordinates (n, e) of unit rows (n, d)."""
        parts = [np.nan_to_num(U[:, self.numbers], nan=INACTIVE)]
        for column, k in zip(self.categories, self._cardinality, strict=True):
            level = np.floor(np.nan_to_num(U[:, column], nan=-1.0) * k)
            parts.append((level[:, None] == np.arange(k)) * self._height)
        return np.concatenate(parts, axis=1)
