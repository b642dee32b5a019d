"""The runs of the study, and how each is played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohpo import Study
from aiohpo.plugin.objective import Objective
from aiohpo.simulation.costs import obtain
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.simulation.figures import figures_of
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario, Swarm

from ..adbo.ackley import space_of
from ..framework.curve_search import with_fixed_rungs
from ..framework.results import Results
from ..framework.sharing import SharingSwarm
from ..framework.study import Parameters, Report
from . import page
from .curves import DIMENSIONS, STEPS, STRAGGLERS, TIMES, train
from .faults import LateModel, LateSwarm, PartitionedSwarm, results_lost, seconds_wasted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (640, 1920, 4096)
SECONDS = 1800.0
PRODUCTION_SECONDS = 900.0  # by production's code, which costs about ten times as much
LATE = 600.0  # when the second half of the workers comes
CUT, HEALED = 180.0, 780.0  # when the network breaks in two, and when it is whole again
RESTART = 60.0  # seconds after which a new worker takes the place of one that crashed
COSTS = Path(__file__).with_name("costs.json")
_MOMENTS = 60


def run_of(
    workers: int,
    *,
    scheduler: str = "asha",
    fault: str = "none",
    way: str = "model",
    seconds: float = SECONDS,
    seed: int = 0,
) -> Parameters:
    """Return the parameters of a run. ``fault``: none, crashes:RATE (per worker and hour), stragglers, late or
    partition; ``way``: model, or production for production's code."""
    return {
        "workers": workers,
        "scheduler": scheduler,
        "fault": fault,
        "way": way,
        "seconds": seconds,
        "seed": seed,
    }


class StoppingStudy:
    """Implements :class:`studies.framework.study.LiteratureStudy`."""

    title = "ADBO with early stopping: promotions without a manager, and faults"
    source = "Egele, Guyon, Vishwanath and Balaprakash, arXiv 2207.00479"

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        if reduced:
            return [
                run_of(64, seconds=400.0),
                run_of(64, scheduler="fifo", seconds=400.0),
                run_of(64, fault="crashes:1.0", seconds=400.0),
            ]
        return [*_sizes(), *_by_production(), *_faults(), *_more_seeds()]

    def play(self, parameters: Parameters) -> dict[str, Any]:
        space, fault, seconds = space_of(DIMENSIONS), parameters["fault"], parameters["seconds"]
        kind, _, rate = fault.partition(":")
        scheduler = with_fixed_rungs(parameters["scheduler"])
        study = Study(train, space, max_steps=STEPS, searcher="adbo", scheduler=scheduler, seed=parameters["seed"])
        scenario = Scenario(
            workers=parameters["workers"],
            times=STRAGGLERS if kind == "stragglers" else TIMES,
            costs=obtain(COSTS, "adbo", space, Objective("loss", "min"), STEPS, print),
            crash_rate=float(rate or 0.0),
            restart_after=RESTART,
            seconds=seconds,
            seed=parameters["seed"],
        )
        swarm: Swarm | ModelSwarm
        if kind == "partition":
            swarm = PartitionedSwarm(study, scenario, CUT, HEALED).play()
        elif parameters["way"] == "production":
            swarm = (LateSwarm(study, scenario, LATE) if kind == "late" else Swarm(study, scenario)).play()
        else:
            swarm = (LateModel(study, scenario, LATE) if kind == "late" else SharingSwarm(study, scenario)).play()
        outcome = _outcome(swarm, LATE * (scenario.workers // 2) if kind == "late" else 0.0)
        if isinstance(swarm, Swarm):
            outcome["results_lost"] = results_lost(swarm)
        return outcome

    def report(self, results: Results) -> Report:
        return Report(page.text(results), page.comparisons(results))

    def draw(self, results: Results) -> Mapping[str, Figure]:
        return page.plots(results)

    def faults(self, results: Results) -> Sequence[str]:
        found = []
        for outcome in results.where(fault="none"):
            if outcome["utilisation"] < 0.99:
                found.append(f"64 workers were busy for {outcome['utilisation']:.4f} of the time; it should be .99")
        stopping, full = (results.where(scheduler=s, fault="none")[0] for s in ("asha", "fifo"))
        if not stopping["promotions"] > 0 or not stopping["evaluations"] > full["evaluations"]:
            found.append("promoting was not seen to bring more evaluations than training everything to its end")
        crashes = results.where(fault="crashes:1.0")[0]
        if not crashes["crashed"] or crashes["seconds_lost"] > crashes["crashed"] * 2 * TIMES.mean / STEPS:
            found.append(
                f"{crashes['crashed']} crashes lost {crashes['seconds_lost']:.0f} s, more than their last steps"
            )
        return found

    def __repr__(self) -> str:
        return f"<StoppingStudy, {self.source}>"


def _sizes() -> Iterator[Parameters]:
    for workers in SIZES[:2]:
        yield run_of(workers)
        yield run_of(workers, scheduler="fifo")


def _by_production() -> Iterator[Parameters]:
    for fault in ("none", "partition", "crashes:1.0", "late"):
        yield run_of(64, fault=fault, way="production", seconds=PRODUCTION_SECONDS)


def _faults() -> Iterator[Parameters]:
    for fault in ("crashes:0.1", "stragglers", "late", "crashes:0.01", "crashes:0.05"):
        yield run_of(640, fault=fault)
    yield run_of(4096)
    yield run_of(4096, scheduler="fifo")
    yield run_of(4096, fault="crashes:0.1")


def _more_seeds() -> Iterator[Parameters]:
    for seed in (1, 2):
        yield run_of(640, seed=seed)
        yield run_of(64, fault="partition", way="production", seconds=PRODUCTION_SECONDS, seed=seed)


def _outcome(swarm: Swarm | ModelSwarm, absent: float) -> dict[str, Any]:
    """Return the figures that a run keeps. ``absent``: seconds for which places had not been filled yet."""
    figures = figures_of(swarm)
    capacity = swarm.scenario.workers * swarm.now
    missing = absent + figures.crashes["seconds_missing"]
    promotions, takeovers = _resumed(swarm.diary)
    best, over_time = figures.best_over_time, figures.utilisation_over_time
    kept = best[:: max(len(best) // _MOMENTS, 1)]
    if best and kept[-1] != best[-1]:
        kept.append(best[-1])
    return {
        "utilisation": round(figures.utilisation, 5),
        "present": round(figures.utilisation * capacity / (capacity - missing), 5),
        "completed_share": round(figures.completed_share, 5),
        "evaluations": figures.evaluations,
        "trials": sum(figures.trials.values()),
        "finished": figures.trials.get("finished", 0),
        "promotions": promotions,
        "takeovers": takeovers,
        "collisions": int(figures.collisions["count"]),
        "collision_share": float(f"{figures.collisions['share']:.3g}"),
        "wasted_share": float(f"{seconds_wasted(swarm, STEPS) / max(figures.utilisation * capacity, 1e-9):.3g}"),
        "crashed": figures.endings.get("crashed", 0),
        "seconds_lost": round(figures.crashes["seconds_lost"], 1),
        "best": float(f"{best[-1][1]:.4g}") if best else None,
        "best_over_time": [(round(when, 1), float(f"{value:.4g}")) for when, value in kept],
        "utilisation_over_time": [(round(when, 1), round(part, 4)) for when, part in over_time],
    }


def _resumed(diary: Sequence[Evaluation]) -> tuple[int, int]:
    """Count the evaluations that went on with a trial that had paused, and those that took one over whose worker was
    gone."""
    by_trial: dict[str, list[Evaluation]] = {}
    for note in diary:
        by_trial.setdefault(note.trial, []).append(note)
    before = [
        earlier.how
        for notes in by_trial.values()
        for earlier, later in pairwise(sorted(notes, key=lambda note: note.attempt))
        if later.attempt > earlier.attempt
    ]
    return before.count("paused"), before.count("crashed")
