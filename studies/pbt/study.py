"""The runs of the study, and how each is played."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiohpo import Study, Trial
from aiohpo.view.lineage import Lineage

from ..framework.results import Results
from ..framework.study import Parameters, Report
from . import page
from .tasks import TASKS, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONSTANT, HINDSIGHT = "random constants", "best constant"
SCHEDULERS = {
    "truncation": "pbt:exploit=truncation",
    "tournament": "pbt:exploit=tournament",
    "ttest": "pbt:exploit=ttest",
    "exploit only": "pbt:exploit=truncation,explore=false",
    "explore only": "pbt:exploit=none",
}
METHODS = (*SCHEDULERS, CONSTANT, HINDSIGHT)
SEEDS = {"figure 2": 10, "descent": 10, "digits": 5}


def run_of(task: str, method: str, seed: int) -> Parameters:
    """Return the parameters of a run."""
    return {"task": task, "method": method, "seed": seed}


class PBTStudy:
    """Implements :class:`studies.framework.study.LiteratureStudy`."""

    title = "PBT: schedules instead of constants"
    source = "Jaderberg et al., arXiv 1711.09846"

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        if reduced:
            return [
                run_of(task, method, seed)
                for task, methods in (("descent", METHODS), ("figure 2", ("truncation", HINDSIGHT)))
                for method in methods
                for seed in range(2)
            ]
        return [run_of(task, method, seed) for task in TASKS for seed in range(SEEDS[task]) for method in METHODS]

    def play(self, parameters: Parameters) -> dict[str, Any]:
        task, method, seed = TASKS[parameters["task"]], parameters["method"], parameters["seed"]
        if method == HINDSIGHT:
            return _in_hindsight(task, seed)
        return _searched(task, method, seed)

    def report(self, results: Results) -> Report:
        return Report(page.text(results), page.comparisons(results))

    def draw(self, results: Results) -> Mapping[str, Figure]:
        return page.plots(results)

    def faults(self, results: Results) -> Sequence[str]:
        found = []
        for seed in range(2):
            best = results.get(run_of("descent", HINDSIGHT, seed))
            for method in ("truncation", "tournament"):
                ours = results.get(run_of("descent", method, seed))
                if ours is None or best is None or not ours["loss"] < best["loss"]:
                    found.append(f"descent, {method}, seed {seed}: {ours} should be below the best constant, {best}")
        return found

    def __repr__(self) -> str:
        return f"<PBTStudy, {self.source}>"


def _searched(task: Task, method: str, seed: int) -> dict[str, Any]:
    """Search with production's code, one trial at a time."""
    trained = 0

    def objective(trial: Trial) -> None:
        nonlocal trained
        restored = trial.restore()
        weights = task.begin() if restored is None else restored
        for step in trial.steps():
            weights, loss = task.train(weights, trial.config, step, seed)
            trained += 1
            trial.report(loss)
        trial.save(weights)

    scheduler = SCHEDULERS.get(method)
    study = Study(
        objective,
        task.space,
        max_steps=task.steps,
        searcher="random",
        scheduler=f"{scheduler},population={task.population},interval={task.interval}" if scheduler else "fifo",
        seed=seed,
    )
    for first in task.firsts if scheduler else ():
        study.enqueue(first)
    result = study.run(trials=None if scheduler else task.population, slots=1, progress=False)
    assert result.best is not None
    assert result.best.value is not None
    lineage = Lineage(result.trials)
    return {
        "loss": result.best.value,
        "steps": trained,
        "copies": sum(trial.parent is not None for trial in result.trials),
        "schedule": [[stretch.last, dict(stretch.config)] for stretch in lineage.schedule(result.best)],
    }


def _in_hindsight(task: Task, seed: int) -> dict[str, Any]:
    """Train each of the task's constants; not at equal compute."""
    losses = [_constant(task, config, seed) for config in task.constants]
    best = min(range(len(losses)), key=losses.__getitem__)
    return {
        "loss": losses[best],
        "steps": task.steps * len(losses),
        "copies": 0,
        "schedule": [[task.steps, dict(task.constants[best])]],
    }


def _constant(task: Task, config: Mapping[str, Any], seed: int) -> float:
    weights, loss = task.begin(), math.inf
    for step in range(1, task.steps + 1):
        try:
            weights, loss = task.train(weights, config, step, seed)
        except ArithmeticError:
            return math.inf
    return loss
