"""The runs of the study, and how each is played."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohpo import Float, Space, Study, Trial
from aiohpo.simulation.durations import ConstantTime, EvaluationTimes
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario

from ..alexnet import CHEAP, ReplayedTraining, candidates
from ..framework.results import Results
from ..framework.study import Parameters, Report
from . import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNIT = 60.0  # virtual seconds of a unit of time of the paper
SPACE = Space(x=Float(0.0, 1.0))
# Appendix A.1: 25 workers, eta 4, R 256, brackets of 256, 2,000 units of time.
WORKERS, STEPS, UNITS = 25, 256, 2000
STRAGGLERS = (0.0, 0.56, 1.33)
DROPS = (0.003, 0.01)
SIMULATED = {"asha": "asha:eta=4,r_min=1", "sha": "sha:eta=4,r_min=1,n=256"}
SEEDS = 2
WRONG_SIZES = (32, 128, 512, 2048)


@dataclass(frozen=True, slots=True)
class StragglingTimes:
    """``full`` seconds times 1 + |z|, where z is normal with the given deviation, as in the paper."""

    full: float
    deviation: float

    def draw(self, rng: random.Random) -> float:
        return self.full * (1 + abs(rng.gauss(0.0, self.deviation)))

    def __str__(self) -> str:
        return f"straggling:{self.full:g},{self.deviation:g}"


class ASHAStudy:
    """Implements :class:`studies.framework.study.LiteratureStudy`."""

    title = "ASHA: promotions without waiting"
    source = "Li et al., arXiv 1810.05934"

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        if reduced:
            return [
                *(first(method, 9) for method in FIRST),
                *(wrong(number, 0) for number in WRONG_SIZES[:3]),
                *(horizon(method, 0) for method in ("raised", "at once")),
            ]
        conditions = [(std, 0.0) for std in STRAGGLERS] + [(0.0, drop) for drop in DROPS]
        return [
            *(first(method, workers) for method in FIRST for workers in (9, 25)),
            *(wrong(number, seed) for number in WRONG_SIZES for seed in range(5)),
            *(horizon(method, seed) for seed in range(5) for method in ("raised", "at once", "short")),
            *(
                simulated(method, std, drop, seed)
                for seed in range(SEEDS)
                for std, drop in conditions
                for method in SIMULATED
            ),
        ]

    def play(self, parameters: Parameters) -> dict[str, Any]:
        given = dict(parameters)
        return PLAYERS[given.pop("what")](**given)

    def report(self, results: Results) -> Report:
        return Report(page.text(results), page.comparisons(results))

    def draw(self, results: Results) -> Mapping[str, Figure]:
        return page.plots(results)

    def faults(self, results: Results) -> Sequence[str]:
        found = []
        for method, most in (("resumed", 1.05), ("from scratch", 13 / 9 + 0.05)):
            ours = results.get(first(method, 9))
            if ours is None or not ours["times"] <= most:
                found.append(f"{method}: {ours}; the first complete training should be there after {most:.2f} time(R)")
        many = results.get(wrong(WRONG_SIZES[2], 0))
        if many is None or not many["wrong"] < 4 * WRONG_SIZES[2] ** 0.5:
            found.append(f"{many} of {WRONG_SIZES[2]} trials were promoted wrongly; about the square root was expected")
        raised, at_once = (results.get(horizon(method, 0)) for method in ("raised", "at once"))
        if raised is None or at_once is None or raised["epochs"] > 1.1 * at_once["epochs"]:
            found.append(f"raising max_steps took {raised}, all of them from the beginning {at_once}")
        return found

    def __repr__(self) -> str:
        return f"<ASHAStudy, {self.source}>"


# ------------------------------------------------------------------------------------------------ virtual time
def _noise(trial: Trial) -> None:
    """An objective that only takes time; at every rung a trial is worth what it drew."""
    trial.restore()
    for _ in trial.steps():
        pass
    trial.report(trial["x"])
    trial.save(trial.step)


def _swarm(scheduler: str, steps: int, times: EvaluationTimes, **scenario: Any) -> ModelSwarm:
    study = Study(_noise, SPACE, max_steps=steps, searcher="random", scheduler=scheduler, seed=scenario["seed"])
    return ModelSwarm(study, Scenario(times=times, costs=CHEAP, **scenario)).play()


def _finished(diary: Sequence[Evaluation]) -> list[float]:
    return sorted(note.ended for note in diary if note.how == "finished" and note.ended is not None)


def simulated(method: str, std: float, drop: float, seed: int, units: int = UNITS) -> Parameters:
    """Return the parameters of a run of appendix A.1."""
    return {"what": "simulated", "method": method, "std": std, "drop": drop, "units": units, "seed": seed}


def _play_simulated(method: str, std: float, drop: float, units: int, seed: int) -> dict[str, Any]:
    """Say how many trainings to R end in ``units`` of time, and when the first does."""
    swarm = _swarm(
        SIMULATED[method],
        STEPS,
        StragglingTimes(STEPS * UNIT, std),
        workers=WORKERS,
        seconds=units * UNIT,
        crash_rate=drop * 3600 / UNIT,
        restart_after=1.0 if drop else None,
        seed=seed,
    )
    ended = _finished(swarm.diary)
    return {"complete": len(ended), "first": round(ended[0] / UNIT, 1) if ended else None, "drops": len(swarm.crashes)}


# Figure 2 of the paper: R = 9, r = 1, eta = 3.
FIRST = {
    "resumed": "asha:eta=3,r_min=1",
    "from scratch": "asha:eta=3,r_min=1,restart=true",
    "synchronous": "sha:eta=3,r_min=1,n=9",
}


def first(method: str, workers: int) -> Parameters:
    """Return the parameters of a run that ends with the first complete training."""
    return {"what": "first", "method": method, "workers": workers}


def _play_first(method: str, workers: int) -> dict[str, Any]:
    full = 9 * 10 * UNIT  # so that what a message travels does not count
    swarm = _swarm(FIRST[method], 9, ConstantTime(full), workers=workers, seconds=3 * full, seed=0)
    return {"times": round(_finished(swarm.diary)[0] / full, 3)}


# ------------------------------------------------------------------------------------------- wrong promotions
def wrong(number: int, seed: int) -> Parameters:
    """Return the parameters of a run that counts wrong promotions among so many trials."""
    return {"what": "wrong", "number": number, "seed": seed}


def _play_wrong(number: int, seed: int) -> dict[str, Any]:
    """Compare who was promoted from the lowest rung with who would be had everybody been there first."""
    swarm = _swarm("asha:eta=4,r_min=1", 4, ConstantTime(4 * UNIT), workers=1, seconds=1e12, trials=number, seed=seed)
    records = sorted(swarm.view.records(), key=lambda record: record.curve[1])
    promoted = [record.step == 4 for record in records]
    share = number // 4
    return {"promoted": sum(promoted), "wrong": sum(promoted[share:])}


# --------------------------------------------------------------------------------------------- infinite horizon
def horizon(method: str, seed: int) -> Parameters:
    """Return the parameters of a search whose max_steps is raised from 16 to 64, or is either from the beginning."""
    return {"what": "horizon", "method": method, "seed": seed}


HORIZON_CANDIDATES = 128


def _play_horizon(method: str, seed: int) -> dict[str, Any]:
    """Search in a run directory with production's code, one trial at a time, on the recorded trainings."""
    epochs = 0

    def counted(objective: ReplayedTraining) -> Callable[[Trial], None]:
        def train(trial: Trial) -> None:
            nonlocal epochs
            began = trial.start
            try:
                objective(trial)
            finally:
                epochs += max(trial.step - began, 0)

        return train

    with tempfile.TemporaryDirectory() as directory:
        for steps in {"raised": (16, 64), "at once": (64,), "short": (16,)}[method]:
            study = Study(
                counted(ReplayedTraining(steps, seed)),
                candidates(HORIZON_CANDIDATES),
                metric="error",
                max_steps=steps,
                searcher=f"grid:resolution={HORIZON_CANDIDATES}",
                scheduler="asha:eta=4,r_min=1",
                directory=directory,
                seed=seed,
            )
            result = study.run(trials=HORIZON_CANDIDATES, slots=1, progress=False)
    assert result.best is not None
    began = sum(trial.attempt + 1 for trial in result.trials)
    return {"epochs": epochs, "best": result.best.value, "steps": result.best.step, "segments": began}


PLAYERS: dict[str, Callable[..., dict[str, Any]]] = {
    "simulated": _play_simulated,
    "first": _play_first,
    "wrong": _play_wrong,
    "horizon": _play_horizon,
}
