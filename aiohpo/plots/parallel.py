"""Every configuration as a line over the parameters, the best tenth on top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..text import plot_text
from .style import BLUE, GREY, ORANGE, by_progress, choices, edge_of, is_complete, judged, labelled, middle_of, short
from .units import Quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..space.parameter import Parameter
    from ..storage.run import Run
    from ..view.trials import TrialRecord

_BEST_PART = 0.1
_LONGEST = 24  # characters of a name
_INCH, _WIDEST = 0.7, 60.0  # of one axis, of the picture
_INACTIVE = -0.12  # where a line passes a parameter that it does not have


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """The metric stands last. Where trials were given up, it is that of their last step, and shades say how far each
    of them got; elsewhere the best tenth is blue."""
    from matplotlib.collections import LineCollection

    names = list(run.view.space.names)
    figure.set_size_inches(max(9.0, min(_INCH * (len(names) + 1), _WIDEST)), 5)
    axes = figure.subplots()
    sign = run.view.objective.sign
    complete, partial, _ = judged(run, records)
    done = sorted([*complete, *partial], key=lambda r: sign * r.value, reverse=True)  # the best are drawn last, on top
    axis = {name: _Axis(run.view.space[name]) for name in names}
    heights = [[axis[n].height(r.config[n]) if n in r.config else _INACTIVE for n in names] for r in done]
    loss = sign * np.array([r.value for r in done], dtype=float)
    worst, best = edge_of(loss) or loss.max(), loss.min()
    goodness = (worst - np.minimum(loss, worst)) / (worst - best) if worst > best else np.full(len(loss), 0.5)
    lines = np.column_stack([np.array(heights).reshape(len(done), len(names)), goodness])
    x = np.arange(len(names) + 1)
    paths = {r.id: np.column_stack([x, line]) for r, line in zip(done, lines, strict=True)}
    leader = run.view.leader()
    first = done[-1].id if leader is None else run.view.record(leader, 0).id
    rungs = run.rungs().steps
    if any(not is_complete(run, r) for r in done):
        groups = by_progress(run, done, rungs)
        title = f"{len(done)} configurations: the darker, the farther they were trained"
        for word, shade, group in groups:
            axes.plot([], [], color=shade, label=f"{word} ({len(group)})")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    else:
        good = max(1, round(_BEST_PART * len(done)))
        groups = [("", GREY, done[:-good]), ("", BLUE, done[-good:])]
        title = f"{len(done)} configurations; blue: the best {good}"
    for _, colour, group in groups:
        some = [paths[r.id] for r in group if r.id != first]
        clear = max(0.06, min(0.7, 25 / max(len(some), 1)))
        axes.add_collection(
            LineCollection(some, colors=[colour], linewidths=0.7 if colour == GREY else 1.1, alpha=clear)
        )
    axes.plot(*paths[first].T, color=ORANGE, lw=2.4)
    ticks = [(i, *tick) for i, name in enumerate(names) for tick in axis[name].ticks()]
    beyond = "" if worst == loss.max() else " or worse"
    ticks.append((len(names), 1.0 if worst > best else 0.5, metric.words(sign * best, 4)))
    if worst > best:
        ticks.append((len(names), 0.0, f"{metric.words(sign * worst, 4)}{beyond}"))
    ticks += [(i, _INACTIVE, "inactive") for i in range(len(names)) if (lines[:, i] < 0).any()]
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    for i, height, text in ticks:
        axes.annotate(text, (i, height), xytext=(4, 0), textcoords="offset points", fontsize=7, va="center", bbox=box)
    for position in x:
        axes.axvline(float(position), color="black", lw=0.6)
    shown = [plot_text(name, _LONGEST) for name in (*names, run.view.objective.metric)]
    many = len(names) > 6 or max(map(len, shown)) > _LONGEST / 2
    axes.set_xticks(x, shown, rotation=30 * many, ha="right" if many else "center")
    axes.set_yticks([])
    axes.set_xlim(-0.2, len(names) + 0.6)
    axes.set_ylim(_INACTIVE - 0.05, 1.05)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(f"{title}; orange: the best", loc="left")


class _Axis:
    """Where a parameter's values stand on an axis from 0 to 1."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter
        self._scale = parameter.scale
        self._low, self._high = self._scale.first, self._scale.last

    def height(self, value: Any) -> float:
        if not self._scale.numeric:
            return self._parameter.native(value) / max(self._high, 1)
        if self._low == self._high:
            return 0.5
        if self._scale.log:
            return (math.log(value) - math.log(self._low)) / (math.log(self._high) - math.log(self._low))
        return float((value - self._low) / (self._high - self._low))

    def ticks(self) -> list[tuple[float, str]]:
        if not self._scale.numeric:
            return [(self.height(choice), short(choice)) for choice in labelled(choices(self._parameter))]
        middle = middle_of(self._parameter)
        return [(self.height(v), f"{v:.3g}") for v in (self._low, middle, self._high)]
