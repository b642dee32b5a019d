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
from .page import METHODS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Complete trainings that fit into the time, by workers: with more of them a search is over sooner, or it would try all
# 384 configurations of electricity.
TRAININGS = {1: 10.0, 2: 6.0, 4: 4.0, 8: 2.5, 16: 1.5}
SEEDS = {"electricity": 3, "nb301": 2}
MODELS = 10  # methods but for the other models of curves and of pending trials, which only electricity is asked about
COSTS = Path(__file__).with_name("costs.json")


def run_of(task: str, method: str, workers: int, seed: int, trainings: float | None = None) -> Parameters:
    """Return the parameters of a run."""
    trainings = TRAININGS[workers] if trainings is None else trainings
    return {"task": task, "method": method, "workers": workers, "trainings": trainings, "seed": seed}


class ABOHBStudy:
    """Implements :class:`studies.framework.study.LiteratureStudy`."""

    title = "A-BOHB: a model of unfinished trainings, asynchronously"
    source = "Tiao, Klein, Lienart, Archambeau and Seeger, arXiv 2003.10865"

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        if reduced:
            return [run_of("electricity", method, 4, 0, 2.0) for method in ("random+asha", "gp+asha", "kde+hyperband")]
        runs: list[Parameters] = []
        for seed in range(max(SEEDS.values())):
            two = ("random+asha", "gp+asha")
            runs += [run_of("electricity", method, workers, seed) for workers in TRAININGS for method in two]
            for task in ("electricity", "nb301"):
                if seed < SEEDS[task] and (task == "electricity" or curve_tasks.missing() is None):
                    methods = METHODS.values() if task == "electricity" else list(METHODS.values())[:MODELS]
                    runs += [run_of(task, method, 8, seed) for method in methods]
        return [run for at, run in enumerate(runs) if run not in runs[:at]]

    def play(self, parameters: Parameters) -> dict[str, Any]:
        task = curve_tasks.make(parameters["task"])
        scale = task.scale()
        seconds = parameters["trainings"] * scale.seconds
        searcher, _, scheduler = parameters["method"].partition("+")
        found = play(task, searcher, scheduler, parameters["workers"], seconds, parameters["seed"], COSTS)
        return {**found, "seconds": round(seconds, 1), "scale": [scale.best, scale.typical]}

    def report(self, results: Results) -> Report:
        return Report(page.text(results), page.comparisons(results))

    def draw(self, results: Results) -> Mapping[str, Figure]:
        return page.plots(results)

    def faults(self, results: Results) -> Sequence[str]:
        return [
            f"{record.parameters['method']} found nothing better than a typical network"
            for record in results
            if record.result["best"] is None or record.result["best"] > record.result["scale"][1]
        ]

    def __repr__(self) -> str:
        return f"<ABOHBStudy, {self.source}>"
