"""The learning curves of all trials: the farther a trial got the darker, the best on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .style import ORANGE, RED, by_progress, cut, is_complete, spans_magnitudes, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..plugin.objective import Objective
    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from .units import Quantity

_ENDS = {"paused": (".", None), "stopped": ("x", ORANGE), "failed": ("x", RED)}
_MOST = 1000  # curves of each colour; more look the same, and take 4 kB each while they are drawn
_CLEAR = 40  # so many curves can be told apart; of more, each is fainter


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """One picture of its own."""
    draw_on(figure.subplots(), run, records, metric)


def draw_on(axes: Axes, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """Draw on ``axes``. Raises ``UsageError`` if no trial reported anything on its way."""
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import NullFormatter, NullLocator

    shown = [r for r in records if r.curve]
    if not shown:
        raise UsageError(
            f"no trial in {run.path} has a curve: call trial.report(...) after each step of the objective "
            f"(what there is: aiohpo plot {run.path} --kind history)"
        )
    leader = run.view.leader()
    best = None if leader is None else run.view.record(leader, 0).id
    rungs = [step for step in run.rungs().steps if step <= max(r.step for r in shown)]
    faint = max(0.12, min(0.9, _CLEAR / len(shown)))
    curves = {r.id: _curve(run, r) for r in shown if r.id == best}
    for word, colour, group in by_progress(run, shown, rungs):
        drawn = _some_of(run, group)
        curves.update((r.id, _curve(run, r)) for r in drawn)
        lines = [curves[r.id] for r in drawn if r.id != best]
        # The few that got far must not drown among the many that did not.
        clear = max(faint, min(0.9, _CLEAR / 2 / max(len(lines), 1)))
        axes.add_collection(LineCollection(lines, colors=[colour], linewidths=1.0, alpha=clear))
        axes.plot([], [], color=colour, lw=1.5, label=f"{word} ({len(group)})")
        for status, (mark, own) in _ENDS.items():
            ends = np.array([curves[r.id][-1] for r in drawn if r.status == status]).reshape(-1, 2)
            axes.plot(*ends.T, mark, color=own or colour, ms=4, alpha=1.0 if own else clear)
    for status in ("stopped", "failed"):
        n = sum(r.status == status for r in shown)
        if n:
            axes.plot([], [], "x", color=_ENDS[status][1], ms=4, label=f"{status} ({n})")
    if best in curves:
        number = next(r.number for r in shown if r.id == best)
        axes.plot(*curves[best].T, color=ORANGE, lw=2.4, label=f"best: trial {number}")
    points = np.concatenate(list(curves.values()))
    last = int(points[:, 0].max())
    if len(rungs) > 2:
        axes.set_xscale("log")
        axes.set_xticks(rungs, [str(step) for step in rungs])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(points[:, 0].min() / 1.05, last * 1.1)
    else:
        whole_numbers(axes.xaxis)
        axes.set_xlim(min(1, points[:, 0].min()) - 0.01 * last, last * 1.02)
    objective = run.view.objective if metric.name == run.view.objective.metric else None
    outside = _scale(axes, list(curves.values()), rungs, objective)
    ended = sum(is_complete(run, r) for r in shown)
    some = "" if len(curves) == len(shown) else f" ({len(curves)} drawn)"
    axes.set_title(f"{len(shown)} curves{some}, {ended} of complete trials{outside}", loc="left")
    axes.set_xlabel("step")
    axes.set_ylabel(metric.label)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    axes.grid(alpha=0.25)


def _some_of(run: Run, group: Sequence[TrialRecord]) -> Sequence[TrialRecord]:
    """At most ``_MOST`` of a group: evenly spaced from the best to the worst by what they were worth last."""
    if len(group) <= _MOST:
        return group
    last = [run.view.objective.loss(r.curve[max(r.curve)]) for r in group]
    ranked = np.argsort(last, kind="stable")
    return [group[i] for i in ranked[np.linspace(0, len(group) - 1, _MOST).round().astype(int)]]


def _curve(run: Run, record: TrialRecord) -> NDArray[np.float64]:
    """The points (step, value) of a trial; its result, which may be another number, stands at its last step."""
    points = dict(record.curve)
    if is_complete(run, record) and record.value is not None:
        points[max(record.step, *points)] = record.value
    return np.array(sorted(points.items()), dtype=float)


def _scale(axes: Axes, curves: Sequence[NDArray[np.float64]], rungs: Sequence[int], objective: Objective | None) -> str:
    """Choose the y axis; say what lies outside. A long curve must not count by its many points, but by what it was
    worth at each rung and in the end. Of a metric without an ``objective`` no end of the axis is the bad one."""
    if objective is None:
        axes.autoscale_view(scalex=False)
        return ""
    y = np.concatenate([curve[:, 1] for curve in curves])
    chosen = [np.isin(curve[:, 0], [*rungs, curve[-1, 0]]) for curve in curves]
    typical = np.concatenate([curve[at, 1] for curve, at in zip(curves, chosen, strict=True)])
    if spans_magnitudes(typical, objective):
        axes.set_yscale("log")
        return ""
    axes.margins(y=0.05)
    axes.autoscale_view(scalex=False)
    return cut(axes, y, objective, typical).replace("worse ones lie", "worse reports lie")
