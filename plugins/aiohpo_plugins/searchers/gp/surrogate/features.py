"""What a Gaussian process sees of a configuration: numbers whose squared differences make up a distance.

Each column of the unit encoding has one lengthscale. A number is a feature as it is; 0.5 stands for an inactive
one, which is told apart by the category that it depends on. A category is one feature per choice, of height
sqrt(1/2), so that two choices are at squared distance 1 (the Hamming distance) and an inactive one at 1/2 from
all. Optionally a last feature, with a lengthscale of its own, is the resource.

Notation: n rows, d columns of the space, e features, g lengthscales (d, or d + 1 with the resource).
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


class Features:
    """The features of one space.

    numbers     (k,) the columns of the unit encoding that are numbers; they are the first k features
    categories  the other columns
    group       (e,) which lengthscale belongs to each feature
    groups      g, their number
    """

    def __init__(self, space: Space, resource: bool = False) -> None:
        self.numbers: NDArray[np.intp] = np.flatnonzero(space.kinds != CATEGORICAL)
        self.categories: NDArray[np.intp] = np.flatnonzero(space.kinds == CATEGORICAL)
        self._cardinality = space.cardinality[self.categories].astype(int)
        group = [*self.numbers, *np.repeat(self.categories, self._cardinality)]
        self.groups = max(space.dim, 1)
        self.resource = resource
        if resource:
            group.append(self.groups)
            self.groups += 1
        self.group: NDArray[np.intp] = np.array(group, dtype=np.intp)

    def embed(self, U: FloatArray, resource: FloatArray | float = 0.0) -> FloatArray:
        """Return the features (n, e) of unit rows (n, d); ``resource`` is used if this has it as a feature."""
        parts = [np.where(np.isnan(U[:, self.numbers]), INACTIVE, U[:, self.numbers])]
        for column, k in zip(self.categories, self._cardinality, strict=True):
            level = np.floor(np.nan_to_num(U[:, column], nan=-1.0) * k)
            parts.append((level[:, None] == np.arange(k)) * np.sqrt(0.5))
        if self.resource:
            parts.append(np.broadcast_to(np.asarray(resource, dtype=np.float64), len(U))[:, None])
        return np.ascontiguousarray(np.concatenate(parts, axis=1))
