"""The empirical distribution of results: which share of the trials is at least as good as each value.

The more to the good side a curve lies, the better its search did on the whole, not only in its best trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..text import printable
from .picture import Axis, Line, Panel, Picture
from .style import BLUE, GREEN, GREY, ORANGE, RED, cut, judged

if TYPE_CHECKING:
    from .subject import Subject

_COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", GREY)  # Okabe and Ito's
_LONGEST = 40  # characters of a name


def picture(subjects: Sequence[Subject]) -> Picture:
    """A curve for each search. Raises ``UsageError`` if they are for different metrics, or one has no value."""
    first = subjects[0]
    values = []
    for subject in subjects:
        if subject.objective != first.objective:
            mine, other = first.objective, subject.objective
            raise UsageError(
                f"{first.name} searches the {mine.direction} of {mine.metric!r} and {subject.name} the "
                f"{other.direction} of {other.metric!r}, which cannot be compared"
            )
        done, partial, _ = judged(subject, subject.records)
        factor = 10.0 ** (subject.metric.exponent - first.metric.exponent)
        found = np.array([r.value for r in done], dtype=float) * factor
        values.append((subject, np.sort(found[np.isfinite(found)])[:: int(first.objective.sign)], len(partial)))
    made = Panel(Axis(first.metric.label), Axis("share of the complete trials", limits=(0.0, 1.02)))
    everything = np.concatenate([found for _, found, _ in values])
    outside = cut(made.x, everything, first.objective)
    for i, (subject, found, _) in enumerate(values):
        share = np.arange(1, len(found) + 1) / len(found)
        colour, dash = _COLOURS[i % len(_COLOURS)], "-" if i < len(_COLOURS) else "--"
        name = printable(subject.name)
        name = name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"  # runs differ at the end of their paths
        label = f"{name} ({len(found)})" if len(values) > 1 else ""
        x, y = np.append(found, found[-1:]), np.append(share, share[-1:])
        made.marks.append(Line(x, y, colour, "-" if dash == "-" else "--", width=1.8, step=True, label=label))
    made.legend = "inside" if len(values) > 1 else None
    goal = "at most" if first.objective.direction == "min" else "at least"
    left = sum(partial for _, _, partial in values)
    remark = f"; {left} that are not complete are left out" if left else ""
    made.title = f"share of the trials whose {first.metric.text} is {goal} that{outside}{remark}"
    return Picture([[made]])
