"""What each worker ran when, and which part of them was busy.

Where trials pause, the shade of a segment says how far it was to go, and a line leads from each pause to the worker
that went on; elsewhere the colour says how a trial ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..report.active_time import ActiveTime
from ..view.segments import Span, all_segments
from .style import BLUE, GREEN, GREY, ORANGE, RED, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..events.schema import TrialId
    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from .units import Quantity

_MOST_WORKER_NAMES = 24
_LATEST = 1e11  # seconds since the epoch, and of a segment: some 3,000 years
_COLOURS: dict[str, Any] = {
    "finished": BLUE,
    "paused": GREEN,
    "stopped": ORANGE,
    "failed": RED,
    "released": GREY,
    "cancelled": GREY,
    "unfinished": GREY,
}


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """One picture of its own."""
    draw_on(figure.subplots(), run)


def draw_on(axes: Axes, run: Run) -> None:
    """Draw on ``axes``. Raises ``UsageError`` if nobody ran anything."""
    found = drawable(run)
    if not found:
        raise UsageError(f"{run.path} has no trial that a worker ran")
    lives = _lives(run, found)
    bars = _bars(found, lives)
    clock = ActiveTime(lives.values())
    rows = {worker: row for row, worker in enumerate(sorted(lives, key=lambda w: (lives[w], w)))}
    name_of, colours = _legend(run)
    places: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for bar in bars:
        if bar.seconds:
            places.setdefault((name_of(bar), bar.worker), []).append((clock(bar.began), bar.seconds))
    for (name, worker), at in places.items():
        axes.broken_barh(at, (rows[worker] - 0.4, 0.8), facecolor=colours[name], edgecolor="white", lw=0.3)
    for name in (name for name in colours if any(name == used for used, _ in places)):
        axes.broken_barh([], (0, 0), facecolor=colours[name], label=name)
    _moves(axes, bars, clock, rows)
    for mark, word in {"|": "left", "x": "dead"}.items():
        workers = [worker for worker in lives if run.loaded.states.get(worker) == word]
        if workers:
            moments = [clock(lives[w][1]) for w in workers]
            axes.plot(moments, [rows[w] for w in workers], mark, color="black", ms=8, label=word, ls="none")
    for moment in clock.cuts:
        axes.axvline(moment, color="black", lw=0.8, ls=":")
    alive = sum(last - first for first, last in lives.values())
    busy = sum(bar.seconds or 0.0 for bar in bars)
    if len(rows) <= _MOST_WORKER_NAMES:
        axes.set_yticks(list(rows.values()), [_label(run, worker) for worker in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(clock(max(last for _, last in lives.values())), 1e-6) * 1.02)
    axes.set_xlabel("seconds" + (", pauses cut out" if clock.cuts else ""))
    axes.set_ylabel("worker")
    part = min(busy / alive, 1.0) if alive > 0 else 1.0
    axes.set_title(f"{len(rows)} workers, {part:.0%} of their time busy", loc="left")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)


def drawable(run: Run) -> list[Span]:
    """The segments, but for those whose times cannot be any: a peer may write what it likes."""
    return [s for s in all_segments(run.log) if abs(s.began) < _LATEST and 0.0 <= (s.seconds or 0.0) < _LATEST]


def _legend(run: Run) -> tuple[Callable[[Span], str], dict[str, Any]]:
    """What to call a segment, and the colours of these names in the order of the legend."""
    steps = run.rungs().steps
    if not steps:
        return lambda bar: "unfinished" if bar.how == "open" else bar.how, _COLOURS
    words = {step: f"to step {step}" for step in steps if step != run.view.max_steps}
    bad = {name: _COLOURS[name] for name in ("stopped", "failed", "released", "cancelled", "unfinished")}

    def name_of(bar: Span) -> str:
        if bar.how in ("finished", "paused"):
            return words.get(bar.to_step or 0, "to the end")
        return "unfinished" if bar.how == "open" else bar.how

    names = [*words.values(), "to the end"]
    return name_of, {**dict(zip(names, shades(len(names)), strict=True)), **bad}


def _moves(axes: Axes, bars: Sequence[Span], clock: ActiveTime, rows: dict[str, int]) -> None:
    """Lines from pauses to where another worker went on with the trial."""
    last: dict[TrialId, Span] = {}
    x, y = [], []
    for bar in sorted(bars, key=lambda bar: (bar.began, bar.attempt)):
        before = last.get(bar.trial)
        if before is not None and before.how == "paused" and before.worker != bar.worker:
            x += [clock(before.began + (before.seconds or 0.0)), clock(bar.began), math.nan]
            y += [rows[before.worker], rows[bar.worker], math.nan]
        last[bar.trial] = bar
    if x:
        n = len(x) // 3
        faint = max(0.1, min(0.9, 30 / n))
        axes.plot(x, y, color="black", lw=0.7, alpha=faint, label=f"went on\nelsewhere ({n})")


def _lives(run: Run, found: Sequence[Span]) -> dict[str, tuple[float, float]]:
    """From a worker's first segment to when it left, or to the last thing known of it if it is dead."""
    now = max(span.began + (span.seconds or 0.0) for span in found)
    by_worker: dict[str, list[Span]] = {}
    for span in found:
        by_worker.setdefault(span.worker, []).append(span)
    lives = {}
    for worker, mine in by_worker.items():
        last = max(span.began + (span.seconds or 0.0) for span in mine)
        left = run.view.workers[worker].left
        if left is not None:
            last = max(last, left.time) if left.time < _LATEST else last
        elif run.loaded.states.get(worker) != "dead":
            last = max(last, now)
        lives[worker] = min(span.began for span in mine), last
    return lives


def _bars(found: Sequence[Span], lives: dict[str, tuple[float, float]]) -> list[Span]:
    """Give segments that never ended a length: to what their worker began next, or to the end of its life."""
    bars = []
    for span in found:
        if span.seconds is None:
            later = [other.began for other in found if other.worker == span.worker and other.began > span.began]
            until = min(later, default=lives[span.worker][1])
            span = replace(span, seconds=until - span.began)
        bars.append(span)
    return bars


def _label(run: Run, worker: str) -> str:
    started = run.view.workers[worker].started
    rank = "" if started is None or started.rank is None else f" #{started.rank}"
    return f"{worker[:6]}{rank}"
