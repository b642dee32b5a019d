"""Other optimisers on the same curves, driven through their own interfaces by an event-driven simulator.

Optuna's samplers and pruners, Syne Tune's schedulers and HpBandSter's brackets decide instantly: no virtual time is
charged for their suggestions, though a single process makes them all, and their CPU time is measured. A failure is told
as each of them wants to hear it. Where none of them is installed its contenders are skipped, and it is said.
"""

from __future__ import annotations

import datetime
import heapq
import importlib.util
import logging
import math
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


# --------------------------------------------------------------------------------------------- HpBandSter
class HpBandSterPolicy:
    """The brackets and the sampler of BOHB's authors, dealt out as their master does: the oldest bracket that has
    something to run, else a new one. A promoted trial goes on where it was, though theirs begins anew.

    The lowest budget is a 27th, as ours. HpBandSter 0.7.4 needs ConfigSpace < 1 (and numpy < 2).
    """

    def __init__(self, task: CurveTask, seed: int, sampler: str) -> None:
        import ConfigSpace
        import numpy as np
        from hpbandster.core.dispatcher import Job as Told
        from hpbandster.optimizers.config_generators.bohb import BOHB
        from hpbandster.optimizers.config_generators.random_sampling import RandomSampling

        np.random.seed(seed)
        space = ConfigSpace.ConfigurationSpace(seed=seed)
        space.add_hyperparameters([_their_parameter(ConfigSpace, n, p) for n, p in task.space.params.items()])
        self._ordinals = {name: p.choices for name, p in task.space.params.items() if isinstance(p, Ordinal)}
        self._generator = {"bohb": BOHB, "hyperband": RandomSampling}[sampler](space)
        self._told = Told
        self._halvings = min(3, math.floor(math.log(task.max_steps, ETA)))
        self._budgets = [max(1, round(task.max_steps / ETA**i)) for i in reversed(range(self._halvings + 1))]
        self._iterations: list[Any] = []
        self._jobs: dict[Any, Job] = {}

    def next(self, now: float) -> Job:
        found = next((run for it in self._iterations if (run := it.get_next_run()) is not None), None)
        if found is None:
            self._iterations.append(self._iteration(len(self._iterations)))
            found = self._iterations[-1].get_next_run()
        id, config, budget = found
        known = self._jobs.get(id)
        if known is None:
            own = {name: self._ordinals[name][v] if name in self._ordinals else v for name, v in config.items()}
            known = self._jobs[id] = Job(str(id), own, None)
        known.handle = id, config, budget
        return known

    def _iteration(self, number: int) -> Any:
        from hpbandster.optimizers.iterations import SuccessiveHalving

        s = self._halvings - number % (self._halvings + 1)
        first = (self._halvings + 1) // (s + 1) * ETA**s
        sizes = [max(int(first * ETA**-i), 1) for i in range(s + 1)]
        return SuccessiveHalving(number, sizes, self._budgets[-s - 1 :], self._generator.get_config)

    def report(self, job: Job, step: int, loss: float) -> bool:
        if step < job.handle[2]:
            return True
        self._tell(job, {"loss": loss, "info": ""})
        return False

    def complete(self, job: Job, loss: float) -> None:
        if job.handle is not None:  # the training was complete before its last step
            self._tell(job, {"loss": loss, "info": ""})

    def fail(self, job: Job) -> None:
        self._tell(job, None)

    def _tell(self, job: Job, result: Any) -> None:
        (id, config, budget), job.handle = job.handle, None
        told = self._told(id, config=config, budget=budget)
        told.result = result
        self._iterations[id[0]].register_result(told)
        self._generator.new_result(told)


def _their_parameter(cs: Any, name: str, p: Any) -> Any:
    if isinstance(p, Float):
        return cs.UniformFloatHyperparameter(name, p.low, p.high, log=p.log)
    if isinstance(p, Int):
        return cs.UniformIntegerHyperparameter(name, p.low, p.high, log=p.log)
    if isinstance(p, Ordinal):
        return cs.UniformIntegerHyperparameter(name, 0, len(p.choices) - 1)
    return cs.CategoricalHyperparameter(name, list(p.choices))


POLICIES: dict[str, tuple[str, Callable[[CurveTask, int], Policy]]] = {
    "optuna-tpe-sha": ("optuna", lambda task, seed: OptunaPolicy(task, seed, "sha")),
    "optuna-tpe-hyperband": ("optuna", lambda task, seed: OptunaPolicy(task, seed, "hyperband")),
    "optuna-tpe-median": ("optuna", lambda task, seed: OptunaPolicy(task, seed, "median")),
    "hpbandster-bohb": ("hpbandster", lambda task, seed: HpBandSterPolicy(task, seed, "bohb")),
    "hpbandster-hyperband": ("hpbandster", lambda task, seed: HpBandSterPolicy(task, seed, "hyperband")),
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
