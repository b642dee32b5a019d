"""How a search looks where it shares stderr or a log with other text: one live line, or plain lines: one for each trial
that ends, and one now and then about all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from ..text import printable
from ..view.summary import value_in_words
from ..view.trials import HIDDEN
from .words import (
    best_in_words,
    busy_in_words,
    configuration,
    describe_rate,
    describe_seconds,
    ensemble_in_words,
    in_words,
    rungs_in_words,
    slots_in_words,
)

if TYPE_CHECKING:
    from ..view.trials import TrialRecord
    from ..view.view import View
    from .snapshot import Snapshot
    from .sources import ProgressSource
    from .tally import Tally

_FIRST_LINE_AFTER, _SLOWER, _SLOWEST = 5.0, 1.5, 60.0  # seconds between plain lines, growing


def as_line(now: Snapshot, workers: str = "") -> str:
    """All of it in one line. ``workers`` says who works, if more is known than the states that they are in."""
    of = "" if now.total is None else f"/{now.total}"
    parts = [f"{now.done}{of} trials", climb_in_words(now), best_in_words(now.metric, now.best, now.max_steps)]
    parts.append(describe_rate(now.rate))
    parts.append(busy_in_words(now))
    parts.append(workers or f"workers: {in_words(now.states()) if now.workers else 'none yet'}")
    parts.append(slots_in_words(now))
    parts.append(in_words({name: n for name, n in now.counts.items() if name not in ("finished", "running")}))
    if now.health is not None and now.health.round_trip is not None:
        parts.append(f"round trip {describe_seconds(now.health.round_trip)}")
    return ", ".join(filter(None, parts))


def climb_in_words(now: Snapshot) -> str:
    """``5 complete, rungs 1:37 3:12 9:5, 16 promoted``, and the ensemble; empty where there is neither."""
    rungs = rungs_in_words(now.rungs, now.promoted, now.moved)
    complete = f"{now.counts.get('finished', 0)} complete, {rungs}" if rungs else ""
    return ", ".join(filter(None, (complete, ensemble_in_words(now.ensemble))))


def trial_in_line(trial: TrialRecord, metric: str, max_steps: int | None, *, is_best: bool = False) -> str:
    """``trial 17: loss 0.0312 in 2.3 s, the best so far; lr=0.01, width=64``, or how it ended if not in success."""
    value = "" if trial.value is None else f"{printable(metric)} {value_in_words(trial, max_steps, 5)}"
    what = [value] if trial.status == "finished" else [trial.status, value if trial.error is None else ""]
    took = "" if trial.seconds is None else f" in {describe_seconds(trial.seconds)}"
    best = ", the best so far" if is_best else ""
    error = "" if trial.error is None else f": {printable(trial.error)}"
    return f"trial {trial.number}: {', '.join(filter(None, what))}{took}{best}{error}; {configuration(trial.config)}"


class TrialLines:
    """A line for each trial that ends, or pauses, from now on."""

    def __init__(self, view: View) -> None:
        self._view = view
        _, self._seen = view.touched(0)
        self._told: dict[int, tuple[str, int]] = {row: self._state(row) for row in range(view.n_rows)}
        self._best = view.leader()

    def _state(self, row: int) -> tuple[str, int]:
        """What makes a line: a trial that goes on after a pause has another one."""
        return self._view.shown_status(row), self._view.attempt(row)

    def new(self) -> list[str]:
        """The lines for what became known since the last call, in the order in which it did."""
        view, lines = self._view, []
        rows, self._seen = view.touched(self._seen)
        best = view.leader() if rows else self._best
        for row in rows:
            state = self._state(row)
            if state == self._told.get(row) or state[0] in (*HIDDEN, "running", "lost"):
                continue
            self._told[row] = state
            is_best = row == best != self._best
            record = view.record(row)
            lines.append(trial_in_line(record, view.objective.metric, view.max_steps, is_best=is_best))
        self._best = best
        return lines


class Display(Protocol):
    """Shows how a search that was launched here stands, and lines of text in between."""

    def __enter__(self) -> Display: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def update(self, tally: Tally, alive: int, size: int) -> None:
        """Show how it stands now, if it is time; ``alive`` of the ``size`` workers that were launched are running."""
        ...

    def say(self, text: str) -> None: ...


class BarDisplay:
    """A bar that is redrawn, for terminals."""

    def __init__(self) -> None:
        from rich.console import Console

        from .bar import Bar

        self._bar = Bar(Console(stderr=True))

    def __enter__(self) -> BarDisplay:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def update(self, tally: Tally, alive: int, size: int) -> None:
        now = tally.look(time.time())
        self._bar.update(now, f"{alive} workers" if alive == size else f"[yellow]{alive} of {size} workers[/]")

    def say(self, text: str) -> None:
        self._bar.say(text)


class QuietDisplay:
    """Nothing but notices."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, tally: Tally, alive: int, size: int) -> None:
        return None


class LogDisplay(QuietDisplay):
    """A line for each trial, and one about all of them after five seconds and then ever more rarely, at least once a
    minute; for logs."""

    def __init__(self, say: Callable[[str], None], source: ProgressSource) -> None:
        super().__init__(say)
        self._source = source
        self._view = source.view
        self._lines = TrialLines(self._view)
        self._pause = _FIRST_LINE_AFTER
        self._next = time.monotonic() + self._pause

    def update(self, tally: Tally, alive: int, size: int) -> None:
        if self._source.view is not self._view:  # the study was changed, see FollowedDirectory
            self._view = self._source.view
            self._lines = TrialLines(self._view)
        for line in self._lines.new():
            self.say(line)
        at = time.monotonic()
        if at >= self._next:
            self._pause = min(self._pause * _SLOWER, _SLOWEST)
            self._next = at + self._pause
            self.say(as_line(tally.look(time.time()), f"{alive} of {size} workers"))


def display(shown: str | None, say: Callable[[str], None], source: ProgressSource) -> Display:
    """Return what shows a search in the way ``shown`` ("bar", "lines" or None); ``say`` writes a line to stderr."""
    if shown is None:
        return QuietDisplay(say)
    return BarDisplay() if shown == "bar" else LogDisplay(say, source)
