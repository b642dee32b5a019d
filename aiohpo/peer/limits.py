"""How far a run may go (trials, time, target), and the checks of what the user says about it.

The budget of trials and the target are the study's and hold for all workers; the time is a worker's own. After how
many failures a search gives up is a property of the study: see ``max_failures`` of :class:`aiohpo.Study`."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..plugin import Options
from ..view.view import View


@dataclass(frozen=True, slots=True)
class Limits:
    """When a worker's part in the search ends.

    trials         the study's budget, over all workers and runs
    seconds        of this worker, from its start
    target         of the study, in the metric's own units
    trial_timeout  seconds that a segment of a trial may take
    shrink         whether ``trials`` may be smaller than the number of trials that have a result already
    """

    trials: int | None = None
    seconds: float | None = None
    target: float | None = None
    trial_timeout: float | None = None
    shrink: bool = False


def make_limits(
    trials: int | None,
    time: float | None,
    target: float | None,
    trial_timeout: float | None,
    shrink: bool = False,
) -> Limits:
    """Check the limits of a run. Raises ``UsageError`` that names the wrong one."""
    given = Options()
    return Limits(
        given.whole_or_none("trials", trials, least=1),
        None if time is None else given.number("time", time, above=0, unit="seconds"),
        None if target is None else given.number("target", target),
        None if trial_timeout is None else given.number("trial_timeout", trial_timeout, above=0, unit="seconds"),
        bool(shrink),
    )


def check_budget(view: View, trials: int, *, shrink: bool) -> None:
    """Refuse a budget that is smaller than what is done, unless ``shrink`` says that this is meant."""
    settled = view.n_settled
    if trials < settled and not shrink:
        raise UsageError(
            f"a budget of {trials} trials (--trials, trials=) is smaller than the {settled} that have results: "
            f"give at least {settled}, or --shrink (shrink=True) if {settled - trials} of them should no longer count"
        )
