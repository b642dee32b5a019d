"""Adds up what a search's events amount to, and takes a :class:`~aiohpo.report.snapshot.Snapshot` of it when asked.

Where the events come from is not its business, see :mod:`~aiohpo.report.sources`.

Times are the wall clocks of the workers that recorded them, so "for 3 s" is right as far as their clocks agree with
the reader's. Rate and utilisation are those of the last minute: they say how the search is doing *now*.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..events.lifecycle import earlier_end
from ..events.schema import Claimed, Ended, Left, Proposed, Started, TrialId, trial_name
from ..view.promotions import Promotions
from ..view.segments import Segments, Span
from ..view.summary import Summary
from .active_time import ActiveTime
from .snapshot import HERE, Snapshot, TrialNow, WorkerNow
from .sources import LoadedDirectory, ProgressSource

if TYPE_CHECKING:
    from ..plugin import FloatArray
    from ..storage.run import Run
    from ..view.trials import TrialRecord

WINDOW = 60.0  # seconds over which rate and utilisation are averaged
_FEWEST = 20  # trials that the rate is averaged over, however long they took


class _Work:
    """What one worker did: trials of which it ended a segment, those of them that it paused, its segments of the last
    minute, and the first and the last time that it is known to have lived."""

    __slots__ = ("first", "last", "paused", "recent", "seconds", "trials")

    def __init__(self) -> None:
        self.trials = 0
        self.paused: set[TrialId] = set()
        self.recent = array("d")  # when a segment began and ended: alternating
        self.seconds = 0.0
        self.first = math.inf
        self.last = -math.inf

    def lived(self, time: float) -> None:
        if math.isfinite(time):
            self.first, self.last = min(self.first, time), max(self.last, time)


class Tally:
    """Follows a source."""

    def __init__(self, source: ProgressSource) -> None:
        self._source = source
        self._begin()

    def _begin(self) -> None:
        self._view = self._source.view
        self._activity = Segments()
        self._rungs = Promotions(self._view)
        self._paused: set[TrialId] = set()
        self._work: dict[str, _Work] = {}
        self._last = -math.inf
        self._ends = array("d")  # when trials became done, as far as the rate depends on them
        self._best_at = array("d")  # when a trial finished, and with which value: alternating
        self._improved: tuple[int, FloatArray] = 0, np.empty((0, 2))

    def look(self, now: float) -> Snapshot:
        """Take what became known and say what it amounts to. ``now`` is in seconds since the epoch."""
        self.poll()
        return self._snapshot(now, self._source.states())

    def poll(self) -> int:
        """Take what became known, and return how many events that were. Cheap where a snapshot is not."""
        events = self._source.poll()
        if self._view is not self._source.view:
            self._begin()  # the study was changed: all of it is added up again
        for origin, seq, event in events:
            span = self._activity.account_for(origin, seq, event)
            if isinstance(event, Started | Left | Proposed | Claimed):
                if event.time:  # a worker that claims what it runs already names no time
                    self._work_of(origin).lived(event.time)
            elif span is not None and type(event) is Ended and math.isfinite(span.began + event.seconds):
                self._account(span, event)
        return len(events)

    def _work_of(self, worker: str) -> _Work:
        work = self._work.get(worker)
        if work is None:
            work = self._work[worker] = _Work()
        return work

    def _account(self, span: Span, event: Ended) -> None:
        work, end = self._work_of(span.worker), span.began + event.seconds
        self._last = max(self._last, end)
        work.lived(end)
        work.recent.extend((span.began, end))
        work.seconds += event.seconds
        if event.how in ("finished", "stopped", "failed", "paused"):
            work.trials += span.trial not in work.paused
            if span.trial not in self._paused:  # what is done when it first pauses is not done again later
                self._ends.append(end)
            if event.how == "paused":
                work.paused.add(span.trial)
                self._paused.add(span.trial)
        complete = event.how == "finished" and not earlier_end(event, self._view.max_steps)
        if complete and event.value is not None and math.isfinite(event.value):
            self._best_at.extend((end, event.value))

    # ------------------------------------------------------------------------------------------- reading
    def _snapshot(self, now: float, states: Mapping[str, str]) -> Snapshot:
        """The search at ``now``, given what is believed of its workers."""
        view, source, rungs = self._view, self._source, self._rungs
        summary = Summary(view, states)
        workers = self._workers(now, states)
        active = ActiveTime(self._lives(now, workers))
        busy = [worker for worker in workers if worker.utilisation is not None]
        presence = [worker.slots * _present(worker.started, now) for worker in busy]
        worked = sum((worker.utilisation or 0.0) * present for worker, present in zip(busy, presence, strict=True))
        present = sum(presence)
        improved = self._improvements()
        here = any(worker.status in HERE for worker in workers)
        return Snapshot(
            time=now,
            name=source.name,
            study=source.study,
            total=summary.total,
            ended=summary.ended,
            done=summary.done(rungs),
            counts=summary.counts(),
            retried=view.n_retried,
            added=view.n_external,
            rate=self._rate(now, active),
            utilisation=worked / present if present > 0 else None,
            elapsed=float(active(now if here else self._last)),
            best=summary.best(),
            curve=tuple(zip(active(improved[:, 0]).tolist(), improved[:, 1].tolist(), strict=True)),
            workers=workers,
            health=source.health(),
            rungs=rungs.reached(),
            promoted=rungs.promoted,
            moved=rungs.moved_segments[1],
            ensemble=source.ensemble(),
            damage=tuple(source.damage()),
            skipped=source.skipped(),
        )

    def _lives(self, now: float, workers: Iterable[WorkerNow]) -> list[tuple[float, float]]:
        """From when to when each worker is known to have lived."""
        lives = []
        for worker in workers:
            work = self._work.get(worker.id)
            if work is None or work.first > work.last:
                continue
            going_on = worker.status in ("alive", "suspect") or (worker.status in HERE and bool(worker.running))
            lives.append((work.first, max(now, work.first) if going_on else work.last))
        return lives

    def _rate(self, now: float, active: ActiveTime) -> float:
        ends = np.sort(np.array(self._ends))
        at, ended_at = float(active(now)), active(ends)
        since = min(at - WINDOW, float(ended_at[-_FEWEST])) if len(ends) > _FEWEST else -math.inf
        ends = ends[ended_at >= since]
        self._ends = array("d", ends.tobytes())
        return len(ends) / max(at - max(since, 0.0), 1.0)

    def _workers(self, now: float, states: Mapping[str, str]) -> tuple[WorkerNow, ...]:
        view = self._view
        running = self._running(now, states)
        found = []
        for name in sorted({*states, *view.workers}):
            info = view.workers.get(name)
            started = info.started if info else None
            if started is None and name not in states:
                continue  # of a damaged journal, or of a peer that records what it likes
            status = states.get(name, "unknown")
            began = started.time if started else None
            work = self._work.get(name)
            slots = view.slots_of(name)
            evaluated = running.get(name, [])[-slots:]
            at_work = status in ("alive", "suspect") or bool(evaluated)
            found.append(
                WorkerNow(
                    id=name,
                    status=status,
                    host=started.host if started else None,
                    pid=started.pid if started else None,
                    rank=started.rank if started else None,
                    started=began if began is not None and math.isfinite(began) else None,
                    slots=slots,
                    trials=work.trials if work else 0,
                    busy_seconds=work.seconds if work else 0.0,
                    utilisation=self._utilisation(work, evaluated, slots, began, now) if at_work else None,
                    running=tuple(evaluated),
                    unanswered=() if info is None or info.unanswered is None else info.unanswered.addresses,
                )
            )
        return tuple(sorted(found, key=_place))

    def _running(self, now: float, states: Mapping[str, str]) -> dict[str, list[TrialNow]]:
        """What each worker that is here evaluates, its own open segments: the one that began first stands first."""
        view = self._view
        found: list[tuple[Span, int]] = []
        for span in self._activity.running():
            row = view.row(span.trial)
            if row in view.running and view.owner_of(row) == span.worker and states.get(span.worker) in HERE:
                found.append((span, row))
        found.sort(key=lambda each: each[0].began)
        running: dict[str, list[TrialNow]] = {}
        for (span, row), number in zip(found, view.numbers([row for _, row in found]), strict=True):
            seconds = max(now - span.began, 0.0)
            trial = TrialNow(trial_name(span.trial), number, view.step(row), seconds, partial(view.config, row))
            running.setdefault(span.worker, []).append(trial)
        return running

    def _utilisation(
        self, work: _Work | None, running: Sequence[TrialNow], slots: int, started: float | None, now: float
    ) -> float | None:
        """The part of the last minute (or of the time since it started) that a worker's slots spent on trials."""
        begin = now - _present(started, now)
        if started is None or now - begin < 0.1:
            return None
        spent = sum(min(trial.seconds, now - begin) for trial in running)
        if work is not None:
            segments = np.array(work.recent).reshape(-1, 2)
            segments = segments[segments[:, 1] > now - WINDOW]
            work.recent = array("d", segments.tobytes())
            spent += float(np.maximum(np.minimum(segments[:, 1], now) - np.maximum(segments[:, 0], begin), 0.0).sum())
        return min(spent / (slots * (now - begin)), 1.0)

    def _improvements(self) -> FloatArray:
        """(n, 2): when the best value became better, and how good."""
        if self._improved[0] != len(self._best_at):
            points = np.array(self._best_at).reshape(-1, 2)
            points = points[np.lexsort((points[:, 1], points[:, 0]))]
            losses = self._view.objective.sign * points[:, 1]
            better = np.ones(len(points), dtype=bool)
            better[1:] = losses[1:] < np.minimum.accumulate(losses)[:-1]
            self._improved = len(self._best_at), points[better]
        return self._improved[1]

    def __repr__(self) -> str:
        return f"<Tally of {self._source.name}: {self._view!r}>"


def take_snapshot(run: Run) -> Snapshot:
    """How the search in a run directory stood when it was loaded."""
    return Tally(LoadedDirectory(run)).look(time.time())


def run_as_dict(run: Run, records: Iterable[TrialRecord] | None = None) -> dict[str, Any]:
    """The JSON form of ``aiohpo show``: study and workers as ``watch`` has them, and all trials or just ``records``."""
    plain = take_snapshot(run).as_dict()
    trials = [record.as_dict() for record in (run.records() if records is None else records)]
    return {"study": plain["study"], "workers": plain["workers"], "trials": trials}


def _present(started: float | None, now: float) -> float:
    """The part of the last minute, in seconds, since which a worker that is here has been here."""
    return min(max(now - (started or 0.0), 0.0), WINDOW)


def _place(worker: WorkerNow) -> tuple[bool, float, float, str]:
    """Those who are here come first; then by rank, and by age where there is none."""
    rank = math.inf if worker.rank is None else worker.rank
    return worker.status not in HERE, rank, worker.started or math.inf, worker.id
