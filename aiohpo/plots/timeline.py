"""What each worker ran when, and which part of them was busy.

A worker has a lane for each of its slots, see :mod:`~aiohpo.plots.lanes`. Where trials pause, the shade of a segment
says how far it was to go, and a line leads from each pause to the worker that went on; elsewhere the colour says how a
trial ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import UsageError
from ..events.schema import trial_name
from ..report.active_time import ActiveTime
from ..view.segments import Span, all_segments
from .coverage import Coverage
from .lanes import Placement, lay_out
from .picture import BLACK, Axis, Bars, Line, Panel, Picture, Rules, Shading
from .style import BLUE, GREEN, GREY, ORANGE, RED, shades

if TYPE_CHECKING:
    from ..events.schema import TrialId
    from .subject import Subject

_INCHES = 3.0, 8.0  # the least and the most height of the axes
_INCHES_OF_LANE, _INCHES_OF_LABEL = 0.05, 0.11
_THIN = 0.04  # inches of a lane below which white edges and gaps would hide its bars
_BETWEEN = 1.0  # lanes that are left empty between workers with several
_WIDTH = 7.0  # inches, about
_SHORT = 0.03  # inches of a typical bar below which white edges would hide it
_MOST_BARS = 20_000  # more are drawn as what they cover of each pixel
_COLUMNS = 2000  # pixels that the time is divided into then
_LATEST = 1e11  # seconds since the epoch, and of a segment: some 3,000 years
_COLOURS = {
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


def arrange(subject: Subject) -> Arrangement | None:
    """Put the segments of a run into the lanes of their workers; None if nothing ran."""
    found = drawable(subject)
    if not found:
        return None
    by_worker: dict[str, list[Span]] = {}
    for span in found:
        by_worker.setdefault(span.worker, []).append(span)
    now = max(span.began + (span.seconds or 0.0) for span in found)
    lives = {worker: _life(subject, worker, mine, now) for worker, mine in by_worker.items()}
    bars: list[Placement] = []
    lanes, tops, top = {}, {}, 0.0
    for worker in sorted(lives, key=lambda worker: (lives[worker], worker)):
        mine, lanes[worker] = lay_out(by_worker[worker], subject.view.slots_of(worker), lives[worker][1])
        bars += mine
        tops[worker] = top
        top += lanes[worker] + (_BETWEEN if lanes[worker] > 1 else 0.0)
    bars.sort(key=lambda bar: (bar.span.began, bar.span.attempt))
    return Arrangement({worker: lives[worker] for worker in tops}, bars, lanes, tops)


def picture(subject: Subject) -> Picture:
    """One picture of its own. Raises ``UsageError`` if nothing ran."""
    arranged = arrange(subject)
    if arranged is None:
        raise UsageError(f"{subject.name} has no trial that a worker ran")
    return Picture([[panel(subject, arranged)]], height=max(arranged.inches + 1, 5))


def panel(subject: Subject, arranged: Arrangement) -> Panel:
    """Compute the panel."""
    lives, bars = arranged.lives, arranged.bars
    clock = ActiveTime(lives.values())
    name_of, colours = _legend(subject)
    length = max(clock(max(last for _, last in lives.values())), 1e-6)
    thin = arranged.inches / (arranged.bottom + 1) < _THIN
    seconds = np.array([bar.seconds for bar in bars])
    short = float(np.median(seconds)) / length * _WIDTH < _SHORT
    places: dict[str, list[Placement]] = {}
    for bar in bars:
        if bar.seconds:
            places.setdefault(name_of(bar.span), []).append(bar)
    drawn = {name: (places[name], colours[name]) for name in colours if name in places}
    made = Panel(
        Axis("seconds" + (", pauses cut out" if clock.cuts else ""), limits=(0.0, length * 1.02)),
        Axis("worker", limits=(arranged.bottom + 0.5, -0.5)),
        legend="outside",
        grid="",
    )
    if len(bars) > _MOST_BARS:
        made.marks.append(_shade(arranged, clock, drawn, length))
    else:
        made.marks += _bars(subject, arranged, clock, drawn, 0.5 if thin else 0.4, 0.0 if thin or short else 0.3)
    made.marks += _moves(arranged, clock)
    marks: dict[str, Literal["|", "x"]] = {"left": "|", "dead": "x"}
    for word, mark in marks.items():
        workers = [worker for worker in lives if subject.states.get(worker) == word]
        if workers:
            moments = [clock(lives[w][1]) for w in workers]
            middles = [arranged.middle_of(w) for w in workers]
            made.marks.append(Line(moments, middles, BLACK, "", marker=mark, size=8, label=word))
            for moment, worker in zip(moments, workers, strict=True):
                if arranged.lanes[worker] > 1:
                    top = arranged.tops[worker] - 0.4
                    made.marks.append(Rules([moment], width=1, span=(top, top + arranged.lanes[worker] - 0.2)))
    made.marks.append(Rules(clock.cuts, dash=":"))
    alive = sum((last - first) * arranged.lanes[worker] for worker, (first, last) in lives.items())
    if arranged.inches >= _INCHES_OF_LABEL * len(lives):
        made.y.ticks, made.y.size = [(arranged.middle_of(w), _label(subject, w)) for w in lives], 7
    part = min(float(seconds.sum()) / alive, 1.0) if alive > 0 else 1.0
    made.title = f"{_crew(arranged)}, {part:.0%} of their time busy"
    return made


def _bars(
    subject: Subject,
    arranged: Arrangement,
    clock: ActiveTime,
    drawn: Mapping[str, tuple[Sequence[Placement], str]],
    half: float,
    edge: float,
) -> Iterator[Bars]:
    numbers = {record.id: record.number for record in subject.records}
    for name, (bars, colour) in drawn.items():
        left, right = _ends(bars, clock)
        middle = np.array([arranged.height_of(bar) for bar in bars])
        yield Bars(
            middle,
            right,
            colour,
            left,
            2 * half,
            across=True,
            edge=edge,
            label=name,
            hover=partial(_told, bars, numbers),
        )


def _told(bars: Sequence[Placement], numbers: Mapping[str, int]) -> list[str]:
    """What is said of each segment where it is pointed at."""
    texts = []
    for bar in bars:
        span, name = bar.span, trial_name(bar.span.trial)
        to = "" if span.to_step is None else f", to step {span.to_step}"
        what = f"trial {numbers.get(name, name)}, attempt {span.attempt + 1}{to}: {span.how}"
        texts.append(f"{what}\n{bar.seconds:.3g} s on worker {span.worker}")
    return texts


def _shade(
    arranged: Arrangement, clock: ActiveTime, drawn: Mapping[str, tuple[Sequence[Placement], str]], length: float
) -> Shading:
    """What :func:`_bars` would look like, in bounded memory: as objects of matplotlib 100,000 bars take 250 MB."""
    coverage = Coverage(int(arranged.bottom) + 1, _COLUMNS, length)
    for bars, colour in drawn.values():
        row = np.array([arranged.height_of(bar) for bar in bars]).astype(np.intp)
        coverage.add([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)], row, *_ends(bars, clock))
    return Shading(coverage.image(), 0.0, length, [(name, colour) for name, (_, colour) in drawn.items()])


def _ends(bars: Sequence[Placement], clock: ActiveTime) -> tuple[Any, Any]:
    left = clock(np.array([bar.span.began for bar in bars]))
    return left, left + np.array([bar.seconds for bar in bars])


def _crew(arranged: Arrangement) -> str:
    """``2 workers with 16 slots``."""
    workers, slots = len(arranged.lanes), sum(arranged.lanes.values())
    text = f"{workers} worker{'s' if workers > 1 else ''}"
    return text if slots == workers else f"{text} with {slots} slots"


def drawable(subject: Subject) -> list[Span]:
    """The segments, but for those whose times cannot be any: a peer may write what it likes."""
    if subject.log is None:
        return []
    return [s for s in all_segments(subject.log) if abs(s.began) < _LATEST and 0.0 <= (s.seconds or 0.0) < _LATEST]


def _legend(subject: Subject) -> tuple[Callable[[Span], str], dict[str, str]]:
    """What to call a segment, and the colours of these names in the order of the legend."""
    steps = subject.rungs().steps
    if not steps:
        return lambda bar: "unfinished" if bar.how == "open" else bar.how, _COLOURS
    words = {step: f"to step {step}" for step in steps if step != subject.view.max_steps}
    bad = {name: _COLOURS[name] for name in ("stopped", "failed", "released", "cancelled", "unfinished")}

    def name_of(bar: Span) -> str:
        if bar.how in ("finished", "paused"):
            return words.get(bar.to_step or 0, "to the end")
        return "unfinished" if bar.how == "open" else bar.how

    names = [*words.values(), "to the end"]
    return name_of, {**dict(zip(names, shades(len(names)), strict=True)), **bad}


def _moves(arranged: Arrangement, clock: ActiveTime) -> list[Line]:
    """Lines from pauses to where another worker went on with the trial."""
    last: dict[TrialId, Placement] = {}
    x, y = [], []
    for bar in arranged.bars:
        before = last.get(bar.span.trial)
        if before is not None and before.span.how == "paused" and before.span.worker != bar.span.worker:
            x += [clock(before.span.began + before.seconds), clock(bar.span.began), math.nan]
            y += [arranged.height_of(before), arranged.height_of(bar), math.nan]
        last[bar.span.trial] = bar
    n = len(x) // 3
    faint = max(0.1, min(0.9, 30 / max(n, 1)))
    return [Line(x, y, BLACK, width=0.7, alpha=faint, label=f"went on\nelsewhere ({n})")] if n else []


def _life(subject: Subject, worker: str, mine: Sequence[Span], now: float) -> tuple[float, float]:
    """From a worker's first segment to when it left, or to the last thing known of it if it is dead."""
    last = max(span.began + (span.seconds or 0.0) for span in mine)
    left = subject.view.workers[worker].left
    if left is not None:
        last = max(last, left.time) if left.time < _LATEST else last
    elif subject.states.get(worker) != "dead":
        last = max(last, now)
    return min(span.began for span in mine), last


def _label(subject: Subject, worker: str) -> str:
    started = subject.view.workers[worker].started
    rank = "" if started is None or started.rank is None else f" #{started.rank}"
    return f"{worker[:6]}{rank}"
