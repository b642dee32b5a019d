"""Search spaces: named parameters, the conditions between them, and a configuration's four forms.

config  ``{"lr": 0.01, "optimizer": "sgd", ...}``, what the user's code sees: plain Python values in order of
        declaration, constants included, inactive parameters left out
row     ``(0.01, 0, ...)``, what is sent and stored: an entry per tunable parameter, the index of the choice for
        a Categorical or Ordinal, None if inactive; exact (:mod:`aiohpo.space.packing`)
V       native array (n, d): rows as float64, NaN if inactive
U       unit array (n, d): in [0, 1], NaN if inactive; what searchers work on (:mod:`aiohpo.space.encoding`)

There is one *column* per tunable parameter, in order of declaration; constants take none.

A condition ``when={"optimizer": ["sgd", "rmsprop"], "nesterov": True}`` makes a parameter active where every
named parent is active and has (one of) the values (:mod:`aiohpo.space.conditions`).
"""

from __future__ import annotations

import hashlib
import json
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..plugin import Config
from ..tables import html_table
from . import parameters as _parameters
from .conditions import Condition, condition_holds, count_configurations, resolve
from .encoding import Encoding, FloatArray, satisfied
from .packing import Packing, Row, unknown
from .parameter import CATEGORICAL, CONTINUOUS, ORDERED, Parameter
from .parameters import Categorical, Constant, Float, Int, Ordinal

__all__ = [
    "CATEGORICAL",
    "CONTINUOUS",
    "ORDERED",
    "Categorical",
    "Constant",
    "Float",
    "Int",
    "Ordinal",
    "Parameter",
    "Row",
    "Space",
]

_ABSENT: Any = object()


class Space:
    """An immutable set of configurations: ``Space(lr=Float(1e-5, 0.1, log=True), layers=Int(1, 8))``.

    Give names that are not Python identifiers in a mapping or pairs: ``Space({"min.node.size": Int(1, 9)})``. Raises
    UsageError for conditions that are cyclic, name an unknown parent or can never hold.

    params       all parameters by name, constants included
    constants    values of the constants by name
    names        names of the tunable parameters, one per column
    dim          d, the number of columns
    kinds        (d,) int8: CONTINUOUS, ORDERED or CATEGORICAL
    cardinality  (d,) float64: number of values, inf if continuous
    conditions   for each column ((parent column, native values that satisfy), …); empty if it is always active
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter] | Iterable[tuple[str, Parameter]] | None = None,
        /,
        **params: Parameter,
    ) -> None:
        self.params: Mapping[str, Parameter] = MappingProxyType(_collect(parameters, params))
        self.constants: Mapping[str, Any] = MappingProxyType(
            {name: p.values(np.zeros(1))[0] for name, p in self.params.items() if not p.tunable}
        )
        self.names: tuple[str, ...] = tuple(name for name in self.params if name not in self.constants)
        self.dim: int = len(self.names)
        tunable = [self.params[name] for name in self.names]
        self.kinds: NDArray[np.int8] = np.array([p.kind for p in tunable], np.int8)
        self.cardinality: FloatArray = np.array([p.levels or math.inf for p in tunable], np.float64)
        self.kinds.flags.writeable = self.cardinality.flags.writeable = False

        columns = {name: c for c, name in enumerate(self.names)}
        self._by_name, order = resolve(self.params, columns, lambda name: unknown(name, self.params))
        self.conditions: tuple[Condition, ...] = tuple(self._by_name[name] for name in self.names)
        self._order = [columns[name] for name in order if name in columns]
        self._encoding = Encoding(tunable, self.conditions, self._order)
        self._rows = Packing(self.params, columns, self._by_name, order)

    # ----------------------------------------------------------------------------------- many at a time
    def sample(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Return units (n, d) of ``n`` independent random configurations: uniform in the unit encoding of
        every parameter, then conditions applied."""
        return self._encoding.snap(rng.random((n, self.dim)))

    def snap(self, U: ArrayLike) -> FloatArray:
        """Return the units of the nearest representable configurations.

        Clips to [0, 1], moves to the middle of the level, sets inactive entries to NaN and active NaN to the
        parameter's default (see :meth:`default`). Idempotent.
        """
        return self._encoding.snap(self._array(U))

    def decode(self, U: ArrayLike) -> list[Config]:
        """Return the configurations nearest to units (n, d), snapping as :meth:`snap` does."""
        V = self.decode_native(U)
        names, values = tuple(self.params), list(self._values(V))
        rows = zip(*values, strict=True)
        if not any(self._by_name.values()):
            return [dict(zip(names, row, strict=True)) for row in rows]
        return [{k: v for k, v in zip(names, row, strict=True) if v is not _ABSENT} for row in rows]

    def _values(self, V: FloatArray) -> Iterator[Sequence[Any]]:
        """Yield for each parameter its values in all rows of ``V``, _ABSENT where it is inactive."""
        columns = iter(V.T)
        for name, p in self.params.items():
            condition = self._by_name[name]
            if p.tunable:
                column = next(columns)
                active = ~np.isnan(column) if condition else None
                values = p.values(column if active is None else np.where(active, column, p.scale.first))
            else:
                values, active = p.values(np.zeros(len(V))), satisfied(condition, V) if condition else None
            if active is not None:
                values = [v if on else _ABSENT for v, on in zip(values, active.tolist(), strict=True)]
            yield values

    def encode(self, configs: Iterable[Mapping[str, Any]]) -> FloatArray:
        """Return the units (n, d) of configurations; raises as :meth:`validate` does."""
        rows = [self.pack(config) for config in configs]
        return self._encoding.to_unit(np.array(rows, np.float64).reshape(len(rows), self.dim))

    def decode_native(self, U: ArrayLike) -> FloatArray:
        """Return the native values (n, d) of the configurations nearest to units (n, d)."""
        return self._encoding.to_native(self._array(U))

    def encode_native(self, V: ArrayLike) -> FloatArray:
        """Return the units of native values (n, d), which must be valid; NaN (inactive) stays NaN."""
        return self._encoding.to_unit(self._array(V))

    # ------------------------------------------------------------------------------------ one at a time
    def pack(self, config: Mapping[str, Any]) -> Row:
        """Return the row of a configuration; raises as :meth:`validate` does."""
        return self._rows.pack(config)

    def unpack(self, row: Sequence[float | int | None]) -> Config:
        """Return the configuration of a valid row (what comes from elsewhere: :meth:`check_row` first)."""
        return self._rows.unpack(row)

    def check_row(self, row: object) -> bool:
        """Say whether ``row`` is a tuple or list that :meth:`pack` could have returned. Never raises: for what
        untrusted peers sent."""
        return self._rows.check(row)

    def validate(self, config: Mapping[str, Any]) -> Config:
        """Return ``config`` completed by constants, in order of declaration, numpy scalars converted.

        Raises UsageError, with the remedy, for an unknown name, a value that is not allowed, an active
        parameter that is missing and an inactive one that is given.
        """
        return self._rows.unpack(self._rows.pack(config))

    def default(self) -> Config:
        """Return the configuration of the parameters' defaults. A Categorical without a default takes its first choice,
        any other parameter the middle of its unit encoding."""
        config = self.decode(np.full((1, self.dim), np.nan))[0]
        given = {name: getattr(self.params[name], "default", None) for name in config}
        # decoding may change the last bits of what was given
        return {name: value if given[name] is None else given[name] for name, value in config.items()}

    def grid(self, resolution: int = 10) -> Iterator[Config]:
        """Yield every configuration of a grid once, later parameters varying faster (children after parents).

        A parameter with more than ``resolution`` values that is not categorical is represented by at most that
        many, evenly spaced in its unit encoding, ends included.
        """
        if resolution < 1:
            raise UsageError(f"grid: resolution must be at least 1, not {resolution!r}.")
        natives: list[list[float | int]] = []
        for c, name in enumerate(self.names):
            points = self._encoding.points(c, resolution)
            natives.append([self.params[name].native_type(v) for v in points])
        row: list[float | int | None] = [None] * self.dim

        def walk(i: int) -> Iterator[Config]:
            if i == self.dim:
                yield self.unpack(row)
                return
            c = self._order[i]
            for value in natives[c] if condition_holds(self.conditions[c], row) else [None]:
                row[c] = value
                yield from walk(i + 1)
            row[c] = None

        return walk(0)

    # ---------------------------------------------------------------------------------------- the space
    @cached_property
    def size(self) -> float:
        """Number of distinct configurations, inf if a parameter is continuous.

        Conditions are taken into account. Exact (within double precision), unless they are so entangled that counting
        would take long; then an upper bound, see :func:`aiohpo.space.conditions.count_configurations`.
        """
        return count_configurations(self.conditions, self.cardinality.tolist(), self._order)

    @cached_property
    def hash(self) -> str:
        """16 hex digits that identify the definition, the same in every process."""
        return hashlib.sha256(self._text.encode()).hexdigest()[:16]

    @cached_property
    def _text(self) -> str:
        """The definition as canonical JSON, in which True and 1 differ."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as JSON-able data."""
        return {"parameters": [{"name": name, **p.to_dict()} for name, p in self.params.items()]}

    @classmethod
    def from_dict(cls, definition: Mapping[str, Any]) -> Space:
        """Make the space from the result of :meth:`to_dict`; raises UsageError for anything else."""
        entries = definition.get("parameters") if isinstance(definition, Mapping) else None
        if not isinstance(entries, list | tuple) or not all(isinstance(e, Mapping) for e in entries):
            raise UsageError("a space's definition is {'parameters': [{'name': ..., 'type': ...}, ...]}.")
        pairs = []
        for entry in entries:
            options = dict(entry)
            name = options.pop("name", None)
            try:
                pairs.append((name, _parameters.from_dict(options)))
            except UsageError as error:
                raise UsageError(f"parameter {name!r}: {error}") from None
        return cls(pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> tuple[Any, ...]:
        return Space.from_dict, (self.to_dict(),)

    def __len__(self) -> int:
        return len(self.params)

    def __iter__(self) -> Iterator[str]:
        return iter(self.params)

    def __contains__(self, name: object) -> bool:
        return name in self.params

    def __getitem__(self, name: str) -> Parameter:
        if name not in self.params:
            raise UsageError(unknown(name, self.params))
        return self.params[name]

    def __repr__(self) -> str:
        conditional = sum(bool(p.condition) for p in self.params.values())
        parts = [f"{self.dim} tunable"]
        parts += [f"{conditional} conditional"] if conditional else []
        parts += [f"{len(self.constants)} constant"] if self.constants else []
        names = textwrap.shorten(", ".join(self.params), 60, placeholder=" …")
        return f"<Space {', '.join(parts)}, size {self.size:.6g}: {names}>"

    def _repr_html_(self) -> str:
        title = f"{self!r}"[1:-1].rpartition(": ")[0]
        return html_table(title, ("parameter", "values"), ((name, repr(p)) for name, p in self.params.items()))

    def _array(self, array: ArrayLike) -> FloatArray:
        result = np.asarray(array, np.float64)
        if result.ndim != 2 or result.shape[1] != self.dim:
            raise UsageError(
                f"expected an array of shape (n, {self.dim}), a row per configuration, not {result.shape}."
            )
        return result


def _collect(given: Any, params: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Merge the two ways of naming parameters; check names and types."""
    if isinstance(given, Parameter):
        raise UsageError(f"{given!r} needs a name; write Space(name={given!r}).")
    if given is not None and not isinstance(given, Mapping | list | tuple):
        raise UsageError(f"Space takes a dict of parameters by name, not {given!r}.")
    result: dict[str, Parameter] = {}
    for pair in [*(given.items() if isinstance(given, Mapping) else given or ()), *params.items()]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UsageError(f"Space takes a dict or (name, parameter) pairs; {pair!r} is neither.")
        name, param = pair
        if not isinstance(name, str) and not isinstance(param, Parameter):
            raise UsageError(
                f"Space takes named parameters, such as Space(x=Float(0, 1), n=Int(1, 5)); {pair!r} has no name."
            )
        if not isinstance(name, str) or not name:
            raise UsageError(f"{name!r} is not a valid parameter name; use a non-empty str.")
        if not isinstance(param, Parameter):
            raise UsageError(
                f"parameter {name!r}: {param!r} is not a parameter; use Float(low, high), Int(low, high), "
                "Categorical([...]), Ordinal([...]) or Constant(value)."
            )
        if name in result:
            raise UsageError(f"parameter {name!r} is given twice; rename one.")
        result[name] = param
    if not result:
        raise UsageError("the space is empty; give at least one parameter, such as Space(x=Float(0, 1)).")
    return result
