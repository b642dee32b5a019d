"""Adds up what a view says of a search, and takes a :class:`~aiohpo.report.snapshot.Snapshot` of it when asked.

Where the events come from is not its business, see :mod:`~aiohpo.report.sources`.

Times are the wall clocks of the workers that recorded them, so "for 3 s" is right as far as their clocks agree with
the reader's. Rate and utilisation are those of the last minute: they say how the search is doing *now*.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..events.schema import trial_name
from ..view.promotions import Promotions
from ..view.segments import RECENT, Span, Work
from ..view.summary import Summary
from .active_time import ActiveTime
from .snapshot import HERE, Snapshot, TrialNow, WorkerNow
from .sources import LoadedDirectory, ProgressSource

if TYPE_CHECKING:
    from ..storage.run import Run
    from ..view.trials import TrialRecord

WINDOW = RECENT  # seconds over which rate and utilisation are averaged
_FEWEST = 20  # trials that the rate is averaged over, however long they took


class Tally:
    """Follows a source."""

    def __init__(self, source: ProgressSource) -> None:
        self._source = source
        self._begin()

    def _begin(self) -> None:
        self._view = self._source.view
        self._rungs = Promotions(self._view)

    def look(self, now: float) -> Snapshot:
        """Take what became known and say what it amounts to. ``now`` is in seconds since the epoch."""
        self.poll()
        return self.snapshot(now, self._source.states())

    def poll(self) -> int:
        """Take what became known, and return how many events that were. Cheap where a snapshot is not."""
        events = self._source.poll()
        if self._view is not self._source.view:
            self._begin()  # the study was changed: all of it means something else
        return events

    @property
    def rungs(self) -> Promotions:
        """How far the trials got."""
        return self._rungs

    def active_time(self, now: float) -> ActiveTime:
        """The clock by which ``elapsed`` and ``curve`` of a snapshot are given."""
        return ActiveTime(self._lives(now, self._workers(now, self._source.states())))

    # ------------------------------------------------------------------------------------------- reading
    def snapshot(self, now: float, states: Mapping[str, str]) -> Snapshot:
        """Say what is known so far, without another poll; ``states`` is what is believed of the workers."""
        view, source, rungs = self._view, self._source, self._rungs
        summary = Summary(view, states)
        workers = self._workers(now, states)
        active = ActiveTime(self._lives(now, workers))
        busy = [worker for worker in workers if worker.utilisation is not None]
        presence = [worker.slots * _present(worker.started, now) for worker in busy]
        worked = sum((worker.utilisation or 0.0) * present for worker, present in zip(busy, presence, strict=True))
        present = sum(presence)
        improved = np.array(view.activity.improvements).reshape(-1, 2)
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
            elapsed=float(active(now if here else view.activity.last_end)),
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
            work = self._view.activity.work.get(worker.id)
            if work is None or work.first > work.last:
                continue
            going_on = worker.status in ("alive", "suspect") or (worker.status in HERE and bool(worker.running))
            lives.append((work.first, max(now, work.first) if going_on else work.last))
        return lives

    def _rate(self, now: float, active: ActiveTime) -> float:
        activity = self._view.activity
        ends = np.sort(np.array(activity.ends))
        at, ended_at = float(active(now)), active(ends)
        since = min(at - WINDOW, float(ended_at[-_FEWEST])) if len(ends) > _FEWEST else -math.inf
        ends = ends[ended_at >= since]
        if 2 * len(ends) < len(activity.ends):
            activity.forget_ends_before(float(ends[0]))
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
            work = view.activity.work.get(name)
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
        for span in view.activity.running():
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
        self, work: Work | None, running: Sequence[TrialNow], slots: int, started: float | None, now: float
    ) -> float | None:
        """The part of the last minute (or of the time since it started) that a worker's slots spent on trials."""
        begin = now - _present(started, now)
        if started is None or now - begin < 0.1:
            return None
        spent = sum(min(trial.seconds, now - begin) for trial in running)
        if work is not None:
            segments = np.array(work.recent).reshape(-1, 2)
            segments = segments[segments[:, 1] > now - WINDOW]
            spent += float(np.maximum(np.minimum(segments[:, 1], now) - np.maximum(segments[:, 0], begin), 0.0).sum())
        return min(spent / (slots * (now - begin)), 1.0)

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
