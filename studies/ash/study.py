"""The runs of the study, and how each is played."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohpo import Study
from aiohpo.simulation.evaluator import Evaluation
from aiohpo.simulation.figures import activity
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario

from ..alexnet import CHEAP, SECONDS_A_SECOND, ReplayedTraining, candidates
from ..framework.results import Results
from ..framework.study import Parameters, Report
from . import page
from .digits import CANDIDATES as REAL_CANDIDATES
from .published import OTHER_WORKERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCHS = 64
ETA = 2
SIZES = (128, 256, 512)
WORKERS = (2, 8, 16, OTHER_WORKERS, 32, 64)
SEEDS = 3
SEQUENTIAL, SYNCHRONOUS, ASYNCHRONOUS, REAL = "sequential", "synchronous", "asynchronous", "real"
SCHEDULERS = {SEQUENTIAL: "sha:eta=2,r_min=1,n={n}", SYNCHRONOUS: "sha:eta=2,r_min=1,n={n}"}


def run_of(method: str, number: int, workers: int, seed: int) -> Parameters:
    """Return the parameters of a run: ``number`` candidates on so many workers."""
    return {"method": method, "candidates": number, "workers": workers, "seed": seed}


class ASHStudy:
    """Implements :class:`studies.framework.study.LiteratureStudy`."""

    title = "ASH: successive halving on many workers"
    source = "Han and Jiang"

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        sizes, workers, seeds = ((128,), (8, 32), 1) if reduced else (SIZES, WORKERS, SEEDS)
        runs = [
            run_of(method, size, number, seed)
            for seed in range(seeds)
            for size in sizes
            for method, numbers in ((SEQUENTIAL, (1,)), (ASYNCHRONOUS, workers), (SYNCHRONOUS, workers))
            for number in numbers
        ]
        return runs if reduced else [*runs, *(run_of(REAL, REAL_CANDIDATES, number, 0) for number in (1, 2))]

    def play(self, parameters: Parameters) -> dict[str, Any]:
        if parameters["method"] == REAL:
            return _trained(parameters)
        number, workers, seed = parameters["candidates"], parameters["workers"], parameters["seed"]
        objective = ReplayedTraining(EPOCHS, seed)
        study = Study(
            objective,
            candidates(number),
            metric="error",
            max_steps=EPOCHS,
            searcher=f"grid:resolution={number}",
            scheduler=SCHEDULERS.get(parameters["method"], "asha:eta=2,r_min=1").format(n=number),
            seed=seed,
        )
        scenario = Scenario(workers=workers, times=objective, costs=CHEAP, trials=number, seed=seed)
        swarm = ModelSwarm(study, scenario).play()
        figures = activity(swarm.diary, workers, swarm.now, swarm.definition.objective)
        best = figures["best_over_time"]
        result = {
            "seconds": round(swarm.now * SECONDS_A_SECOND),
            "busy": round(sum(_length(note) for note in swarm.diary) * SECONDS_A_SECOND),
            "utilisation": round(figures["utilisation"], 4),
            "best": best[-1][1] if best else None,
            "promotions": sum(note.attempt > 0 and note.how != "aborted" for note in swarm.diary),
            "lost_races": figures["endings"].get("aborted", 0),
        }
        if parameters["method"] == SEQUENTIAL:
            result["bounds"] = {
                str(number): [round(bound, 3) for bound in bounds(swarm.diary, number)] for number in WORKERS
            }
        return result

    def report(self, results: Results) -> Report:
        return Report(page.text(results), page.comparisons(results))

    def draw(self, results: Results) -> Mapping[str, Figure]:
        return page.plots(results)

    def faults(self, results: Results) -> Sequence[str]:
        found = []
        one = results.get(run_of(SEQUENTIAL, 128, 1, 0))
        many = results.get(run_of(ASYNCHRONOUS, 128, 32, 0))
        if one is None or many is None:
            return ["the sequential run and that of 32 workers are missing"]
        if not one["seconds"] / many["seconds"] > 5:
            found.append(f"32 workers are only {one['seconds'] / many['seconds']:.2f} times as fast as one; 6 is usual")
        if many["best"] > one["best"]:
            found.append(f"asynchronous halving found {many['best']}, sequential {one['best']}")
        if any(synchronous["busy"] > 1.05 * one["busy"] for synchronous in results.where(method=SYNCHRONOUS)):
            found.append("synchronous halving trained more on many workers than on one")
        return found

    def __repr__(self) -> str:
        return f"<ASHStudy, {self.source}>"


def bounds(diary: Sequence[Evaluation], workers: int) -> tuple[float, float]:
    """Return how much faster than in sequence the segments of a diary could be on ``workers``, at best.

    Returns:
        Where a segment waits for nothing but the one before it of the same trial (the critical path); where
        it waits for all of the rung below.
    """
    trials, rungs = defaultdict[str, float](float), defaultdict[int, list[float]](list)
    for note in diary:
        trials[note.trial] += _length(note)
        rungs[note.attempt].append(_length(note))
    work = sum(trials.values())
    barriers = sum(max(max(rung), sum(rung) / workers) for rung in rungs.values())
    return work / max(work / workers, max(trials.values())), work / barriers


def _length(note: Evaluation) -> float:
    return (note.began if note.ended is None else note.ended) - note.began


def _trained(parameters: Parameters) -> dict[str, Any]:
    """Search with real processes. What they take depends on the machine, and on what else it does."""
    workers = parameters["workers"]
    scheduler = f"sha:eta=2,r_min=1,n={REAL_CANDIDATES}" if workers == 1 else "asha:eta=2,r_min=1"
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "aiohpo", "run", str(Path(__file__).with_name("digits.py"))]
        command += ["--workers", str(workers), "--trials", str(REAL_CANDIDATES), "--scheduler", scheduler]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run([*command, "--dir", scratch, "--json"], capture_output=True, text=True, check=True)
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(seconds, 1),
        "cpu": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "megabytes": round(after.ru_maxrss / 1024),
        "load": round(os.getloadavg()[0], 1),
        "best": json.loads(done.stdout)["best"]["value"],
    }
