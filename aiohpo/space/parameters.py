"""The kinds of parameter that a search space is made of; :mod:`.parameter` says what they have in common."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from ..arguments import CHOICE_ARGUMENTS, NUMBER_ARGUMENTS, explained_class
from ..errors import UsageError, listing
from .parameter import CATEGORICAL, CONTINUOUS, ORDERED, NativeType, Parameter, Scale
from .scalars import (
    Scalar,
    When,
    canonical_when,
    checked_flag,
    checked_number,
    double_rank,
    integer,
    plain_scalar,
    scalar,
    scalar_key,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Beyond this an integer would not survive the way through the (logarithmic) unit encoding in double
# precision: exp(log(v)) is off by about v * 1e-14.
LARGEST_INT = 2**40
# Levels of a stepped Float are kept in a table.
MOST_LEVELS = 100_000
# A Float of at most so many doubles is a finite set of them, so that none is tried twice. With more, two of 1,000
# random draws are equal in fewer than one search of 500. Units, which are compared to nine decimals, tell them apart.
MOST_DOUBLES = 2**28
NARROW = 1e-3  # relative to the lower bound


@explained_class(NUMBER_ARGUMENTS)
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Float(Parameter):
    """A real number in [low, high].

    log      search its logarithm (needs low > 0), for ranges that span orders of magnitude
    step     only low, low + step, ... high; excludes ``log``
    default  the value in ``Space.default()``; if omitted, the middle (of the logarithm, with ``log``)
    when     active only under this condition, see :class:`aiohpo.space.space.Space`

    A range so narrow that it contains only a few doubles is treated as the finite set of them.
    """

    type: ClassVar[str] = "float"
    native_type: ClassVar[NativeType] = float
    low: float
    high: float
    log: bool = field(default=False, kw_only=True)
    step: float | None = field(default=None, kw_only=True)
    default: float | None = field(default=None, kw_only=True)
    when: When | None = field(default=None, kw_only=True)
    table: tuple[float, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        low, high = checked_number(self.low, "Float: low"), checked_number(self.high, "Float: high")
        span = f"Float({low!r}, {high!r})"
        if low >= high:
            remedy = f"for one value use Constant({low!r})" if low == high else "swap them"
            raise UsageError(f"{span}: low must be below high; {remedy}.")
        if checked_flag(self.log, f"{span}: log") and low <= 0:
            raise UsageError(f"{span}: log=True needs low > 0; use a small positive low, or log=False.")
        if high - low == math.inf:
            raise UsageError(f"{span}: the range is too wide for double precision; change a bound.")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        object.__setattr__(self, "log", plain_scalar(self.log))
        if self.step is not None:
            object.__setattr__(self, "step", checked_number(self.step, f"{span}: step"))
            object.__setattr__(self, "table", self._levels(span))
        object.__setattr__(self, "when", canonical_when(self.when, span))
        if self.default is not None:
            object.__setattr__(self, "default", _default(self))

    def _levels(self, span: str) -> tuple[float, ...]:
        """Tabulate the levels in decimal arithmetic: a step of 0.1 gives 0.3, not 0.30000000000000004."""
        if self.log:
            raise UsageError(f"{span}: log and step cannot be combined; drop one, or list the values in an Ordinal.")
        if self.step is None or self.step <= 0:
            raise UsageError(f"{span}: step must be positive, not {self.step!r}.")
        if (self.high - self.low) / self.step >= MOST_LEVELS:
            raise UsageError(f"{span}: step={self.step!r} makes more than {MOST_LEVELS} levels; leave step out.")
        low, high, step = (Decimal(repr(v)) for v in (self.low, self.high, self.step))
        count = round((high - low) / step)
        # a step such as 1/3 is not exact in the first place
        if abs(low + count * step - high) > step * Decimal("1e-9"):
            below = (high - low) // step
            remedies = " or ".join(f"high={float(low + n * step)!r}" for n in (below, below + 1) if n)
            raise UsageError(f"{span}: steps of {self.step!r} from low do not end at high; use {remedies}.")
        table = (*(float(low + i * step) for i in range(count)), self.high)
        if any(above <= below for below, above in pairwise(table)):
            raise UsageError(
                f"{span}: steps of {self.step!r} are too small for double precision, which has no number between some "
                "of these levels; leave step out."
            )
        return table

    @property
    def _doubles(self) -> int:
        return double_rank(self.high) - double_rank(self.low) + 1

    @property
    def kind(self) -> int:
        return CONTINUOUS if self.step is None else ORDERED

    @property
    def levels(self) -> int | None:
        if self.step is not None:
            return len(self.table)
        return self._doubles if self._doubles <= MOST_DOUBLES else None

    @property
    def scale(self) -> Scale:
        # Over so narrow a range a logarithm is linear, but cannot tell neighbouring doubles apart.
        log = self.log and self.high - self.low > NARROW * self.low
        return Scale(self.low, self.high, self.step, self.low, self.high, log, table=self.table)

    @property
    def allowed(self) -> Container[float] | None:
        return frozenset(self.table) if self.table else None

    def native(self, value: object) -> float:
        if type(value) is not float:
            value = checked_number(value, "the value")
        if not self.low <= value <= self.high:
            raise UsageError(f"{value!r} is outside its range; give a number from {self.low!r} to {self.high!r}.")
        if self.step is None:
            return value
        above = bisect_left(self.table, value)
        level = min(self.table[max(above - 1, 0) : above + 1], key=lambda level: abs(level - value))
        if abs(level - value) > 1e-9 * self.step:
            raise UsageError(
                f"{value!r} is not a whole number of steps of {self.step!r} from {self.low!r}; {level!r} is."
            )
        return level


@explained_class(NUMBER_ARGUMENTS)
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Int(Parameter):
    """A whole number in [low, high], both included. Options as for :class:`Float`; ``log`` needs low >= 1."""

    type: ClassVar[str] = "int"
    low: int
    high: int
    log: bool = field(default=False, kw_only=True)
    step: int = field(default=1, kw_only=True)
    default: int | None = field(default=None, kw_only=True)
    when: When | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        low, high = integer(self.low, "Int: low"), integer(self.high, "Int: high")
        span = f"Int({low!r}, {high!r})"
        if low > high:
            raise UsageError(f"{span}: low must not be above high; swap them.")
        if max(-low, high) > LARGEST_INT:
            raise UsageError(f"{span}: bounds must lie within ±2**40 to be searched exactly; use a Float and round it.")
        step = integer(self.step, f"{span}: step")
        if step < 1:
            raise UsageError(f"{span}: step must be at least 1, not {step!r}.")
        if rest := (high - low) % step:
            remedies = " or ".join(f"high={v}" for v in (high - rest, high - rest + step) if v > low)
            raise UsageError(f"{span}: steps of {step} from low do not end at high; use {remedies}.")
        if checked_flag(self.log, f"{span}: log"):
            if low < 1:
                raise UsageError(f"{span}: log=True needs low >= 1; raise low, or use log=False.")
            if step != 1:
                raise UsageError(
                    f"{span}: log and step cannot be combined; drop one, or list the values in an Ordinal."
                )
        for name, value in (("low", low), ("high", high), ("step", step), ("log", plain_scalar(self.log))):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "when", canonical_when(self.when, span))
        if self.default is not None:
            object.__setattr__(self, "default", _default(self))

    @property
    def kind(self) -> int:
        return ORDERED

    @property
    def levels(self) -> int:
        return (self.high - self.low) // self.step + 1

    @property
    def scale(self) -> Scale:
        # Each whole number owns the share of [0, 1] that real numbers which round to it would have.
        return Scale(self.low, self.high, self.step, self.low - 0.5, self.high + 0.5, self.log)

    @property
    def allowed(self) -> Container[float] | None:
        return range(self.low, self.high + 1, self.step) if self.step > 1 else None

    def native(self, value: object) -> int:
        if type(value) is not int:
            value = integer(value, "the value")
        if not self.low <= value <= self.high:
            raise UsageError(f"{value!r} is outside its range; give a whole number from {self.low} to {self.high}.")
        if rest := (value - self.low) % self.step:
            raise UsageError(
                f"{value!r} is not a whole number of steps of {self.step} from {self.low}; {value - rest} is."
            )
        return value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Choices(Parameter):
    choices: Sequence[Scalar]
    default: Scalar = field(default=None, kw_only=True)
    when: When | None = field(default=None, kw_only=True)
    index: dict[tuple[bool, object], int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        what, choices = type(self).__name__, self.choices
        if isinstance(choices, str | bytes | Mapping | set | frozenset) or not isinstance(choices, Iterable):
            raise UsageError(f"{what}: choices must be a list (it fixes their order), not {choices!r}.")
        scalars = tuple(scalar(v, f"{what}: choices") for v in choices)
        if not scalars:
            raise UsageError(f"{what}: choices is empty; give at least one.")
        for i, value in enumerate(scalars):
            if self.index.setdefault(scalar_key(value), i) != i:
                raise UsageError(f"{what}: {value!r} is among the choices twice; list each once.")
        object.__setattr__(self, "choices", scalars)
        object.__setattr__(self, "when", canonical_when(self.when, what))
        if self.default is not None:
            object.__setattr__(self, "default", scalars[_default(self)])

    @property
    def levels(self) -> int:
        return len(self.choices)

    @property
    def scale(self) -> Scale:
        last = len(self.choices) - 1
        return Scale(0, last, 1, -0.5, last + 0.5, numeric=False)

    def values(self, natives: NDArray[np.float64]) -> list[Any]:
        return [self.choices[i] for i in natives.astype(int).tolist()]

    def native(self, value: object) -> int:
        try:
            return self.index[scalar_key(plain_scalar(value))]
        except (KeyError, TypeError):
            raise UsageError(f"{value!r} is not one of its choices: {', '.join(map(repr, self.choices))}.") from None


@explained_class(CHOICE_ARGUMENTS)
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Categorical(_Choices):
    """One of some unordered values.

    choices  distinct JSON scalars (str, int, float, bool, None). A numpy scalar, or an enum member that is a str, int
             or float, stands for its plain value, which the objective receives
    default  the value in ``Space.default()``; if omitted (or None), the first choice
    when     active only under this condition
    """

    type: ClassVar[str] = "categorical"

    @property
    def kind(self) -> int:
        return CATEGORICAL

    @property
    def default_native(self) -> int:
        return 0 if self.default is None else self.native(self.default)


@explained_class(CHOICE_ARGUMENTS)
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ordinal(_Choices):
    """One of some values listed in a meaningful order, such as ``["low", "medium", "high"]``.

    Options as for :class:`Categorical`, but without a default the middle choice is used.
    """

    type: ClassVar[str] = "ordinal"

    @property
    def kind(self) -> int:
        return ORDERED


@explained_class({})
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant(Parameter):
    """A value that is part of every configuration and is not searched."""

    type: ClassVar[str] = "constant"
    tunable: ClassVar[bool] = False
    value: Scalar
    when: When | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", scalar(self.value, "Constant"))
        object.__setattr__(self, "when", canonical_when(self.when, "Constant"))

    @property
    def kind(self) -> int:
        return CATEGORICAL

    @property
    def levels(self) -> int:
        return 1

    @property
    def scale(self) -> Scale:
        return Scale(0, 0, 1, -0.5, 0.5, numeric=False)

    def values(self, natives: NDArray[np.float64]) -> list[Any]:
        return [self.value] * len(natives)

    def native(self, value: object) -> int:
        if scalar_key(plain_scalar(value)) != scalar_key(self.value):
            raise UsageError(f"{value!r} given, but it is the constant {self.value!r}; leave it out.")
        return 0


def _default(parameter: Float | Int | _Choices) -> Any:
    try:
        return parameter.native(parameter.default)
    except UsageError as error:
        raise UsageError(f"{parameter.type.capitalize()}: default: {error}") from None


TYPES: dict[str, type[Parameter]] = {p.type: p for p in (Float, Int, Categorical, Ordinal, Constant)}


def from_dict(definition: Mapping[str, Any]) -> Parameter:
    """Make a parameter from the result of :meth:`Parameter.to_dict`."""
    options = dict(definition)
    name = options.pop("type", None)
    cls = TYPES.get(name) if isinstance(name, str) else None
    if cls is None:
        raise UsageError(f"unknown type {name!r}; known: {listing(list(TYPES))}.")
    known = [f.name for f in fields(cls) if f.init]  # type: ignore[arg-type]
    if unknown := set(options) - set(known):
        raise UsageError(f"unknown option {min(unknown, key=str)!r} of {name}; known: {listing(known)}.")
    if missing := {"low", "high", "choices", "value"} & set(known) - set(options):
        raise UsageError(f"{name} lacks {listing(list(missing))}.")
    return cls(**options)
