"""The study's runs: each is a random split of the rows that no network was trained on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiohpo.ensembles.ensemble import Ensemble, mix_predictions
from aiohpo.ensembles.metrics import METRICS, reliability
from aiohpo.ensembles.uncertainty import error_auroc, errors
from aiohpo_plugins.ensembles.gradient import GradientBuilder
from aiohpo_plugins.ensembles.greedy import GreedyBuilder
from aiohpo_plugins.ensembles.topk import TopKBuilder

from ..framework.study import Parameters, Report
from . import page
from .library import Library, library

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..framework.results import Results

SEEDS, REDUCED_SEEDS = 30, 4
BUILDERS: Mapping[str, Callable[[], Any]] = {
    "topk": TopKBuilder,
    "greedy": GreedyBuilder,
    "greedy, platt": lambda: GreedyBuilder(calibration="platt"),
    "gradient": GradientBuilder,
}
_METRICS = ("roc_auc", "balanced_cross_entropy", "log_loss", "ece")
_GROUPS = 10  # of rows, by their uncertainty
_DRAWS = 20  # of classes, for the error that calibration has by chance alone

Rows = NDArray[np.int64]


class EnsembleStudy:
    """See :class:`studies.framework.study.LiteratureStudy`."""

    title = "Ensembles: calibration and uncertainty of searched networks"
    source = "Gouneau, report on ensembles in DeepHyper, Argonne National Laboratory, tables I and II"

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        """A run is a split of the held-out rows into those for validation and those for the test."""
        return [{"split": seed} for seed in range(REDUCED_SEEDS if reduced else SEEDS)]

    def play(self, parameters: Parameters) -> dict[str, Any]:
        """Build every ensemble. CPU times, of which the page gives the median, are all that differs between runs."""
        models = library()
        rows = np.random.default_rng(parameters["split"]).permutation(len(models.y))
        return _play(models, rows[: models.validation], rows[models.validation :])

    def report(self, results: Results) -> Report:
        return Report(page.text(results), ())  # the published figures are not at hand: nothing can be compared

    def draw(self, results: Results) -> Mapping[str, Figure]:
        return page.draw(results)

    def faults(self, results: Results) -> Sequence[str]:
        """Ensembles beat the best network, gradient loses nothing to greedy selection, and is better calibrated than
        the baseline, on average."""
        means = page.means(results)
        ours, greedy, best = (means[name] for name in ("gradient", "greedy", "best model"))
        found = []
        if not ours["log_loss"] < 1.005 * greedy["log_loss"]:
            found.append(f"gradient has a log-loss of {ours['log_loss']:.4f}, greedy {greedy['log_loss']:.4f}")
        if not greedy["log_loss"] < best["log_loss"]:
            found.append("greedy selection is not better than the best network")
        if not ours["ece"] < means["baseline"]["ece"]:
            found.append(f"gradient has a calibration error of {ours['ece']:.4f}, the baseline a smaller one")
        return found


def _play(models: Library, valid: Rows, test: Rows) -> dict[str, Any]:
    p, y = models.p, models.y
    losses = [METRICS["balanced_cross_entropy"](y[valid], model) for model in p[:, valid]]
    best = int(np.argmin(losses))
    found: dict[str, Any] = {}
    for name, row in (("baseline", 0), ("best model", best)):  # the space's defaults were tried first
        found[name] = _figures(p[row, test], y[test], models, [row], None)
    for name, build in BUILDERS.items():
        began = time.process_time()
        ensemble = build().fit(p[:, valid], y[valid], "log_loss")
        seconds = time.process_time() - began
        members = p[ensemble.rows][:, test]
        found[name] = _figures(ensemble.predict_proba(members), y[test], models, ensemble.rows.tolist(), seconds)
    mixture = ensemble.predict_proba(members)  # the last one's: gradient
    before = mix_predictions(members, ensemble.weights, "classification")
    return {
        "methods": found,
        "before": {name: METRICS[name](y[test], before) for name in ("log_loss", "ece")},
        "floor": _by_chance(mixture),
        "temperature": None if ensemble.final is None else 1.0 / float(ensemble.final.scale[0]),
        "reliability": {
            name: [column.round(5).tolist() for column in reliability(y[test], each)]
            for name, each in (("before", before), ("after", mixture))
        },
        "uncertainty": _uncertainty(ensemble, members, mixture, y[test]),
    }


def _figures(mixture: Any, y: Any, models: Library, members: Sequence[int], seconds: float | None) -> dict[str, Any]:
    """Return the metrics of test predictions; the members, and the CPU milliseconds that they take for 1,000 rows; the
    seconds that the ensemble took to be built."""
    inference = float(models.predict_seconds[list(members)].sum()) / len(models.y) * 1e6
    figures = {name: METRICS[name](y, mixture) for name in _METRICS}
    return {**figures, "members": len(members), "inference": inference, "construction": seconds}


def _by_chance(p: Any) -> float:
    """Return the calibration error of classes that are drawn from ``p`` itself, on average."""
    rng = np.random.default_rng(0)
    return float(np.mean([METRICS["ece"]((rng.random(len(p)) < p[:, 1]).astype(int), p) for _ in range(_DRAWS)]))


def _uncertainty(ensemble: Ensemble, members: Any, mixture: Any, y: Any) -> dict[str, Any]:
    """Return for each part how well it tells errors, its mean, and the share of errors by tenths of the rows."""
    parts = ensemble.uncertainty(members)
    wrong = errors(y, mixture, "classification")
    found = {}
    for name in ("total", "aleatoric", "epistemic"):
        values = getattr(parts, name)
        order = np.argsort(values, kind="stable")
        groups = [float(wrong[group].mean()) for group in np.array_split(order, _GROUPS)]
        found[name] = {"auroc": error_auroc(values, wrong), "mean": float(values.mean()), "errors": groups}
    return found
