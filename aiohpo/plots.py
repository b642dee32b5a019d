"""Pictures of a run, drawn from its directory with matplotlib (the extra ``plot``).

history   every result in the order in which it came, and the best so far
parallel  every configuration as a line over the parameters, the best tenth on top
slice     the metric against each parameter
timeline  what each worker ran when, and which part of them was busy
overview  history above timeline: what ``aiohpo run`` saves

Nothing is smoothed or modelled: each mark is a trial. Where outliers would flatten the rest, the axis is cut and
the title says how many trials lie outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .activity import Span, spans
from .interfaces import UsageError
from .parameters import Float, Int

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .inspect import Run
    from .parameters import Parameter
    from .records import TrialRecord

# Okabe and Ito's colours, which people with any kind of colour vision tell apart.
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
_MOST_WORKER_NAMES = 24
_MOST_SLICES = 24
_BEST_PART = 0.1
_INACTIVE = -0.12  # where a line passes a parameter that it does not have


def draw(run: Run, kind: str) -> Figure:
    """Draw one kind of picture. Raises ``UsageError`` if there is nothing to draw or no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("plots need matplotlib: pip install 'aiohpo[plot]'") from None
    if kind not in KINDS:
        raise UsageError(f"there is no plot of kind {kind!r}; there are: {', '.join(KINDS)}")
    records = [r for r in run.records() if r.status != "running"]
    if kind != "timeline" and not _successes(records):
        raise UsageError(f"{run.path} has no successful trial to plot (see: aiohpo show {run.path})")
    figure = Figure(figsize=(9, 5), layout="constrained")
    KINDS[kind](figure, run, records)
    return figure


def save(run: Run, kind: str, path: Path) -> None:
    """Draw to a file, whose suffix says the format (png, svg, pdf). Raises ``UsageError``."""
    figure = draw(run, kind)
    known = figure.canvas.get_supported_filetypes()
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in known:
        raise UsageError(
            f"cannot write a picture to {str(path)!r}: its suffix must be one of {', '.join(sorted(known))}"
        )
    figure.savefig(path, dpi=120)


# ------------------------------------------------------------------------------------------------ history
def _history(figure: Figure, run: Run, records: Sequence[TrialRecord]) -> None:
    _history_on(figure.subplots(), run, records)


def _history_on(axes: Axes, run: Run, records: Sequence[TrialRecord]) -> None:
    ended = sorted(
        (r for r in records if r.status in ("finished", "surplus", "stopped", "failed")),
        key=lambda r: (r.started + (r.seconds or 0.0), r.number),
    )
    order = {r.id: i for i, r in enumerate(ended, start=1)}
    done = [r for r in ended if r.value is not None and r.status in ("finished", "surplus")]
    x = np.array([order[r.id] for r in done])
    y = np.array([r.value for r in done], dtype=float)
    axes.plot(x, y, ".", color=_BLUE, alpha=0.6, ms=5, label="trial")
    early = [(order[r.id], r.value) for r in ended if r.status == "stopped" and r.value is not None]
    if early:
        axes.plot(*zip(*early, strict=True), "x", color=_ORANGE, ms=4, label="stopped early")
    best = np.minimum.accumulate(run.view.sign * y) * run.view.sign
    axes.step(np.append(x, len(ended)), np.append(best, best[-1]), where="post", color=_ORANGE, label="best so far")
    failed = [order[r.id] for r in ended if r.status == "failed"]
    if failed:
        axes.plot(failed, np.full(len(failed), 0.02), "|", color=_RED, transform=axes.get_xaxis_transform(), ms=8)
        axes.plot([], [], "|", color=_RED, label=f"failed ({len(failed)})")
    outside = _cut(axes, y, run.view.sign)
    axes.set_title(f"{run.view.metric}: {best[-1]:.6g} after {len(ended)} trials{outside}", loc="left")
    axes.set_xlabel("trials ended")
    axes.set_ylabel(run.view.metric)
    axes.legend(loc="best", frameon=False)
    axes.grid(alpha=0.25)


def _cut(axes: Axes, y: NDArray[np.float64], sign: float) -> str:
    """Cut the bad end of the y axis where outliers would flatten the rest; say how many lie outside."""
    edge = _edge(sign * y)
    if edge is None:
        return ""
    low = float((sign * y).min())
    margin = 0.05 * (edge - low)
    axes.set_ylim(*sorted((sign * (low - margin), sign * edge)))
    return f" ({int((sign * y > edge).sum())} worse ones lie outside)"


def _edge(loss: NDArray[np.float64]) -> float | None:
    """The loss at which to cut an axis, None where no outlier flattens the rest."""
    low, typical, high = float(loss.min()), float(np.quantile(loss, 0.8)), float(loss.max())
    edge = low + 1.5 * (typical - low)
    return edge if low < edge < low + (high - low) / 2 else None


# ------------------------------------------------------------------------------------------- configurations
def _parallel(figure: Figure, run: Run, records: Sequence[TrialRecord]) -> None:
    from matplotlib.collections import LineCollection

    axes = figure.subplots()
    sign = run.view.sign
    done = sorted(_successes(records), key=lambda r: sign * r.value, reverse=True)  # the best are drawn last, on top
    names = list(run.view.space.names)
    axis = {name: _Axis(run.view.space[name]) for name in names}
    heights = [[axis[n].height(r.config[n]) if n in r.config else _INACTIVE for n in names] for r in done]
    loss = sign * np.array([r.value for r in done], dtype=float)
    worst, best = _edge(loss) or loss.max(), loss.min()
    goodness = (worst - np.minimum(loss, worst)) / (worst - best) if worst > best else np.full(len(loss), 0.5)
    lines = np.column_stack([np.array(heights).reshape(len(done), len(names)), goodness])
    x = np.arange(len(names) + 1)
    paths = [np.column_stack([x, line]) for line in lines]
    good = max(1, round(_BEST_PART * len(done)))
    faint = max(0.05, min(0.6, 60 / len(done)))
    axes.add_collection(LineCollection(paths[:-good], colors=_GREY, linewidths=0.7, alpha=faint))
    axes.add_collection(LineCollection(paths[-good:-1], colors=_BLUE, linewidths=1.2, alpha=0.7))
    axes.plot(x, lines[-1], color=_ORANGE, lw=2.4)
    ticks = [(i, *tick) for i, name in enumerate(names) for tick in axis[name].ticks()]
    cut = "" if worst == loss.max() else " or worse"
    ticks += [(len(names), 1.0, f"{sign * best:.4g}"), (len(names), 0.0, f"{sign * worst:.4g}{cut}")]
    ticks += [(i, _INACTIVE, "inactive") for i in range(len(names)) if (lines[:, i] < 0).any()]
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    for i, height, text in ticks:
        axes.annotate(text, (i, height), xytext=(4, 0), textcoords="offset points", fontsize=7, va="center", bbox=box)
    for position in x:
        axes.axvline(float(position), color="black", lw=0.6)
    many = len(names) > 6
    axes.set_xticks(x, [*names, run.view.metric], rotation=30 * many, ha="right" if many else "center")
    axes.set_yticks([])
    axes.set_xlim(-0.2, len(names) + 0.6)
    axes.set_ylim(_INACTIVE - 0.05, 1.05)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(f"{len(done)} configurations; blue: the best {good}, orange: the best", loc="left")


def _slice(figure: Figure, run: Run, records: Sequence[TrialRecord]) -> None:
    done = _successes(records)
    names = list(run.view.space.names)[:_MOST_SLICES]
    columns = min(len(names), 3) or 1
    rows = math.ceil(len(names) / columns) or 1
    figure.set_size_inches(3.4 * columns, 2.6 * rows + 0.4)
    grid: Any = figure.subplots(rows, columns, squeeze=False, sharey=True)
    values = np.array([r.value for r in done], dtype=float)
    outside = _cut(grid[0][0], values, run.view.sign)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.flat, names, strict=False):
        parameter = run.view.space[name]
        having = [r for r in done if name in r.config]
        x: list[Any] = [r.config[name] for r in having]
        if not isinstance(parameter, Float | Int):
            choices = _choices(parameter)
            spread = np.random.default_rng(0).uniform(-0.2, 0.2, len(x))
            x = [parameter.native(v) + s for v, s in zip(x, spread, strict=True)]
            axes.set_xticks(range(len(choices)), [_short(c) for c in choices], fontsize=7)
        elif parameter.log:
            axes.set_xscale("log")
        points = axes.scatter(
            x, [r.value for r in having], c=[r.number for r in having], cmap="viridis", s=12, vmin=0, vmax=len(done)
        )
        axes.set_xlabel(name)
        axes.grid(alpha=0.25)
    for row in grid:
        row[0].set_ylabel(run.view.metric)
    if names:
        figure.colorbar(points, ax=grid, label="trial number")
    figure.suptitle(f"{run.view.metric} against each parameter{outside}", x=0.01, ha="left")


class _Axis:
    """Where a parameter's values stand on an axis from 0 to 1."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter
        if isinstance(parameter, Float | Int):
            self._low, self._high, self._log = parameter.low, parameter.high, parameter.log
        else:
            self._choices = _choices(parameter)

    def height(self, value: Any) -> float:
        if not isinstance(self._parameter, Float | Int):
            return self._parameter.native(value) / max(len(self._choices) - 1, 1)
        if self._low == self._high:
            return 0.5
        if self._log:
            return math.log(value / self._low) / math.log(self._high / self._low)
        return float((value - self._low) / (self._high - self._low))

    def ticks(self) -> list[tuple[float, str]]:
        if not isinstance(self._parameter, Float | Int):
            return [(self.height(choice), _short(choice)) for choice in self._choices[:12]]
        middle = math.sqrt(self._low * self._high) if self._log else (self._low + self._high) / 2
        return [(self.height(v), f"{v:.3g}") for v in (self._low, middle, self._high)]


def _choices(parameter: Parameter) -> list[Any]:
    """The choices of a Categorical or an Ordinal, which stand at 0, 1, 2, …"""
    return list(parameter.choices)  # type: ignore[attr-defined]  # the other kinds were dealt with


def _short(choice: Any) -> str:
    text = str(choice)
    return text if len(text) <= 12 else text[:11] + "…"


# ------------------------------------------------------------------------------------------------ timeline
_COLOURS = {
    "finished": _BLUE,
    "stopped": _ORANGE,
    "failed": _RED,
    "paused": _GREEN,
    "released": _GREY,
    "cancelled": _GREY,
    "open": _GREY,
}


def _timeline(figure: Figure, run: Run, records: Sequence[TrialRecord]) -> None:
    _timeline_on(figure.subplots(), run)


def _timeline_on(axes: Axes, run: Run) -> None:
    found = spans(run.log)
    if not found:
        raise UsageError(f"{run.path} has no trial that a worker ran")
    lives = _lives(run, found)
    bars = _bars(found, lives)
    clock = _Clock(list(lives.values()))
    rows = {worker: row for row, worker in enumerate(sorted(lives, key=lambda w: (lives[w], w)))}
    places: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for bar in bars:
        if bar.seconds:
            places.setdefault((bar.how, bar.worker), []).append((clock(bar.began), bar.seconds))
    for (how, worker), at in places.items():
        axes.broken_barh(at, (rows[worker] - 0.4, 0.8), facecolor=_COLOURS[how], edgecolor="white", lw=0.3)
    for how in sorted({how for how, _ in places}):
        axes.broken_barh([], (0, 0), facecolor=_COLOURS[how], label="unfinished" if how == "open" else how)
    ends = {"|": "left", "x": "gone"}
    for mark, word in ends.items():
        workers = [w for w in lives if (run.view.workers[w].left is not None) == (word == "left")]
        if word == "gone":
            workers = [w for w in workers if w in run.loaded.gone]
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


def _lives(run: Run, found: Sequence[Span]) -> dict[str, tuple[float, float]]:
    """From a worker's first segment to when it left, or to the last thing known of it if it is gone."""
    now = max(span.began + (span.seconds or 0.0) for span in found)
    by_worker: dict[str, list[Span]] = {}
    for span in found:
        by_worker.setdefault(span.worker, []).append(span)
    lives = {}
    for worker, mine in by_worker.items():
        last = max(span.began + (span.seconds or 0.0) for span in mine)
        left = run.view.workers[worker].left
        if left is not None:
            last = max(last, left.time)
        elif worker not in run.loaded.gone:
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


class _Clock:
    """Seconds since the first of ``lives`` began, without the time in which none of them was going on.

    A search that was resumed the next day would otherwise be two thin lines with a night between them.
    """

    def __init__(self, lives: list[tuple[float, float]]) -> None:
        lives.sort()
        self._start = end = lives[0][0]
        self._pauses: list[tuple[float, float]] = []
        for first, last in lives:
            if first > end:
                self._pauses.append((end, first))
            end = max(end, last)

    def __call__(self, time: float) -> float:
        return time - self._start - sum(min(time, b) - a for a, b in self._pauses if time > a)

    @property
    def cuts(self) -> list[float]:
        """Where a pause was cut out."""
        return [self(a) for a, _ in self._pauses]


def _label(run: Run, worker: str) -> str:
    started = run.view.workers[worker].started
    rank = "" if started is None or started.rank is None else f" #{started.rank}"
    return f"{worker[:6]}{rank}"


def _overview(figure: Figure, run: Run, records: Sequence[TrialRecord]) -> None:
    if not spans(run.log):  # a study driven by hand may have results that nobody ran here
        _history(figure, run, records)
        return
    figure.set_size_inches(9, 7.5)
    top, bottom = figure.subplots(2, 1, height_ratios=(3, 2))
    _history_on(top, run, records)
    _timeline_on(bottom, run)


def _successes(records: Sequence[TrialRecord]) -> list[Any]:
    return [r for r in records if r.value is not None and r.status in ("finished", "surplus")]


KINDS: dict[str, Callable[[Figure, Run, Sequence[TrialRecord]], None]] = {
    "overview": _overview,
    "history": _history,
    "parallel": _parallel,
    "slice": _slice,
    "timeline": _timeline,
}
