"""How good are the importances of parameters, beside Optuna's evaluators on the same trials, and what do they cost?

    python tests/benchmarks/importance.py FILE [--tasks NAME …] [--trials N …] [--how adbo] [--seeds K] [--slow N]
    python tests/benchmarks/importance.py FILE --report

Appends a line of JSON to FILE for each task, sample and evaluator; what is in it already is not computed again.
--report prints the tables of docs/evidence/importance.md.

The truth is the variance of each conditional mean among 200,000 random configurations (20,000 of a task with real
data), corrected for the noise of the means: the definition in aiohpo/importance/fanova.py, with the function itself
instead of a forest. For PED-ANOVA it is the same of the indicator of the best tenth. Samples are random, or the trials
of a search with adbo. Optuna's evaluators get the same trials; of a conditional space they see the parameters that all
trials have.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import optuna
from scipy.stats import spearmanr
from support import tasks

from aiohpo import Categorical, Float, Int, Study
from aiohpo.importance.importances import importances
from aiohpo.plugin.objective import Objective
from aiohpo.space.space import Space
from aiohpo.view.trials import TrialRecord

FLAT = Space({f"x{i}": Float(0.0, 1.0) for i in range(8)})
CONDITIONAL = Space(
    optimizer=Categorical(["sgd", "adam", "rmsprop"]),
    lr=Float(1e-5, 1e-1, log=True),
    momentum=Float(0.0, 1.0, when={"optimizer": "sgd"}),
    beta=Float(0.0, 1.0, when={"optimizer": ["adam", "rmsprop"]}),
    layers=Int(1, 8, log=True),
    width=Int(1, 1000, log=True, when={"layers": [1, 2, 3]}),
    junk=Float(0.0, 1.0),
)
BINS, BEST = 40, 0.1
REAL = ("lcbench:167168", "fcnet_protein_structure", "rbv2_ranger:12")


def _x(config: Mapping[str, Any]) -> list[float]:
    return [config[name] for name in FLAT.names]


def additive(config: Mapping[str, Any]) -> float:
    return float(np.dot(_x(config), [4, 2, 1, 0.5, 0, 0, 0, 0]))


def bowl(config: Mapping[str, Any]) -> float:
    return float(np.dot((np.array(_x(config)) - 0.4) ** 2, [8, 4, 2, 1, 0.5, 0, 0, 0]))


def product(config: Mapping[str, Any]) -> float:
    """An interaction of two parameters that have no effect of their own, and a third one."""
    x = _x(config)
    return math.sin(2 * math.pi * x[0]) * math.cos(2 * math.pi * x[1]) + x[2]


def ishigami(config: Mapping[str, Any]) -> float:
    """Ishigami and Homma, 1990: shares 0.314, 0.442 and 0, and an interaction of the first and the third."""
    a, b, c = (2 * math.pi * (x - 0.5) for x in _x(config)[:3])
    return math.sin(a) + 7 * math.sin(b) ** 2 + 0.1 * c**4 * math.sin(a)


def conditional(config: Mapping[str, Any]) -> float:
    loss = 0.75 * (math.log10(config["lr"]) + 3) ** 2 + (0.0 if config["optimizer"] == "sgd" else 1.0)
    loss += 3 * config.get("momentum", 0.0) + config.get("beta", 0.0)
    return loss + (math.log(config["width"]) / 3 if "width" in config else 0.0)


SYNTHETIC: dict[str, tuple[Space, Callable[[Mapping[str, Any]], float]]] = {
    "additive": (FLAT, additive),
    "bowl": (FLAT, bowl),
    "product": (FLAT, product),
    "ishigami": (FLAT, ishigami),
    "conditional": (CONDITIONAL, conditional),
}


def problem(name: str) -> tuple[Space, Callable[[Mapping[str, Any]], float]]:
    if name in SYNTHETIC:
        return SYNTHETIC[name]
    task = tasks.make(name)
    return task.space, task.loss  # type: ignore[return-value]  # a Config is a Mapping


def shares(space: Space, U: np.ndarray, y: np.ndarray) -> list[float]:
    """Return V_j / V of a random sample."""
    found = []
    for c in range(space.dim):
        active = ~np.isnan(U[:, c])
        u, values = U[active, c], y[active]
        levels = np.unique(u)
        if len(levels) > BINS:
            levels = np.quantile(u, np.linspace(0, 1, BINS + 1)[:-1])
        group = np.searchsorted(levels, u, side="right") - 1
        n = np.bincount(group, minlength=len(levels))
        mean = np.bincount(group, values, len(levels)) / np.maximum(n, 1)
        between = float((n * (mean - values.mean()) ** 2).sum())
        within = float((values**2).sum() - (n * mean**2).sum()) / max(len(values) - len(levels), 1)
        found.append(max(between - (len(levels) - 1) * within, 0.0) / (len(y) * float(y.var())))
    return found


def truth(name: str, folder: Path) -> dict[str, list[float]]:
    cache = folder / f"importance-truth-{name.replace(':', '-')}.json"
    if not cache.exists():
        space, loss = problem(name)
        U = space.sample(np.random.default_rng(99), 20_000 if name in REAL else 200_000)
        y = np.array([loss(config) for config in space.decode(U)])
        best = y <= np.quantile(y, BEST)
        made = {"overall": shares(space, U, y), "best": shares(space, U[best], y[best])}
        indicator = np.array(shares(space, U, best.astype(float)))
        made["ped"] = (indicator / indicator.sum()).tolist()
        cache.write_text(json.dumps(made))
    return dict(json.loads(cache.read_text()))


def sample(name: str, how: str, n: int, seed: int) -> list[tuple[dict[str, Any], float]]:
    space, loss = problem(name)
    if how == "random":
        return [(c, loss(c)) for c in space.decode(space.sample(np.random.default_rng(seed), n))]
    study = Study(None, space, searcher="adbo", seed=seed)
    found = []
    for _ in range(n):
        trial = study.ask()
        found.append((dict(trial.config), loss(trial.config)))
        study.tell(trial, found[-1][1])
    return found


def records(trials: Sequence[tuple[dict[str, Any], float]]) -> list[TrialRecord]:
    return [
        TrialRecord(str(i), i, "finished", c, y, {}, 0, "w", 0.0, 1.0, 0, None, None, None, {}, {}, ended_as="finished")
        for i, (c, y) in enumerate(trials)
    ]


def optuna_study(space: Space, trials: Sequence[tuple[dict[str, Any], float]]) -> optuna.Study:
    kinds, made = optuna.distributions, {}
    for name in space.names:
        p, scale = space[name], space[name].scale
        if not scale.numeric:
            made[name] = kinds.CategoricalDistribution(list(range(p.levels or 0)))
        elif p.native_type is int:
            made[name] = kinds.IntDistribution(int(scale.first), int(scale.last), log=scale.log)
        else:
            made[name] = kinds.FloatDistribution(scale.first, scale.last, log=scale.log)
    study = optuna.create_study()
    frozen = []
    for config, value in trials:
        mine = {n: config[n] if space[n].scale.numeric else space[n].native(config[n]) for n in config if n in made}
        own = {n: made[n] for n in mine}
        frozen.append(optuna.trial.create_trial(params=mine, distributions=own, value=value))
    study.add_trials(frozen)
    return study


def ours(space: Space, trials: Sequence[tuple[dict[str, Any], float]], method: str) -> dict[str, Any]:
    made = records(trials)
    start = time.process_time()
    found = importances(space, Objective("loss", "min"), made, method=method)
    seconds = time.process_time() - start
    row: dict[str, Any] = {"seconds": seconds, "values": {p.parameter: p.importance for p in found}}
    row["best"] = {p.parameter: p.among_best for p in found}
    row["intervals"] = {p.parameter: [p.low, p.high] for p in found}
    return row


def theirs(study: optuna.Study, evaluator: Any) -> dict[str, Any]:
    start = time.process_time()
    found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    return {"seconds": time.process_time() - start, "values": dict(found)}


def evaluate(name: str, how: str, n: int, seed: int, slow: int, known: set[tuple[Any, ...]]) -> list[dict[str, Any]]:
    space, _ = problem(name)
    them = optuna.importance
    evaluators: dict[str, Callable[[], dict[str, Any]]] = {
        "aiohpo fanova": lambda: ours(space, trials, "fanova"),
        "aiohpo ped-anova": lambda: ours(space, trials, "ped-anova"),
        "optuna MDI": lambda: theirs(study, them.MeanDecreaseImpurityImportanceEvaluator(seed=seed)),
        "optuna PED-ANOVA": lambda: theirs(study, them.PedAnovaImportanceEvaluator()),
    }
    if n <= slow:
        evaluators["optuna fANOVA"] = lambda: theirs(study, them.FanovaImportanceEvaluator(seed=seed))
    wanted = [e for e in evaluators if (name, how, n, seed, e) not in known]
    if not wanted:
        return []
    trials = sample(name, how, n, seed)
    study = optuna_study(space, trials)
    place = {"task": name, "how": how, "n": n, "seed": seed}
    return [{**place, "evaluator": e, **evaluators[e]()} for e in wanted]


def compare(row: Mapping[str, Any], right: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Compare one answer with the truth, about the parameters that it names."""
    space, _ = problem(row["task"])
    names = [n for n in space.names if n in row["values"]]
    where = [space.names.index(n) for n in names]
    got = np.array([row["values"][n] for n in names])
    true = np.array(right["ped" if "ped" in row["evaluator"].lower() else "overall"])[where]
    found = {"covered": len(names) / space.dim, "spearman": float(spearmanr(got, true).statistic)}
    found["normalised"] = float(np.abs(got / max(got.sum(), 1e-12) - true / true.sum()).max())
    if "fanova" in row["evaluator"].lower():
        found["raw"] = float(np.abs(got - true).max())
    if "intervals" in row and row["evaluator"] == "aiohpo fanova":
        ends = np.array([row["intervals"][n] for n in names])
        inside = (ends[:, 0] - 0.005 <= true) & (true <= ends[:, 1] + 0.005)
        found["inside"] = float(inside[true > 0.005].mean())
        if row["how"] == "random":
            found["best"] = float(
                np.abs(np.array([row["best"][n] for n in names]) - np.array(right["best"])[where]).max()
            )
    return found


def report(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    right = {name: truth(name, folder) for name in {row["task"] for row in rows}}
    order = list(dict.fromkeys((row["task"], row["how"], row["n"]) for row in rows))
    order.sort(key=lambda key: ([*SYNTHETIC, *REAL].index(key[0]), key[1] != "random", key[2]))
    evaluators = ("aiohpo fanova", "optuna fANOVA", "optuna MDI", "aiohpo ped-anova", "optuna PED-ANOVA")
    for title, key, form in (
        ("largest error of a share", "raw", "{:.3f}"),
        ("largest error, shares normalised to a sum of 1", "normalised", "{:.3f}"),
        ("Spearman's rank correlation with the truth", "spearman", "{:.2f}"),
        ("CPU seconds", "seconds", "{:.2f}"),
    ):
        shown = [e for e in evaluators if key != "raw" or "fanova" in e.lower()]
        print(f"\n{title}\n\n| task, trials | {' | '.join(shown)} |\n|---|{'---|' * len(shown)}")
        for task, how, n in order:
            cells = []
            for evaluator in shown:
                some = [r for r in rows if (r["task"], r["how"], r["n"], r["evaluator"]) == (task, how, n, evaluator)]
                values = [r["seconds"] if key == "seconds" else compare(r, right[task])[key] for r in some]
                covered = min((compare(r, right[task])["covered"] for r in some), default=1.0)
                dagger = " †" if covered < 1 and key != "seconds" else ""
                cells.append(form.format(np.mean(values)) + dagger if values else "–")
            print(f"| {task}, {n}{' by adbo' if how != 'random' else ''} | {' | '.join(cells)} |")
    mine = [(row, compare(row, right[row["task"]])) for row in rows if row["evaluator"] == "aiohpo fanova"]
    for n in sorted({row["n"] for row, _ in mine}):
        some = [found for row, found in mine if row["n"] == n and row["how"] == "random"]
        if some:
            inside, best = (float(np.mean([found[key] for found in some])) for key in ("inside", "best"))
            print(f"\n{n} random trials: truth in {inside:.0%} of the intervals; among the best: error {best:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--tasks", nargs="*", default=[*SYNTHETIC, *REAL])
    parser.add_argument("--trials", nargs="*", type=int, default=[100, 300, 1000, 10_000])
    parser.add_argument("--how", choices=["random", "adbo"], default="random")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--slow", type=int, default=300, help="the most trials that Optuna's fANOVA is asked about")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.file.read_text().splitlines()] if options.file.exists() else []
    if options.report:
        return report(rows, options.file.parent)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    known = {(r["task"], r["how"], r["n"], r["seed"], r["evaluator"]) for r in rows}
    for n in options.trials:
        for name in options.tasks:
            if name in REAL and (why := tasks.available()):
                print(f"skipped {name}: {why}")
                continue
            truth(name, options.file.parent)
            for seed in range(options.seeds):
                with options.file.open("a") as file:
                    for row in evaluate(name, options.how, n, seed, options.slow, known):
                        print(name, options.how, n, seed, row["evaluator"], f"{row['seconds']:.2f} s", flush=True)
                        file.write(json.dumps(row) + "\n")
    return None


if __name__ == "__main__":
    main()
