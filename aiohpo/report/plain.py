"""How a running search looks on stderr: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from ..cli.terminal import say
from ..view.promotions import Rungs
from ..view.segments import Activity
from ..view.summary import best_in_words, climb_in_words, n_done

if TYPE_CHECKING:
    from ..events.schema import Seen
    from ..view.view import View

_FIRST_LINE_AFTER, _SLOWER, _SLOWEST = 5.0, 1.5, 60.0  # seconds between plain lines, growing


@dataclass(slots=True)
class Progress:
    """How far a search is. ``size`` workers were launched, ``pids`` are theirs."""

    view: View
    pids: frozenset[int]
    size: int
    total: int | None
    began: float  # wall clock: it is compared with what workers recorded
    activity: Activity = field(default_factory=Activity)
    busy_seconds: float = 0.0
    before: int = 0
    ensemble: str = ""
    alive: int = 0
    alive_seconds: float = 0.0  # summed over workers: one that died is not idle
    rungs: Rungs = field(init=False)
    _looked: float = 0.0

    def __post_init__(self) -> None:
        self.rungs = Rungs(self.view.max_steps)

    def look(self, alive: int, events: Iterable[Seen]) -> None:
        """Account for what happened since the last look."""
        now = time.time()
        self.alive_seconds += self.alive * max(now - (self._looked or self.began), 0.0)
        self.alive, self._looked = alive, now
        self.take(events)

    def take(self, events: Iterable[Seen]) -> None:
        """Account for new events."""
        events = list(events)
        self.rungs.take(events)
        for origin, seq, event in events:
            span = self.activity.take(origin, seq, event)
            if span is not None and span.seconds is not None and self._ours(origin):
                self.busy_seconds += span.seconds

    def _ours(self, worker: str) -> bool:
        started = self.view.workers[worker].started
        return started is not None and started.pid in self.pids and started.time >= self.began - 1

    @property
    def done(self) -> int:
        """Trials of the budget; what goes beyond it is surplus, not progress."""
        done = n_done(self.view, self.rungs)
        return done if self.total is None else min(done, self.total)

    @property
    def rate(self) -> float:
        """Trials done per second of this launch."""
        return (self.done - self.before) / max(time.time() - self.began, 1e-9)

    @property
    def utilisation(self) -> float:
        """The part of the launched workers' time that went into trials."""
        now = time.time()
        newest: dict[str, float] = {}
        for span in self.activity.open():
            newest[span.worker] = max(span.began, newest.get(span.worker, 0.0))
        running = sum(max(now - began, 0.0) for worker, began in newest.items() if self._ours(worker))
        return min((self.busy_seconds + running) / max(self.alive_seconds, 1e-9), 1.0)

    def as_text(self) -> str:
        """All of it in one line."""
        of = "" if self.total is None else f"/{self.total}"
        climb = climb_in_words(self.view, self.rungs, self.ensemble)
        return (
            f"{self.done}{of} trials, {climb}{climb and ', '}{best_in_words(self.view)}, {self.rate:.3g}/s, "
            f"{self.utilisation:.0%} busy, {self.alive} of {self.size} workers"
        )


class Display(Protocol):
    """Shows progress, and lines of text in between."""

    def __enter__(self) -> Display: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def update(self, progress: Progress) -> None: ...
    def say(self, text: str) -> None: ...


class Live:
    """A bar that is redrawn, for terminals."""

    def __init__(self) -> None:
        from rich.console import Console

        from .bar import Bar

        self._bar = Bar(Console(stderr=True), None)

    def __enter__(self) -> Live:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def update(self, progress: Progress) -> None:
        alive, size = progress.alive, progress.size
        workers = f"{alive} workers" if alive == size else f"[yellow]{alive} of {size} workers[/]"
        self._bar.update(
            progress.done,
            progress.total,
            best_in_words(progress.view),
            progress.rate,
            f"{progress.utilisation:.0%} busy, {workers}",
            climb_in_words(progress.view, progress.rungs, progress.ensemble),
        )

    def say(self, text: str) -> None:
        self._bar.say(text)


class Plain:
    """A line after five seconds and then ever more rarely, at least once a minute; for logs."""

    def __init__(self) -> None:
        self._pause = _FIRST_LINE_AFTER
        self._next = time.monotonic() + self._pause

    def __enter__(self) -> Plain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._pause = min(self._pause * _SLOWER, _SLOWEST)
            self._next = now + self._pause
            self.say(progress.as_text())

    def say(self, text: str) -> None:
        say(text, err=True)


def display() -> Display:
    """What suits where stderr goes."""
    return Live() if sys.stderr.isatty() else Plain()
