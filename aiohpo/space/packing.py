"""One configuration at a time: as a dict for people, as a row for the wire and the journal.

A row is a tuple with an entry per tunable parameter: the value of a Float or Int, the index of the choice of a
Categorical or Ordinal, None if inactive. The way to a row and back is exact. Rows come from untrusted peers,
hundreds per second, and are checked each time: hence the plain loops over prepared tuples.
"""

from __future__ import annotations

import difflib
from collections.abc import Container, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from ..errors import UsageError
from ..plugin import Config
from .conditions import Condition, condition_holds
from .parameter import Parameter

Row: TypeAlias = tuple[float | int | None, ...]

_MISSING: Any = object()


def unknown(name: object, params: Mapping[str, Parameter]) -> str:
    """Word the complaint about a name that is not among ``params``."""
    close = difflib.get_close_matches(str(name), params, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"the space has {', '.join(params)}."
    return f"unknown parameter {name!r}; {hint}"


class Packing:
    """Packs, unpacks and checks rows. ``order`` lists all names with parents first."""

    def __init__(
        self,
        params: Mapping[str, Parameter],
        columns: Mapping[str, int],
        conditions: Mapping[str, Condition],
        order: Sequence[str],
    ) -> None:
        self._params, self._columns, self._conditions = params, columns, conditions
        tunable = [(columns[name], name, params[name], conditions[name]) for name in order if name in columns]
        self._packing = [(c, name, p.native, condition) for c, name, p, condition in tunable]
        self._checking = [(c, *_limits(p), condition) for c, _, p, condition in tunable]
        self._unpacking = [
            (name, columns.get(name, -1), getattr(p, "choices", None), getattr(p, "value", None), conditions[name])
            for name, p in params.items()
        ]

    def pack(self, config: Mapping[str, Any]) -> Row:
        """Return the row of a configuration. Raises UsageError naming what is wrong and the remedy."""
        if not isinstance(config, Mapping):
            raise UsageError(f"a configuration is a dict of values by parameter, not {config!r}.")
        row: list[float | int | None] = [None] * len(self._packing)
        used = 0
        for c, name, native, condition in self._packing:
            if condition and not condition_holds(condition, row):
                continue
            value = config.get(name, _MISSING)
            if value is _MISSING:
                self._reject_names(config)
            try:
                row[c] = native(value)
            except UsageError as error:
                raise UsageError(f"parameter {name!r}: {error}") from None
            used += 1
        if used != len(config):
            self._check_rest(config, row)
        return tuple(row)

    def unpack(self, row: Sequence[float | int | None]) -> Config:
        """Return the configuration of a valid row, constants included, in order of declaration."""
        config: Config = {}
        for name, c, choices, value, condition in self._unpacking:
            if c < 0:
                if not condition or condition_holds(condition, row):
                    config[name] = value
            elif (v := row[c]) is not None:
                config[name] = v if choices is None else choices[v]
        return config

    def check(self, row: Any) -> bool:
        """Say whether ``row`` is a valid row. Never raises."""
        if not isinstance(row, tuple | list) or len(row) != len(self._checking):
            return False
        for c, kind, low, high, members, condition in self._checking:
            value = row[c]
            # parents come first: what the condition looks at is of the right type, so it can be hashed
            if condition and not condition_holds(condition, row):
                if value is not None:
                    return False
            elif type(value) is not kind or not low <= value <= high or (members is not None and value not in members):
                return False
        return True

    def _reject_names(self, config: Mapping[str, Any]) -> NoReturn:
        """Complain about ``config``, which lacks an active parameter: a misspelt name is the likelier cause."""
        for name in config:
            if name not in self._params:
                raise UsageError(unknown(name, self._params))
        row: list[float | int | None] = [None] * len(self._packing)
        missing = []
        for c, name, native, condition in self._packing:
            if not condition_holds(condition, row):
                continue
            if name not in config:
                missing.append(repr(name))
                continue
            try:
                row[c] = native(config[name])
            except UsageError as error:
                raise UsageError(f"parameter {name!r}: {error}") from None
        noun = "parameters" if len(missing) > 1 else "parameter"
        raise UsageError(f"the configuration lacks the {noun} {', '.join(missing)}; give every active one.")

    def _check_rest(self, config: Mapping[str, Any], row: Sequence[float | int | None]) -> None:
        """Check what ``config`` has beside active tunable parameters: only active constants belong there."""
        for name, value in config.items():
            if name not in self._params:
                raise UsageError(unknown(name, self._params))
            if not condition_holds(self._conditions[name], row):
                needs = " and ".join(
                    f"{parent}={values[0]!r}" if len(values) == 1 else f"{parent} in {list(values)!r}"
                    for parent, values in self._params[name].condition.items()
                )
                raise UsageError(f"parameter {name!r}={value!r} is inactive here (it needs {needs}); leave it out.")
            if name not in self._columns:
                try:
                    self._params[name].native(value)
                except UsageError as error:
                    raise UsageError(f"parameter {name!r}: {error}") from None


def _limits(param: Parameter) -> tuple[Any, float, float, Container[float] | None]:
    """Return what a native value must be: its type, lowest and highest, and its fellows where there are gaps."""
    scale = param.scale
    return param.native_type, scale.first, scale.last, param.allowed
