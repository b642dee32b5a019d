"""What each worker ran when, and which part of them was busy.

A worker has a lane for each of its slots, see :mod:`~aiohpo.plots.lanes`. Where trials pause, the shade of a segment
says how far it was to go, and a line leads from each pause to the worker that went on; elsewhere the colour says how a
trial ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..report.active_time import ActiveTime
from ..view.segments import Span, all_segments
from .coverage import Coverage
from .lanes import Placement, lay_out
from .style import BLUE, GREEN, GREY, ORANGE, RED, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..events.schema import TrialId
    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from .units import Quantity

_INCHES = 3.0, 8.0  # the least and the most height of the axes
_INCHES_OF_LANE, _INCHES_OF_LABEL = 0.05, 0.11
_THIN = 0.04  # inches of a lane below which white edges and gaps would hide its bars
_BETWEEN = 1.0  # lanes that are left empty between workers with several
_WIDTH = 7.0  # inches, about
_SHORT = 0.03  # inches of a typical bar below which white edges would hide it
_MOST_BARS = 20_000  # more are drawn as what they cover of each pixel
_COLUMNS = 2000  # pixels that the time is divided into then
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


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where everything stands.

    lives  {worker: when it lived}, those who came first at the top
    bars   the segments of all workers, by their beginning
    lanes  {worker: its number of lanes}
    tops   {worker: where its first lane is}, from 0 downwards
    """

    lives: Mapping[str, tuple[float, float]]
    bars: Sequence[Placement]
    lanes: Mapping[str, int]
    tops: Mapping[str, float]

    def height_of(self, bar: Placement) -> float:
        """Where a bar's lane is."""
        return self.tops[bar.span.worker] + bar.lane

    def middle_of(self, worker: str) -> float:
        """The middle of a worker's lanes."""
        return self.tops[worker] + (self.lanes[worker] - 1) / 2

    @property
    def bottom(self) -> float:
        """Where the last lane is."""
        return max(self.tops[worker] + self.lanes[worker] - 1 for worker in self.tops)

    @property
    def inches(self) -> float:
        """The height that axes should have for it."""
        least, most = _INCHES
        return min(max(_INCHES_OF_LANE * (self.bottom + 1), least), most)


def arrange(run: Run) -> Arrangement | None:
    """Put the segments of a run into the lanes of their workers; None if nothing ran."""
    found = drawable(run)
    if not found:
        return None
    by_worker: dict[str, list[Span]] = {}
    for span in found:
        by_worker.setdefault(span.worker, []).append(span)
    now = max(span.began + (span.seconds or 0.0) for span in found)
    lives = {worker: _life(run, worker, mine, now) for worker, mine in by_worker.items()}
    bars: list[Placement] = []
    lanes, tops, top = {}, {}, 0.0
    for worker in sorted(lives, key=lambda worker: (lives[worker], worker)):
        mine, lanes[worker] = lay_out(by_worker[worker], run.view.slots_of(worker), lives[worker][1])
        bars += mine
        tops[worker] = top
        top += lanes[worker] + (_BETWEEN if lanes[worker] > 1 else 0.0)
    bars.sort(key=lambda bar: (bar.span.began, bar.span.attempt))
    return Arrangement({worker: lives[worker] for worker in tops}, bars, lanes, tops)


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """One picture of its own. Raises ``UsageError`` if nothing ran."""
    arranged = arrange(run)
    if arranged is None:
        raise UsageError(f"{run.path} has no trial that a worker ran")
    figure.set_size_inches(9, max(arranged.inches + 1, 5))
    draw_on(figure.subplots(), run, arranged)


def draw_on(axes: Axes, run: Run, arranged: Arrangement) -> None:
    """Draw on ``axes``."""
    lives, bars = arranged.lives, arranged.bars
    clock = ActiveTime(lives.values())
    name_of, colours = _legend(run)
    length = max(clock(max(last for _, last in lives.values())), 1e-6)
    thin = arranged.inches / (arranged.bottom + 1) < _THIN
    seconds = np.array([bar.seconds for bar in bars])
    short = float(np.median(seconds)) / length * _WIDTH < _SHORT
    places: dict[str, list[Placement]] = {}
    for bar in bars:
        if bar.seconds:
            places.setdefault(name_of(bar.span), []).append(bar)
    drawn = {name: (places[name], colours[name]) for name in colours if name in places}
    if len(bars) > _MOST_BARS:
        _shade(axes, arranged, clock, drawn, length)
    else:
        _draw_bars(axes, arranged, clock, drawn, 0.5 if thin else 0.4, 0.0 if thin or short else 0.3)
    _moves(axes, arranged, clock)
    for mark, word in {"|": "left", "x": "dead"}.items():
        workers = [worker for worker in lives if run.loaded.states.get(worker) == word]
        if workers:
            moments = [clock(lives[w][1]) for w in workers]
            axes.plot(
                moments, [arranged.middle_of(w) for w in workers], mark, color="black", ms=8, label=word, ls="none"
            )
            for moment, worker in zip(moments, workers, strict=True):
                if arranged.lanes[worker] > 1:
                    top = arranged.tops[worker] - 0.4
                    axes.vlines(moment, top, top + arranged.lanes[worker] - 0.2, color="black", lw=1)
    for moment in clock.cuts:
        axes.axvline(moment, color="black", lw=0.8, ls=":")
    alive = sum((last - first) * arranged.lanes[worker] for worker, (first, last) in lives.items())
    if arranged.inches >= _INCHES_OF_LABEL * len(lives):
        axes.set_yticks([arranged.middle_of(w) for w in lives], [_label(run, w) for w in lives], fontsize=7)
    axes.set_ylim(arranged.bottom + 0.5, -0.5)
    axes.set_xlim(0, length * 1.02)
    axes.set_xlabel("seconds" + (", pauses cut out" if clock.cuts else ""))
    axes.set_ylabel("worker")
    part = min(float(seconds.sum()) / alive, 1.0) if alive > 0 else 1.0
    axes.set_title(f"{_crew(arranged)}, {part:.0%} of their time busy", loc="left")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)


def _draw_bars(
    axes: Axes,
    arranged: Arrangement,
    clock: ActiveTime,
    drawn: Mapping[str, tuple[Sequence[Placement], Any]],
    half: float,
    edge: float,
) -> None:
    from matplotlib.collections import PolyCollection

    for name, (bars, colour) in drawn.items():
        left, right = _ends(bars, clock)
        middle = np.array([arranged.height_of(bar) for bar in bars])
        above, below = middle - half, middle + half
        corners: Any = np.stack([left, below, left, above, right, above, right, below], axis=1).reshape(-1, 4, 2)
        axes.add_collection(
            PolyCollection(corners, facecolor=colour, edgecolor="white", lw=edge, label=name), autolim=False
        )


def _shade(
    axes: Axes,
    arranged: Arrangement,
    clock: ActiveTime,
    drawn: Mapping[str, tuple[Sequence[Placement], Any]],
    length: float,
) -> None:
    """Draw as :func:`_draw_bars` would, in bounded memory: as objects of matplotlib 100,000 bars take 250 MB."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    rows = int(arranged.bottom) + 1
    coverage = Coverage(rows, _COLUMNS, length)
    for name, (bars, colour) in drawn.items():
        row = np.array([arranged.height_of(bar) for bar in bars]).astype(np.intp)
        coverage.add(to_rgb(colour), row, *_ends(bars, clock))
        axes.add_patch(Rectangle((0.0, 0.0), 0.0, 0.0, facecolor=colour, label=name))
    extent = (0.0, length, rows - 0.5, -0.5)
    axes.imshow(coverage.image(), extent=extent, aspect="auto", interpolation="antialiased")


def _ends(bars: Sequence[Placement], clock: ActiveTime) -> tuple[Any, Any]:
    left = clock(np.array([bar.span.began for bar in bars]))
    return left, left + np.array([bar.seconds for bar in bars])


def _crew(arranged: Arrangement) -> str:
    """``2 workers with 16 slots``."""
    workers, slots = len(arranged.lanes), sum(arranged.lanes.values())
    text = f"{workers} worker{'s' if workers > 1 else ''}"
    return text if slots == workers else f"{text} with {slots} slots"


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


def _moves(axes: Axes, arranged: Arrangement, clock: ActiveTime) -> None:
    """Lines from pauses to where another worker went on with the trial."""
    last: dict[TrialId, Placement] = {}
    x, y = [], []
    for bar in arranged.bars:
        before = last.get(bar.span.trial)
        if before is not None and before.span.how == "paused" and before.span.worker != bar.span.worker:
            x += [clock(before.span.began + before.seconds), clock(bar.span.began), math.nan]
            y += [arranged.height_of(before), arranged.height_of(bar), math.nan]
        last[bar.span.trial] = bar
    if x:
        n = len(x) // 3
        faint = max(0.1, min(0.9, 30 / n))
        axes.plot(x, y, color="black", lw=0.7, alpha=faint, label=f"went on\nelsewhere ({n})")


def _life(run: Run, worker: str, mine: Sequence[Span], now: float) -> tuple[float, float]:
    """From a worker's first segment to when it left, or to the last thing known of it if it is dead."""
    last = max(span.began + (span.seconds or 0.0) for span in mine)
    left = run.view.workers[worker].left
    if left is not None:
        last = max(last, left.time) if left.time < _LATEST else last
    elif run.loaded.states.get(worker) != "dead":
        last = max(last, now)
    return min(span.began for span in mine), last


def _label(run: Run, worker: str) -> str:
    started = run.view.workers[worker].started
    rank = "" if started is None or started.rank is None else f" #{started.rank}"
    return f"{worker[:6]}{rank}"
