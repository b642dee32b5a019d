"""Which model of the resource predicts best? Scores of the Gaussian process' models on learning curves.

    python tests/benchmarks/gp_resources.py [--quick]

Of each task, random configurations are trained as successive halving would: all for 1 step, the best third for 3,
and so on. From their reports, the loss after all steps is predicted: of configurations that were never tried
("new"), and of those that were trained partly ("begun"). Printed are the mean logarithm of the predictive density
of the standardised loss (higher is better) and the rank correlation with the truth, means over tasks and seeds.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.stats import spearmanr
from support import tasks

from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.gp.data import gather, ladder
from aiohpo_plugins.searchers.gp.model import RESOURCES, GPLearner
from aiohpo_plugins.searchers.gp.surrogate.learn import Memory, learn
from aiohpo_plugins.searchers.gp.surrogate.posterior import Posterior
from aiohpo_plugins.searchers.gp.surrogate.targets import standardise

Curves = tuple[str, np.ndarray, np.ndarray]  # name, X (n, d) in [0, 1], losses (n, steps)


def curves(quick: bool) -> Iterator[Curves]:
    """Yield the tasks."""
    rng = np.random.default_rng(0)
    network = tasks._network("lcbench")
    space = tasks._surrogate_space("lcbench")
    names = network.instances[::4] if quick else network.instances
    column = network.y_names.index("val_accuracy")
    U = space.sample(rng, 200)
    configs = space.decode(U)
    for name in names:
        points = [dict(config, epoch=e) for config in configs for e in range(1, 51)]
        yield f"lcbench {name}", U, -network(points, instance=name)[:, column].reshape(len(U), 50)
    loaders = tasks._loaders()
    alexnet = loaders.load("lc_imagenet_alexnet")
    whole = np.isfinite(alexnet["top1"][:, :60]).all(axis=1)
    yield "alexnet", _unit(alexnet["hp"][whole]), -alexnet["top1"][whole, :60]
    taskset = loaders.load("lc_taskset_adam8p_imdb_rnn")
    for i in range(1 if quick else 3):
        valid = taskset["valid"][i, :, 1:]
        whole = np.isfinite(valid).all(axis=1) & (valid.max(axis=1) < 2.0)
        yield f"taskset {i}", _unit(np.log(taskset["hp"][whole])), valid[whole]


def _unit(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    wide = (values.min(axis=0) > 0) & (values.max(axis=0) > 50 * values.min(axis=0))
    values[:, wide] = np.log(values[:, wide])
    return np.asarray((values - values.min(axis=0)) / np.maximum(np.ptp(values, axis=0), 1e-9))


def scores(model: str, X: np.ndarray, losses: np.ndarray, n: int, seed: int) -> list[float]:
    """Return density and correlation for new configurations, the same for begun ones, and CPU milliseconds."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    tried, new = order[:n], order[n : n + 100]
    steps = losses.shape[1]
    space = Space({f"x{i}": Float(0, 1) for i in range(X.shape[1])})
    alive, reports, begun = np.arange(n), [], set(range(n))
    for r in ladder(steps, 3.0):
        reports += [(int(i), int(r), float(losses[tried[i], r - 1])) for i in alive]
        if r == steps:
            begun -= set(alive.tolist())
        alive = alive[np.argsort(losses[tried[alive], r - 1])[: max(2, len(alive) // 3)]]
    view = StaticView(space, partial=X[tried], reports=reports, max_steps=steps)
    o = view.observations()
    learner = GPLearner(space, model, "none", 1, 3.0, X.shape[1], 1000)
    began = time.process_time()
    data = gather(o, 3.0, X.shape[1])
    features, likelihood = learner._joint
    theta, _ = learn(likelihood, lambda k: learner._prefix(features, data, k), len(data.X), Memory())
    z = standardise(data.q)
    rows = learner._rows(features, data, np.arange(len(z)), z)
    posterior = Posterior.of(likelihood, theta, rows)
    cost = 1e3 * (time.process_time() - began)
    known = np.argsort(o.curves.loss, kind="stable")  # every report is at a level, so each is a row
    known = known[np.unique(o.curves.loss[known], return_index=True)[1]]
    result = []
    for which in (new, tried[sorted(begun)]):
        at = posterior.predict(features.embed(X[which], 1.0), len(data.steps) - 1)
        truth = _extend(losses[which, -1], o.curves.loss[known], z[known])
        variance = at.variance + posterior.noise
        density = -0.5 * (np.log(2 * np.pi * variance) + (truth - at.mean[:, 0]) ** 2 / variance)
        result += [float(np.clip(density, -10, None).mean()), float(spearmanr(at.mean[:, 0], truth)[0])]
    return [*result, cost]


def _extend(loss: np.ndarray, known: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return the targets of losses: interpolated between known ones, and straight on beyond the best of them."""
    slope = (z[len(z) // 4] - z[0]) / (known[len(z) // 4] - known[0])
    return np.interp(loss, known, z) + np.minimum(loss - known[0], 0.0) * slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer tasks and seeds: about a minute")
    args = parser.parse_args()
    if reason := tasks.available():
        print(f"skipped, as {reason}")
        return
    sizes, seeds = ([30, 90], 2) if args.quick else ([20, 40, 80, 160], 5)
    table: dict[tuple[str, str, int], list[list[float]]] = {}
    for name, X, losses in curves(args.quick):
        family = name.split()[0]
        for n in sizes:
            for seed in range(seeds):
                for model in RESOURCES:
                    if n + 20 < len(X):
                        table.setdefault((family, model, n), []).append(scores(model, X, losses, n, seed))
    print(f"{'':26}{'new: density':>14}{'correlation':>13}{'begun: density':>16}{'correlation':>13}{'ms':>8}")
    for (family, model, n), rows in sorted(table.items(), key=lambda item: (item[0][0], item[0][2], item[0][1])):
        a, b, c, d, ms = np.mean(rows, axis=0)
        print(f"{family:9}{model:10}{n:>7}{a:>14.3f}{b:>13.3f}{c:>16.3f}{d:>13.3f}{ms:>8.0f}")


if __name__ == "__main__":
    main()
