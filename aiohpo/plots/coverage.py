"""How much of each pixel bars cover, for bars that are too many and too short to be drawn one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Coverage:
    """A grid of ``rows`` by ``columns`` over the time from 0 to ``length``, to which bars are added by colour.

    A pixel is as opaque as the share of it that is covered, and its colour is the mean of what covers it: the picture
    that drawing bar after bar would give on average, at the cost of the grid whatever the number of bars.
    """

    def __init__(self, rows: int, columns: int, length: float) -> None:
        self._shape = rows, columns
        self._scale = columns / length
        self._covered = np.zeros(self._shape)
        self._colour = np.zeros((*self._shape, 3))

    def add(self, colour: Sequence[float], row: NDArray[np.intp], left: Any, right: Any) -> None:
        """Add bars of one colour (red, green and blue from 0 to 1), each from ``left`` to ``right`` in a row."""
        change = np.zeros((self._shape[0], self._shape[1] + 2))  # of the share covered, from column to column
        for sign, edge in ((1.0, left), (-1.0, right)):
            at = np.clip(np.asarray(edge) * self._scale, 0.0, self._shape[1])
            column = at.astype(np.intp)
            into = at - column
            np.add.at(change, (row, column), sign * (1.0 - into))
            np.add.at(change, (row, column + 1), sign * into)
        share = np.clip(np.cumsum(change, axis=1)[:, : self._shape[1]], 0.0, None)
        self._covered += share
        self._colour += share[..., None] * np.asarray(colour)

    def image(self) -> NDArray[np.float64]:
        """Return the pixels as red, green, blue and opacity, shape (rows, columns, 4)."""
        colour = self._colour / np.maximum(self._covered, 1e-300)[..., None]
        return np.concatenate([np.clip(colour, 0.0, 1.0), np.minimum(self._covered, 1.0)[..., None]], axis=2)

    def __repr__(self) -> str:
        return f"<Coverage of {self._shape[0]} x {self._shape[1]} pixels, {self._covered.mean():.0%} covered>"
