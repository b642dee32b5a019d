"""What does a scheduler's decision cost? CPU time of ``next`` and ``on_report``, beside Syne Tune and Optuna.

    python tests/benchmarks/speed_decide.py [--quick]

Microseconds of CPU time per decision, on the production view, in a study that already has so many trials. A decision is
a report: ``on_report`` answers, and where the segment is over ``next`` is asked what the free worker does; what the
scheduler derives from what changed is included. Taking the report into the view is not: that is ``view``. ``first`` is
the first decision of a worker that joins so large a study, in milliseconds. Trials report at rungs only, but for the
median rule, where they report each of 27 steps.

Syne Tune: ``on_trial_result`` and ``_suggest`` of HyperbandScheduler (random searcher; it draws a configuration as
well). Optuna: ``should_prune`` of SuccessiveHalvingPruner and MedianPruner, in-memory storage; there is no ``next``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from aiohpo.events.schema import Claimed, Ended, Proposed, Reported, parse_trial
from aiohpo.peer.eligibility import Eligibility
from aiohpo.plugin import Decision, Identity, NewTrial, Resume, Scheduler
from aiohpo.plugin.objective import Objective
from aiohpo.space.space import Float, Space
from aiohpo.view.view import View
from aiohpo_plugins.schedulers.halving.asha import ASHAScheduler
from aiohpo_plugins.schedulers.halving.hyperband import HyperbandScheduler
from aiohpo_plugins.schedulers.halving.sha import SHAScheduler
from aiohpo_plugins.schedulers.median import MedianScheduler

RUNGS = (1, 3, 9, 27, 81)
MAX_STEPS = RUNGS[-1]
BLOCK = 50  # decisions; the median over blocks is what is shown, as test machines are busy
LIMIT = 20.0  # microseconds at 10,000 trials
SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "asha": ASHAScheduler,
    "asha brackets=3": lambda: ASHAScheduler(brackets=3),
    "asha stopping": lambda: ASHAScheduler(type="stopping"),
    "sha": SHAScheduler,
    "hyperband": HyperbandScheduler,
    "median": MedianScheduler,
}


class Search:
    """A search by one worker, driven segment by segment."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.steps = RUNGS if not isinstance(scheduler, MedianScheduler) else tuple(range(1, 28))
        self.scheduler.setup(self.steps[-1], 0, Identity("w"))
        self.view = View(Space(x=Float(0, 1)), Objective("loss", "min"), self.steps[-1])
        self.claims = Eligibility(self.view, None, lambda digest: False)
        self.rng = np.random.default_rng(0)
        self.losses: dict[str, float] = {}
        self.seq = 0
        self.deciding = self.reading = 0  # nanoseconds
        self.decisions = 0

    def event(self, event: Any) -> None:
        self.seq += 1
        self.view.apply("w", self.seq, event)

    def segment(self) -> None:
        """Ask what to do, do it, and report at each rung on the way."""
        begin = time.process_time_ns()
        choice = self.scheduler.next(self.view, self.claims, self.rng)
        self.deciding += time.process_time_ns() - begin
        if isinstance(choice, Resume):
            trial, attempt = choice.trial, self.view.trial(choice.trial).attempt + 1
            self.event(Claimed(self.seq + 1, 0.0, parse_trial(trial), attempt, choice.to_step))
        else:
            assert isinstance(choice, NewTrial)
            self.event(Proposed(self.seq + 1, 0.0, (self.rng.random(),), 0, choice.to_step, choice.bracket))
            trial, attempt = f"w-{self.seq}", 0
            self.losses[trial] = float(self.rng.random())
        self.run(trial, attempt, choice.to_step)

    def run(self, trial: str, attempt: int, to_step: int | None) -> None:
        done, id = self.view.trial(trial).step, parse_trial(trial)
        for step in (s for s in self.steps if done < s <= (to_step or self.steps[-1])):
            loss = self.losses[trial] + 0.3 / step * float(self.rng.random())
            begin = time.process_time_ns()
            self.event(Reported(self.seq + 1, id, attempt, step, loss))
            between = time.process_time_ns()
            decision = self.scheduler.on_report(self.view, trial, step)
            self.reading += between - begin
            self.deciding += time.process_time_ns() - between
            self.decisions += 1
            if decision is Decision.STOP:
                self.event(Ended(self.seq + 1, id, attempt, "stopped", step, loss))
                return
        how, value = ("finished", loss) if to_step is None else ("paused", None)
        self.event(Ended(self.seq + 1, id, attempt, how, step, value))

    def grow(self, trials: int) -> None:
        while len(self.losses) < trials:
            self.segment()


def ours(make: Callable[[], Scheduler], trials: int, decisions: int) -> tuple[float, float, float]:
    """Return microseconds of a decision, of the view's part, and milliseconds of a newcomer's first decision."""
    search = Search(make())
    search.grow(trials)
    blocks = []
    for _ in range(decisions // BLOCK):
        search.deciding, search.reading, search.decisions = 0, 0, 0
        while search.decisions < BLOCK:
            search.segment()
        blocks.append((search.deciding / search.decisions / 1e3, search.reading / search.decisions / 1e3))
    deciding, reading = np.median(blocks, axis=0)
    newcomer = make()
    newcomer.setup(MAX_STEPS, 0, Identity("n"))
    begin = time.process_time_ns()
    newcomer.next(search.view, search.claims, np.random.default_rng(0))
    newcomer.on_report(search.view, next(iter(search.losses)), 1)
    first = (time.process_time_ns() - begin) / 1e6
    return float(deciding), float(reading), first


def syne_tune(type: str, trials: int, decisions: int) -> float:
    """Return microseconds of a decision of Syne Tune's HyperbandScheduler."""
    from datetime import datetime

    from syne_tune.backend.trial_status import Trial
    from syne_tune.config_space import uniform
    from syne_tune.optimizer.scheduler import SchedulerDecision
    from syne_tune.optimizer.schedulers import HyperbandScheduler as Theirs

    scheduler = Theirs(
        {"x": uniform(0, 1)}, searcher="random", metric="loss", mode="min", resource_attr="step", max_t=MAX_STEPS,
        grace_period=1, reduction_factor=3, type=type, random_seed=0, search_options={"debug_log": False},
    )  # fmt: skip
    rng = np.random.default_rng(0)
    begun: list[Any] = []
    losses: list[float] = []
    steps: list[int] = []
    blocks: list[float] = []
    spent, count = 0, 0
    while len(begun) < trials or len(blocks) < decisions // BLOCK:
        begin = time.process_time_ns()
        choice = scheduler.suggest(len(begun))
        cost, reports = time.process_time_ns() - begin, 0
        if choice.spawn_new_trial_id:
            trial = Trial(len(begun), choice.config, datetime.now())
            begun.append(trial), losses.append(float(rng.random())), steps.append(0)
            scheduler.on_trial_add(trial)
        else:
            trial = begun[choice.checkpoint_trial_id]
        id = trial.trial_id
        for step in (s for s in RUNGS if s > steps[id]):
            steps[id] = step
            result = {"loss": losses[id] + 0.3 / step * float(rng.random()), "step": step}
            begin = time.process_time_ns()
            decision = scheduler.on_trial_result(trial, result)
            cost, reports = cost + time.process_time_ns() - begin, reports + 1
            if decision != SchedulerDecision.CONTINUE or step == MAX_STEPS:
                break
        scheduler.on_trial_complete(trial, result) if steps[id] == MAX_STEPS else scheduler.on_trial_remove(trial)
        if len(begun) >= trials:
            spent, count = spent + cost, count + reports
            if count >= BLOCK:
                blocks.append(spent / count / 1e3)
                spent, count = 0, 0
    return float(np.median(blocks))


def optuna_pruner(name: str, trials: int, decisions: int) -> float:
    """Return microseconds of should_prune."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(0)
    makes = {"halving": optuna.pruners.SuccessiveHalvingPruner, "median": optuna.pruners.MedianPruner}
    study = optuna.create_study(pruner=makes[name](), sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(trials):
        loss, last = float(rng.random()), int(min(4, rng.geometric(2 / 3) - 1))
        steps = RUNGS[: last + 1]
        state = optuna.trial.TrialState.COMPLETE if last == 4 else optuna.trial.TrialState.PRUNED
        attrs = {f"completed_rung_{k}": loss + 0.3 / s for k, s in enumerate(steps)}
        study.add_trial(
            optuna.trial.create_trial(
                state=state, value=loss, system_attrs=attrs, intermediate_values={s: loss + 0.3 / s for s in steps}
            )
        )
    spent = 0
    for _ in range(decisions):
        trial = study.ask()
        trial.report(float(rng.random()), 1)
        begin = time.process_time_ns()
        trial.should_prune()
        spent += time.process_time_ns() - begin
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return spent / decisions / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 and 1,000 trials, fewer repetitions")
    args = parser.parse_args()
    sizes, decisions = ([100, 1000], 300) if args.quick else ([100, 1000, 10_000], 2000)
    print(f"CPU µs per decision; aim at 10,000 trials: under {LIMIT:g}\n")
    print(f"{'':24}{'trials':>8}{'decision':>10}{'view':>8}{'first, ms':>12}")
    for name, make in SCHEDULERS.items():
        for trials in sizes:
            decision, view, first = ours(make, trials, decisions)
            print(f"{name:24}{trials:>8}{decision:>10.1f}{view:>8.1f}{first:>12.1f}", flush=True)
    warnings.simplefilter("ignore")
    for package, peers in (
        ("syne_tune", {"Syne Tune promotion": ("promotion", syne_tune), "Syne Tune stopping": ("stopping", syne_tune)}),
        ("optuna", {"Optuna halving": ("halving", optuna_pruner), "Optuna median": ("median", optuna_pruner)}),
    ):
        if importlib.util.find_spec(package) is None:
            print(f"{package}: not installed")
            continue
        for name, (kind, measure) in peers.items():
            for trials in sizes:
                few = decisions if package == "syne_tune" else min(decisions, 50)
                print(f"{name:24}{trials:>8}{measure(kind, trials, few):>10.1f}", flush=True)


if __name__ == "__main__":
    main()
