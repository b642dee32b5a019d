"""Things that are not to be had for a while: an evaluator, and a journal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from aiohpo import Unavailable
from aiohpo.events.schema import Batch
from aiohpo.plugin import Assignment, BlobStore, Channel, Evaluator, Outcome

Spans = Sequence[tuple[float, float]]


def within(spans: Spans) -> bool:
    """Whether the loop's time lies in one of ``spans``."""
    now = asyncio.get_running_loop().time()
    return any(start <= now < end for start, end in spans)


class SometimesUnavailable:
    """Hands segments to another evaluator; those that begin or end within ``spans`` are released instead."""

    def __init__(self, inner: Evaluator, spans: Spans) -> None:
        self._inner = inner
        self._spans = spans
        self.refused = 0

    async def start(self, program: Any, blobs: BlobStore) -> None:
        await self._inner.start(program, blobs)

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome:
        outcome = None if within(self._spans) else await self._inner.run(assignment, channel)
        if outcome is not None and not within(self._spans):
            return outcome
        self.refused += 1
        return Outcome("released", error="there is no process to be had")

    async def aclose(self) -> None:
        await self._inner.aclose()


class FillingJournal:
    """A journal in memory that takes nothing within ``spans``."""

    def __init__(self, spans: Spans) -> None:
        self.batches: list[Batch] = []
        self._spans = spans
        self.refused = 0

    def append(self, batches: Iterable[Batch]) -> None:
        if within(self._spans):
            self.refused += 1
            raise Unavailable("cannot write to journal: No space left on device")
        self.batches += batches

    def sync(self) -> None:
        if within(self._spans):
            raise Unavailable("cannot write to journal: Input/output error")

    def close(self) -> None:
        pass
