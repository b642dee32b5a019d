"""How good are the ensembles? Test log-loss and calibration on libraries of real models, beside other selections.

    python tests/benchmarks/ensembles.py [--quick] [--autogluon PYTHON]

First the splits into validation and test rows as given, with the references beside them (a textbook greedy selection
of 25 rounds). Then random splits of the same sizes: means, and counts against the best single model; a difference is
noise where the mean of the rows' differences is within two of its standard errors. Last, predicted classes only.

The expected calibration error of finitely many rows is never zero. "floor" is what it would be if the gradient
ensemble's probabilities were exactly right, by simulation: nobody can be better than that.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from support import libraries, tasks
from support.libraries import Library

from aiohpo.ensembles.metrics import METRICS, SMALLEST
from aiohpo.ensembles.uncertainty import error_auroc, errors
from aiohpo_plugins.ensembles.gradient import GradientBuilder
from aiohpo_plugins.ensembles.greedy import GreedyBuilder
from aiohpo_plugins.ensembles.topk import TopKBuilder

REFERENCE = {"phoneme": 0.2379, "segment": 0.0679, "electricity": 0.3167}
SINGLE = {"phoneme": 0.2397, "segment": 0.1045, "electricity": 0.3266}
LOSS, ECE = METRICS["log_loss"], METRICS["ece"]

BUILDERS: dict[str, Callable[[], Any]] = {
    "topk": TopKBuilder,
    "greedy": GreedyBuilder,
    "greedy, platt before": lambda: GreedyBuilder(calibration="platt"),
    "gradient": GradientBuilder,
}


def best_single(p: Any, y: Any) -> int:
    return int(np.argmin([LOSS(y, model) for model in p]))


def combined(library: Library, builder: Any, valid: Any, test: Any) -> tuple[Any, Any]:
    """Return the ensemble and its predictions of test rows."""
    ensemble = builder.fit(library.predictions[:, valid], library.y[valid], "log_loss")
    return ensemble, ensemble.predict_proba(library.predictions[ensemble.rows][:, test])


def floor(p: Any, seed: int = 0) -> float:
    """The calibration error of rows whose classes are drawn from ``p`` itself, on average."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(p, axis=1)
    draws = [(rng.random((len(p), 1)) > edges).sum(axis=1).clip(max=p.shape[1] - 1) for _ in range(20)]
    return float(np.mean([ECE(y, p) for y in draws]))


def given(library: Library, python: str | None) -> None:
    valid, test = library.split(None)
    p, y = library.predictions, library.y
    print(
        f"\n{library.name}: {len(p)} models, {len(valid)} validation and {len(test)} test rows; references: single "
        f"{SINGLE[library.name]:.4f}, greedy {REFERENCE[library.name]:.4f}\n"
        f"  {'':24}{'log-loss':>9}{'ece':>8}{'members':>9}{'reported':>10}{'CPU s':>7}   AUROC of uncertainty, errors"
    )

    def line(
        name: str, mixture: Any, members: int, reported: float | None, seconds: float | None, more: str = ""
    ) -> None:
        told = "" if reported is None else f"{reported:.4f}"
        cost = "" if seconds is None else f"{seconds:.2f}"
        print(
            f"  {name:24}{LOSS(y[test], mixture):9.4f}{ECE(y[test], mixture):8.4f}{members:9}{told:>10}{cost:>7}{more}"
        )

    single = best_single(p[:, valid], y[valid])
    line("best single model", p[single, test], 1, LOSS(y[valid], p[single, valid]), None)
    line("plain mean of all", p[:, test].mean(axis=0), len(p), None, None)
    start = time.process_time()
    weights = libraries.textbook(p[:, valid], y[valid], 25)
    seconds = time.process_time() - start
    line("textbook greedy", np.tensordot(weights, p[:, test], 1), int((weights > 0).sum()), None, seconds)
    if not libraries.autogluon_missing(python):
        seconds, weights = libraries.autogluon(str(python), p[:, valid], y[valid], 25)
        line("AutoGluon", np.tensordot(weights, p[:, test], 1), int((weights > 0).sum()), None, seconds)
    for name, builder in BUILDERS.items():
        start = time.process_time()
        ensemble, mixture = combined(library, builder(), valid, test)
        seconds = time.process_time() - start
        u = ensemble.uncertainty(p[ensemble.rows][:, test])
        wrong = errors(y[test], mixture, "classification")
        auroc = [error_auroc(part, wrong) for part in (u.total, u.epistemic)]
        line(
            name,
            mixture,
            len(ensemble.members),
            ensemble.score,
            seconds,
            f"   total {auroc[0]:.3f}, epistemic {auroc[1]:.3f}",
        )


def resplit(library: Library, seeds: int) -> dict[str, Any]:
    """Return mean losses and errors; print a table."""
    p, y = library.predictions, library.y
    rows: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(seeds):
        valid, test = library.split(seed)
        single = p[best_single(p[:, valid], y[valid]), test]
        mixtures = {"best single model": single, "plain mean of all": p[:, test].mean(axis=0)}
        mixtures["textbook greedy"] = np.tensordot(libraries.textbook(p[:, valid], y[valid], 25), p[:, test], 1)
        for name, builder in BUILDERS.items():
            mixtures[name] = combined(library, builder(), valid, test)[1]
        bottom = floor(mixtures["gradient"])
        for name, mixture in mixtures.items():
            difference = nats(mixture, y[test]) - nats(single, y[test])
            error = difference.std() / np.sqrt(len(test))
            worse = difference.mean() > 0
            rows.setdefault(name, []).append(
                (LOSS(y[test], mixture), ECE(y[test], mixture), worse, worse and difference.mean() > 2 * error, bottom)
            )
    print(f"\n{library.name}: {seeds} random splits; floor of ece {np.mean([r[4] for r in rows['gradient']]):.4f}")
    print(
        f"  {'':24}{'log-loss':>9}{'ece':>8}   worse than the best single model (beyond noise)"
        "   less gradient's: log-loss, ece, with standard errors over splits"
    )
    ours = np.array(rows["gradient"], dtype=float)
    for name, found in rows.items():
        a = np.array(found, dtype=float)
        off = a[:, :2] - ours[:, :2]
        mean, error = off.mean(axis=0), off.std(axis=0, ddof=1) / np.sqrt(len(off))
        print(
            f"  {name:24}{a[:, 0].mean():9.4f}{a[:, 1].mean():8.4f}{a[:, 2].sum():10.0f} ({a[:, 3].sum():.0f})"
            f"   {mean[0]:+.4f} ± {error[0]:.4f}   {mean[1]:+.4f} ± {error[1]:.4f}",
            flush=True,
        )
    return {name: np.array(found, dtype=float) for name, found in rows.items()}


def nats(p: Any, y: Any) -> Any:
    return -np.log(np.maximum(p[np.arange(len(y)), y], SMALLEST))


def hard() -> None:
    print(
        "\npredicted classes only, means over 5 folds: test accuracy by selecting for accuracy; log-loss for log-loss"
    )
    names = ["best single model", "majority of all", *BUILDERS]
    print(f"  {'':12}" + "".join(f"{name:>22}" for name in names))
    found: dict[str, list[list[tuple[float, float]]]] = {}
    for library in libraries.hard():
        p, y = library.predictions, library.y
        valid, test = library.split(None)
        row = []
        alone = [[metric.loss(y[valid], model) for model in p[:, valid]] for metric in (METRICS["accuracy"], LOSS)]
        best = [p[int(np.argmin(losses)), test] for losses in alone]
        row.append((METRICS["accuracy"](y[test], best[0]), LOSS(y[test], best[1])))
        mean = p[:, test].mean(axis=0)
        row.append((METRICS["accuracy"](y[test], mean), LOSS(y[test], mean)))
        for builder in BUILDERS.values():
            pair = []
            for metric in (METRICS["accuracy"], LOSS):
                ensemble = builder().fit(p[:, valid], y[valid], metric)
                pair.append(metric(y[test], ensemble.predict_proba(p[ensemble.rows][:, test])))
            row.append((pair[0], pair[1]))
        found.setdefault(library.name.partition("/")[0], []).append(row)
    for name, rows in found.items():
        means = np.array(rows).mean(axis=0)
        print(f"  {name:12}" + "".join(f"{f'{accuracy:.4f} / {loss:.4f}':>22}" for accuracy, loss in means))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 random splits instead of 20")
    parser.add_argument("--autogluon", metavar="PYTHON", help="a Python in whose environment autogluon.core is")
    args = parser.parse_args()
    if why := tasks.available():
        print(f"skipped: {why}")
        return
    if why := libraries.autogluon_missing(args.autogluon):
        print(f"skipped: {why}")
    print(f"skipped: {libraries.AUTO_SKLEARN}")
    for library in libraries.soft():
        given(library, args.autogluon)
    results = [resplit(library, 3 if args.quick else 20) for library in libraries.soft()]
    print("\nmean over the three of log-loss relative to textbook greedy, and of ece")
    for name in results[0]:
        ratios = [r[name][:, 0].mean() / r["textbook greedy"][:, 0].mean() for r in results]
        print(f"  {name:24}{np.mean(ratios):9.4f}{np.mean([r[name][:, 1].mean() for r in results]):8.4f}")
    hard()


if __name__ == "__main__":
    main()
