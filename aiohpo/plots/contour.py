"""The metric over pairs of parameters, interpolated between the trials.

What stands at a point is the mean of the trials around it by a Gaussian kernel, whose width is that of Scott's rule,
but at least a twentieth of each range: other parameters differ between trials, so the surface must not go through each
of them. It is left white where no trial is near. Losses beyond the edge at which
:func:`~aiohpo.plots.style.edge_of` cuts an axis count as that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .pairs import PairAxis, having_both, in_grid, pairs_of, what
from .picture import BLACK, Line, Panel, Picture, Surface
from .style import ORANGE, edge_of, judged, told

if TYPE_CHECKING:
    from ..view.trials import TrialRecord
    from .subject import Subject

_CELLS = 40  # along a numeric axis
_NARROWEST = 0.05
_LEAST_WEIGHT = 0.1  # of all trials around a point, where one at the point itself weighs 1
_FEW = 200  # trials of which each is marked clearly


def picture(subject: Subject, parameters: Sequence[str] = ()) -> Picture:
    """A panel for each pair. Raises ``UsageError`` if no trial has a value, and as :func:`~.pairs.pairs_of` does."""
    pairs = pairs_of(subject, parameters)
    complete, partial, remark = judged(subject, subject.records)
    done = [*complete, *partial] if not partial else complete
    rows = in_grid([_panel(subject, done, x, y) for x, y in pairs])
    return Picture(
        rows,
        width=4.6 * len(rows[0]) + 1.0,
        height=3.8 * len(rows) + 0.4,
        title=f"{subject.metric.text} over {what(pairs)}, smoothed between {len(done)} trials{remark}",
    )


def _panel(subject: Subject, done: Sequence[TrialRecord], x: PairAxis, y: PairAxis) -> Panel:
    having = having_both(done, x, y)
    made = Panel(x.axis(), y.axis(), grid="")
    if not having:
        made.title = "no trial has both"
        return made
    value = np.array([r.value for r in having], dtype=float)
    edge = edge_of(subject.objective.sign * value)
    if edge is not None:
        value = subject.objective.sign * np.minimum(subject.objective.sign * value, edge)
    (at_x, units_x), (at_y, units_y) = _grid(x), _grid(y)
    weight = _kernel(y, units_y, having)[:, None, :] * _kernel(x, units_x, having)[None, :, :]
    near = weight.sum(axis=2)
    z = np.where(near >= _LEAST_WEIGHT, (weight @ value) / np.maximum(near, _LEAST_WEIGHT), np.nan)
    made.marks.append(Surface(at_x, at_y, z, subject.metric.label, contours=x.numeric and y.numeric))
    texts = told(having)
    clear = 0.7 if len(having) <= _FEW else 0.25
    made.marks.append(Line(x.places(having), y.places(having), BLACK, "", marker=".", size=3, alpha=clear, hover=texts))
    best = [r for r in having if r.id == subject.best_id]
    if best:
        spot = x.places(best), y.places(best)
        made.marks.append(Line(*spot, ORANGE, "", marker=".", size=11, label="best", hover=told(best)))
        made.legend = "inside"
    return made


def _grid(axis: PairAxis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the cells of an axis stand, as it is drawn and in units."""
    scale = axis.parameter.scale
    if not axis.numeric:
        levels = np.arange(float(axis.parameter.levels or 1))
        return levels, levels
    units = np.linspace(0.0, 1.0, _CELLS) if scale.first < scale.last else np.array([0.5])
    ends = axis.shown_as.drawn(scale.first), axis.shown_as.drawn(scale.last)
    if scale.log and not axis.shown_as.logarithm:
        return np.exp(np.log(ends[0]) + units * (np.log(ends[1]) - np.log(ends[0]))), units
    return ends[0] + units * (ends[1] - ends[0]), units


def _kernel(axis: PairAxis, units: NDArray[np.float64], records: Sequence[TrialRecord]) -> NDArray[np.float64]:
    """How much each trial counts in each cell, (cells, trials)."""
    if not axis.numeric:
        own = np.array([axis.parameter.native(r.config[axis.name]) for r in records], dtype=float)
        return np.asarray(units[:, None] == own, dtype=np.float64)
    places = np.array(axis.places(records), dtype=float)
    scale = axis.parameter.scale
    low, high = axis.shown_as.drawn(scale.first), axis.shown_as.drawn(scale.last)
    if scale.log and not axis.shown_as.logarithm:
        places, low, high = np.log(places), np.log(low), np.log(high)
    own = (places - low) / (high - low) if high > low else np.full(len(places), 0.5)
    width = max(_NARROWEST, float(own.std()) * len(own) ** (-1 / 6))
    return np.asarray(np.exp(-0.5 * ((units[:, None] - own) / width) ** 2))
