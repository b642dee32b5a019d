"""What every kind of parameter says of itself.

Every parameter has three faces:

value    what the user's code sees: ``0.01``, ``128``, ``"adam"``, ``None``
native   the number that is stored and sent: the value itself for Float and Int, the index of the choice for
         Categorical and Ordinal; converting there and back is exact
unit     a number in [0, 1] on which searchers work; see :mod:`aiohpo.space.encoding` for the formulas

A parameter does not know its name: the space does, and adds it to what goes wrong here.

A new kind is a class in :mod:`.parameters` that says by :class:`Parameter`'s properties and methods all that others
ask of a kind, a line in ``TYPES`` there, and its name in ``aiohpo/__init__.py`` and ``aiohpo/space/space.py``. Whatever
can be said by a :class:`Scale` is encoded, sampled, packed, checked and drawn, and served by every searcher and
scheduler, as it is; a kind with a formula of its own between native and unit also needs a group of columns in
:class:`aiohpo.space.encoding.Encoding`.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from .scalars import Scalar, When, scalar_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NativeType: TypeAlias = type[int] | type[float]

CONTINUOUS, ORDERED, CATEGORICAL = 0, 1, 2


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
        """How many values it has; None for a continuous one that has too many doubles to count."""
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
            if f.init and not (value == {} if f.name == "when" else scalar_key(value) == scalar_key(f.default)):
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
