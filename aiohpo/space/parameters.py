"""The kinds of parameter that a search space is made of.

Every parameter has three faces:

value    what the user's code sees: ``0.01``, ``128``, ``"adam"``, ``None``
native   the number that is stored and sent: the value itself for Float and Int, the index of the choice for
         Categorical and Ordinal; converting there and back is exact
unit     a number in [0, 1] on which searchers work; see :mod:`aiohpo.space.encoding` for the formulas

A parameter does not know its name: the space does, and adds it to what goes wrong here.

A new kind is a class here that says by :class:`Parameter`'s properties and methods all that others ask of a kind, a
line in :data:`TYPES`, and its name in ``aiohpo/__init__.py`` and ``aiohpo/space/space.py``. Whatever can be said by a
:class:`Scale` is encoded, sampled, packed, checked and drawn, and served by every searcher and scheduler, as it is; a
kind with a formula of its own between native and unit also needs a group of columns in
:class:`aiohpo.space.encoding.Encoding`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from ..errors import UsageError, listing
from .scalars import Scalar, When, canonical_when, flag, integer, key, number, plain, scalar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NativeType: TypeAlias = type[int] | type[float]

CONTINUOUS, ORDERED, CATEGORICAL = 0, 1, 2

# Beyond this an integer would not survive the way through the (logarithmic) unit encoding in double
# precision: exp(log(v)) is off by about v * 1e-14.
LARGEST_INT = 2**40
# Levels of a stepped Float are kept in a table.
MOST_LEVELS = 100_000


class Scale(NamedTuple):
    """Which native values a parameter has, and how they lie in the unit encoding.

    first, last  the lowest and the highest native value
    step         the distance between two levels; None where values are continuous
    low, high    what the units 0 and 1 stand for
    log          whether units are linear in the logarithm
    numeric      whether values are numbers that mean something, so that a plot has an axis with that scale
    table        the native values of all levels, where ``first + i step`` would be inexact
    """

    first: float | int
    last: float | int
    step: float | int | None
    low: float
    high: float
    log: bool = False
    numeric: bool = True
    table: tuple[float, ...] = ()


class Parameter:
    """What the five kinds share: identity is the definition, and the definition is JSON.

    type         its name in a definition
    tunable      whether it is searched, and so has a column
    native_type  of its native values
    """

    __slots__ = ()
    type: ClassVar[str]
    tunable: ClassVar[bool] = True
    native_type: ClassVar[NativeType] = int
    when: When | None

    @property
    def kind(self) -> int:
        """CONTINUOUS, ORDERED (levels with an order) or CATEGORICAL."""
        raise NotImplementedError

    @property
    def levels(self) -> int | None:
        """How many values it has; None for a continuous one."""
        raise NotImplementedError

    @property
    def scale(self) -> Scale:
        """Its native values, and how they lie in the unit encoding."""
        raise NotImplementedError

    @property
    def allowed(self) -> Container[float] | None:
        """The native values that it has between the ends of its scale; None if these are all of its type."""
        return None

    @property
    def default_native(self) -> float | int | None:
        """The native value of the default; None for the middle of the unit encoding."""
        default = getattr(self, "default", None)
        return None if default is None else self.native(default)

    def values(self, natives: NDArray[np.float64]) -> list[Any]:
        """Return the values of valid native ones (n,)."""
        return natives.astype(self.native_type).tolist()  # type: ignore[no-any-return]  # numpy does not say

    def native(self, value: object) -> float | int:
        """Convert a value; raise UsageError (value and remedy, without the name) if it is not allowed."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as JSON-able data, options at their defaults left out."""
        result: dict[str, Any] = {"type": self.type}
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if f.init and not (value == {} if f.name == "when" else key(value) == key(f.default)):
                result[f.name] = list(value) if isinstance(value, tuple) else value
        if self.condition:
            result["when"] = {name: list(values) for name, values in self.condition.items()}
        return result

    @property
    def condition(self) -> Mapping[str, tuple[Scalar, ...]]:
        """``when`` in canonical form: sorted names, each with its sorted values; empty if always active."""
        return self.when or {}  # type: ignore[return-value]  # canonical since construction

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameter) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> str:
        return json.dumps(self.to_dict(), sort_keys=True)

    def __repr__(self) -> str:
        """Show the call that makes it, long lists of choices shortened."""
        parts = []
        for name, value in self.to_dict().items():
            if name in ("low", "high", "value"):
                parts.append(repr(value))
            elif name == "choices":
                shown = [repr(v) for v in value[:6]] + ([f"… {len(value) - 6} more"] if len(value) > 6 else [])
                parts.append(f"[{', '.join(shown)}]")
            elif name == "when":
                parts.append(f"when={ {n: v[0] if len(v) == 1 else v for n, v in value.items()} }")
            elif name != "type":
                parts.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Float(Parameter):
    """A real number in [low, high].

    log      search its logarithm (needs low > 0): for what spans orders of magnitude
    step     only low, low + step, ... high; excludes ``log``
    default  what ``Space.default()`` uses; without it the middle (of the logarithm, with ``log``)
    when     active only under this condition, see :class:`aiohpo.space.space.Space`
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
        low, high = number(self.low, "Float: low"), number(self.high, "Float: high")
        span = f"Float({low!r}, {high!r})"
        if low >= high:
            remedy = f"for one value use Constant({low!r})" if low == high else "swap them"
            raise UsageError(f"{span}: low must be below high; {remedy}.")
        if flag(self.log, f"{span}: log") and low <= 0:
            raise UsageError(f"{span}: log=True needs low > 0; use a small positive low, or log=False.")
        width = math.log(high) - math.log(low) if self.log else high - low
        if not 0 < width < math.inf:
            raise UsageError(f"{span}: the range is too wide or too narrow for double precision; change a bound.")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        object.__setattr__(self, "log", plain(self.log))
        if self.step is not None:
            object.__setattr__(self, "step", number(self.step, f"{span}: step"))
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
        return (*(float(low + i * step) for i in range(count)), self.high)

    @property
    def kind(self) -> int:
        return CONTINUOUS if self.step is None else ORDERED

    @property
    def levels(self) -> int | None:
        return None if self.step is None else len(self.table)

    @property
    def scale(self) -> Scale:
        return Scale(self.low, self.high, self.step, self.low, self.high, self.log, table=self.table)

    @property
    def allowed(self) -> Container[float] | None:
        return frozenset(self.table) if self.table else None

    def native(self, value: object) -> float:
        if type(value) is not float:
            value = number(value, "the value")
        if not self.low <= value <= self.high:
            raise UsageError(f"{value!r} is outside its range; give a number from {self.low!r} to {self.high!r}.")
        if self.step is None:
            return value
        level = self.table[round((value - self.low) / self.step)]
        if abs(level - value) > 1e-9 * self.step:
            raise UsageError(
                f"{value!r} is not a whole number of steps of {self.step!r} from {self.low!r}; {level!r} is."
            )
        return level


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
        if flag(self.log, f"{span}: log"):
            if low < 1:
                raise UsageError(f"{span}: log=True needs low >= 1; raise low, or use log=False.")
            if step != 1:
                raise UsageError(
                    f"{span}: log and step cannot be combined; drop one, or list the values in an Ordinal."
                )
        for name, value in (("low", low), ("high", high), ("step", step), ("log", plain(self.log))):
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
            if self.index.setdefault(key(value), i) != i:
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
            return self.index[key(plain(value))]
        except (KeyError, TypeError):
            raise UsageError(f"{value!r} is not one of its choices: {', '.join(map(repr, self.choices))}.") from None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Categorical(_Choices):
    """One of some unordered values.

    choices  distinct JSON scalars (str, int, float, bool, None)
    default  what ``Space.default()`` uses; without it (or with None) the first choice
    when     active only under this condition
    """

    type: ClassVar[str] = "categorical"

    @property
    def kind(self) -> int:
        return CATEGORICAL

    @property
    def default_native(self) -> int:
        return 0 if self.default is None else self.native(self.default)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ordinal(_Choices):
    """One of some values listed in a meaningful order, such as ``["low", "medium", "high"]``.

    Options as for :class:`Categorical`, but without a default the middle choice is used.
    """

    type: ClassVar[str] = "ordinal"

    @property
    def kind(self) -> int:
        return ORDERED


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Constant(Parameter):
    """A value that is handed to the objective with every configuration, and not searched."""

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
        if key(plain(value)) != key(self.value):
            raise UsageError(f"{value!r} given, but it is the constant {self.value!r}; leave it out.")
        return 0


def _default(parameter: Float | Int | _Choices) -> Any:
    try:
        return parameter.native(parameter.default)
    except UsageError as error:
        raise UsageError(f"{parameter.type.capitalize()}: default: {error}") from None


TYPES: dict[str, type[Parameter]] = {p.type: p for p in (Float, Int, Categorical, Ordinal, Constant)}


def from_dict(definition: Mapping[str, Any]) -> Parameter:
    """Make a parameter of what :meth:`Parameter.to_dict` returned."""
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
