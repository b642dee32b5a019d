"""Time without pauses: a search that was resumed the next day did not take a night longer for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


class ActiveTime:
    """A clock that runs while any of ``lives`` goes on, given as (first, last) in seconds since the epoch.

    It is called with a time, or an array of times, and answers with the seconds since the first life began, without the
    pauses between lives. Before the first and after the last it stands still.
    """

    def __init__(self, lives: Iterable[tuple[float, float]]) -> None:
        stretches: list[list[float]] = []
        for first, last in sorted(life for life in lives if life[0] <= life[1]):
            if stretches and first <= stretches[-1][1]:
                stretches[-1][1] = max(stretches[-1][1], last)
            else:
                stretches.append([first, last])
        self._times = np.array(stretches or [[0.0, 0.0]])
        ends = np.cumsum(self._times[:, 1] - self._times[:, 0])
        self._seconds = np.stack([np.r_[0.0, ends[:-1]], ends], axis=1)

    def __call__(self, times: Any) -> Any:
        return np.interp(times, self._times.ravel(), self._seconds.ravel())

    @property
    def stretches(self) -> list[tuple[float, float, float]]:
        """From when to when it runs, in seconds since the epoch, and what it shows where that begins."""
        return [
            (*times, shown) for times, shown in zip(self._times.tolist(), self._seconds[:, 0].tolist(), strict=True)
        ]

    @property
    def cuts(self) -> list[float]:
        """Where pauses were cut out, on this clock."""
        return [float(at) for at in self._seconds[1:, 0]]

    def __repr__(self) -> str:
        return f"<ActiveTime of {len(self._times)} stretches>"
