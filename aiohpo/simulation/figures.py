"""What came of a simulation, in numbers.

Every duration is in virtual seconds. What the simulation itself took (CPU, memory) is not among the figures: these are
the same whenever a seed is played again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..plugin.objective import Objective
from ..view.trials import HIDDEN
from ..view.view import View
from .evaluator import Evaluation

if TYPE_CHECKING:
    from ..peer.ending import SearchEnd
    from ..runtime.assembly.definition import StudyDefinition
    from .swarm import Crash, Scenario

COMPLETED = ("finished", "stopped", "paused", "failed")
PRODUCTION, MODEL = "production code", "model"
_BINS = 100  # of what is told over time


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The outcome of a simulation; see docs/simulate.md for what each number means.

    way                   which of the two ways of simulating made the figures
    seconds               how long the search was simulated
    utilisation           the part of the slots' time in which they evaluated, what is cut off at the end included
    completed_share       the same for evaluations that came to their end
    evaluations           how many came to their end: finished, failed, stopped or paused
    endings               how often evaluations ended how; "running" ones are cut off by the end
    trials                how many trials have which status, by what the workers know together
    best, best_step       the best value, and the step of a trial that is not complete (None: it is)
    best_over_time        (second, best value of a complete trial from then on)
    propagation           seconds from an event's recording to its arrival: median, p99 and mean, over ``arrivals``
    traffic               frames and bytes that a worker sends in a second; the part of the frames that is lost
    collisions            evaluations of a trial that another worker evaluated at the same time; the seconds of it, and
                          their part of the time in which slots were busy
    crashes               how many; the seconds of evaluation lost with them; the seconds in which slots were missing
    utilisation_over_time, propagation_over_time   (second, part) and (second, median, p99) of equal parts of the time
    end                   why the search was over; None: it was not
    notices               what workers had to say, and how many said it
    """

    way: str
    seconds: float
    utilisation: float
    completed_share: float
    evaluations: int
    endings: dict[str, int]
    trials: dict[str, int]
    best: float | None
    best_step: int | None
    best_over_time: list[tuple[float, float]]
    propagation: dict[str, float | None]
    traffic: dict[str, float]
    collisions: dict[str, float]
    crashes: dict[str, float]
    utilisation_over_time: list[tuple[float, float]]
    propagation_over_time: list[tuple[float, float, float]]
    end: str | None
    notices: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


class Played(Protocol):
    """A swarm that has been played, by either way."""

    way: str
    scenario: Scenario
    definition: StudyDefinition
    now: float
    diary: list[Evaluation]
    crashes: list[Crash]
    notices: dict[str, int]
    end: SearchEnd | None

    def known_together(self) -> View:
        """The view of everything that the living workers have recorded or heard of."""
        ...

    def news(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """When events were recorded and how long they took to arrive, for each that arrived somewhere, in seconds."""
        ...

    def traffic(self) -> dict[str, float]:
        """Frames and bytes that a worker sends in a second, and the part of the frames that is lost."""
        ...


def figures_of(swarm: Played) -> Figures:
    """Count what happened in a swarm that has been played."""
    s, end = swarm.scenario, swarm.now
    slots, view = s.workers * s.slots, swarm.known_together()
    objective = swarm.definition.objective
    leader = None if (row := view.leader()) is None else view.record(row, 0)
    times, delays = swarm.news()
    return Figures(
        way=swarm.way,
        seconds=end,
        **activity(swarm.diary, slots, end, objective),
        trials=statuses(view),
        best=None if leader is None else leader.value,
        best_step=None if leader is None or row == view.best else leader.step,
        propagation=propagation(delays),
        propagation_over_time=propagation_over_time(times, delays, end),
        traffic=swarm.traffic(),
        crashes={
            "count": len(swarm.crashes),
            "restarted": sum(crash.after is not None and crash.time + crash.after <= end for crash in swarm.crashes),
            "seconds_lost": sum((e.ended or end) - e.kept for e in swarm.diary if e.how == "crashed"),
            "seconds_missing": s.slots
            * sum(min(math.inf if c.after is None else c.after, end - c.time) for c in swarm.crashes),
        },
        end=None if swarm.end is None else swarm.end.text,
        notices=dict(sorted(swarm.notices.items())),
    )


def statuses(view: View) -> dict[str, int]:
    """How many trials have which status, those that are not listed left out."""
    shown = Counter(map(view.shown_status, range(view.n_rows)))
    return {status: shown[status] for status in sorted(shown) if status not in HIDDEN}


def activity(diary: Sequence[Evaluation], slots: int, end: float, objective: Objective) -> dict[str, Any]:
    """The figures that follow from who evaluated what when."""
    began = np.array([note.began for note in diary])
    ended = np.array([end if note.ended is None else min(note.ended, end) for note in diary])
    seconds = np.maximum(ended - began, 0.0)
    done = np.array([note.how in COMPLETED for note in diary], dtype=bool)
    capacity = max(slots * end, 1e-9)
    twice, overlap = collisions(diary, end)
    return {
        "utilisation": float(seconds.sum()) / capacity,
        "completed_share": float(seconds[done].sum()) / capacity if len(diary) else 0.0,
        "evaluations": int(done.sum()),
        "endings": dict(sorted(Counter(note.how for note in diary).items())),
        "best_over_time": best_over_time(diary, objective),
        "collisions": {
            "count": twice,
            "seconds": overlap,
            "share": overlap / max(float(seconds.sum()), 1e-9),
        },
        "utilisation_over_time": utilisation_over_time(began, ended, slots, end),
    }


def best_over_time(diary: Iterable[Evaluation], objective: Objective) -> list[tuple[float, float]]:
    """The moments at which a complete trial was better than all before, and its value."""
    found: list[tuple[float, float]] = []
    results = [(note.ended, note.value) for note in diary if note.ended is not None and note.value is not None]
    for when, value in sorted(results):
        if not found or objective.is_better(value, found[-1][1]):
            found.append((when, value))
    return found


def collisions(diary: Iterable[Evaluation], end: float) -> tuple[int, float]:
    """How many evaluations began while their trial ran elsewhere, and for how many seconds trials ran twice."""
    by_trial: dict[str, list[tuple[float, float]]] = {}
    for note in diary:
        by_trial.setdefault(note.trial, []).append((note.began, end if note.ended is None else note.ended))
    count, seconds = 0, 0.0
    for spans in by_trial.values():
        until = -math.inf
        for began, ended in sorted(spans):
            count += began < until
            seconds += max(0.0, min(ended, until) - began)
            until = max(until, ended)
    return count, seconds


def utilisation_over_time(
    began: NDArray[np.float64], ended: NDArray[np.float64], slots: int, end: float
) -> list[tuple[float, float]]:
    """The middle of each part of the time, and the part of the slots that was busy in it."""
    if end <= 0:
        return []
    edges = np.linspace(0.0, end, _BINS + 1)
    length = ended - began
    busy = np.diff([float(np.clip(edge - began, 0.0, length).sum()) for edge in edges])
    share = busy / (slots * np.diff(edges))
    return list(zip(((edges[1:] + edges[:-1]) / 2).tolist(), share.tolist(), strict=True))


def propagation(delays: NDArray[np.float64]) -> dict[str, float | None]:
    """How long news takes to arrive."""
    if not len(delays):
        return {"median": None, "p99": None, "mean": None, "arrivals": 0}
    median, p99 = np.quantile(delays, (0.5, 0.99)).tolist()
    return {"median": median, "p99": p99, "mean": float(delays.mean()), "arrivals": len(delays)}


def propagation_over_time(
    times: NDArray[np.float64], delays: NDArray[np.float64], end: float
) -> list[tuple[float, float, float]]:
    """The middle of each part of the time in which something was recorded, the median and the 99th percentile."""
    if not len(delays):
        return []
    bins = np.minimum((times / end * _BINS).astype(np.int64), _BINS - 1)
    found = []
    for at in np.unique(bins).tolist():
        median, p99 = np.quantile(delays[bins == at], (0.5, 0.99)).tolist()
        found.append(((at + 0.5) * end / _BINS, median, p99))
    return found
