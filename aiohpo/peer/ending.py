"""Is the search over, and why?

There is one answer: for a worker that has to know whether to go on, for ``aiohpo run``, which looks at what its workers
wrote, and for the tests of swarms. It follows from the events that are known, from the target that the user set, and
from whether the scheduler has anything left to do.

==============  =====================================================================================================
called off      a worker recorded that the search is over, because the target was reached; this holds for all workers
                that it knew of, whatever else is going on
given up        the same, because many trials failed and none succeeded
target reached  a finished trial is as good as the user asked for
budget met      the trials that the user asked for are done, and the scheduler goes on with none of them
nothing left    the searcher has no more configurations, or the scheduler does not want any
==============  =====================================================================================================

The last two hold only while nothing runs and no trial waits to be taken over, and news from others can undo them: so a
worker hears its peers out first.

A worker whose own time is up leaves, and the search goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..events.lifecycle import MOST_LOSSES, Status
from ..events.schema import MAX_ATTEMPT
from ..plugin import NewTrial, Resume, Scheduler
from ..view.view import View
from .eligibility import Eligibility

# What Left.reason says of a worker that saw the search end, and of any other that left in good order.
SAW_THE_END, LEFT_EARLY = "done", "stopped"


class EndReason(Enum):
    """Why a search is over, in words for people. The first is why a worker leaves a search that is not over, which
    ``Left`` records; the next two are what ``Over`` records."""

    TIME_UP = "time is up"
    TARGET_REACHED = "the target is reached"
    GIVEN_UP = "trials failed and none succeeded"
    CALLED_OFF = "another worker ended the search"
    BUDGET_MET = "the budget is met"
    NOTHING_LEFT = "there is nothing left to try"


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """Why a search is over.

    reason    the kind of end
    text      the reason in words, as it is recorded if the search is called off for it
    failures  how many trials failed, if that is the reason
    """

    reason: EndReason
    text: str
    failures: int = 0

    @property
    def is_final(self) -> bool:
        """Whether nothing that others may still have to say can undo it."""
        return self.reason not in (EndReason.BUDGET_MET, EndReason.NOTHING_LEFT)

    @property
    def given_up(self) -> str | None:
        """The words of a search that was given up because its trials failed; None for any other end."""
        return self.text if self.reason is EndReason.GIVEN_UP else None

    def __str__(self) -> str:
        return self.text


def time_up() -> SearchEnd:
    """The end of a worker's part in the search, as its time is up."""
    return SearchEnd(EndReason.TIME_UP, EndReason.TIME_UP.value)


def leaving_reason(end: SearchEnd | None) -> str:
    """What ``Left`` says of a worker for which the search ended like this; None: it was stopped."""
    if end is None:
        return LEFT_EARLY
    return end.text if end.reason is EndReason.TIME_UP else SAW_THE_END


def falls_short(view: View, end: SearchEnd | None) -> bool:
    """Whether the search ended before the budget of trials was met, if it has one."""
    early = end is not None and end.reason in (EndReason.TIME_UP, EndReason.CALLED_OFF)
    return early and view.goal is not None and view.goal[1] is not None and view.n_settled < view.goal[1]


def final_end(view: View, *, workers: Collection[str], target: float | None) -> SearchEnd | None:
    """Why the search is over whatever may still arrive; None if it is not.

    Args:
        view: what is known.
        workers: those that ask. A search that was called off before they began, in another run, goes on for them.
        target: the value of the metric that is good enough, if any is.
    """
    if calls := [view.called_off[worker] for worker in workers if worker in view.called_off]:
        _, over = min(calls, key=lambda call: call[0])
        if over.failures:
            return SearchEnd(EndReason.GIVEN_UP, over.reason, over.failures)
        reached = over.reason == EndReason.TARGET_REACHED.value
        return SearchEnd(EndReason.TARGET_REACHED if reached else EndReason.CALLED_OFF, over.reason)
    if target is not None and view.best_loss is not None and view.best_loss <= view.objective.loss(target):
        return SearchEnd(EndReason.TARGET_REACHED, EndReason.TARGET_REACHED.value)
    return None


def find_end(
    view: View, *, workers: Collection[str], target: float | None, is_work_left: Callable[[], bool]
) -> SearchEnd | None:
    """Why the search is over by what is known now; None if it goes on.

    Args:
        view, workers, target: see :func:`final_end`.
        is_work_left: says whether there is anything to do while nothing runs, see :func:`has_work`; asked only then.
    """
    end = final_end(view, workers=workers, target=target)
    if end is not None or not is_quiet(view) or is_work_left():
        return end
    reason = EndReason.NOTHING_LEFT if view.has_room else EndReason.BUDGET_MET
    return SearchEnd(reason, reason.value)


def end_to_record(
    view: View, *, me: str, present: Callable[[], Collection[str]], target: float | None, max_failures: int
) -> SearchEnd | None:
    """Why the search should be ended for all workers, unless one has done so already; None if there is no reason to.

    Args:
        view, target: see :func:`final_end`.
        me: the worker that asks.
        present: names the workers that are there now; asked only where it matters. What failed on others failed in an
            earlier run, and was mended since.
        max_failures: how many trials may fail before one succeeds; 0: any number. While more than have failed are
            still running, they may yet succeed.
    """
    end = final_end(view, workers=(me,), target=target)
    if end is not None:
        return end if end.reason is EndReason.TARGET_REACHED else None
    enough = max_failures and not view.succeeded and view.counts[Status.FAILED] >= len(view.running)
    if enough and (failures := view.failures_of(present())) >= max_failures:
        return SearchEnd(EndReason.GIVEN_UP, f"{failures} {EndReason.GIVEN_UP.value}", failures)
    return None


def is_quiet(view: View) -> bool:
    """Whether nothing that counts is running anywhere, and nothing is left to be taken over."""
    if view.running:
        beyond = view.beyond_line()
        if not all(row in beyond for row in view.running):
            return False
    lost = (row for row in view.waiting if view.status(row) is Status.LOST)
    return not view.has_room or all(is_abandoned(view, row) for row in lost)


def is_abandoned(view: View, row: int) -> bool:
    """Whether a lost trial took too many workers with it, or was claimed as often as there are numbers for attempts;
    being released (Ctrl-C) is not held against it."""
    return view.losses(row) > MOST_LOSSES or view.attempt(row) >= MAX_ATTEMPT


def has_work(view: View, scheduler: Scheduler, claims: Eligibility, rng: np.random.Generator) -> bool:
    """Whether there is anything left to do, for any worker, while nothing runs."""
    with claims.all_claims_open():
        choice = scheduler.next(view, claims, rng)
    if isinstance(choice, NewTrial):
        return claims.may_start(suggested=choice.config is None)
    return isinstance(choice, Resume)
