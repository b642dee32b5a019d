"""When a search ends, and the checks of what the user says about it."""

from __future__ import annotations

from dataclasses import dataclass

from ..plugin import Options


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
    given = Options()
    return Limits(
        given.whole_or_none("trials", trials, least=1),
        None if time is None else given.number("time", time, above=0, unit="seconds"),
        None if target is None else given.number("target", target),
        None if trial_timeout is None else given.number("trial_timeout", trial_timeout, above=0, unit="seconds"),
    )
