"""At which rung should trials be first judged? Random search with ASHA on learning curves, many seeds.

    python tests/benchmarks/first_rung.py [--seeds N] [--workers N] [--rounds N] [--rules R …] [--misleading]

A small simulation without a network: workers that are free promote or begin a trial, and know of each other at once.
Curves and their seconds are drawn beforehand, so that a search takes a few milliseconds. The rule is production's
(:class:`FirstRung`), ``learned``. It is compared with a number, the rung at which all trials begin, counted from a 27th
of the steps, and with ``unhedged``, the rung that evidence speaks for without ever trying another one.

``--misleading``: the losses up to a ninth of the steps are those of other configurations, dealt at random or in reverse
order of merit.

Printed is the mean regret (0: the best loss known of a task, 1: the median of complete trainings) after an eighth, a
quarter, half and all of the time of ``workers * rounds`` complete trainings, by task and family.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from support import curves, tasks

from aiohpo.plugin import TrialState
from aiohpo_plugins.schedulers.halving.brackets import geometric_levels, lowest_rung, rungs_below
from aiohpo_plugins.schedulers.halving.first_rung import FirstRung

ETA = 3
FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)
SAMPLE = 300  # curves of a surrogate
LCBENCH = ("126026", "167161", "167168", "167181", "168331", "168910", "189866", "189906")
MISLED = ("taskset:2", "taskset:4", "lcbench:167168", "lcbench:189906", "mnli")


@dataclass(frozen=True, slots=True)
class Curves:
    """What a search draws from: curves, the steps of a complete training, and what is usual."""

    drawn: list[curves.Curve]
    steps: int
    scale: curves.Scale


def curves_of(name: str) -> Curves:
    """Return the curves of a task, of random configurations."""
    task = curves.make(name)
    rng = np.random.default_rng(1)
    count = {"taskset": 1000, "alexnet": 512, "mnli": 1024}.get(name.partition(":")[0], SAMPLE)
    curve = task.curves()
    drawn = [curve(config) for config in task.space.decode(task.space.sample(rng, count))]
    return Curves(drawn, task.max_steps, task.measure())


def misleading(of: Curves, order: str) -> Curves:
    """Return curves whose first losses are those of others, none of them better than a typical training's last."""
    drawn = [c for c in of.drawn if len(c.loss)]
    cut = max(2, of.steps // 9 - 1)
    rank = np.argsort([c.loss[min(cut, len(c.loss)) - 1] for c in drawn], kind="stable")
    source = np.empty(len(drawn), dtype=np.intp)
    source[rank] = rank[::-1] if order == "reverse" else np.random.default_rng(5).permutation(rank)
    changed = []
    for c, at in zip(drawn, source, strict=True):
        loss, early = c.loss.copy(), drawn[at].loss
        n = min(cut, len(loss), len(early))
        loss[:n] = np.maximum(early[:n], of.scale.typical)
        changed.append(curves.Curve(loss, c.seconds, c.fails, c.crash))
    return Curves(changed, of.steps, of.scale)


@dataclass(slots=True)
class Begun:
    """A trial: its curve, the rung at which it is first judged, the steps done, and the rungs that it stands on."""

    curve: curves.Curve
    first: int
    at: int = 0
    rungs: set[int] = field(default_factory=set)


class Search:
    """One search; :meth:`play` returns (second, loss) of each improvement."""

    def __init__(self, of: Curves, rule: str, workers: int, seconds: float, seed: int) -> None:
        self.of, self.rule, self.workers, self.seconds = of, rule, workers, seconds
        self.rng = np.random.default_rng([seed, 1])
        self.order = np.random.default_rng([seed, 2]).permutation(len(of.drawn))
        usual = geometric_levels(ETA, lowest_rung(None, of.steps), None, of.steps)
        below = rungs_below(ETA, None, of.steps, usual)
        self.levels, self.usual = below + usual, len(below)
        self.first = FirstRung(self.levels, self.usual)
        self.trials: list[Begun] = []
        self.there: list[list[tuple[float, int]]] = [[] for _ in self.levels]
        self.waiting: list[list[tuple[float, int]]] = [[] for _ in self.levels]

    def play(self) -> list[tuple[float, float]]:
        free = [(0.0, worker, -1, 0) for worker in range(self.workers)]
        told: list[tuple[float, float]] = []
        begun = self.workers
        while free[0][0] < self.seconds:
            now, _, trial, to = heapq.heappop(free)
            if trial >= 0:
                self._end(trial, to)
            trial, to = self._next()
            of = self.trials[trial]
            end, fails = min(to, len(of.curve.loss)), self._fails(of, to)
            done = float(of.curve.seconds[of.at - 1]) if of.at else 0.0
            told += [(now + float(of.curve.seconds[s]) - done, float(of.curve.loss[s])) for s in range(of.at, end)]
            took = (float(of.curve.seconds[end - 1]) - done if end > of.at else 0.0) + of.curve.crash * fails
            heapq.heappush(free, (now + max(took, 1e-6), begun, trial, to))
            begun += 1
        return [pair for pair in sorted(told) if pair[0] <= self.seconds]

    @staticmethod
    def _fails(trial: Begun, to: int) -> bool:
        return trial.curve.fails and to > len(trial.curve.loss)

    def _next(self) -> tuple[int, int]:
        for k in reversed(range(len(self.levels))):
            begun = [0] * len(self.levels)
            for _, number in self.there[k]:
                begun[min(self.trials[number].first, k)] += 1
            size = self.first.size(begun, ETA) if self.rule == "learned" else len(self.there[k])
            share, waiting = int(size / ETA + 1e-9), self.waiting[k]
            if share and waiting and waiting[0] <= self.there[k][share - 1]:
                return waiting.pop(0)[1], (*self.levels[1:], self.of.steps)[k]
        first = {"learned": lambda: self.first.choose(self.rng), "unhedged": self.first.best}.get(self.rule)
        rung = first() if first else min(max(self.usual + int(self.rule), 0), len(self.levels) - 1)
        self.trials.append(Begun(self.of.drawn[self.order[len(self.trials) % len(self.order)]], rung))
        return len(self.trials) - 1, self.levels[rung]

    def _end(self, number: int, to: int) -> None:
        trial = self.trials[number]
        loss, fails = trial.curve.loss, self._fails(trial, to)
        trial.at = end = min(to, len(loss))
        for k, level in enumerate(self.levels):
            if k in trial.rungs:
                continue
            if level <= end:
                value = float(loss[level - 1])
            elif fails and k >= trial.first:
                value = math.inf
            elif not trial.curve.fails and end == len(loss) and end and level <= to:
                value = float(loss[-1])
            else:
                break
            insort(self.there[k], (value, number))
            trial.rungs.add(k)
            if value == math.inf:
                break
        k = bisect_right(self.levels, end) - 1
        if not fails and k >= 0 and end == self.levels[k] and (end < len(loss) or trial.curve.fails):
            insort(self.waiting[k], (float(loss[end - 1]), number))
        curve = {level: float(loss[level - 1]) for level in {*self.levels, end} if 1 <= level <= end}
        status = "failed" if fails else "paused"
        state = TrialState(f"t-{number}", status, (number, "t"), trial.first, None, 0, end, curve, None, None, ())
        self.first.update(state, trial.first)


def regrets(of: Curves, rule: str, workers: int, rounds: float, seed: int) -> list[float]:
    """Return the regret of a search after each of :data:`FRACTIONS` of its time."""
    seconds = rounds * of.scale.seconds
    told = Search(of, rule, workers, seconds, seed).play()
    best = [min((loss for when, loss in told if when <= f * seconds), default=math.inf) for f in FRACTIONS]
    return [of.scale.regret(loss) if math.isfinite(loss) else 1.0 for loss in best]


def show(name: str, values: Sequence[np.ndarray]) -> None:
    print(f"{name:22}" + " | ".join(" ".join(f"{v:.3f}" for v in mean) for mean in values), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", nargs="+", default=["0", "-1", "1", "unhedged", "learned"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rounds", type=float, default=4.0)
    parser.add_argument("--misleading", action="store_true")
    args = parser.parse_args()
    if reason := tasks.available():
        print(f"skipped, as {reason}")
        return
    if args.misleading:
        found = {
            f"{order} {name}": misleading(curves_of(name), order) for order in ("reverse", "random") for name in MISLED
        }
    else:
        names = [n for n in curves.names() if not n.startswith("lcbench")] + [f"lcbench:{task}" for task in LCBENCH]
        found = {name: curves_of(name) for name in names}
    show_rules = " | ".join(f"{rule:23}" for rule in args.rules)
    print(f"{'':22}{show_rules}")
    families: dict[str, list[np.ndarray]] = {}
    for name, of in found.items():
        runs = [
            [regrets(of, rule, args.workers, args.rounds, seed) for seed in range(args.seeds)] for rule in args.rules
        ]
        means = np.array(runs).mean(axis=1)
        show(name, list(means))
        families.setdefault(name.partition(":")[0].partition(" ")[0], []).append(means)
    everything = [row for rows in families.values() for row in rows]
    for family, rows in [*families.items(), ("all", everything)]:
        if len(rows) > 1:
            show(f"mean of {family}", list(np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
