"""What is shown of a running search: who is there, what each evaluates, how fast and how well it goes.

A :class:`Tally` takes events as they become known and, asked for a :class:`Snapshot`, says what they amount to. Where
they come from is not its business: a run directory that is followed, or the mesh, joined as an observer.

Times are the wall clocks of the workers that recorded them, so "for 3 s" is right as far as their clocks agree with
the reader's. Rate and utilisation are those of the last minute: what one wants to know is how it goes *now*.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..events.lifecycle import FINAL, Status
from ..events.schema import Ended, Seen, Started, TrialId
from ..view.promotions import Rungs
from ..view.segments import Activity, Span
from ..view.summary import best_of, n_done
from ..view.trials import TrialRecord
from ..view.view import View

WINDOW = 60.0  # seconds over which rate and utilisation are averaged
_FEWEST = 20  # trials that the rate is averaged over, however long they took
HERE = ("alive", "suspect", "unknown")
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Health:
    """The mesh as seen from here.

    links       workers that frames come from directly
    round_trip  seconds from a ping to its answer, smoothed; None before the first answer
    silent      seconds since anything arrived from anybody
    repairs     rounds in which a peer had something that was missing here
    duplicates  events that arrived once more
    dropped     frames that were malformed or of another study
    """

    links: int
    round_trip: float | None
    silent: float
    repairs: int
    duplicates: int
    dropped: int
    frames_in: int
    bytes_in: int
    frames_out: int
    bytes_out: int


class Source(Protocol):
    """Where a search is watched."""

    @property
    def name(self) -> str: ...
    @property
    def study(self) -> Mapping[str, Any]:
        """Its definition, as in ``study.json``."""
        ...

    @property
    def view(self) -> View: ...
    def poll(self) -> list[Seen]:
        """Events that became known since the last call."""
        ...

    def states(self) -> dict[str, str]:
        """What is believed of each worker: alive, suspect, dead, left, or unknown where that cannot be told."""
        ...

    def health(self) -> Health | None:
        """None where no mesh is involved."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """One worker. ``trials`` counts the segments of trials that it ended, ``utilisation`` is that of the last minute,
    ``running`` the trial that it evaluates now, for ``seconds`` so far."""

    id: str
    status: str
    host: str | None
    pid: int | None
    rank: int | None
    started: float | None
    trials: int
    utilisation: float | None
    running: TrialRecord | None
    seconds: float | None

    def as_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        if self.running is not None:
            plain["running"] = {name: getattr(self.running, name) for name in ("id", "number", "config", "step")}
        return plain


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A search at one moment. ``done`` trials ended or got as far as they were meant to at first, ``rungs`` is
    {step: trials that reached it}, ``promoted`` how often one was sent further, ``moved`` how often on another worker;
    ``curve`` are the improvements, (seconds since the first start, value)."""

    time: float
    name: str
    study: Mapping[str, Any]
    total: int | None
    ended: int
    counts: Mapping[str, int]
    rate: float
    utilisation: float | None
    elapsed: float
    best: TrialRecord | None
    curve: tuple[tuple[float, float], ...]
    workers: tuple[WorkerNow, ...]
    health: Health | None
    done: int
    rungs: Mapping[int, int]
    promoted: int
    moved: int
    climb: str  # the three of them in words; empty where nothing pauses

    @property
    def remaining(self) -> float | None:
        """Seconds until the budget is met, at the present rate."""
        if self.total is None or self.rate <= 0:
            return None
        return max(self.total - self.done, 0) / self.rate

    @property
    def deserted(self) -> bool:
        """Whether there were workers and none is left."""
        return bool(self.workers) and not any(worker.status in HERE for worker in self.workers)

    def states(self) -> dict[str, int]:
        """How many workers are in each state."""
        counts: dict[str, int] = {}
        for worker in self.workers:
            counts[worker.status] = counts.get(worker.status, 0) + 1
        return counts

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; keys that ``show --json`` has as well mean the same."""
        best = self.best
        return {
            "time": self.time,
            "study": {
                **{k: v for k, v in self.study.items() if k not in ("format", "space")},
                "trials": self.total,
                "ended": self.ended,
                "done": self.done,
                "rungs": [[step, n] for step, n in self.rungs.items()],
                "promoted": self.promoted,
                "moved": self.moved,
                "running": self.counts.get("running", 0),
                "counts": dict(self.counts),
                "rate": self.rate,
                "utilisation": self.utilisation,
                "elapsed": self.elapsed,
                "remaining": self.remaining,
                "best": best
                and {
                    name: getattr(best, name)
                    for name in ("id", "number", "status", "value", "step", "config", "worker")
                },
                "curve": [list(point) for point in self.curve],
            },
            "workers": [worker.as_dict() for worker in self.workers],
            "mesh": self.health and {name: getattr(self.health, name) for name in self.health.__slots__},
        }


def _place(worker: WorkerNow) -> tuple[bool, float, float, str]:
    """Whoever is here comes first; then by rank, and by age where there is none."""
    rank = math.inf if worker.rank is None else worker.rank
    return worker.status not in HERE, rank, worker.started or math.inf, worker.id


class _Work:
    """What one worker did: trials that it ended, and its segments of the last minute."""

    __slots__ = ("recent", "trials")

    def __init__(self) -> None:
        self.trials = 0
        self.recent: list[tuple[float, float]] = []


class Tally:
    """Adds up what a source's events say."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._view = source.view
        self._activity = Activity()
        self._rungs = Rungs(self._view.max_steps)
        self._paused: set[TrialId] = set()
        self._work: dict[str, _Work] = {}
        self._first = math.inf
        self._last = -math.inf
        self._ends: list[float] = []
        self._best_at = array("d")  # when a trial finished, and with which value: alternating
        self._curve: tuple[int, tuple[tuple[float, float], ...]] = 0, ()

    def look(self, now: float) -> Snapshot:
        """Take what became known and say what it amounts to. ``now`` is in seconds since the epoch."""
        self.take(self._source.poll())
        return self.snapshot(now, self._source.states(), self._source.health())

    def take(self, events: Iterable[Seen]) -> None:
        """Account for new events."""
        events = list(events)
        self._rungs.take(events)
        for origin, seq, event in events:
            span = self._activity.take(origin, seq, event)
            if span is not None and type(event) is Ended and math.isfinite(span.began + event.seconds):
                self._account(span, event)
            elif isinstance(event, Started) and math.isfinite(event.time):
                self._first = min(self._first, event.time)

    def _account(self, span: Span, event: Ended) -> None:
        work = self._work.setdefault(span.worker, _Work())
        end = span.began + event.seconds
        self._last = max(self._last, end)
        work.recent.append((span.began, end))
        if event.how in ("finished", "stopped", "failed", "paused"):
            work.trials += 1
            if span.trial not in self._paused:  # what is done when it first pauses is not done again later
                self._ends.append(end)
            if event.how == "paused":
                self._paused.add(span.trial)
        if event.how == "finished" and event.value is not None and math.isfinite(event.value):
            self._best_at.extend((end, event.value))

    # ------------------------------------------------------------------------------------------- reading
    def snapshot(self, now: float, states: Mapping[str, str], health: Health | None) -> Snapshot:
        """The search at ``now``, given what is believed of its workers."""
        view = self._view
        counts = self._counts(states)
        total = view.goal[1] if view.goal else None
        workers = self._workers(now, states)
        busy = [worker for worker in workers if worker.utilisation is not None]
        present = sum(self._present(worker.started, now) for worker in busy)
        worked = sum((worker.utilisation or 0.0) * self._present(worker.started, now) for worker in busy)
        return Snapshot(
            time=now,
            name=self._source.name,
            study=self._source.study,
            total=total,
            ended=sum(counts.get(name, 0) for name in ("finished", "stopped", "failed")),
            counts=counts,
            rate=self._rate(now),
            utilisation=worked / present if present > 0 else None,
            elapsed=self._elapsed(now, workers),
            best=best_of(view),
            curve=self._improvements(),
            workers=workers,
            health=health,
            done=n_done(view, self._rungs),
            rungs=self._rungs.reached(),
            promoted=self._rungs.promoted,
            moved=self._rungs.moved[1],
            climb=str(self._rungs),
        )

    def _counts(self, states: Mapping[str, str]) -> dict[str, int]:
        view = self._view
        counts = {status.name.lower(): n for status in Status if (n := view.counts[status])}
        counts.pop("cancelled", None)
        for row in view.beyond_line():
            status = view.status(row)
            if status in FINAL:
                counts[status.name.lower()] -= 1
                counts["surplus"] = counts.get("surplus", 0) + 1
        abandoned = sum(states.get(view.owner(row) or "", "dead") in ("dead", "left") for row in view.running)
        if abandoned:
            counts["running"] -= abandoned
            counts["lost"] = counts.get("lost", 0) + abandoned
        return {name: n for name, n in counts.items() if n}

    def _rate(self, now: float) -> float:
        ends = sorted(self._ends)
        since = min(now - WINDOW, ends[-_FEWEST]) if len(ends) > _FEWEST else -math.inf
        self._ends = ends = [end for end in ends if end >= since]
        return len(ends) / max(now - max(since, self._first), 1.0) if ends else 0.0

    def _elapsed(self, now: float, workers: Iterable[WorkerNow]) -> float:
        """Since the first start; for a search that nobody works on any more, until its last result."""
        until = now if any(worker.status in HERE for worker in workers) else self._last
        return max(until - self._first, 0.0) if math.isfinite(until - self._first) else 0.0

    def _present(self, started: float | None, now: float) -> float:
        return min(max(now - (started or 0.0), 0.0), WINDOW)

    def _workers(self, now: float, states: Mapping[str, str]) -> tuple[WorkerNow, ...]:
        view = self._view
        running = self._running(states)
        found = []
        for name in sorted({*states, *view.workers}):
            info = view.workers.get(name)
            started = info.started if info else None
            if started is None and name not in states:
                continue  # no worker: somebody queued or added trials by hand
            status = states.get(name, "dead")
            span = running.get(name)
            row = view.row(span.trial) if span else None
            began = started.time if started else None
            work = self._work.get(name)
            found.append(
                WorkerNow(
                    id=name,
                    status=status,
                    host=started.host if started else None,
                    pid=started.pid if started else None,
                    rank=started.rank if started else None,
                    started=began,
                    trials=work.trials if work else 0,
                    utilisation=self._utilisation(work, span, began, now) if status in HERE else None,
                    running=None if row is None else view.record(row),
                    seconds=None if span is None or row is None else max(now - span.began, 0.0),
                )
            )
        return tuple(sorted(found, key=_place))

    def _running(self, states: Mapping[str, str]) -> dict[str, Span]:
        """What each worker that is here evaluates: the newest of its open segments that are still its own."""
        view = self._view
        newest: dict[str, Span] = {}
        for span in self._activity.open():
            row = view.row(span.trial)
            if row is None or view.status(row) is not Status.RUNNING or view.owner(row) != span.worker:
                continue
            if states.get(span.worker) in HERE and (
                span.worker not in newest or span.began > newest[span.worker].began
            ):
                newest[span.worker] = span
        return newest

    def _utilisation(self, work: _Work | None, span: Span | None, started: float | None, now: float) -> float | None:
        """The part of the last minute (or of the time since it started) that a worker spent on trials."""
        begin = now - self._present(started, now)
        if started is None or now - begin < 0.1:
            return None
        spent = 0.0
        if work is not None:
            work.recent = [(a, b) for a, b in work.recent if b > now - WINDOW]
            spent = sum(max(min(b, now) - max(a, begin), 0.0) for a, b in work.recent)
        if span is not None:
            spent += max(now - max(span.began, begin), 0.0)
        return min(spent / (now - begin), 1.0)

    def _improvements(self) -> tuple[tuple[float, float], ...]:
        if self._curve[0] != len(self._best_at):
            points = np.array(self._best_at).reshape(-1, 2)
            points = points[np.lexsort((points[:, 1], points[:, 0]))]
            losses = self._view.sign * points[:, 1]
            better = np.ones(len(points), dtype=bool)
            better[1:] = losses[1:] < np.minimum.accumulate(losses)[:-1]
            first = min(self._first, float(points[0, 0]))
            curve = tuple((float(at) - first, float(value)) for at, value in points[better])
            self._curve = len(self._best_at), curve
        return self._curve[1]

    def __repr__(self) -> str:
        return f"<Tally of {self._source.name}: {self._view!r}>"


def sparkline(curve: Iterable[tuple[float, float]], elapsed: float, width: int) -> str:
    """Draw the best value over time in ``width`` characters; blank before the first result.

    Losses often fall by powers of ten: positive values that span more than two of them are drawn by their logarithm.
    """
    points = list(curve)
    if not points or width < 1:
        return ""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    scale = math.log if low > 0 and high > 100 * low else float
    bottom, span = scale(low) / 2, scale(high) / 2 - scale(low) / 2  # halves: the difference of two may overflow
    elapsed = max(elapsed, points[-1][0], 1e-9)
    drawn, at = [], 0
    for i in range(width):
        until = elapsed * (i + 1) / width
        while at < len(points) and points[at][0] <= until:
            at += 1
        if at == 0:
            drawn.append(" ")
        else:
            part = (scale(points[at - 1][1]) / 2 - bottom) / span if span > 0 else 0.5
            drawn.append(_BARS[min(int(part * len(_BARS)), len(_BARS) - 1)])
    return "".join(drawn)
