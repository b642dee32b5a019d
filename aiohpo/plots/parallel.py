"""Every configuration as a line over the parameters, the best tenth on top."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..text import printable
from .picture import Axis, Line, Panel, Paths, Picture, Rules, Texts
from .style import (
    BLUE,
    GREY,
    ORANGE,
    by_progress,
    choices,
    edge_of,
    is_complete,
    judged,
    labelled,
    middle_of,
    short,
    told,
)

if TYPE_CHECKING:
    from ..space.parameter import Parameter
    from .subject import Subject

_BEST_PART = 0.1
_LONGEST = 24  # characters of a name
_INCH, _WIDEST = 0.7, 60.0  # of one axis, of the picture
_INACTIVE = -0.12  # where a line passes a parameter that it does not have


def picture(subject: Subject) -> Picture:
    """The metric stands last. Where trials were given up, it is that of their last step, and shades say how far each
    of them got; elsewhere the best tenth is blue. Raises ``UsageError`` if no trial has a value."""
    names = list(subject.space.names)
    sign, metric = subject.objective.sign, subject.metric
    complete, partial, _ = judged(subject, subject.records)
    done = sorted([*complete, *partial], key=lambda r: sign * r.value, reverse=True)  # the best are drawn last, on top
    axis = {name: _Column(subject.space[name]) for name in names}
    heights = [[axis[n].height(r.config[n]) if n in r.config else _INACTIVE for n in names] for r in done]
    loss = sign * np.array([r.value for r in done], dtype=float)
    worst, best = edge_of(loss) or loss.max(), loss.min()
    goodness = (worst - np.minimum(loss, worst)) / (worst - best) if worst > best else np.full(len(loss), 0.5)
    lines = np.column_stack([np.array(heights).reshape(len(done), len(names)), goodness])
    x = np.arange(len(names) + 1)
    paths = {r.id: np.column_stack([x, line]) for r, line in zip(done, lines, strict=True)}
    first = next((r for r in done if r.id == subject.best_id), done[-1])
    made = Panel(grid="", frame=False)
    if any(not is_complete(subject, r) for r in done):
        groups = by_progress(subject, done, subject.rungs().steps)
        title = f"{len(done)} configurations: darker lines were trained for longer"
        made.marks += [Line([], [], shade, label=f"{word} ({len(group)})") for word, shade, group in groups]
        made.legend = "outside"
    else:
        good = max(1, round(_BEST_PART * len(done)))
        groups = [("", GREY, done[:-good]), ("", BLUE, done[-good:])]
        title = f"{len(done)} configurations; blue: the best {good}"
    for _, colour, group in groups:
        some = [r for r in group if r is not first]
        clear = max(0.06, min(0.7, 25 / max(len(some), 1)))
        texts = told(some)
        made.marks.append(Paths([paths[r.id] for r in some], colour, 0.7 if colour == GREY else 1.1, clear, texts))
    made.marks.append(Line(x, paths[first.id][:, 1], ORANGE, width=2.4, hover=told([first], len(x))))
    ticks = [(i, *tick) for i, name in enumerate(names) for tick in axis[name].ticks()]
    beyond = "" if worst == loss.max() else " or worse"
    ticks.append((len(names), 1.0 if worst > best else 0.5, metric.words(sign * best, 4)))
    if worst > best:
        ticks.append((len(names), 0.0, f"{metric.words(sign * worst, 4)}{beyond}"))
    ticks += [(i, _INACTIVE, "inactive") for i in range(len(names)) if (lines[:, i] < 0).any()]
    made.marks += [Rules([float(position) for position in x], width=0.6), Texts(ticks)]
    shown = [printable(name, _LONGEST) for name in (*names, subject.objective.metric)]
    many = len(names) > 6 or max(map(len, shown)) > _LONGEST / 2
    made.x = Axis(
        ticks=[(float(i), text) for i, text in enumerate(shown)],
        limits=(-0.2, len(names) + 0.6),
        slanted=30 if many else 0,
    )
    made.y = Axis(ticks=[], limits=(_INACTIVE - 0.05, 1.05))
    made.title = f"{title}; orange: the best"
    return Picture([[made]], width=max(9.0, min(_INCH * (len(names) + 1), _WIDEST)))


class _Column:
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
