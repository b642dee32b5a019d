"""Search spaces: named parameters, the conditions between them, and a configuration's four forms.

config  ``{"lr": 0.01, "optimizer": "sgd", ...}``, what the user's code sees: plain Python values in order of
        declaration, constants included, inactive parameters left out
row     ``(0.01, 0, ...)``, what is sent and stored: per tunable parameter the value of a Float or Int, the index
        of the choice of a Categorical or Ordinal, None if inactive; to a row and back is exact
V       native array (n, d): rows as float64, NaN if inactive
U       unit array (n, d): in [0, 1], NaN if inactive; what searchers work on. Formulas: :mod:`aiohpo.encoding`

There is one *column* per tunable parameter, in order of declaration; constants take none.

A condition ``when={"optimizer": ["sgd", "rmsprop"], "nesterov": True}`` makes a parameter active where every
named parent is active and has (one of) the values; see :mod:`aiohpo.conditions`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import parameters as _parameters
from .conditions import Condition, count, holds, resolve
from .encoding import Encoding, FloatArray, satisfied
from .interfaces import Config, UsageError
from .parameters import (
    CATEGORICAL,
    CONTINUOUS,
    ORDERED,
    Categorical,
    Constant,
    Float,
    Int,
    Ordinal,
    Parameter,
)

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

Row: TypeAlias = tuple[float | int | None, ...]

_ABSENT: Any = object()


class Space:
    """An immutable set of configurations: ``Space(lr=Float(1e-5, 0.1, log=True), layers=Int(1, 8))``.

    Names that are not Python identifiers go into a mapping or pairs: ``Space({"min.node.size": Int(1, 9)})``.
    Raises UsageError for conditions that are cyclic, name an unknown parent or can never hold.

    params       all parameters by name, constants included
    constants    values of the constants by name
    names        names of the tunable parameters, one per column
    dim          d, the number of columns
    kinds        (d,) int8: CONTINUOUS, ORDERED or CATEGORICAL
    cardinality  (d,) float64: number of values, inf if continuous
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter] | Iterable[tuple[str, Parameter]] | None = None,
        /,
        **params: Parameter,
    ) -> None:
        self.params: Mapping[str, Parameter] = MappingProxyType(_collect(parameters, params))
        self.constants: Mapping[str, Any] = MappingProxyType(
            {name: p.value for name, p in self.params.items() if isinstance(p, Constant)}
        )
        self.names: tuple[str, ...] = tuple(name for name in self.params if name not in self.constants)
        self.dim: int = len(self.names)
        columns = {name: c for c, name in enumerate(self.names)}
        tunable = [self.params[name] for name in self.names]
        self.kinds: NDArray[np.int8] = np.array([p.kind for p in tunable], np.int8)
        self.cardinality: FloatArray = np.array([p.levels or math.inf for p in tunable], np.float64)
        self.kinds.flags.writeable = self.cardinality.flags.writeable = False

        by_name, order = resolve(self.params, columns, self._unknown)
        self._conditions = [by_name[name] for name in self.names]
        self._order = [columns[name] for name in order if name in columns]
        self._encoding = Encoding(tunable, self._conditions, self._order)
        # the loops over a row read tuples prepared here instead of looking attributes up
        self._packing = [(c, self.names[c], tunable[c].native, self._conditions[c]) for c in self._order]
        self._checking = [(c, *_row_check(tunable[c]), self._conditions[c]) for c in self._order]
        self._unpacking = [
            (
                name,
                columns.get(name, -1),
                getattr(p, "choices", None),
                getattr(p, "value", None),
                by_name[name],
            )
            for name, p in self.params.items()
        ]
        self._conditional = any(by_name.values())

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
        active = ~np.isnan(V)
        columns: list[Sequence[Any]] = []
        for name, c, choices, value, condition in self._unpacking:
            if c < 0:
                columns.append(self._constant_column(value, condition, V))
                continue
            values: list[Any]
            if choices is None and isinstance(self.params[name], Float):
                values = V[:, c].tolist()
            else:
                values = np.where(active[:, c], V[:, c], 0.0).astype(np.int64).tolist()
                if choices is not None:
                    values = [choices[i] for i in values]
            if condition:
                values = [v if on else _ABSENT for v, on in zip(values, active[:, c].tolist(), strict=True)]
            columns.append(values)
        names = tuple(self.params)
        rows = zip(*columns, strict=True) if columns else [()] * len(V)
        if not self._conditional:
            return [dict(zip(names, row, strict=True)) for row in rows]
        return [{k: v for k, v in zip(names, row, strict=True) if v is not _ABSENT} for row in rows]

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

    # ----------------------------------------------------------------------------------- one at a time
    def pack(self, config: Mapping[str, Any]) -> Row:
        """Return the row of a configuration; raises as :meth:`validate` does."""
        if not isinstance(config, Mapping):
            raise UsageError(f"a configuration is a dict of parameter values, not {config!r}.")
        row: list[float | int | None] = [None] * self.dim
        used = 0
        for c, name, native, condition in self._packing:
            if condition and not holds(condition, row):
                continue
            value = config.get(name, _ABSENT)
            if value is _ABSENT:
                self._complain(config)
            try:
                row[c] = native(value)
            except UsageError as error:
                raise UsageError(f"parameter {name!r}: {error}") from None
            used += 1
        if used != len(config):
            self._check_rest(config, row)
        return tuple(row)

    def unpack(self, row: Sequence[float | int | None]) -> Config:
        """Return the configuration of a valid row (what comes from elsewhere: :meth:`check_row` first)."""
        config: Config = {}
        for name, c, choices, value, condition in self._unpacking:
            if c < 0:
                if not condition or holds(condition, row):
                    config[name] = value
            elif (v := row[c]) is not None:
                config[name] = v if choices is None else choices[v]
        return config

    def check_row(self, row: Any) -> bool:
        """Say whether ``row`` is a valid row. Never raises: for what untrusted peers sent."""
        if not isinstance(row, tuple | list) or len(row) != self.dim:
            return False
        for c, kind, low, high, members, condition in self._checking:
            value = row[c]
            # parents come first, so what `holds` looks at has been checked and is hashable
            if condition and not holds(condition, row):
                if value is not None:
                    return False
            elif type(value) is not kind or not low <= value <= high or (members is not None and value not in members):
                return False
        return True

    def validate(self, config: Mapping[str, Any]) -> Config:
        """Return ``config`` completed by constants, in order of declaration, numpy scalars converted.

        Raises UsageError, with the remedy, for an unknown name, a value that is not allowed, an active parameter
        that is missing and an inactive one that is given.
        """
        return self.unpack(self.pack(config))

    def default(self) -> Config:
        """Return the configuration of all defaults; without one, a Categorical's first choice, else the middle."""
        return self.decode(np.full((1, self.dim), np.nan))[0]

    def grid(self, resolution: int = 10) -> Iterator[Config]:
        """Yield every configuration of a grid once, the last parameter varying fastest (children after parents).

        A parameter with more than ``resolution`` values that is not categorical is represented by that many,
        evenly spaced in its unit encoding, ends included.
        """
        if resolution < 1:
            raise UsageError(f"grid: resolution must be at least 1, not {resolution!r}.")
        natives: list[list[float | int]] = []
        for c, name in enumerate(self.names):
            points = self._encoding.points(c, resolution)
            natives.append(points if isinstance(self.params[name], Float) else [int(v) for v in points])
        row: list[float | int | None] = [None] * self.dim

        def walk(i: int) -> Iterator[Config]:
            if i == self.dim:
                yield self.unpack(row)
                return
            c = self._order[i]
            if holds(self._conditions[c], row):
                for value in natives[c]:
                    row[c] = value
                    yield from walk(i + 1)
                row[c] = None
            else:
                yield from walk(i + 1)

        return walk(0)

    # ---------------------------------------------------------------------------------------- the space
    @cached_property
    def size(self) -> float:
        """Number of distinct configurations, inf if a parameter is continuous.

        Exact (to double precision) also with conditions, unless these are so entangled that counting would take
        long; then an upper bound, see :func:`aiohpo.conditions.count`.
        """
        return count(self._conditions, self.cardinality.tolist(), self._order)

    @cached_property
    def hash(self) -> str:
        """16 hex digits that identify the definition, the same in every process."""
        return hashlib.sha256(self._text.encode()).hexdigest()[:16]

    @cached_property
    def _text(self) -> str:
        """The definition as canonical JSON; in it True and 1 differ, as they do for us and not for ``==``."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as JSON-able data."""
        return {"parameters": [{"name": name, **p.to_dict()} for name, p in self.params.items()]}

    @classmethod
    def from_dict(cls, definition: Mapping[str, Any]) -> Space:
        """Make the space of what :meth:`to_dict` returned; raises UsageError for anything else."""
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
            raise UsageError(self._unknown(name))
        return self.params[name]

    def __repr__(self) -> str:
        names = ", ".join(list(self.params)[:6]) + (", …" if len(self) > 6 else "")
        notes = [f"{self.dim} tunable"]
        notes += [f"{n} conditional"] if (n := sum(bool(p.condition) for p in self.params.values())) else []
        notes += [f"{n} constant"] if (n := len(self.constants)) else []
        return f"<Space {names}: {', '.join(notes)}, size {self.size:.6g}>"

    # ----------------------------------------------------------------------------------------- helpers
    def _array(self, array: ArrayLike) -> FloatArray:
        result = np.asarray(array, np.float64)
        if result.ndim != 2 or result.shape[1] != self.dim:
            raise UsageError(
                f"expected an array of shape (n, {self.dim}), a row per configuration, not {result.shape}."
            )
        return result

    def _unknown(self, name: object) -> str:
        close = difflib.get_close_matches(str(name), self.params, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"this space has {', '.join(self.params)}."
        return f"unknown parameter {name!r}; {hint}"

    def _constant_column(self, value: Any, condition: Condition, V: FloatArray) -> list[Any]:
        if not condition:
            return [value] * len(V)
        return [value if on else _ABSENT for on in satisfied(condition, V).tolist()]

    def _complain(self, config: Mapping[str, Any]) -> NoReturn:
        """Say what is wrong with the names of ``config``, in which an active parameter is missing."""
        for name in config:
            if name not in self.params:
                raise UsageError(self._unknown(name))
        row: list[float | int | None] = [None] * self.dim
        missing = []
        for c, name, native, condition in self._packing:
            if holds(condition, row):
                if name not in config:
                    missing.append(name)
                    continue
                try:
                    row[c] = native(config[name])
                except UsageError as error:
                    raise UsageError(f"parameter {name!r}: {error}") from None
        plural = "parameters" if len(missing) > 1 else "parameter"
        raise UsageError(
            f"the configuration lacks the {plural} {', '.join(map(repr, missing))}; give every active one."
        )

    def _check_rest(self, config: Mapping[str, Any], row: Sequence[float | int | None]) -> None:
        """Check what is in ``config`` beside the active tunable parameters: only constants belong there."""
        for name, c, _, _, condition in self._unpacking:
            if name not in config:
                continue
            if not holds(condition, row):
                raise UsageError(
                    f"parameter {name!r} is given, but inactive here: it needs {self._needs(name)}; leave it out."
                )
            if c < 0:
                try:
                    self.params[name].native(config[name])
                except UsageError as error:
                    raise UsageError(f"parameter {name!r}: {error}") from None
        for name in config:
            if name not in self.params:
                raise UsageError(self._unknown(name))

    def _needs(self, name: str) -> str:
        """Word the condition of a parameter."""
        return " and ".join(
            f"{parent}={values[0]!r}" if len(values) == 1 else f"{parent} to be one of {list(values)!r}"
            for parent, values in self.params[name].condition.items()
        )


def _collect(given: Any, params: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Merge the two ways of naming parameters; check names and types."""
    if isinstance(given, Parameter):
        raise UsageError(f"{given!r} needs a name; write Space(name={given!r}).")
    if isinstance(given, Space):
        given = given.params
    if given is not None and not isinstance(given, Mapping | list | tuple):
        raise UsageError(f"Space takes a dict of parameters by name, not {given!r}.")
    pairs = list(given.items() if isinstance(given, Mapping) else given or ())
    result: dict[str, Parameter] = {}
    for pair in [*pairs, *params.items()]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UsageError(f"Space takes a dict or (name, parameter) pairs; {pair!r} is neither.")
        name, param = pair
        if not isinstance(name, str) or not name:
            raise UsageError(f"{name!r} is no name for a parameter; use a non-empty str.")
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


def _row_check(param: Parameter) -> tuple[type, float, float, Container[float] | None]:
    """Return what a native value must be: its type, lowest, highest, and the members of a range with steps."""
    if isinstance(param, Float):
        return float, param.low, param.high, frozenset(param.table) if param.table else None
    if isinstance(param, Int):
        return (
            int,
            param.low,
            param.high,
            range(param.low, param.high + 1, param.step) if param.step > 1 else None,
        )
    return int, 0, (param.levels or 1) - 1, None
