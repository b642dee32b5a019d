"""Whether the search in a run directory is over: before ``aiohpo run`` starts workers, and when they have ended.

It is the workers' own answer (:mod:`aiohpo.peer.ending`), found from what they wrote.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..text import printable

if TYPE_CHECKING:
    from ..peer.ending import SearchEnd
    from ..report.snapshot import Snapshot
    from ..storage.run import Run
    from ..study import Study
    from ..view.view import View


def why_nothing_to_do(run: Run, now: Snapshot, study: Study, trials: int | None, target: float | None) -> str | None:
    """Why there is nothing to do; None if there is. ``now`` is how the search stands; ``run`` takes note of the budget
    of ``trials``. Raises ``UsageError`` if that is smaller than what is done."""
    from ..peer.ending import EndReason, find_end
    from ..peer.limits import check_budget
    from ..peer.recorder import Recorder

    view = run.view
    if trials is not None:
        check_budget(view, trials, shrink=False)
        Recorder("this run", view, run.log).set_goal(trials)  # as its workers would, but it is not written down
    end = find_end(view, workers=(), target=target, is_work_left=lambda: _is_work_left(view, study))
    if end is None:
        return None
    if end.reason is EndReason.TARGET_REACHED and view.best is not None:
        reached = f"{printable(view.objective.metric)} {view.record(view.best, 0).value:.6g}"
        return f"{run.path} has reached {reached} already, and --target {target:g} is met: nothing to do"
    settled = now.ended + now.counts.get("paused", 0)
    retry = f"; to retry failed ones: aiohpo retry {shlex.quote(str(run.path))}" if _has_failed(now) else ""
    return (
        f"{run.path} has {settled} trials already, and its budget of {trials} is met: nothing to do "
        f"(for more: --trials {2 * settled}{retry})"
    )


def _has_failed(now: Snapshot) -> bool:
    """Whether there are failed trials that are not tried again."""
    return now.counts.get("failed", 0) > now.retried


def _is_work_left(view: View, study: Study) -> bool:
    """Whether the study's scheduler would begin a trial or go on with one, if there were no other worker."""
    import copy

    import numpy as np

    from ..peer.eligibility import Eligibility
    from ..peer.ending import has_work
    from ..plugin import Identity
    from ..plugin.registry import create
    from ..plugin.scheduler import set_up_scheduler

    scheduler = copy.deepcopy(create("schedulers", study.scheduler))
    set_up_scheduler(scheduler, study.max_steps, study.seed, Identity("check", 0, 1), first=view.first_max_steps)
    return has_work(view, scheduler, Eligibility(view, None, lambda _: False), np.random.default_rng(0))


class Watch:
    """Says in the end whether the search that began when this was made is over: by what its workers wrote.
    ``timed``: they leave when their time is up."""

    def __init__(self, study: Study, view: View, target: float | None, *, timed: bool) -> None:
        self._study = study
        self._view = view
        self._target = target
        self._timed = timed
        self._before = set(view.workers)

    def end(self) -> SearchEnd | None:
        """Why the search is over, or its workers left it in good order; None if they ended for any other reason."""
        from ..peer.ending import EndReason, find_end, time_up

        left = self._left()
        end = find_end(self._view, workers=left, target=self._target, is_work_left=self._is_work_left)
        if end is None and self._timed and EndReason.TIME_UP.value in left.values():
            end = time_up()
        return end

    def _left(self) -> dict[str, str]:
        """Why each of its workers left, if it has."""
        infos = ((name, info.left) for name, info in self._view.workers.items() if name not in self._before)
        return {name: "" if left is None else left.reason for name, left in infos}

    def _is_work_left(self) -> bool:
        """What a searcher has no more of, only the workers know; one that left after the end has recorded that."""
        from ..peer.ending import SAW_THE_END

        if SAW_THE_END in self._left().values():
            return False
        return _is_work_left(self._view, self._study)
