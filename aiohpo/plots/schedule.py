"""The schedule that led to the best result: what its line of trials was trained with, step by step.

At the top is the metric along the line, below it one panel for each parameter that changed on the way, on a
logarithmic axis where the parameter is searched on one. Faint behind: all other trials, each over the steps that it
trained itself, with a thin connection to where it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..view.lineage import Lineage
from ..view.summary import value_in_words
from .style import BLUE, GREY, ORANGE, choices, cut, labelled, short, whole_numbers
from .units import Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..space.parameter import Parameter
    from ..storage.run import Run
    from ..view.trials import TrialRecord

_MOST_PANELS = 8
_INCH = 1.7  # height of a panel
_MAGNITUDES = 30  # a line whose values differ by more than this factor needs a logarithmic axis


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """Draw the best trial's schedule. Raises ``UsageError`` if no trial has a value, or none has steps."""
    row = run.view.leader()
    if row is None:
        raise UsageError(f"{run.path} has no successful trial to plot (see: aiohpo show {run.path})")
    if not any(record.curve for record in records):
        raise UsageError(
            f"no trial in {run.path} reported at a step, so there is no schedule: give Study(max_steps=…) and call "
            f"trial.report(...) after each step (what there is: aiohpo plot {run.path} --kind history)"
        )
    lineage = Lineage(records)
    best = next(record for record in records if record.id == run.view.record(row).id)
    names = _shown(run, lineage, best)
    figure.set_size_inches(9, 2.6 + _INCH * len(names))
    panels: Any = figure.subplots(
        1 + len(names), 1, sharex=True, squeeze=False, height_ratios=[1.4, *[1.0] * len(names)]
    )
    axes = panels[:, 0]
    _values(axes[0], run, lineage, best, records, metric)
    for panel, name in zip(axes[1:], names, strict=True):
        _parameter(panel, run.view.space[name], name, lineage, best, records)
    whole_numbers(axes[-1].xaxis)
    axes[-1].set_xlabel("step")
    stretches = len(lineage.ancestry(best))
    how = f"a line of {stretches} trials" if stretches > 1 else "one configuration all the way"
    left = len(_changed(run, lineage, best)) - len(names) if stretches > 1 else 0
    more = f"; {left} more parameters changed" if left > 0 else ""
    value = value_in_words(run.view.record(row), run.view.max_steps)
    axes[0].set_title(f"trial {best.number}, {metric.text} {value}: {how}{more}", loc="left")


def _changed(run: Run, lineage: Lineage, best: TrialRecord) -> list[str]:
    found = {name for record in lineage.ancestry(best) for name in lineage.changes(record)}
    return [name for name in run.view.space.names if name in found]


def _shown(run: Run, lineage: Lineage, best: TrialRecord) -> list[str]:
    """The parameters that changed along the best line; if none did, those that it has."""
    names = _changed(run, lineage, best) or [name for name in run.view.space.names if name in best.config]
    return names[:_MOST_PANELS]


def _values(
    axes: Axes, run: Run, lineage: Lineage, best: TrialRecord, records: Sequence[TrialRecord], metric: Quantity
) -> None:
    others = [dict(record.curve) for record in records]
    for curve in others:
        axes.plot(sorted(curve), [curve[step] for step in sorted(curve)], color=GREY, lw=0.6, alpha=0.5)
    line = lineage.values_by_step(best)
    if line:
        steps, values = zip(*line, strict=True)
        axes.plot(steps, values, color=ORANGE, lw=2, label="its line")
        axes.plot([], [], color=GREY, lw=0.8, label="all trials")
        axes.legend(loc="best", frameon=False, fontsize=8)
        for stretch in lineage.schedule(best)[1:]:
            axes.axvline(stretch.first - 0.5, color=BLUE, lw=0.6, ls=":")
        everything = np.array([value for curve in others for value in curve.values()])
        if everything.min() > 0 and max(values) > _MAGNITUDES * min(values):
            axes.set_yscale("log")
        else:
            cut(axes, everything, run.view.objective, np.array(values))
    axes.set_ylabel(metric.label)
    axes.grid(alpha=0.25)


def _parameter(
    axes: Axes, parameter: Parameter, name: str, lineage: Lineage, best: TrialRecord, records: Sequence[TrialRecord]
) -> None:
    shown_as = Quantity.of_parameter(name, parameter)
    height = shown_as.drawn if parameter.scale.numeric else parameter.native
    for record in records:
        if name in record.config:
            first, last = lineage.first_step(record), max(record.step, lineage.first_step(record))
            at = height(record.config[name])
            axes.plot([first, last], [at, at], color=GREY, lw=0.8, alpha=0.6)
            parent = lineage.parent(record)
            if parent is not None and name in parent.config:
                axes.plot([first, first], [height(parent.config[name]), at], color=GREY, lw=0.5, alpha=0.4)
    x: list[float] = []
    y: list[float] = []
    for stretch in lineage.schedule(best):
        at = height(stretch.config[name]) if name in stretch.config else float("nan")
        x += [stretch.first - 1, stretch.last]
        y += [at, at]
    axes.plot(x, y, color=ORANGE, lw=2, marker="." if len(x) == 2 else None)
    if parameter.scale.numeric:
        if parameter.scale.log and not shown_as.logarithm:
            axes.set_yscale("log")
        elif parameter.native_type is int and not parameter.scale.log and not shown_as.exponent:
            whole_numbers(axes.yaxis)
    else:
        names = choices(parameter)
        axes.set_yticks([parameter.native(c) for c in labelled(names)], [short(c) for c in labelled(names)], fontsize=7)
        axes.set_ylim(-0.5, len(names) - 0.5)
    axes.set_ylabel(shown_as.label)
    axes.grid(alpha=0.25)
