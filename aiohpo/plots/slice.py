"""The metric against each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .style import by_progress, choices, cut, is_complete, judged, labelled, middle_of, short, whole_numbers
from .units import Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..space.parameter import Parameter
    from ..storage.run import Run
    from ..view.trials import TrialRecord

_MOST_SLICES = 24
_LEVEL = 4  # so many choices can be named side by side


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """One small picture for each parameter. Where trials were given up, the metric is that of their last step and
    shades say how far each of them got; elsewhere they say how late it was tried."""
    complete, partial, _ = judged(run, records)
    done = [*complete, *partial]
    names = list(run.view.space.names)[:_MOST_SLICES]
    columns = min(len(names), 3) or 1
    rows = math.ceil(len(names) / columns) or 1
    figure.set_size_inches(3.4 * columns, 2.6 * rows + 0.4)
    grid: Any = figure.subplots(rows, columns, squeeze=False, sharey=True)
    outside = cut(grid[0][0], np.array([r.value for r in done], dtype=float), run.view.objective)
    given_up = any(not is_complete(run, r) for r in done)
    groups = by_progress(run, done, run.rungs().steps) if given_up else [("", None, done)]
    late = {"c": [r.number for r in done], "cmap": "viridis", "vmin": 0, "vmax": max(r.number for r in done)}
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.flat, names, strict=False):
        parameter = run.view.space[name]
        shown_as = _scale(axes, parameter, name)
        for word, shade, group in groups:
            at, y = _places(parameter, shown_as, group)
            shown = {"color": shade, "label": f"{word} ({len(group)})"} if given_up else late
            having = {**shown, "c": [r.number for r in group if name in r.config]} if "c" in shown else shown
            points = axes.scatter(at, y, s=14, **having)
        axes.set_xlabel(shown_as.label)
        axes.grid(alpha=0.25)
    for row in grid:
        row[0].set_ylabel(metric.label)
    if names and given_up:
        figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    elif names:
        whole_numbers(figure.colorbar(points, ax=grid, label="trial number").ax.yaxis)
    left = len(run.view.space.names) - len(names)
    which = f"the first {len(names)} parameters ({left} more are left out)" if left else "each parameter"
    figure.suptitle(f"{metric.text} against {which}{outside}", x=0.01, ha="left")


def _scale(axes: Axes, parameter: Parameter, name: str) -> Quantity:
    """Logarithmic where the parameter is; ticks that do not run into each other, whatever the range.

    Return the unit in which it is drawn."""
    from matplotlib.ticker import NullFormatter

    scale = parameter.scale
    if not scale.numeric:
        known = choices(parameter)
        axes.set_xticks([parameter.native(c) for c in labelled(known)], [short(c) for c in labelled(known)], fontsize=7)
        if len(known) > _LEVEL:
            axes.tick_params(axis="x", rotation=45)
        return Quantity(name)
    shown_as = Quantity.of_parameter(name, parameter)
    if scale.log and not shown_as.logarithm:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        if scale.last < 1000 * scale.first:  # too few powers of ten to be the only labels
            at = [scale.first, middle_of(parameter), scale.last]
            axes.set_xticks(at, [f"{value:.3g}" for value in at])
    elif parameter.native_type is int and not shown_as.exponent:
        whole_numbers(axes.xaxis)
    return shown_as


def _places(parameter: Parameter, shown_as: Quantity, records: Sequence[TrialRecord]) -> tuple[list[float], list[Any]]:
    """Where the trials that have a parameter stand; those of one choice are spread a little."""
    name = shown_as.name
    having = [r for r in records if name in r.config]
    if parameter.scale.numeric:
        return [shown_as.drawn(r.config[name]) for r in having], [r.value for r in having]
    spread = np.random.default_rng(0).uniform(-0.2, 0.2, len(having))
    at = [parameter.native(r.config[name]) + s for r, s in zip(having, spread, strict=True)]
    return at, [r.value for r in having]
