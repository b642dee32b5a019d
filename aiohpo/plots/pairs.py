"""Which pairs of parameters contour and rank plots show, and where trials stand on them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from ..errors import UsageError, listing
from ..importance.importances import importances
from ..text import printable
from .picture import Axis
from .slice import places
from .style import choices, scale_of
from .units import Quantity

if TYPE_CHECKING:
    from ..view.trials import TrialRecord
    from .picture import Panel
    from .subject import Subject

_MOST_CHOSEN, _MOST_GIVEN = 3, 5  # parameters


class PairAxis:
    """One parameter as an axis of a panel; ``numeric``: its values are numbers, which have a scale."""

    def __init__(self, subject: Subject, name: str) -> None:
        self.name, self.parameter = name, subject.space[name]
        self.numeric = self.parameter.scale.numeric
        self.shown_as = Quantity.of_parameter(name, self.parameter)

    def axis(self) -> Axis:
        """A new axis with the parameter's whole range."""
        made = scale_of(self.parameter, self.shown_as)
        scale = self.parameter.scale
        if not self.numeric:
            made.limits = -0.5, len(choices(self.parameter)) - 0.5
        elif scale.first < scale.last:
            made.limits = self.shown_as.drawn(scale.first), self.shown_as.drawn(scale.last)
        return made

    def places(self, records: Sequence[TrialRecord]) -> list[float]:
        """Where trials that have the parameter stand."""
        return places(self.parameter, self.shown_as, records)


def pairs_of(subject: Subject, parameters: Sequence[str]) -> list[tuple[PairAxis, PairAxis]]:
    """Return the pairs of the given parameters, or of the three that matter most (the first ones, where too little
    is known to say which). Raises ``UsageError`` for a name that is none and fewer than two parameters."""
    space = subject.space
    for name in parameters:
        if name not in space.names:
            raise UsageError(f"there is no parameter {name!r} to plot; there are: {listing(space.names)}")
    if parameters and not 2 <= len(set(parameters)) <= _MOST_GIVEN:
        raise UsageError(f"give from 2 to {_MOST_GIVEN} different parameters, not {', '.join(map(repr, parameters))}")
    if space.dim < 2:
        what = f"only {space.names[0]!r} is" if space.dim else "no parameter is"
        raise UsageError(f"this plot is of pairs of parameters, and {what} searched")
    names = list(dict.fromkeys(parameters)) or _that_matter(subject)
    return [(PairAxis(subject, x), PairAxis(subject, y)) for x, y in combinations(names, 2)]


def _that_matter(subject: Subject) -> list[str]:
    try:
        return [p.parameter for p in importances(subject.space, subject.objective, subject.records)][:_MOST_CHOSEN]
    except UsageError:  # too few trials
        return list(subject.space.names)[:_MOST_CHOSEN]


def having_both(records: Sequence[TrialRecord], x: PairAxis, y: PairAxis) -> list[TrialRecord]:
    """Return the trials in which both parameters are active."""
    return [r for r in records if x.name in r.config and y.name in r.config]


def in_grid(panels: list[Panel]) -> list[list[Panel | None]]:
    """Arrange panels in rows of at most three."""
    columns = min(len(panels), 3)
    filled: list[Panel | None] = [*panels, *[None] * (-len(panels) % columns)]
    return [filled[i : i + columns] for i in range(0, len(filled), columns)]


def what(pairs: Sequence[tuple[PairAxis, PairAxis]]) -> str:
    """Name the parameters of a single pair, for a title."""
    (x, y), *others = pairs
    if others:
        return "pairs of parameters"
    return f"{printable(x.name, 30)} and {printable(y.name, 30)}"
