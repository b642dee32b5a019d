"""Every result in the order in which it came, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .picture import Axis, Line, Panel, Picture
from .style import BLUE, GREY, ORANGE, RED, cut, judged, told

if TYPE_CHECKING:
    from .subject import Subject


def picture(subject: Subject) -> Picture:
    """One picture of its own. Raises ``UsageError`` if no trial has a value."""
    return Picture([[panel(subject)]])


def panel(subject: Subject) -> Panel:
    """Dots are complete trials; the best so far is the best of these."""
    records, objective, metric = subject.records, subject.objective, subject.metric
    done, partial, remark = judged(subject, records)
    failures = [r for r in records if r.status == "failed"]
    ended = sorted([*done, *partial, *failures], key=lambda r: (r.started + (r.seconds or 0.0), r.number))
    order = {r.id: i for i, r in enumerate(ended, start=1)}
    done.sort(key=lambda r: order[r.id])
    x = np.array([order[r.id] for r in done])
    y = np.array([r.value for r in done], dtype=float)
    made = Panel(Axis("trials", whole=True), Axis(metric.label), legend="inside")
    for how, mark, colour in (("part of the way", ".", GREY), ("stopped early", "x", ORANGE)):
        some = [r for r in partial if (r.status == "stopped") == (how == "stopped early")]
        if some:
            at, values = [order[r.id] for r in some], [r.value for r in some]
            label = f"{how} ({len(some)})"
            made.marks.append(
                Line(at, values, colour, "", marker="." if mark == "." else "x", size=4, alpha=0.7, label=label,
                     hover=told(some))
            )  # fmt: skip
    clear = 0.6 if len(y) > 30 else 1.0
    texts = told(done)
    made.marks.append(Line(x, y, BLUE, "", marker=".", alpha=clear, label=f"complete ({len(y)})", hover=texts))
    best = np.minimum.accumulate(objective.sign * y) * objective.sign
    made.marks.append(Line(np.append(x, len(ended)), np.append(best, best[-1]), ORANGE, step=True, label="best so far"))
    if failures:
        at = [order[r.id] for r in failures]
        texts = told(failures)
        label = f"failed ({len(at)})"
        made.marks.append(
            Line(at, [0.0] * len(at), RED, "", marker="|", size=8, at_bottom=True, label=label, hover=texts)
        )
    outside = cut(made.y, np.append(y, [r.value for r in partial]), objective)
    best_id = min(done, key=lambda r: objective.loss(r.value)).id
    reached = subject.view.record(subject.view.row_of(best_id), 0).value  # what is drawn may be rounded to its unit
    made.title = f"{metric.text}: {reached:.6g} after {len(ended)} trials{outside}{remark}"
    return made
