"""The learning curves of all trials: the farther a trial got the darker, the best on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .picture import Axis, Line, Panel, Paths, Picture
from .style import ORANGE, RED, by_progress, cut, is_complete, spans_magnitudes, told

if TYPE_CHECKING:
    from ..plugin.objective import Objective
    from ..view.trials import TrialRecord
    from .subject import Subject

_MOST = 1000  # curves of each colour; more look the same, and take 4 kB each while they are drawn
_CLEAR = 40  # so many curves can be told apart; of more, each is fainter


def picture(subject: Subject) -> Picture:
    """One picture of its own. Raises ``UsageError`` if no trial reported anything on its way."""
    return Picture([[panel(subject)]])


def panel(subject: Subject) -> Panel:
    """Compute the panel. Raises ``UsageError`` if no trial reported anything on its way."""
    shown = [r for r in subject.records if r.curve]
    if not shown:
        raise UsageError(
            f"no trial in {subject.name} has a curve: call trial.report(...) after each step of the objective "
            f"(instead: {subject.other_kind('history')})"
        )
    best = subject.best_id
    rungs = [step for step in subject.rungs().steps if step <= max(r.step for r in shown)]
    faint = max(0.12, min(0.9, _CLEAR / len(shown)))
    curves = {r.id: _curve(subject, r) for r in shown if r.id == best}
    made = Panel(Axis("step"), Axis(subject.metric.label), legend="outside")
    for word, colour, group in by_progress(subject, shown, rungs):
        drawn = _some_of(subject, group)
        curves.update((r.id, _curve(subject, r)) for r in drawn)
        lines = [r for r in drawn if r.id != best]
        # The few that got far must not drown among the many that did not.
        clear = max(faint, min(0.9, _CLEAR / 2 / max(len(lines), 1)))
        made.marks.append(Paths([curves[r.id] for r in lines], colour, 1.0, clear, told(lines)))
        made.marks.append(Line([], [], colour, label=f"{word} ({len(group)})"))
        ends = {status: [curves[r.id][-1] for r in drawn if r.status == status] for status in _ENDS}
        for status, own in _ENDS.items():
            x, y = np.array(ends[status]).reshape(-1, 2).T
            mark: Line = Line(x, y, own or colour, "", marker="x" if own else ".", size=4, alpha=1.0 if own else clear)
            made.marks.append(mark)
    for status in ("stopped", "failed"):
        n = sum(r.status == status for r in shown)
        if n:
            made.marks.append(Line([], [], _ENDS[status] or "", "", marker="x", size=4, label=f"{status} ({n})"))
    if best in curves:
        record = next(r for r in shown if r.id == best)
        x, y = curves[record.id].T
        label = f"best: trial {record.number}"
        made.marks.append(Line(x, y, ORANGE, width=2.4, label=label, hover=told([record], len(x))))
    points = np.concatenate(list(curves.values()))
    last = int(points[:, 0].max())
    if len(rungs) > 2:
        made.x.log = True
        made.x.ticks = [(step, str(step)) for step in rungs]
        made.x.limits = float(points[:, 0].min() / 1.05), last * 1.1
    else:
        made.x.whole = True
        made.x.limits = float(min(1, points[:, 0].min()) - 0.01 * last), last * 1.02
    objective = subject.objective if subject.metric.name == subject.objective.metric else None
    outside = _scale(made.y, list(curves.values()), rungs, objective)
    ended = sum(is_complete(subject, r) for r in shown)
    some = "" if len(curves) == len(shown) else f" ({len(curves)} drawn)"
    made.title = f"{len(shown)} curves{some}, {ended} of complete trials{outside}"
    return made


_ENDS = {"paused": None, "stopped": ORANGE, "failed": RED}


def _some_of(subject: Subject, group: Sequence[TrialRecord]) -> Sequence[TrialRecord]:
    """At most ``_MOST`` of a group: evenly spaced from the best to the worst by what they were worth last."""
    if len(group) <= _MOST:
        return group
    last = [subject.objective.loss(r.curve[max(r.curve)]) for r in group]
    ranked = np.argsort(last, kind="stable")
    return [group[i] for i in ranked[np.linspace(0, len(group) - 1, _MOST).round().astype(int)]]


def _curve(subject: Subject, record: TrialRecord) -> NDArray[np.float64]:
    """The points (step, value) of a trial; its result, which may be another number, stands at its last step."""
    points = dict(record.curve)
    if is_complete(subject, record) and record.value is not None:
        points[max(record.step, *points)] = record.value
    return np.array(sorted(points.items()), dtype=float)


def _scale(axis: Axis, curves: Sequence[NDArray[np.float64]], rungs: Sequence[int], objective: Objective | None) -> str:
    """Choose the y axis; say what lies outside. A long curve must not count by its many points, but by what it was
    worth at each rung and in the end. Of a metric without an ``objective`` no end of the axis is the bad one."""
    if objective is None:
        return ""
    y = np.concatenate([curve[:, 1] for curve in curves])
    chosen = [np.isin(curve[:, 0], [*rungs, curve[-1, 0]]) for curve in curves]
    typical = np.concatenate([curve[at, 1] for curve, at in zip(curves, chosen, strict=True)])
    if spans_magnitudes(typical, objective):
        axis.log = True
        return ""
    return cut(axis, y, objective, typical).replace("worse ones lie", "worse reports lie")
