"""How many trials reached each rung, what they were worth there, and who was promoted.

There is a column for each rung at which trials began to be compared (a bracket of Hyperband, where the scheduler has
brackets). Lines are promotions: they lead from the value at one rung to that at the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from .picture import Axis, Bars, Line, Panel, Paths, Picture
from .style import BLUE, GREY, ORANGE, RED, cut, is_complete, told

if TYPE_CHECKING:
    from ..view.trials import TrialRecord
    from .picture import Mark
    from .subject import Subject

_MOST_STOPS = 12  # trials that are stopped anywhere do not meet at rungs
_SPREAD = 0.16
_WIDEST = 100.0  # inches


def picture(subject: Subject) -> Picture:
    """One column for each first rung. Raises ``UsageError`` if no trial was ever paused or stopped at one."""
    rungs, records = subject.rungs(), subject.records
    steps = rungs.steps or _stops(subject, records)
    if not steps:
        scheduler = f", {subject.run.study['scheduler']}," if subject.run is not None else ""
        raise UsageError(
            f"{subject.name} has no rungs: its scheduler{scheduler} does not pause trials at common steps "
            f"(see: {subject.other_kind('curves')})"
        )
    columns = _columns(subject, steps, [r for r in records if r.curve or r.value is not None or r.status == "failed"])
    ticks = [(float(i), str(step)) for i, step in enumerate(steps)]
    above: list[Panel | None] = []
    below: list[Panel] = []
    shown: list[float] = []
    most = 1
    for first, some in columns.items():
        since = steps.index(first) if first in steps else 0
        heights = {r.id: {i: y for i, y in _heights(subject, r, steps).items() if i >= since} for r in some}
        counts = [sum(i in at for at in heights.values()) for i in range(len(steps))]
        named = [str(n) if n else "" for n in counts]
        bars = Bars(range(len(steps)), counts, BLUE, width=0.6, alpha=0.35, texts=named)
        most = max(most, *counts)
        above.append(Panel(Axis(ticks=ticks), Axis(ticks=[]), [bars], grid="", frame=False))
        below.append(Panel(Axis("step", ticks=ticks), grid="y", marks=_climbs(subject, some, heights, len(steps) - 1)))
        shown += [value for at in heights.values() for value in at.values()]
        if len(columns) > 1:
            above[-1].title = f"begins at {first}" if first is not None else "runs to the end"  # type: ignore[union-attr]
    outside = ""
    for made in below:
        outside = cut(made.y, np.array(shown), subject.objective) if shown else ""
    for made in filter(None, above):
        made.y.limits = (0.0, 1.25 * most)  # the columns share their axis
    if above and above[0] is not None:
        above[0].y.label, below[0].y.label = "trials", subject.metric.label
    words = f"; {rungs.promoted} promotions, {rungs.moved_segments[1]} to another worker" if rungs.steps else ""
    return Picture(
        [above, [*below]],
        width=min(max(9.0, 1.0 + 3.0 * len(columns)), _WIDEST),
        height=6.0,
        title=f"{subject.metric.text} at each rung{words}{outside}",
        heights=(1, 3),
        share_x=True,
        share_y=True,
        legend=[
            Line([], [], BLUE, width=0.8, marker=".", label="promoted, or complete"),
            Line([], [], GREY, "", marker=".", label="not promoted"),
            Line([], [], ORANGE, width=2.2, marker=".", label="best"),
        ],
    )


def _stops(subject: Subject, records: Sequence[TrialRecord]) -> list[int]:
    """Where trials were stopped, and their end: the rungs of a scheduler that stops instead of pausing."""
    found = {r.step for r in records if r.status == "stopped" and r.step}
    if not 0 < len(found) <= _MOST_STOPS:
        return []
    return sorted(found | {subject.view.max_steps or max(r.step for r in records)})


def _columns(subject: Subject, steps: list[int], records: Sequence[TrialRecord]) -> dict[int | None, list[TrialRecord]]:
    rungs = subject.rungs()
    columns: dict[int | None, list[TrialRecord]] = {}
    for record in records:
        columns.setdefault(rungs.first_rung(subject.view.row_of(record.id)), []).append(record)
    return {first: columns[first] for first in (*steps, None) if first in columns}


def _heights(subject: Subject, record: TrialRecord, steps: Sequence[int]) -> dict[int, float]:
    """What a trial was worth at the rungs that it reached, by their place: its first report there or beyond."""
    found = {}
    for i, step in enumerate(steps):
        at = min((s for s in record.curve if s >= step), default=None)
        if at is not None and not (at == record.step and is_complete(subject, record)):
            found[i] = record.curve[at]
        elif is_complete(subject, record) and record.value is not None:
            found[i] = record.value
    return found


def _climbs(
    subject: Subject, records: Sequence[TrialRecord], heights: dict[str, dict[int, float]], top: int
) -> list[Mark]:
    """Each trial as dots, joined where it was promoted; where it was not it is grey, but for the ``top``."""
    spread = dict(zip(heights, np.random.default_rng(0).uniform(-_SPREAD, _SPREAD, len(heights)), strict=True))
    paths = {name: np.array([(i + spread[name], y) for i, y in at.items()]) for name, at in heights.items() if at}
    trials = {r.id: r for r in records if r.id in paths}
    best = subject.best_id
    climbs = [name for name, path in paths.items() if len(path) > 1 and name != best]
    faint = max(0.25, min(0.9, 60 / max(len(climbs), 1)))
    marks: list[Mark] = [Paths([paths[n] for n in climbs], BLUE, 0.8, faint, told([trials[n] for n in climbs]))]
    got_to_the_top = {name for name, at in heights.items() if top in at}
    left = [name for name in paths if name not in got_to_the_top]
    few = max(0.35, min(0.9, 100 / max(len(left), 1)))
    went_on = [(n, point) for n, path in paths.items() for point in (path if n in got_to_the_top else path[:-1])]

    def dots(points: Sequence[tuple[str, np.ndarray]], colour: str, size: float, alpha: float = 1.0) -> Line:
        x, y = np.array([point for _, point in points]).reshape(-1, 2).T
        return Line(
            x, y, colour, "", marker=".", size=size, alpha=alpha, hover=told([trials[name] for name, _ in points])
        )

    marks += [dots([(name, paths[name][-1]) for name in left], GREY, 5, few), dots(went_on, BLUE, 6)]
    for name, colour in (("stopped", ORANGE), ("failed", RED)):
        x, y = np.array([paths[r.id][-1] for r in records if r.status == name and r.id in paths]).reshape(-1, 2).T
        marks.append(Line(x, y, colour, "", marker="x", size=5))
    if best in paths:
        x, y = paths[best].T
        marks.append(Line(x, y, ORANGE, width=2.2, marker=".", size=9, hover=told([trials[best]], len(x))))
    return marks
