"""The runs of the study, and how each is played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..framework import curve_tasks
from ..framework.curve_search import play
from ..framework.results import Results
from ..framework.study import Parameters, Report
from . import page
from .manager import play_central
from .page import METHODS, TASKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORKERS = 64
TRAININGS = 1.0  # complete trainings that fit into the time, on the mean
SEEDS = 2
COSTS = Path(__file__).with_name("costs.json")


def run_of(task: str, method: str, seed: int, workers: int = WORKERS, trainings: float = TRAININGS) -> Parameters:
    """Return the parameters of a run."""
    return {"task": task, "method": method, "workers": workers, "trainings": trainings, "seed": seed}


class NetworkStudy:
    """Implements :class:`studies.framework.study.LiteratureStudy`."""

    title = "Tuning networks over time: managers and peers"
    source = "Egele, Guyon, Vishwanath and Balaprakash, arXiv 2207.00479, the study of Combo"

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        if reduced:
            return [
                run_of("electricity", method, 0, 8, 1.0) for method in ("central:random", "random+asha", "adbo+asha")
            ]
        if curve_tasks.missing() is not None:
            return []
        return [run_of(task, method, seed) for seed in range(SEEDS) for task in TASKS for method in METHODS.values()]

    def play(self, parameters: Parameters) -> dict[str, Any]:
        task = curve_tasks.make(parameters["task"])
        scale, workers, seed = task.scale(), parameters["workers"], parameters["seed"]
        seconds = parameters["trainings"] * scale.seconds
        searcher, _, scheduler = parameters["method"].partition("+")
        if searcher.startswith("central:"):
            found = play_central(task, searcher.removeprefix("central:"), workers, seconds, seed, COSTS)
        else:
            scheduler += ":restart=true" if task.anew and scheduler == "asha" else ""
            found = play(task, searcher, scheduler, workers, seconds, seed, COSTS)
        return {**found, "seconds": round(seconds, 1), "scale": [scale.best, scale.typical]}

    def report(self, results: Results) -> Report:
        return Report(page.text(results), page.comparisons(results))

    def draw(self, results: Results) -> Mapping[str, Figure]:
        return page.plots(results)

    def faults(self, results: Results) -> Sequence[str]:
        found = {record.parameters["method"]: record.result for record in results}
        faults = [
            f"{method} trained in {outcome['utilisation']:.3f} of the time, which is not .97"
            for method, outcome in found.items()
            if outcome["utilisation"] < 0.97
        ]
        if found["random+asha"]["trials"] < 2 * found["central:random"]["trials"]:
            faults.append("ASHA tried fewer than twice as many configurations as complete trainings did")
        return faults

    def __repr__(self) -> str:
        return f"<NetworkStudy, {self.source}>"
