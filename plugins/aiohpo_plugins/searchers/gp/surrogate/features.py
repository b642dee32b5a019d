"""What a Gaussian process sees of a configuration: numbers whose squared differences make up a distance.

Each column of the unit encoding has one lengthscale. A category is one feature per choice, of height sqrt(1/2)
(:mod:`aiohpo_plugins.searchers.common.embedding`), so that two choices are at squared distance 1 (the Hamming
distance) and an inactive one at 1/2 from all. Optionally the resource is a last feature, with a lengthscale of its own.

Notation: n rows, d columns of the space, e features, g lengthscales (d, or d + 1 with the resource).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiohpo.space.space import CONTINUOUS

from ...common.embedding import Embedding

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space


class Features:
    """The features of one space.

    numbers     (k,) the columns of the unit encoding that are numbers; they are the first k features
    continuous  (c,) which of these features are not levels
    categories  the other columns
    group       (e,) which lengthscale belongs to each feature
    groups      g, their number
    """

    def __init__(self, space: Space, resource: bool = False) -> None:
        self._embedding = Embedding(space, np.sqrt(0.5))
        self.numbers, self.categories = self._embedding.numbers, self._embedding.categories
        self.continuous = np.flatnonzero(space.kinds[self.numbers] == CONTINUOUS)
        self.groups = max(space.dim, 1)
        self.group = self._embedding.column
        self.resource = resource
        if resource:
            self.group = np.append(self.group, self.groups)
            self.groups += 1

    def embed(self, U: FloatArray, resource: FloatArray | float = 0.0) -> FloatArray:
        """Return the features (n, e) of unit rows (n, d); ``resource`` is used if this has it as a feature."""
        F = self._embedding.embed(U)
        if self.resource:
            F = np.column_stack([F, np.broadcast_to(np.asarray(resource, dtype=np.float64), len(U))])
        return np.ascontiguousarray(F)
