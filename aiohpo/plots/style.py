"""What the pictures share: colours, which trials are drawn, and how an axis deals with outliers and scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..text import plot_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from ..plugin.objective import Objective
    from ..space.parameter import Parameter
    from ..storage.run import Run
    from ..view.trials import TrialRecord

# Okabe and Ito's colours, which people with any kind of colour vision tell apart.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
_MOST_LABELS = 12
_LIGHTEST, _DARKEST = 0.3, 1.0  # the part of a sequential colour map that can be seen on white


def judged(run: Run, records: Sequence[TrialRecord]) -> tuple[list[Any], list[Any], str]:
    """The complete trials with a value, those that only got part of the way, and a remark for the title.

    While there is no complete trial, those that got somewhere are judged by what they were worth there. Raises
    ``UsageError`` if no trial has a value.
    """
    valued = [r for r in records if r.value is not None and r.status not in ("failed", "running")]
    complete = [r for r in valued if is_complete(run, r)]
    partial = [r for r in valued if not is_complete(run, r)]
    if complete:
        return complete, partial, ""
    if not partial:
        raise UsageError(f"{run.path} has no successful trial to plot (see: aiohpo show {run.path})")
    return partial, [], "; no trial is complete, values are those of the last step"


def is_complete(run: Run, record: TrialRecord) -> bool:
    """Whether a trial ran to its end; what was paused beyond the budget is surplus as well, but did not."""
    if record.status == "surplus":
        return not 0 < record.step < (run.view.max_steps or 0)
    return record.status == "finished"


def shades(n: int) -> list[Any]:
    """``n`` colours from light to dark, for what has an order."""
    from matplotlib import colormaps

    return [colormaps["YlGnBu"](at) for at in np.linspace(_LIGHTEST, _DARKEST, n)] if n > 1 else [BLUE]


def by_progress(
    run: Run, records: Sequence[TrialRecord], rungs: Sequence[int]
) -> list[tuple[str, Any, list[TrialRecord]]]:
    """The trials by how far they got: what to call each group, its shade and its trials; the farthest come last."""
    groups: list[list[TrialRecord]] = [[] for _ in range(len(rungs) + 1)]
    for record in records:
        complete = is_complete(run, record)
        groups[len(rungs) if complete else sum(record.step >= step for step in rungs)].append(record)
    if not rungs:  # they are given up anywhere
        early = [r for r in records if not is_complete(run, r)]
        ended = [r for r in records if is_complete(run, r)]
        named = [("stopped early", shades(2)[0], early), ("to the end", BLUE, ended)]
        return [(word, shade, group) for word, shade, group in named if group]
    words = [f"before step {rungs[0]}", *(f"to step {step}" for step in rungs)]
    words[-1] = f"to the end, {rungs[-1]}" if rungs[-1] == run.view.max_steps else words[-1]
    kept = [i for i, group in enumerate(groups) if group]
    return [(words[i], shade, groups[i]) for i, shade in zip(kept, shades(len(kept)), strict=True)]


def cut(axes: Axes, y: NDArray[np.float64], objective: Objective, by: NDArray[np.float64] | None = None) -> str:
    """Cut the bad end of the y axis where outliers would flatten the rest; say how many of ``y`` lie outside.

    What is an outlier is told from ``by``, if it is given.
    """
    sign, typical = objective.sign, y if by is None else by
    edge = edge_of(sign * typical)
    if edge is None:
        return ""
    low = float((sign * y).min())
    margin = 0.05 * (edge - low)
    axes.set_ylim(*sorted((sign * (low - margin), sign * edge)))
    return f" ({int((sign * y > edge).sum())} worse ones lie outside)"


def edge_of(loss: NDArray[np.float64]) -> float | None:
    """The loss at which to cut an axis, None where no outlier flattens the rest."""
    low, typical, high = float(loss.min()), float(np.quantile(loss, 0.8)), float(loss.max())
    edge = low + 1.5 * (typical - low)
    return edge if low < edge < low + (high - low) / 2 else None


def spans_magnitudes(y: NDArray[np.float64], objective: Objective) -> bool:
    """Whether losses fall by so much that only their logarithms show it: good values of a thirtieth of typical ones."""
    return bool(objective.direction == "min" and y.min() > 0 and np.median(y) > 30 * y.min())


def choices(parameter: Parameter) -> list[Any]:
    """The values of a parameter that is not numeric, which stand at 0, 1, 2, …"""
    return parameter.values(np.arange(float(parameter.levels or 0)))


def labelled(choices: Sequence[Any]) -> Sequence[Any]:
    """Those of an axis' choices that there is room to name."""
    return choices[:: math.ceil(len(choices) / _MOST_LABELS)]


def middle_of(parameter: Parameter) -> float:
    """The middle of a range, on the scale on which it is searched."""
    low, high = parameter.scale.first, parameter.scale.last
    middle = math.sqrt(low) * math.sqrt(high) if parameter.scale.log else low / 2 + high / 2
    return round(middle) if parameter.native_type is int else middle


def whole_numbers(axis: Axis) -> None:
    """Put the ticks of a linear axis at whole numbers, for what has no halves."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def short(choice: Any) -> str:
    """A choice as the label of a tick."""
    return plot_text(str(choice), 12)
