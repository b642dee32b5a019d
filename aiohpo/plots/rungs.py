"""How many trials reached each rung, what they were worth there, and who was promoted.

There is a column for each rung at which trials began to be compared (a bracket of Hyperband, where the scheduler has
brackets). Lines are promotions: they lead from the value at one rung to that at the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from .style import BLUE, GREY, ORANGE, RED, cut, is_complete

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from .units import Quantity

_MOST_STOPS = 12  # trials that are stopped anywhere do not meet at rungs
_SPREAD = 0.16
_WIDEST = 100.0  # inches


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """One column for each first rung. Raises ``UsageError`` if no trial was ever paused or stopped at one."""
    rungs = run.rungs()
    steps = rungs.steps or _stops(run, records)
    if not steps:
        raise UsageError(
            f"{run.path} has no rungs: its scheduler, {run.study['scheduler']}, pauses no trials at common steps "
            f"(see: aiohpo plot {run.path} --kind curves)"
        )
    columns = _columns(run, steps, [r for r in records if r.curve or r.value is not None or r.status == "failed"])
    figure.set_size_inches(min(max(9.0, 1.0 + 3.0 * len(columns)), _WIDEST), 6)
    grid: Any = figure.subplots(2, len(columns), squeeze=False, sharex=True, sharey="row", height_ratios=(1, 3))
    leader = run.view.leader()
    best = None if leader is None else run.view.record(leader, 0).id
    shown: list[float] = []
    for (first, some), bars, axes in zip(columns.items(), grid[0], grid[1], strict=True):
        since = steps.index(first) if first in steps else 0
        heights = {r.id: {i: y for i, y in _heights(run, r, steps).items() if i >= since} for r in some}
        _count(bars, steps, [sum(i in at for at in heights.values()) for i in range(len(steps))])
        _climbs(axes, some, heights, best, len(steps) - 1)
        shown += [value for at in heights.values() for value in at.values()]
        if len(columns) > 1:
            bars.set_title(f"begins at {first}" if first is not None else "runs to the end", fontsize=9)
        axes.set_xlabel("step")
    outside = cut(grid[1][0], np.array(shown), run.view.objective) if shown else ""
    grid[0][0].set_ylabel("trials")
    grid[1][0].set_ylabel(metric.label)
    words = f"; {rungs.promoted} promotions, {rungs.moved_segments[1]} to another worker" if rungs.steps else ""
    figure.suptitle(f"{metric.text} at each rung{words}{outside}", x=0.01, ha="left")
    _legend(figure)


def _stops(run: Run, records: Sequence[TrialRecord]) -> list[int]:
    """Where trials were stopped, and their end: the rungs of a scheduler that stops instead of pausing."""
    found = {r.step for r in records if r.status == "stopped" and r.step}
    if not 0 < len(found) <= _MOST_STOPS:
        return []
    return sorted(found | {run.view.max_steps or max(r.step for r in records)})


def _columns(run: Run, steps: list[int], records: Sequence[TrialRecord]) -> dict[int | None, list[TrialRecord]]:
    rungs = run.rungs()
    columns: dict[int | None, list[TrialRecord]] = {}
    for record in records:
        columns.setdefault(rungs.first_rung(run.view.row_of(record.id)), []).append(record)
    return {first: columns[first] for first in (*steps, None) if first in columns}


def _heights(run: Run, record: TrialRecord, steps: Sequence[int]) -> dict[int, float]:
    """What a trial was worth at the rungs that it reached, by their place: its first report there or beyond."""
    found = {}
    for i, step in enumerate(steps):
        at = min((s for s in record.curve if s >= step), default=None)
        if at is not None and not (at == record.step and is_complete(run, record)):
            found[i] = record.curve[at]
        elif is_complete(run, record) and record.value is not None:
            found[i] = record.value
    return found


def _count(axes: Axes, steps: Sequence[int], counts: Sequence[int]) -> None:
    drawn = axes.bar(range(len(steps)), counts, width=0.6, color=BLUE, alpha=0.35)
    axes.bar_label(drawn, [str(n) if n else "" for n in counts], fontsize=8, padding=1)
    axes.set_xticks(range(len(steps)), [str(step) for step in steps])
    axes.margins(y=0.25)
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _climbs(
    axes: Axes, records: Sequence[TrialRecord], heights: dict[str, dict[int, float]], best: str | None, top: int
) -> None:
    """Each trial as dots, joined where it was promoted; where it was not it is grey, but for the ``top``."""
    from matplotlib.collections import LineCollection

    spread = dict(zip(heights, np.random.default_rng(0).uniform(-_SPREAD, _SPREAD, len(heights)), strict=True))
    paths = {name: np.array([(i + spread[name], y) for i, y in at.items()]) for name, at in heights.items() if at}
    climbs = [path for name, path in paths.items() if len(path) > 1 and name != best]
    faint = max(0.25, min(0.9, 60 / max(len(climbs), 1)))
    axes.add_collection(LineCollection(climbs, colors=BLUE, linewidths=0.8, alpha=faint))
    got_to_the_top = {name for name, at in heights.items() if top in at}
    left = np.array([path[-1] for name, path in paths.items() if name not in got_to_the_top]).reshape(-1, 2)
    went_on = np.array(
        [point for name, path in paths.items() for point in (path if name in got_to_the_top else path[:-1])]
    ).reshape(-1, 2)
    few = max(0.35, min(0.9, 100 / max(len(left), 1)))
    axes.plot(*left.T, ".", color=GREY, ms=5, alpha=few)
    axes.plot(*went_on.T, ".", color=BLUE, ms=6)
    for name, colour, mark in (("stopped", ORANGE, "x"), ("failed", RED, "x")):
        ends = np.array([paths[r.id][-1] for r in records if r.status == name and r.id in paths]).reshape(-1, 2)
        axes.plot(*ends.T, mark, color=colour, ms=5)
    if best in paths:
        axes.plot(*paths[best].T, ".-", color=ORANGE, lw=2.2, ms=9)
    axes.grid(alpha=0.25, axis="y")


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=BLUE, marker=".", lw=0.8, label="promoted, or complete"),
        Line2D([], [], color=GREY, marker=".", ls="none", label="not promoted"),
        Line2D([], [], color=ORANGE, marker=".", lw=2.2, label="best"),
    ]
    figure.legend(handles=marks, loc="outside lower right", ncols=3, frameon=False, fontsize=8)
