"""An ensemble of the trials, built as ``aiohpo ensemble`` does by default: what it is made of and what it is worth.

Above: its metric as members are added by weight, and the weights. Below: whether its probabilities are what happens
(for regression: whether its intervals hold as many values as they should), with and without its calibrators; and how
sure it is where it is right, and where it is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ensembles.ensemble import mix_predictions
from ..ensembles.metrics import reliability
from ..ensembles.uncertainty import error_auroc, errors
from ..errors import UsageError
from ..text import printable
from .picture import BLACK, Axis, Bars, Dots, Line, Panel, Picture, Rules
from .style import BLUE, GREEN, GREY, ORANGE, RED

if TYPE_CHECKING:
    from ..report.ensemble import Assessment, PredictedRows
    from .subject import Subject

_COLOURS = (BLUE, ORANGE, GREEN, RED)
_MOST_BARS = 20
_LONGEST = 40  # characters of a name


def picture(subject: Subject) -> Picture:
    """One picture of its own. Raises ``UsageError`` if there are no predictions."""
    from ..plugin.registry import create
    from ..report.ensemble import assess

    if subject.run is None:
        raise UsageError(
            "an ensemble is drawn from the predictions in a run directory, not from Python: aiohpo plot DIR --kind "
            "ensemble, where DIR is the directory of Study(directory=…)"
        )
    found = assess(subject.run, create("ensembles", "gradient"))
    rows = (found.others or (found.valid,))[0]
    if found.metric.task == "classification":
        below = [_reliability(found, rows), _sure_and_right(found, rows)]
    else:
        below = [_coverage(found, rows), _spread(found, rows)]
    for panel in below:
        panel.grid = ""
    return Picture(
        [[_sizes(found), _weights(found, {r.id: r.number for r in subject.records})], [*below]],
        width=10,
        height=8,
        title=f"{printable(subject.name, _LONGEST)}: {len(found.ensemble.members)} of {len(found.library.names)} "
        f"models, chosen by {printable(found.ensemble.builder, _LONGEST)} for {printable(found.metric.name, _LONGEST)}",
    )


def _sizes(found: Assessment) -> Panel:
    """The metric of the ensemble's heaviest members, by their number."""
    made = found.ensemble
    order = np.argsort(-made.weights, kind="stable")
    panel = Panel(
        Axis("members, the heaviest first", whole=True), Axis(printable(found.metric.name, _LONGEST)), grid="",
        legend="inside",
    )  # fmt: skip
    for rows, colour in zip((*found.others, found.valid), _COLOURS, strict=False):
        each = made.calibrated(rows.members)[order]
        values = []
        for size in range(1, len(order) + 1):
            weights = made.weights[order[:size]]
            mixture = mix_predictions(each[:size], weights / weights.sum(), made.task)
            values.append(found.metric(rows.y, made.finish(mixture)))
        name = printable(rows.name, _LONGEST)
        at = np.arange(1, len(order) + 1)
        panel.marks.append(Line(at, values, colour, marker=".", label=f"ensemble, {name}"))
        single = found.metric(rows.y, rows.single)
        label = f"best single model, {name}"
        panel.marks.append(Rules([single], across=True, colour=colour, width=1, dash="--", label=label))
    return panel


def _weights(found: Assessment, numbers: dict[str, int]) -> Panel:
    order = np.argsort(-found.ensemble.weights, kind="stable")[:_MOST_BARS]
    names = [str(found.ensemble.members[i].trial) for i in order]
    more = len(found.ensemble.members) - len(order)
    return Panel(
        Axis("weight" + (f" ({more} lighter ones are left out)" if more else "")),
        Axis(
            ticks=[(float(i), f"trial {numbers.get(name, name)}") for i, name in enumerate(names)],
            limits=(len(order) - 0.4, -0.6),
        ),
        [Bars(np.arange(len(order)), found.ensemble.weights[order], BLUE, across=True)],
        grid="",
    )


def _uncalibrated(found: Assessment, rows: PredictedRows) -> Any:
    """What the ensemble would predict without its calibrators; None if it has none."""
    made = found.ensemble
    if all(c is None for c in (*made.calibrators, made.final)):
        return None
    return mix_predictions(rows.members, made.weights, made.task)


def _reliability(found: Assessment, rows: PredictedRows) -> Panel:
    """How often the most probable class is the true one, by how probable it was said to be."""
    shown = [("ensemble", rows.mixture, BLUE)]
    before = _uncalibrated(found, rows)
    if before is not None:
        shown.insert(0, ("without calibrators", before, GREY))
    shown.insert(0, ("best single model", rows.single, ORANGE))
    low = 1.0 / rows.mixture.shape[1]
    panel = Panel(
        Axis(f"confidence, {printable(rows.name, _LONGEST)}", limits=(low, 1.02)),
        Axis("share of hits", limits=(0.0, 1.02)),
        [Line([0, 1], [0, 1], BLACK, width=0.8)],
        legend="inside",
    )
    for name, predictions, colour in shown:
        confidence, share, hits = reliability(rows.y, predictions)
        error = float((share * np.abs(confidence - hits)).sum())
        panel.marks.append(Line(confidence, hits, colour, width=1, label=f"{name}, ece {error:.3f}"))
        panel.marks.append(Dots(confidence, hits, colour, size=10 + 120 * share, alpha=0.7))
    return panel


def _sure_and_right(found: Assessment, rows: PredictedRows) -> Panel:
    u = found.ensemble.uncertainty(rows.members)
    wrong = errors(rows.y, rows.mixture, "classification")
    edges = np.linspace(0, max(float(u.total.max()), 1e-9), 25)
    right, false = np.histogram(u.total[~wrong], edges)[0], np.histogram(u.total[wrong], edges)[0]
    middles, width = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
    return Panel(
        Axis(f"total uncertainty in nats, {printable(rows.name, _LONGEST)}"),
        Axis("rows"),
        [
            Bars(middles, right, BLUE, width=width, label="right"),
            Bars(middles, right + false, RED, right, width, label="wrong"),
        ],
        f"AUROC for errors: total {error_auroc(u.total, wrong):.3f}, epistemic {error_auroc(u.epistemic, wrong):.3f}",
        "inside",
    )


def _coverage(found: Assessment, rows: PredictedRows) -> Panel:
    """Which share of the values lies in the central interval that should hold a given share."""
    from scipy.special import ndtr

    shown = [("without calibrators", _uncalibrated(found, rows), GREY), ("ensemble", rows.mixture, BLUE)]
    panel = Panel(
        Axis(f"nominal coverage of an interval, {printable(rows.name, _LONGEST)}"),
        Axis("observed coverage"),
        [Line([0, 1], [0, 1], BLACK, width=0.8)],
    )
    for name, predictions, colour in shown:
        if predictions is None or predictions.shape[1] < 2 or not (predictions[:, 1] > 0).all():
            continue
        needed = np.sort(2 * ndtr(np.abs(rows.y - predictions[:, 0]) / np.sqrt(predictions[:, 1])) - 1)
        panel.marks.append(Line(needed, np.arange(1, len(needed) + 1) / len(needed), colour, label=name))
        panel.legend = "inside"
    return panel


def _spread(found: Assessment, rows: PredictedRows) -> Panel:
    u = found.ensemble.uncertainty(rows.members)
    wrong = errors(rows.y, rows.mixture, "regression")
    parts = [np.sqrt(u.epistemic), np.sqrt(u.total)]
    edges = np.histogram_bin_edges(np.concatenate(parts), 25)
    middles, width = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
    title = f"AUROC for the larger half of errors: total {error_auroc(u.total, wrong):.3f}"
    return Panel(
        Axis(f"uncertainty as a standard deviation, {printable(rows.name, _LONGEST)}"),
        Axis("rows"),
        [
            Bars(middles + shift * width, np.histogram(part, edges)[0], colour, width=0.4 * width, label=name)
            for part, colour, name, shift in zip(parts, (GREEN, BLUE), ("epistemic", "total"), (-0.2, 0.2), strict=True)
        ],
        f"{title}, epistemic {error_auroc(u.epistemic, wrong):.3f}",
        "inside",
    )
