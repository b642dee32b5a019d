"""Other optimisers on the same curves, driven through their own interfaces by an event-driven simulator.

Optuna's samplers and pruners, and Syne Tune's schedulers, decide instantly: no virtual time is charged for their
suggestions, though a single process makes them all, and their CPU time is measured. A failure is told as each of
them wants to hear it. Where neither is installed its contenders are skipped, and it is said.
"""

from __future__ import annotations

import datetime
import heapq
import importlib.util
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohpo.plugin import Config
from aiohpo.space.space import Categorical, Float, Int, Ordinal, Space

from .anytime import Trace
from .curves import Curve, CurveTask
from .harness import suggest

ETA = 3  # of all of them, as it is Syne Tune's default and ours; Optuna's is 4 for successive halving


@dataclass(slots=True)
class Job:
    """A trial, as far as the simulator must know it."""

    name: str
    config: Config
    handle: Any
    done: int = 0


class Policy(Protocol):
    """What an optimiser decides."""

    def next(self, now: float) -> Job:
        """Return a new trial, or one to go on with after its ``done`` steps."""

    def report(self, job: Job, step: int, loss: float) -> bool:
        """Take a loss and say whether the trial goes on; if not, it is stopped or paused."""

    def complete(self, job: Job, loss: float) -> None: ...

    def fail(self, job: Job) -> None: ...


def drive(task: CurveTask, policy: Policy, workers: int, horizon: float) -> Trace:
    """Run ``workers`` workers for ``horizon`` virtual seconds."""
    trace = Trace()
    curve_of = task.curves()
    curves: dict[str, Curve] = {}
    queue: list[tuple[float, int, int]] = []
    jobs: list[Job] = []

    def start(now: float, worker: int) -> None:
        began = time.process_time()
        job = policy.next(now)
        trace.cpu += time.process_time() - began
        trace.asks += 1
        if job.name not in curves:
            curves[job.name] = curve_of(job.config)
            trace.trials += 1
        trace.resumed += job.done > 0
        jobs[worker] = job
        schedule(now, worker)

    def schedule(now: float, worker: int) -> None:
        job = jobs[worker]
        curve = curves[job.name]
        before = float(curve.seconds[job.done - 1]) if job.done else 0.0
        takes = curve.crash if job.done >= len(curve.loss) else float(curve.seconds[job.done]) - before
        trace.busy += min(takes, horizon - now)
        heapq.heappush(queue, (now + takes, worker, job.done + 1))

    for worker in range(workers):
        jobs.append(Job("", {}, None))
        start(0.0, worker)
    while queue:
        now, worker, step = heapq.heappop(queue)
        if now > horizon:
            break
        job = jobs[worker]
        curve = curves[job.name]
        if step > len(curve.loss):
            trace.failed += 1
            policy.fail(job)
            start(now, worker)
            continue
        loss = float(curve.loss[step - 1])
        last = step == len(curve.loss) and not curve.fails
        trace.finished += last
        trace.step(now, job.name, step, loss, last)
        job.done = step
        goes_on = policy.report(job, step, loss)
        if last:
            policy.complete(job, loss)
        if goes_on and not last:
            schedule(now, worker)
        else:
            start(now, worker)
    return trace.close(horizon, workers)


# --------------------------------------------------------------------------------------------------- Optuna
class OptunaPolicy:
    """A sampler and a pruner."""

    def __init__(self, task: CurveTask, seed: int, pruner: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruners: dict[str, Callable[[], Any]] = {
            "sha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA),
            "hyperband": lambda: optuna.pruners.HyperbandPruner(1, task.max_steps, ETA),
            "median": optuna.pruners.MedianPruner,
        }
        self._states = optuna.trial.TrialState
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self.study = optuna.create_study(sampler=sampler, pruner=pruners[pruner](), study_name=f"seed {seed}")
        self.space = task.space

    def next(self, now: float) -> Job:
        trial = self.study.ask()
        return Job(str(trial.number), suggest(trial, self.space), trial)

    def report(self, job: Job, step: int, loss: float) -> bool:
        job.handle.report(loss, step)
        if not job.handle.should_prune():
            return True
        self.study.tell(job.handle, state=self._states.PRUNED)
        job.handle = None
        return False

    def complete(self, job: Job, loss: float) -> None:
        if job.handle is not None:
            self.study.tell(job.handle, loss)

    def fail(self, job: Job) -> None:
        self.study.tell(job.handle, state=self._states.FAIL)


# ------------------------------------------------------------------------------------------------ Syne Tune
class SynePolicy:
    """One of Syne Tune's baselines; ``kind`` is "promotion" or "stopping"."""

    def __init__(self, task: CurveTask, seed: int, baseline: str, kind: str) -> None:
        logging.disable(logging.WARNING)  # it logs at length
        from syne_tune.backend.time_keeper import TimeKeeper
        from syne_tune.optimizer import baselines

        class Clock(TimeKeeper):
            now = 0.0

            def start_of_time(self) -> None: ...

            def time(self) -> float:
                return self.now

            def time_stamp(self) -> datetime.datetime:
                return datetime.datetime.fromtimestamp(self.now)

            def advance(self, step: float) -> None: ...

        self._clock = Clock()
        self._scheduler = getattr(baselines, baseline)(
            {**syne_space(task.space), "last": task.max_steps},
            metric="loss",
            mode="min",
            resource_attr="epoch",
            max_resource_attr="last",
            reduction_factor=ETA,
            type=kind,
            random_seed=seed,
            search_options={"debug_log": False},
        )
        self._scheduler.time_keeper = self._clock  # as an argument it fails in 0.13: the attribute is not yet there
        self._jobs: dict[int, Job] = {}

    def next(self, now: float) -> Job:
        from syne_tune.backend.trial_status import Trial

        self._clock.now = now
        number = len(self._jobs)
        suggestion = self._scheduler.suggest(number)
        if not suggestion.spawn_new_trial_id:
            return self._jobs[suggestion.checkpoint_trial_id]
        config = {k: v for k, v in suggestion.config.items() if k != "last"}
        trial = Trial(number, suggestion.config, datetime.datetime.fromtimestamp(now))
        self._scheduler.on_trial_add(trial)
        job = self._jobs[number] = Job(str(number), config, trial)
        return job

    def report(self, job: Job, step: int, loss: float) -> bool:
        decision = self._scheduler.on_trial_result(job.handle, {"loss": loss, "epoch": step})
        if decision == "CONTINUE":
            return True
        self._scheduler.on_trial_remove(job.handle)
        return False

    def complete(self, job: Job, loss: float) -> None:
        self._scheduler.on_trial_complete(job.handle, {"loss": loss, "epoch": job.done})

    def fail(self, job: Job) -> None:
        self._scheduler.on_trial_error(job.handle)


def syne_space(space: Space) -> Config:
    """Return one of our spaces (without conditions) as Syne Tune writes it."""
    from syne_tune import config_space as cs

    out: Config = {}
    for name, p in space.params.items():
        if isinstance(p, Float):
            out[name] = (cs.loguniform if p.log else cs.uniform)(p.low, p.high)
        elif isinstance(p, Int):
            out[name] = (cs.lograndint if p.log else cs.randint)(p.low, p.high)
        elif isinstance(p, Ordinal):
            out[name] = cs.ordinal(list(p.choices), kind="equal")
        elif isinstance(p, Categorical):
            out[name] = cs.choice(list(p.choices))
        else:
            raise TypeError(f"{name}: {type(p).__name__} has no counterpart here")
    return out


POLICIES: dict[str, tuple[str, Callable[[CurveTask, int], Policy]]] = {
    "optuna-tpe-sha": ("optuna", lambda task, seed: OptunaPolicy(task, seed, "sha")),
    "optuna-tpe-hyperband": ("optuna", lambda task, seed: OptunaPolicy(task, seed, "hyperband")),
    "optuna-tpe-median": ("optuna", lambda task, seed: OptunaPolicy(task, seed, "median")),
    "syne-asha-stop": ("syne_tune", lambda task, seed: SynePolicy(task, seed, "ASHA", "stopping")),
    "syne-asha": ("syne_tune", lambda task, seed: SynePolicy(task, seed, "ASHA", "promotion")),
    "syne-mobster-stop": ("syne_tune", lambda task, seed: SynePolicy(task, seed, "MOBSTER", "stopping")),
    "syne-mobster": ("syne_tune", lambda task, seed: SynePolicy(task, seed, "MOBSTER", "promotion")),
}


def missing(name: str) -> str | None:
    """Return None if the contender can run here, else the reason why not."""
    package = POLICIES[name][0]
    return None if importlib.util.find_spec(package) else f"{package.replace('_', '-')} is not installed"


def play(task: CurveTask, name: str, workers: int, horizon: float, seed: int) -> Trace:
    """Run one of them."""
    return drive(task, POLICIES[name][1](task, seed), workers, horizon)
