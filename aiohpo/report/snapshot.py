"""The one account of progress: what is shown of a search at a moment, wherever it is shown.

The progress bar, the screen, ``watch``, ``show``, the last lines of a run and every ``--json`` show a
:class:`Snapshot`, which a :class:`~aiohpo.report.tally.Tally` takes. To show one more number: add it here, to the
tally, and to the display (:mod:`~aiohpo.report.bar`, :mod:`~aiohpo.report.screen`, :mod:`~aiohpo.report.plain`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..mesh.health import Health
from ..plugin import Config
from ..view.trials import TrialRecord

HERE = ("alive", "suspect", "unknown")  # what a worker is that may be at work


@dataclass(frozen=True, slots=True)
class TrialNow:
    """A trial that a slot evaluates.

    id, number  its name, and its place among all trials
    step        the last step that was done
    seconds     for how long it has been evaluated, by the clocks of its worker and the reader
    """

    id: str
    number: int
    step: int
    seconds: float
    _config: Callable[[], Config] = field(repr=False, compare=False)

    @property
    def config(self) -> Config:
        """{parameter: value}. Made when it is read: of a thousand trials a screen shows forty."""
        return self._config()

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {name: getattr(self, name) for name in ("id", "number", "config", "step", "seconds")}


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """One worker.

    id            its name in the log
    status        alive, suspect, dead, left, or unknown where it cannot be told
    host, pid     the machine and the process that it says it is
    rank          its place among those that were launched together, None if it was launched alone
    started       when it began, in seconds since the epoch by its own clock
    slots         how many trials it evaluates at a time
    trials        different trials of which it ended a segment
    busy_seconds  spent on segments that ended, in all slots together
    utilisation   the part of the last minute that its slots spent on trials, None if it is away
    running       the trials that its slots evaluate now, the one that began first at the head
    unanswered    addresses that it was told to join and that have not answered
    """

    id: str
    status: str
    host: str | None
    pid: int | None
    rank: int | None
    started: float | None
    slots: int
    trials: int
    busy_seconds: float
    utilisation: float | None
    running: tuple[TrialNow, ...]
    unanswered: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["running"] = [trial.as_dict() for trial in self.running]
        plain["unanswered"] = list(self.unanswered)
        return plain


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A search at one moment.

    time         seconds since the epoch
    name         where it was looked at
    study        its definition, as in ``study.json``
    total        the budget of trials, None if it has no limit
    ended        trials of the budget that ended for good
    done         those, and the ones that pause or go on after a pause: they ran as far as they were meant to at first
    counts       {status: trials}; queued ones and those beyond the budget ("surplus") included, cancelled ones not
    retried      failed trials that are tried again, so that they left the budget
    added        past trials that were added by hand, which are not of the budget
    rate         trials that become done in a second: over the last minute or the last 20 trials, pauses left out
    utilisation  the part of the last minute that the slots of the workers who are here spent on trials
    elapsed      seconds since the first start, pauses left out; of a search without workers, until the last result
    best         the best complete trial; while there is none, the best of those that got farthest
    curve        the improvements, as (seconds since the first start without pauses, value)
    workers      those who are here first, by rank and age
    health       of the mesh, if it was looked at from there
    rungs        {step: trials that reached it}; empty where nothing is to pause
    promoted     how often a trial was sent further, ``moved`` how often another worker went on with it
    ensemble     what is known of the ensemble that is kept while the search runs, None if there is none
    damage       what could not be read
    skipped      what this version of aiohpo does not understand, in words; empty where it understands everything
    """

    time: float
    name: str
    study: Mapping[str, Any]
    total: int | None
    ended: int
    done: int
    counts: Mapping[str, int]
    retried: int
    added: int
    rate: float
    utilisation: float | None
    elapsed: float
    best: TrialRecord | None
    curve: tuple[tuple[float, float], ...]
    workers: tuple[WorkerNow, ...]
    health: Health | None
    rungs: Mapping[int, int]
    promoted: int
    moved: int
    ensemble: Mapping[str, Any] | None
    damage: tuple[str, ...]
    skipped: str

    @property
    def notices(self) -> list[str]:
        """What people should hear of the reading, a line each."""
        alone = (
            f"worker {worker.id} was told to join {address}, which has not answered"
            for worker in self.workers
            if worker.status in HERE
            for address in worker.unanswered
        )
        return [*(f"damaged: {damage}" for damage in self.damage), *([self.skipped] if self.skipped else []), *alone]

    @property
    def metric(self) -> str:
        return str(self.study.get("metric", "value"))

    @property
    def max_steps(self) -> int | None:
        return self.study.get("max_steps")

    @property
    def remaining(self) -> float | None:
        """Seconds of work until the budget is met, at the present rate."""
        if self.total is None or self.rate <= 0:
            return None
        return max(self.total - self.done, 0) / self.rate

    @property
    def deserted(self) -> bool:
        """Whether there were workers and none is left."""
        return bool(self.workers) and not any(worker.status in HERE for worker in self.workers)

    @property
    def slots(self) -> int:
        """How many trials the workers who are here evaluate at a time."""
        return sum(worker.slots for worker in self.workers if worker.status in HERE)

    def states(self) -> dict[str, int]:
        """How many workers are in each state."""
        counts: dict[str, int] = {}
        for worker in self.workers:
            counts[worker.status] = counts.get(worker.status, 0) + 1
        return counts

    def progress(self) -> dict[str, Any]:
        """The numbers in JSON form, as ``run``, ``show`` and ``watch`` have them."""
        return {
            "trials": self.total,
            "ended": self.ended,
            "done": self.done,
            "running": self.counts.get("running", 0),
            "counts": dict(self.counts),
            "retried": self.retried,
            "added": self.added,
            "rungs": [[step, n] for step, n in self.rungs.items()],
            "promoted": self.promoted,
            "moved": self.moved,
            "rate": self.rate,
            "utilisation": self.utilisation,
            "elapsed": self.elapsed,
            "remaining": self.remaining,
            "best": None if self.best is None else self.best.as_dict(),
            "curve": [list(point) for point in self.curve],
            "ensemble": None if self.ensemble is None else dict(self.ensemble),
            "damage": [*self.damage, *([self.skipped] if self.skipped else [])],
        }

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of ``watch``; ``show`` has the same study and workers, and the trials."""
        return {
            "time": self.time,
            "study": {**{name: value for name, value in self.study.items() if name != "format"}, **self.progress()},
            "workers": [worker.as_dict() for worker in self.workers],
            "mesh": self.health and {name: getattr(self.health, name) for name in self.health.__slots__},
        }
