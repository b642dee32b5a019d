"""When a search ends, and the checks of what the user says about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Limits:
    """When the search ends. ``trials`` is global, ``seconds`` counts from this worker's start, ``target`` is
    in the metric's own units."""

    trials: int | None = None
    seconds: float | None = None
    target: float | None = None
    trial_timeout: float | None = None


def make_limits(trials: int | None, time: float | None, target: float | None, trial_timeout: float | None) -> Limits:
    """Check the limits of a run. Raises ``UsageError`` that names the wrong one."""
    if trials is not None:
        whole("trials", trials)
    for name, value in (("time", time), ("trial_timeout", trial_timeout)):
        if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
            raise UsageError(f"{name} must be a positive number of seconds, not {value!r}")
    if target is not None and not (isinstance(target, int | float) and math.isfinite(target)):
        raise UsageError(f"target must be a finite value of the metric, not {target!r}")
    return Limits(trials, time, target, trial_timeout)


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``. Raises ``UsageError`` that names it."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value
