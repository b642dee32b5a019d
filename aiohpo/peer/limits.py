"""How far a run may go (trials, time, target), and the checks of what the user says about it.

The budget of trials and the target are the study's and hold for all workers; the time is a worker's own. After how
many failures a search gives up is a property of the study: see ``max_failures`` of :class:`aiohpo.Study`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..events.schema import MAX_NUMBER
from ..plugin import Finite, Options

if TYPE_CHECKING:
    from ..plugin import Scheduler, Searcher
    from ..space.space import Space
    from ..view.view import View

# Seconds for objectives to save their work and return when their worker ends. A batch system that ends a job waits half
# a minute or more between SIGTERM and SIGKILL.
GRACE = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """When a worker's part in the search ends.

    trials         the study's budget, over all workers and runs
    seconds        of this worker, from its start
    target         of the study, in the metric's own units
    trial_timeout  seconds that a segment of a trial may take
    grace          seconds in which what runs may come to an end when the worker's time is up
    shrink         whether ``trials`` may be smaller than the number of trials that have a result already
    """

    trials: int | None = None
    seconds: float | None = None
    target: float | None = None
    trial_timeout: float | None = None
    grace: float = GRACE
    shrink: bool = False


def make_limits(
    trials: int | None,
    time: float | None,
    target: float | None,
    trial_timeout: float | None,
    *,
    grace: float = GRACE,
    shrink: bool = False,
) -> Limits:
    """Check the limits of a run. Raises ``UsageError`` that names the wrong one."""
    given = Options()
    return Limits(
        given.whole_or_none("trials", trials, least=1, most=MAX_NUMBER),
        None if time is None else given.number("time", time, above=0, unit="seconds"),
        None if target is None else given.number("target", target),
        None if trial_timeout is None else given.number("trial_timeout", trial_timeout, above=0, unit="seconds"),
        given.number("grace", grace, least=0, unit="seconds"),
        bool(shrink),
    )


def check_that_it_ends(
    limits: Limits, goal: int | None, space: Space, searcher: Searcher, scheduler: Scheduler
) -> None:
    """Refuse a search that has no limit and would not come to an end by itself. ``goal`` is the study's budget."""
    limited = any(limit is not None for limit in (goal, limits.trials, limits.seconds, limits.target))
    finite = any(isinstance(plugin, Finite) and plugin.finite for plugin in (searcher, scheduler))
    if not (limited or finite or math.isfinite(space.size)):
        raise UsageError(
            "nothing would end this search: give a number of trials (--trials 100, trials=100), a time limit "
            "(--time 1h, time=3600) or a value to reach (--target 0.1, target=0.1). Only a finite "
            "space, or a searcher or scheduler that ends by itself, needs no limit"
        )


def check_budget(view: View, trials: int, *, shrink: bool) -> None:
    """Refuse a budget that is smaller than what is done, unless ``shrink`` says that this is meant."""
    settled = view.n_settled
    if trials < settled and not shrink:
        raise UsageError(
            f"a budget of {trials} trials (--trials, trials=) is smaller than the {settled} that have results: "
            f"give at least {settled}, or --shrink (shrink=True) if {settled - trials} of them should no longer count"
        )
