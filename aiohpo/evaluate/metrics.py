"""Turn what an objective returned or reported into metrics, or say exactly what is wrong with it.

Anything that *is* one number counts: int, float, bool, Decimal, Fraction, numpy and torch scalars, arrays of
one element. Text does not, even where ``float("0.5")`` would do: a string in place of a score is nearly
always a mistake, and the trial that made it should say so.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

from ..errors import UsageError
from ..events.schema import MAX_METRIC_BYTES

MAX_METRICS = 256
MAX_NAME = 128
NUMBER_BYTES = 12  # what a metric takes beside its name


def describe_briefly(value: object) -> str:
    """Describe ``value`` in at most about 80 characters, whatever its ``__repr__`` does."""
    try:
        text = reprlib.repr(value)
    except Exception:
        text = "?"
    return f"{type(value).__name__} {text[:80]}"


def as_number(value: Any, name: str) -> float:
    """Return ``value`` as a float, possibly NaN or infinite; raise UsageError naming the metric otherwise."""
    if type(value) is float:
        return value
    problem = f"metric {name!r} is {describe_briefly(value)}: give one number"
    if isinstance(value, (str, bytes, bytearray)):
        raise UsageError(problem)
    try:
        # numpy, torch and jax scalars and one-element arrays all spell it so; several elements raise there.
        item = getattr(value, "item", None)
        number = item() if callable(item) else value
        if isinstance(number, (Real, Decimal)):
            return float(number)
    except Exception as error:
        raise UsageError(f"{problem} ({type(error).__name__})") from error
    raise UsageError(problem)


def as_finite(value: Any, name: str) -> float:
    """Return ``value`` as a finite float; raise UsageError otherwise."""
    number = as_number(value, name)
    if not math.isfinite(number):
        raise UsageError(f"metric {name!r} is {number}: the search needs a finite number")
    return number


def as_mapping(values: Mapping[Any, Any]) -> dict[str, float]:
    """Return named metrics as plain floats; raise UsageError naming the first that is none."""
    if len(values) > MAX_METRICS:
        raise UsageError(f"{len(values)} metrics in one report are too many: give at most {MAX_METRICS}")
    metrics = {}
    for name, value in values.items():
        check_name(name, "metric")
        metrics[name] = as_number(value, name)
    if (size := size_of(metrics)) > MAX_METRIC_BYTES:
        raise UsageError(
            f"the names of {len(metrics)} metrics take {size} bytes with their values: at most {MAX_METRIC_BYTES} are "
            "recorded at once; report fewer, or give them shorter names"
        )
    return metrics


def check_name(name: Any, kind: str) -> None:
    """Raise UsageError for a name that cannot be recorded. ``kind`` says what has it."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise UsageError(f"{kind} name {describe_briefly(name)}: names are text of 1 to {MAX_NAME} characters")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{kind} name {name!a} contains a lone surrogate, which is not a character") from None


def size_of(metrics: Mapping[str, float]) -> int:
    """About how many bytes these metrics take in an event."""
    return sum(len(name) if name.isascii() else len(name.encode()) for name in metrics) + NUMBER_BYTES * len(metrics)


def as_metrics(
    returned: Any,
    metric: str,
    where: str = "the objective returned",
    remedy: str = "return a number, a dict of numbers with {metric!r}, or None after reporting",
) -> dict[str, float]:
    """Convert what the objective returned: a number is ``metric``, a dict is metrics, None is nothing.

    Raises UsageError with the remedy for anything else, and for a ``metric`` that is not finite. ``where`` and
    ``remedy`` word it for what was not returned by an objective.
    """
    if returned is None:
        return {}
    try:
        if isinstance(returned, Mapping):
            metrics = as_mapping(returned)
            if metric in metrics:
                as_finite(metrics[metric], metric)
            return metrics
        return {metric: as_finite(returned, metric)}
    except UsageError as error:
        raise UsageError(f"{where} {describe_briefly(returned)}: {error} ({remedy.format(metric=metric)})") from error
