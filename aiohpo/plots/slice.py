"""The metric against each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .picture import Dots, Line, Panel, Picture
from .style import by_progress, choices, cut, is_complete, judged, scale_of, told
from .units import Quantity

if TYPE_CHECKING:
    from ..space.parameter import Parameter
    from ..view.trials import TrialRecord
    from .subject import Subject

_MOST_SLICES = 24
_LEVEL = 4  # so many choices can be named side by side


def picture(subject: Subject) -> Picture:
    """One small panel for each parameter. Where trials were given up, the metric is that of their last step and
    shades say how far each of them got; elsewhere they say how late it was tried."""
    complete, partial, _ = judged(subject, subject.records)
    done = [*complete, *partial]
    names = list(subject.space.names)[:_MOST_SLICES]
    columns = min(len(names), 3) or 1
    given_up = any(not is_complete(subject, r) for r in done)
    groups = by_progress(subject, done, subject.rungs().steps) if given_up else [("", "", done)]
    panels: list[Panel | None] = [_panel(subject, name, groups) for name in names] or [Panel()]
    outside = ""
    for place, made in enumerate(panels):
        if made is not None:
            outside = cut(made.y, np.array([r.value for r in done], dtype=float), subject.objective)
            made.y.label = subject.metric.label if place % columns == 0 else ""
    panels += [None] * (-len(panels) % columns)
    left = len(subject.space.names) - len(names)
    which = f"the first {len(names)} parameters ({left} more are left out)" if left else "each parameter"
    latest = float(max(r.number for r in done))
    return Picture(
        [panels[i : i + columns] for i in range(0, len(panels), columns)],
        width=3.4 * columns,
        height=2.6 * math.ceil(len(panels) / columns) + 0.4,
        title=f"{subject.metric.text} against {which}{outside}",
        share_y=True,
        legend=[Line([], [], shade, "", marker=".", label=f"{word} ({len(group)})") for word, shade, group in groups]
        if given_up and names
        else (),
        colour_scale=("trial number", 0.0, latest) if names and not given_up else None,
    )


def _panel(subject: Subject, name: str, groups: Sequence[tuple[str, str, Sequence[TrialRecord]]]) -> Panel:
    parameter = subject.space[name]
    shown_as = Quantity.of_parameter(name, parameter)
    made = Panel(scale_of(parameter, shown_as))
    if not parameter.scale.numeric and len(choices(parameter)) > _LEVEL:
        made.x.slanted = 45
    for _, shade, group in groups:
        having = [r for r in group if name in r.config]
        numbers = None if shade else [r.number for r in having]
        at, texts = places(parameter, shown_as, having), told(having)
        made.marks.append(Dots(at, [r.value for r in having], shade, numbers, hover=texts))
    return made


def places(parameter: Parameter, shown_as: Quantity, having: Sequence[TrialRecord]) -> list[Any]:
    """Where trials that have a parameter stand on its axis; those of one choice are spread a little."""
    name = shown_as.name
    if parameter.scale.numeric:
        return [shown_as.drawn(r.config[name]) for r in having]
    rng = np.random.default_rng(list(name.encode()))  # one per parameter, or two of them would spread along a diagonal
    spread = rng.uniform(-0.2, 0.2, len(having))
    return [parameter.native(r.config[name]) + s for r, s in zip(having, spread, strict=True)]
