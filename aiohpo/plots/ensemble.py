"""An ensemble of the trials, built as ``aiohpo ensemble`` does by default: what it is made of and what it is worth.

Above: its metric as members are added by weight, and the weights. Below: whether its probabilities are what happens
(for regression: whether its intervals hold as many values as they should), with and without its calibrators; and how
sure it is where it is right, and where it is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ensembles.ensemble import mix_predictions
from ..ensembles.metrics import reliability
from ..ensembles.uncertainty import error_auroc, errors
from ..text import plot_text
from .style import BLUE, GREEN, GREY, ORANGE, RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..report.ensemble import Assessment, PredictedRows
    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from .units import Quantity

_COLOURS = (BLUE, ORANGE, GREEN, RED)
_MOST_BARS = 20


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """One picture of its own. Raises ``UsageError`` if there are no predictions."""
    from ..plugin.registry import create
    from ..report.ensemble import assess

    found = assess(run, create("ensembles", "gradient"))
    rows = (found.others or (found.valid,))[0]
    figure.set_size_inches(10, 8)
    axes = figure.subplots(2, 2)
    figure.suptitle(
        f"{plot_text(str(run.path))}: {len(found.ensemble.members)} of {len(found.library.names)} models, chosen by "
        f"{plot_text(found.ensemble.builder)} for {plot_text(found.metric.name)}"
    )
    _sizes(axes[0, 0], found)
    _weights(axes[0, 1], found, {r.id: r.number for r in records})
    if found.metric.task == "classification":
        _reliability(axes[1, 0], found, rows)
        _sure_and_right(axes[1, 1], found, rows)
    else:
        _coverage(axes[1, 0], found, rows)
        _spread(axes[1, 1], found, rows)


def _sizes(axes: Axes, found: Assessment) -> None:
    """The metric of the ensemble's heaviest members, by their number."""
    from matplotlib.ticker import MaxNLocator

    made = found.ensemble
    order = np.argsort(-made.weights, kind="stable")
    for rows, colour in zip((*found.others, found.valid), _COLOURS, strict=False):
        each = made.calibrated(rows.members)[order]
        values = []
        for size in range(1, len(order) + 1):
            weights = made.weights[order[:size]]
            mixture = mix_predictions(each[:size], weights / weights.sum(), made.task)
            values.append(found.metric(rows.y, made.finish(mixture)))
        axes.plot(np.arange(1, len(order) + 1), values, ".-", color=colour, label=f"ensemble, {plot_text(rows.name)}")
        single = found.metric(rows.y, rows.single)
        axes.axhline(single, color=colour, ls="--", lw=1, label=f"best single model, {plot_text(rows.name)}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="members, the heaviest first", ylabel=plot_text(found.metric.name))
    axes.legend(fontsize="small")


def _weights(axes: Axes, found: Assessment, numbers: dict[str, int]) -> None:
    order = np.argsort(-found.ensemble.weights, kind="stable")[:_MOST_BARS]
    places = np.arange(len(order))
    axes.barh(places, found.ensemble.weights[order], color=BLUE)
    names = [str(found.ensemble.members[i].trial) for i in order]
    axes.set_yticks(places, [f"trial {numbers.get(name, name)}" for name in names], fontsize="small")
    axes.invert_yaxis()
    more = len(found.ensemble.members) - len(order)
    axes.set(xlabel="weight" + (f" ({more} lighter ones are left out)" if more else ""))


def _uncalibrated(found: Assessment, rows: PredictedRows) -> Any:
    """What the ensemble would predict without its calibrators; None if it has none."""
    made = found.ensemble
    if all(c is None for c in (*made.calibrators, made.final)):
        return None
    return mix_predictions(rows.members, made.weights, made.task)


def _reliability(axes: Axes, found: Assessment, rows: PredictedRows) -> None:
    """How often the most probable class is the true one, by how probable it was said to be."""
    shown = [("ensemble", rows.mixture, BLUE)]
    before = _uncalibrated(found, rows)
    if before is not None:
        shown.insert(0, ("without calibrators", before, GREY))
    shown.insert(0, ("best single model", rows.single, ORANGE))
    axes.plot([0, 1], [0, 1], color="black", lw=0.8)
    for name, predictions, colour in shown:
        confidence, share, hits = reliability(rows.y, predictions)
        error = float((share * np.abs(confidence - hits)).sum())
        axes.plot(confidence, hits, color=colour, lw=1, label=f"{name}, ece {error:.3f}")
        axes.scatter(confidence, hits, s=10 + 120 * share, color=colour, alpha=0.7)
    low = 1.0 / rows.mixture.shape[1]
    axes.set(xlabel=f"confidence, {plot_text(rows.name)}", ylabel="share of hits", xlim=(low, 1.02), ylim=(0, 1.02))
    axes.legend(fontsize="small", loc="lower right")


def _sure_and_right(axes: Axes, found: Assessment, rows: PredictedRows) -> None:
    u = found.ensemble.uncertainty(rows.members)
    wrong = errors(rows.y, rows.mixture, "classification")
    bins = np.linspace(0, max(float(u.total.max()), 1e-9), 25).tolist()
    axes.hist([u.total[~wrong], u.total[wrong]], bins, stacked=True, color=[BLUE, RED], label=["right", "wrong"])
    title = (
        f"AUROC for errors: total {error_auroc(u.total, wrong):.3f}, epistemic {error_auroc(u.epistemic, wrong):.3f}"
    )
    axes.set(xlabel=f"total uncertainty in nats, {plot_text(rows.name)}", ylabel="rows")
    axes.set_title(title, fontsize="small")
    axes.legend(fontsize="small")


def _coverage(axes: Axes, found: Assessment, rows: PredictedRows) -> None:
    """Which share of the values lies in the central interval that should hold a given share."""
    from scipy.special import ndtr

    shown = [("without calibrators", _uncalibrated(found, rows), GREY), ("ensemble", rows.mixture, BLUE)]
    axes.plot([0, 1], [0, 1], color="black", lw=0.8)
    for name, predictions, colour in shown:
        if predictions is None or predictions.shape[1] < 2 or not (predictions[:, 1] > 0).all():
            continue
        needed = np.sort(2 * ndtr(np.abs(rows.y - predictions[:, 0]) / np.sqrt(predictions[:, 1])) - 1)
        axes.plot(needed, np.arange(1, len(needed) + 1) / len(needed), color=colour, label=name)
    axes.set(xlabel=f"share that an interval should hold, {plot_text(rows.name)}", ylabel="share that it holds")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")


def _spread(axes: Axes, found: Assessment, rows: PredictedRows) -> None:
    u = found.ensemble.uncertainty(rows.members)
    wrong = errors(rows.y, rows.mixture, "regression")
    parts = [np.sqrt(u.epistemic), np.sqrt(u.total)]
    axes.hist(parts, 25, color=[GREEN, BLUE], label=["epistemic", "total"])
    title = f"AUROC for the larger half of errors: total {error_auroc(u.total, wrong):.3f}"
    axes.set(xlabel=f"uncertainty as a standard deviation, {plot_text(rows.name)}", ylabel="rows")
    axes.set_title(f"{title}, epistemic {error_auroc(u.epistemic, wrong):.3f}", fontsize="small")
    axes.legend(fontsize="small")
