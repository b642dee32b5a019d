"""The runs of the study, and how each is played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohpo import Study
from aiohpo.plugin.objective import Objective
from aiohpo.simulation.costs import obtain
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.simulation.figures import activity
from aiohpo.simulation.swarm import Scenario

from ..framework.results import Results
from ..framework.sharing import SharingSwarm
from ..framework.study import Parameters, Report
from . import page
from .ackley import SECONDS, TIMES, WIDE_SECONDS, AckleyObjective, space_of
from .baselines import Baseline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REDUCED = ("ours", "random", "synchronous:1", "central:forest")
SIZES = (128, 256, 512, 1024, 2048, 4096)
BASELINES = (
    "synchronous:1",
    "synchronous:10",
    "published",
    "central:forest",
    "central-batch:forest",
    "central:gp",
    "central-batch:gp",
)
COSTS = Path(__file__).with_name("costs.json")
_MOMENTS = 60  # of the best value over time that are kept


def run_of(
    method: str,
    workers: int,
    *,
    dimensions: int = 5,
    shifted: bool = False,
    seconds: float = SECONDS,
    seed: int = 0,
) -> Parameters:
    """Return the parameters of a run."""
    return {
        "method": method,
        "workers": workers,
        "dimensions": dimensions,
        "shifted": shifted,
        "seconds": seconds,
        "seed": seed,
    }


class ADBOStudy:
    """Implements :class:`studies.framework.study.LiteratureStudy`."""

    title = "ADBO: thousands of workers without a manager"
    source = "Egele, Guyon, Vishwanath and Balaprakash, arXiv 2207.00479"

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        if reduced:
            return [run_of(method, 32, seconds=600.0) for method in _REDUCED]
        return [
            *_published_sizes(),
            *_baselines(128, 512),
            *_shifted(),
            *_wide(),
            *_more_seeds(),
            *_large_baselines(),
        ]

    def play(self, parameters: Parameters) -> dict[str, Any]:
        objective = AckleyObjective(parameters["dimensions"], shifted=parameters["shifted"])
        method, _, option = parameters["method"].partition(":")
        workers, seconds, seed = parameters["workers"], parameters["seconds"], parameters["seed"]
        if method in ("ours", "random"):
            searcher = "adbo" if method == "ours" else "random"
            return _played_by_us(objective, searcher, parameters)
        model = "gp" if option == "gp" else "forest"
        baseline = Baseline(workers, objective, seconds, seed, model)
        if method == "published":
            baseline.play_published()
        elif method == "synchronous":
            baseline.play_synchronous(int(option))
        else:
            baseline.play_central("all" if method == "central-batch" else "one")
        return _outcome(baseline.diary, workers, seconds)

    def report(self, results: Results) -> Report:
        return Report(page.text(results), page.comparisons(results))

    def draw(self, results: Results) -> Mapping[str, Figure]:
        return page.plots(results)

    def faults(self, results: Results) -> Sequence[str]:
        busy = {method: results.where(method=method)[0]["utilisation"] for method in _REDUCED}
        best = {method: results.where(method=method)[0]["best"] for method in _REDUCED}
        found = []
        if busy["ours"] < 0.995:
            found.append(f"32 workers of ours were busy for {busy['ours']:.3f} of the time; it should be .995")
        if busy["synchronous:1"] > 0.75:
            found.append(f"workers that wait for the slowest were busy for {busy['synchronous:1']:.3f} of the time")
        if not best["ours"] < min(best["random"], best["synchronous:1"]):
            found.append(f"ours is not the best of {best}")
        return found

    def __repr__(self) -> str:
        return f"<ADBOStudy, {self.source}>"


def _published_sizes() -> Iterator[Parameters]:
    for workers in (128, 512, 1024, 4096, 2048, 256):  # the page is of most use with some of each
        for method in ("ours", "random"):
            yield run_of(method, workers)


def _baselines(*sizes: int) -> Iterator[Parameters]:
    for workers in sizes:
        for method in BASELINES:
            yield run_of(method, workers)


def _shifted() -> Iterator[Parameters]:
    for workers in (4096, 128):
        yield run_of("ours", workers, shifted=True)


def _wide() -> Iterator[Parameters]:
    for dimensions in (5, 100, 10, 50, 30):
        yield run_of("ours", 4096, dimensions=dimensions, seconds=WIDE_SECONDS)


def _more_seeds() -> Iterator[Parameters]:
    for seed in range(1, 5):
        for workers in SIZES:
            if workers <= 512:
                yield run_of("ours", workers, seed=seed)


def _large_baselines() -> Iterator[Parameters]:
    """At the largest size; the paper's own at every size."""
    yield from _baselines(4096)
    for workers in SIZES:
        if workers not in (128, 512, 4096):
            yield run_of("published", workers)


def _played_by_us(objective: AckleyObjective, searcher: str, parameters: Parameters) -> dict[str, Any]:
    space = space_of(parameters["dimensions"])
    study = Study(objective, space, searcher=searcher, seed=parameters["seed"])
    scenario = Scenario(
        workers=parameters["workers"],
        times=TIMES,
        costs=obtain(COSTS, searcher, space, Objective("loss", "min"), None, print),
        seconds=parameters["seconds"],
        seed=parameters["seed"],
    )
    swarm = SharingSwarm(study, scenario).play()
    return _outcome(swarm.diary, scenario.workers, scenario.seconds)


def _outcome(diary: Sequence[Evaluation], workers: int, seconds: float) -> dict[str, Any]:
    """Return the figures that a run keeps: both measures of utilisation, evaluations, and the best over time."""
    figures = activity(diary, workers, seconds, Objective("loss", "min"))
    steps = figures["best_over_time"]
    kept = steps[:: max(len(steps) // _MOMENTS, 1)]
    if steps and kept[-1] != steps[-1]:
        kept.append(steps[-1])
    return {
        "utilisation": round(figures["utilisation"], 5),
        "completed_share": round(figures["completed_share"], 5),
        "evaluations": figures["evaluations"],
        "best": float(f"{steps[-1][1]:.4g}") if steps else None,
        "best_over_time": [(round(when, 1), float(f"{value:.4g}")) for when, value in kept],
    }
