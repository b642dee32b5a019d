"""Every result in the order in which it came, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .style import BLUE, GREY, ORANGE, RED, cut, judged, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from .units import Quantity


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """One picture of its own."""
    draw_on(figure.subplots(), run, records, metric)


def draw_on(axes: Axes, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """Draw on ``axes``: dots are complete trials; the best so far is the best of these."""
    done, partial, remark = judged(run, records)
    failures = [r for r in records if r.status == "failed"]
    ended = sorted([*done, *partial, *failures], key=lambda r: (r.started + (r.seconds or 0.0), r.number))
    order = {r.id: i for i, r in enumerate(ended, start=1)}
    done.sort(key=lambda r: order[r.id])
    x = np.array([order[r.id] for r in done])
    y = np.array([r.value for r in done], dtype=float)
    for how, mark, colour in (("part of the way", ".", GREY), ("stopped early", "x", ORANGE)):
        some = [(order[r.id], r.value) for r in partial if (r.status == "stopped") == (how == "stopped early")]
        if some:
            axes.plot(*zip(*some, strict=True), mark, color=colour, ms=4, alpha=0.7, label=f"{how} ({len(some)})")
    axes.plot(x, y, ".", color=BLUE, alpha=0.6 if len(y) > 30 else 1.0, ms=6, label=f"complete ({len(y)})")
    best = np.minimum.accumulate(run.view.objective.sign * y) * run.view.objective.sign
    axes.step(np.append(x, len(ended)), np.append(best, best[-1]), where="post", color=ORANGE, label="best so far")
    failed = [order[r.id] for r in failures]
    if failed:
        axes.plot(failed, np.full(len(failed), 0.02), "|", color=RED, transform=axes.get_xaxis_transform(), ms=8)
        axes.plot([], [], "|", color=RED, label=f"failed ({len(failed)})")
    shown = np.append(y, [r.value for r in partial])
    outside = cut(axes, shown, run.view.objective)
    best_id = min(done, key=lambda r: run.view.objective.loss(r.value)).id
    reached = run.view.record(run.view.row_of(best_id), 0).value  # what is drawn may be rounded to its unit
    axes.set_title(f"{metric.text}: {reached:.6g} after {len(ended)} trials{outside}{remark}", loc="left")
    whole_numbers(axes.xaxis)
    axes.set_xlabel("trials")
    axes.set_ylabel(metric.label)
    axes.legend(loc="best", framealpha=0.85, edgecolor="none")
    axes.grid(alpha=0.25)
