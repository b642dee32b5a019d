"""How much each parameter matters, overall and among the best trials, with bootstrap intervals of 90 %."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..importance.importances import importances
from ..text import printable
from .picture import Axis, Bars, Panel, Picture
from .style import BLUE, ORANGE

if TYPE_CHECKING:
    from .subject import Subject

_MOST = 20  # parameters
_LONGEST = 30  # characters of a name


def picture(subject: Subject) -> Picture:
    """A pair of bars for each parameter. Raises ``UsageError`` as
    :func:`~aiohpo.importance.importances.importances` does."""
    found = importances(subject.space, subject.objective, subject.records)
    shown = found.by()[:_MOST]
    left = len(found) - len(shown)
    at = np.arange(float(len(shown)))
    overall = np.array([(p.importance, p.low, p.high) for p in shown]).T
    best = np.array([(p.among_best, p.among_best_low, p.among_best_high) for p in shown]).T
    bars = [
        Bars(
            at + shift, value, colour, width=0.36, across=True, label=label, alpha=0.85,
            error=np.maximum([value - low, high - value], 0.0),
        )
        for (value, low, high), colour, shift, label in (
            (overall, BLUE, -0.2, "overall"), (best, ORANGE, 0.2, f"among the best {found.best}"),
        )
    ]  # fmt: skip
    made = Panel(
        Axis("share of the variance", limits=(0.0, max(1.05 * float(max(overall[2].max(), best[2].max())), 0.05))),
        Axis(
            ticks=[(float(i), printable(p.parameter, _LONGEST)) for i, p in enumerate(shown)],
            limits=(len(shown) - 0.4, -0.6),
        ),
        [*bars],
        title=f"importance for {found.heading()}" + (f"; {left} smaller ones are left out" if left else ""),
        legend="inside",
    )
    return Picture([[made]], height=1.6 + 0.45 * max(len(shown), 4))
