"""What is to happen when: the heap of a discrete-event simulation."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any

Happening = tuple[float, Callable[..., None], tuple[Any, ...]]


class Agenda:
    """Calls that are due at virtual times. Those of one moment come in the order in which they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._added = 0

    def add(self, when: float, function: Callable[..., None], *arguments: Any) -> None:
        """Let ``function`` be called with ``arguments`` at ``when``."""
        self._added += 1
        heapq.heappush(self._heap, (when, self._added, function, arguments))

    def until(self, end: float) -> Iterator[Happening]:
        """Yield what is due, in order, up to the time ``end``; what is added meanwhile included."""
        while self._heap and self._heap[0][0] <= end:
            when, _, function, arguments = heapq.heappop(self._heap)
            yield when, function, arguments

    def __repr__(self) -> str:
        return f"<Agenda: {len(self._heap)} calls>"
