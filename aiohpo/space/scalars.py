"""The scalars that choices, bounds and conditions are written in, and how they are told apart and checked.

They are JSON's: None, bool, int, float (finite), str. ``True`` is not ``1``, as in JSON and unlike Python's
``==``; ``1`` and ``1.0`` are one number. What stands for such a scalar (a numpy scalar, an enum member that is a str,
int or float) is converted on entry, so nothing later meets one: the objective gets the plain value, whatever runs it.

Every check takes ``where``, the place that its error message names.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ..errors import UsageError

Scalar: TypeAlias = str | int | float | bool | None
When: TypeAlias = Mapping[str, Scalar | Iterable[Scalar]]


def plain_scalar(value: object) -> Any:
    """Turn what stands for a Python scalar into it: a numpy scalar, or an instance of a subclass of str, int or float.

    Anything else is left alone. A subclass would not survive the way through a pipe, a journal or a file of JSON.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in (str, int, float, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # str(value) is what the subclass makes of it: "Optimizer.ADAM"
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return value


def scalar_key(value: object) -> tuple[bool, object]:
    """Return what tells two scalars apart: as ``==`` does, but True is not 1."""
    return isinstance(value, bool), value


def scalar(value: object, where: str) -> Scalar:
    """Return ``value`` as a JSON scalar, or raise UsageError."""
    value = plain_scalar(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise UsageError(
        f"{where}: {value!r} is not a str, bool, None or finite number. Values are sent to other workers as "
        "data, so give a name here and look the object up in your objective."
    )


def checked_number(value: object, where: str) -> float:
    """Return ``value`` as a finite float, or raise UsageError; a bool is no number."""
    value = plain_scalar(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf:
        try:
            return float(value)
        except OverflowError:  # an int beyond the largest float
            pass
    raise UsageError(f"{where} must be a finite number, not {value!r}.")


def integer(value: object, where: str) -> int:
    """Return ``value`` as an int, or raise UsageError; 3.0 is one (data files write it so), True is not."""
    value = plain_scalar(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{where} must be a whole number, not {value!r}.")
    return value


def checked_flag(value: object, where: str) -> bool:
    """Return ``value`` if it is a bool, or raise UsageError."""
    value = plain_scalar(value)
    if not isinstance(value, bool):
        raise UsageError(f"{where} must be True or False, not {value!r}.")
    return value


def double_rank(value: float) -> int:
    """Return the place of a finite double among all of them, 0 for zero: neighbours differ by 1."""
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def double_at(rank: int) -> float:
    """Return the double at a place; the inverse of :func:`double_rank`."""
    value: float = struct.unpack("<d", struct.pack("<q", abs(rank)))[0]
    return math.copysign(value, rank)


def _rank(value: Scalar) -> tuple[int, Any]:
    """Sort key over mixed scalars: None, then bools, numbers, strings."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 1, value
    return (3, value) if isinstance(value, str) else (2, value)


def canonical_when(when: When | None, where: str) -> dict[str, tuple[Scalar, ...]]:
    """Bring a condition into canonical form: sorted names, each with its sorted distinct values."""
    if when is None:
        return {}
    if not isinstance(when, Mapping):
        raise UsageError(f"{where}: when must be a dict such as {{'optimizer': 'sgd'}}, not {when!r}.")
    result: dict[str, tuple[Scalar, ...]] = {}
    for parent in sorted(when, key=str):
        given = when[parent]
        if not isinstance(parent, str):
            raise UsageError(f"{where}: when has the key {parent!r}; keys are parameter names.")
        many = isinstance(given, list | tuple | set | frozenset | range | np.ndarray)
        values = list(given) if many else [given]  # type: ignore[arg-type]
        if not values:
            raise UsageError(f"{where}: when[{parent!r}] is empty, so it could never be active.")
        distinct = {scalar_key(v): v for v in (scalar(v, f"{where}: when[{parent!r}]") for v in values)}
        result[parent] = tuple(sorted(distinct.values(), key=_rank))
    return result
