"""The prior of a space with conditions as a mixture of products.

Columns depend on one another only through conditions, and a condition only asks whether its parent's value is in a
set. So the values of every parent are divided into *classes* that no condition tells apart. Given the class of each
parent, it is known which parameters are active, and the columns are independent. Such a combination of classes is a
*component*: the prior is the mixture of all components, and an integral over the space is a sum of products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..space.encoding import FloatArray
    from ..space.space import Space
    from .bins import Bins

MOST_COMPONENTS = 64  # of more, so many are drawn


@dataclass(frozen=True, slots=True)
class PriorComponent:
    """A part of the space in which columns are independent.

    probability  its share of the prior
    masses       for each column (K + 1,): the distribution of its code; all of it is at 0 where it is inactive
    """

    probability: float
    masses: tuple[FloatArray, ...]

    def is_active(self, column: int) -> bool:
        """Whether the column's parameter is active."""
        return bool(self.masses[column][0] == 0.0)


def components_of(space: Space, bins: Bins, rng: np.random.Generator) -> list[PriorComponent]:
    """Return the components of ``space``: all of them, or, where there are more than ``MOST_COMPONENTS``, that many,
    drawn by their probabilities (systematically: one from each of as many equal shares)."""
    sets: dict[int, list[frozenset[int]]] = {}
    conditions = [[(p, bins.codes_of(p, natives)) for p, natives in condition] for condition in space.conditions]
    for condition in conditions:
        for parent, codes in condition:
            sets.setdefault(parent, []).append(codes)
    partial: list[tuple[float, dict[int, FloatArray]]] = [(1.0, {})]
    for c in _parents_first(space):
        grown = []
        for probability, masses in partial:
            # A component's class of a parent lies within a set or outside of it, as one of its codes does.
            if not all(int(np.argmax(masses[parent] > 0)) in codes for parent, codes in conditions[c]):
                grown.append((probability, {**masses, c: np.concatenate([[1.0], np.zeros(bins.sizes[c])])}))
                continue
            for members in _classes(int(bins.sizes[c]), sets.get(c, [])):
                mass = np.concatenate([[0.0], np.where(members, bins.masses[c], 0.0)])
                share = float(mass.sum())
                if share > 0.0:
                    grown.append((probability * share, {**masses, c: mass / share}))
        partial = grown if len(grown) <= MOST_COMPONENTS else _draw(grown, rng)
    return [PriorComponent(p, tuple(masses[c] for c in range(space.dim))) for p, masses in partial]


def _classes(size: int, sets: list[frozenset[int]]) -> list[np.ndarray]:
    """Return masks (K,) of the bins that no set tells apart."""
    signatures = [tuple(code in codes for codes in sets) for code in range(1, size + 1)]
    return [np.array([s == wanted for s in signatures]) for wanted in dict.fromkeys(signatures)]


def _draw(
    grown: list[tuple[float, dict[int, FloatArray]]], rng: np.random.Generator
) -> list[tuple[float, dict[int, FloatArray]]]:
    ends = np.cumsum([probability for probability, _ in grown])
    at = np.searchsorted(ends / ends[-1], (np.arange(MOST_COMPONENTS) + rng.random()) / MOST_COMPONENTS)
    chosen, counts = np.unique(np.minimum(at, len(grown) - 1), return_counts=True)
    return [(float(n) / MOST_COMPONENTS, grown[i][1]) for i, n in zip(chosen.tolist(), counts, strict=True)]


def _parents_first(space: Space) -> list[int]:
    order: dict[int, None] = {}

    def place(column: int) -> None:
        if column not in order:
            for parent, _ in space.conditions[column]:
                place(parent)
            order[column] = None

    for column in range(space.dim):
        place(column)
    return list(order)
