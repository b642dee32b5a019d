"""The schedule that led to the best result: what its line of trials was trained with, step by step.

At the top is the metric along the line, below it one panel for each parameter that changed on the way, on a
logarithmic axis where the parameter is searched on one. Faint behind: all other trials, each over the steps that it
trained itself, with a thin connection to where it began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from ..view.lineage import Lineage
from ..view.summary import value_in_words
from .picture import Axis, Line, Panel, Paths, Picture, Rules
from .style import BLUE, GREY, ORANGE, choices, cut, no_result, scale_of
from .units import Quantity

if TYPE_CHECKING:
    from ..view.trials import TrialRecord
    from .subject import Subject

_MOST_PANELS = 8
_INCH = 1.7  # height of a panel
_MAGNITUDES = 30  # a line whose values differ by more than this factor needs a logarithmic axis


def picture(subject: Subject) -> Picture:
    """The best trial's schedule. Raises ``UsageError`` if no trial has a value, or none has steps."""
    if subject.best is None:
        raise UsageError(no_result(subject))
    if not any(record.curve for record in subject.records):
        raise UsageError(
            f"no trial in {subject.name} reported at a step, so there is no schedule: give Study(max_steps=…) and call "
            f"trial.report(...) after each step (instead: {subject.other_kind('history')})"
        )
    lineage = Lineage(subject.records)
    best = next(record for record in subject.records if record.id == subject.best.id)
    names = _shown(subject, lineage, best)
    panels = [_values(subject, lineage, best), *(_parameter(subject, name, lineage, best) for name in names)]
    for panel in panels:
        panel.x.whole = True
    panels[-1].x.label = "step"
    stretches = len(lineage.ancestry(best))
    how = f"a line of {stretches} trials" if stretches > 1 else "one configuration all the way"
    left = len(_changed(subject, lineage, best)) - len(names) if stretches > 1 else 0
    more = f"; {left} more parameters changed" if left > 0 else ""
    value = value_in_words(subject.best, subject.view.max_steps)
    panels[0].title = f"trial {best.number}, {subject.metric.text} {value}: {how}{more}"
    heights = [1.4, *[1.0] * len(names)]
    return Picture([[panel] for panel in panels], height=2.6 + _INCH * len(names), heights=heights, share_x=True)


def _changed(subject: Subject, lineage: Lineage, best: TrialRecord) -> list[str]:
    found = {name for record in lineage.ancestry(best) for name in lineage.changes(record)}
    return [name for name in subject.space.names if name in found]


def _shown(subject: Subject, lineage: Lineage, best: TrialRecord) -> list[str]:
    """The parameters that changed along the best line; if none did, those that it has."""
    names = _changed(subject, lineage, best) or [name for name in subject.space.names if name in best.config]
    return names[:_MOST_PANELS]


def _values(subject: Subject, lineage: Lineage, best: TrialRecord) -> Panel:
    others = [np.array(sorted(record.curve.items()), dtype=float) for record in subject.records if record.curve]
    made = Panel(y=Axis(subject.metric.label), marks=[Paths(others, GREY, 0.6, 0.5)])
    line = lineage.values_by_step(best)
    if line:
        steps, values = zip(*line, strict=True)
        made.marks += [Line(steps, values, ORANGE, width=2, label="its line"), Line([], [], GREY, label="all trials")]
        made.legend = "inside"
        joints = [stretch.first - 0.5 for stretch in lineage.schedule(best)[1:]]
        made.marks.append(Rules(joints, colour=BLUE, width=0.6, dash=":"))
        everything = np.concatenate([curve[:, 1] for curve in others])
        if everything.min() > 0 and max(values) > _MAGNITUDES * min(values):
            made.y.log = True
        else:
            cut(made.y, everything, subject.objective, np.array(values))
    return made


def _parameter(subject: Subject, name: str, lineage: Lineage, best: TrialRecord) -> Panel:
    parameter = subject.space[name]
    shown_as = Quantity.of_parameter(name, parameter)
    height = shown_as.drawn if parameter.scale.numeric else parameter.native
    stays, joins = [], []
    for record in subject.records:
        if name in record.config:
            first, last = lineage.first_step(record), max(record.step, lineage.first_step(record))
            at = height(record.config[name])
            stays.append(np.array([[first, at], [last, at]], dtype=float))
            parent = lineage.parent(record)
            if parent is not None and name in parent.config:
                joins.append(np.array([[first, height(parent.config[name])], [first, at]], dtype=float))
    x: list[float] = []
    y: list[float] = []
    for stretch in lineage.schedule(best):
        at = height(stretch.config[name]) if name in stretch.config else float("nan")
        x += [stretch.first - 1, stretch.last]
        y += [at, at]
    line = Line(x, y, ORANGE, width=2, marker="." if len(x) == 2 else "")
    axis = scale_of(parameter, shown_as)
    if parameter.scale.numeric:
        axis.ticks = None
    else:
        axis.limits = -0.5, len(choices(parameter)) - 0.5
    return Panel(y=axis, marks=[Paths(stays, GREY, 0.8, 0.6), Paths(joins, GREY, 0.5, 0.4), line])
