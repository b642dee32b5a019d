"""What the pictures share: colours, which trials are drawn, and how an axis deals with outliers and scales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..text import printable

if TYPE_CHECKING:
    from ..plugin.objective import Objective
    from ..space.parameter import Parameter
    from ..view.trials import TrialRecord
    from .picture import Axis, Hover, Ticks
    from .subject import Subject
    from .units import Quantity

# Okabe and Ito's colours, which people with any kind of colour vision tell apart.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
# Brewer's sequential colours from yellow over green to blue.
_YLGNBU = ("ffffd9", "edf8b1", "c7e9b4", "7fcdbb", "41b6c4", "1d91c0", "225ea8", "253494", "081d58")
_MOST_LABELS, _MOST_HOVERED = 12, 20
_LIGHTEST, _DARKEST = 0.3, 1.0  # the part of a sequential colour map that can be seen on white


def judged(subject: Subject, records: Sequence[TrialRecord]) -> tuple[list[Any], list[Any], str]:
    """The complete trials with a value, those that only got part of the way, and a remark for the title.

    While there is no complete trial, those that got somewhere are judged by what they were worth there. Raises
    ``UsageError`` if no trial has a value.
    """
    valued = [r for r in records if r.value is not None and r.status not in ("failed", "running")]
    complete = [r for r in valued if is_complete(subject, r)]
    partial = [r for r in valued if not is_complete(subject, r)]
    if complete:
        return complete, partial, ""
    if not partial:
        raise UsageError(no_result(subject))
    return partial, [], "; no trial is complete, values are those of the last step"


def is_complete(subject: Subject, record: TrialRecord) -> bool:
    """Whether a trial ran to its end; what was paused beyond the budget is surplus as well, but did not."""
    if record.status == "surplus":
        return not 0 < record.step < (subject.view.max_steps or 0)
    return record.status == "finished"


def no_result(subject: Subject) -> str:
    """What to say where no trial has a value."""
    see = f"aiohpo show {subject.name}" if subject.run is not None else "result.trials"
    return f"{subject.name} has no successful trial to plot (see: {see})"


def shades(n: int) -> list[str]:
    """``n`` colours from light to dark, for what has an order."""
    return [_shade(at) for at in np.linspace(_LIGHTEST, _DARKEST, n)] if n > 1 else [BLUE]


def _shade(at: float) -> str:
    place = at * (len(_YLGNBU) - 1)
    low = min(int(place), len(_YLGNBU) - 2)
    pair = [[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in _YLGNBU[low : low + 2]]
    return "#" + "".join(f"{round(a + (b - a) * (place - low)):02x}" for a, b in zip(*pair, strict=True))


def by_progress(
    subject: Subject, records: Sequence[TrialRecord], rungs: Sequence[int]
) -> list[tuple[str, Any, list[TrialRecord]]]:
    """The trials by how far they got: what to call each group, its shade and its trials; the farthest come last."""
    groups: list[list[TrialRecord]] = [[] for _ in range(len(rungs) + 1)]
    for record in records:
        complete = is_complete(subject, record)
        groups[len(rungs) if complete else sum(record.step >= step for step in rungs)].append(record)
    if not rungs:  # they are given up anywhere
        early = [r for r in records if not is_complete(subject, r)]
        ended = [r for r in records if is_complete(subject, r)]
        named = [("stopped early", shades(2)[0], early), ("to the end", BLUE, ended)]
        return [(word, shade, group) for word, shade, group in named if group]
    words = [f"before step {rungs[0]}", *(f"to step {step}" for step in rungs)]
    words[-1] = f"to the end, {rungs[-1]}" if rungs[-1] == subject.view.max_steps else words[-1]
    kept = [i for i, group in enumerate(groups) if group]
    return [(words[i], shade, groups[i]) for i, shade in zip(kept, shades(len(kept)), strict=True)]


def cut(axis: Axis, y: NDArray[np.float64], objective: Objective, by: NDArray[np.float64] | None = None) -> str:
    """Cut the bad end of the y axis where outliers would flatten the rest; say how many of ``y`` lie outside.

    What is an outlier is told from ``by``, if it is given.
    """
    sign, typical = objective.sign, y if by is None else by
    edge = edge_of(sign * typical)
    if edge is None:
        return ""
    low = float((sign * y).min())
    margin = 0.05 * (edge - low)
    first, last = sorted((sign * (low - margin), sign * edge))
    axis.limits = first, last
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


def scale_of(parameter: Parameter, shown_as: Quantity) -> Axis:
    """The axis of a parameter: logarithmic where it is searched so, with ticks that do not run into each other."""
    from .picture import Axis

    scale = parameter.scale
    if not scale.numeric:
        return Axis(shown_as.label, ticks=named_ticks(parameter), size=7)
    axis = Axis(shown_as.label)
    if scale.log and not shown_as.logarithm:
        axis.log = True
        if scale.last < 1000 * scale.first:  # too few powers of ten to be the only labels
            axis.ticks = [(v, f"{v:.3g}") for v in dict.fromkeys((scale.first, middle_of(parameter), scale.last))]
    elif parameter.native_type is int and not shown_as.exponent:
        axis.whole = not scale.log
    return axis


def named_ticks(parameter: Parameter) -> Ticks:
    """The places and names of the choices of a parameter that is not numeric."""
    return [(float(parameter.native(c)), short(c)) for c in labelled(choices(parameter))]


def told(records: Sequence[TrialRecord], times: int = 1) -> Hover:
    """What is said of each of ``records``, ``times`` over, where it is pointed at."""
    return lambda: [hover(record) for record in records for _ in range(times)]


def hover(record: TrialRecord) -> str:
    """What is said of a trial where it is pointed at."""
    values = [f"{name} = {_brief(value)}" for name, value in record.config.items()]
    more = [f"and {len(values) - _MOST_HOVERED} more"] if len(values) > _MOST_HOVERED else []
    worth = "" if record.value is None else f": {record.value:.6g}"
    after = f" after {record.step} steps" if record.step else ""
    return "\n".join([f"trial {record.number}{worth}{after}", *values[:_MOST_HOVERED], *more])


def _brief(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value), 40)


def short(choice: Any) -> str:
    """A choice as the label of a tick."""
    return printable(str(choice), 12)
