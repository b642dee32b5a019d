"""What configurations are compared by: a metric, and the direction in which it is better."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import UsageError

Mode = Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Objective:
    """One metric to optimise.

    Users, records and displays see *values*, in the metric's own sign; searchers and schedulers see *losses*, which
    are always minimised. This class is where the one becomes the other.

    metric     its name
    direction  "min" or "max"
    sign       1.0 or -1.0, by which a value (or an array of values) is multiplied to become a loss, and a loss a value

    Raises ``UsageError`` for anything else.

    >>> accuracy = Objective("accuracy", "max")
    >>> accuracy.loss(0.9), accuracy.is_better(0.9, 0.8)
    (-0.9, True)
    """

    metric: str
    direction: Mode = "min"
    sign: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise UsageError(f"metric must be a non-empty name, not {self.metric!r}")
        if self.direction not in ("min", "max"):
            raise UsageError(f"mode must be 'min' or 'max', not {self.direction!r}")
        object.__setattr__(self, "sign", 1.0 if self.direction == "min" else -1.0)

    def loss(self, value: float) -> float:
        """The loss of a value: what is minimised."""
        return self.sign * value

    def is_better(self, value: float, than: float) -> bool:
        """Whether a value is strictly better than another one."""
        return self.loss(value) < self.loss(than)

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}"
