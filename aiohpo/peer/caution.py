"""Caution: whether a worker begins another trial while all that ended have failed.

A search is given up after so many failures without a success, see :func:`aiohpo.peer.ending.end_to_record`. Objectives
that fail at once fail faster than news travels: without caution, each of many workers would go on with failures of its
own until it hears of the others'. So, once something has failed and nothing has succeeded, a worker begins a trial
only if the search can bear one more failure, should all that runs fail, too; and before it decides, it waits until no
news is on its way. Of the workers that are idle then, as many begin as failures can be borne, in the order of their
names, on which all agree; then those that have more slots.

What remains: the first trial of each worker, begun when nothing had failed yet; and what workers do at once that do not
know of one another, or whose network is slower than they have measured.

Trials that fail after hours are no reason for others to be idle: no worker waits longer than :data:`CAUTIOUS_FOR`
before a trial.
"""

from __future__ import annotations

from collections.abc import Collection

from ..events.lifecycle import Status
from ..mesh.timing import CAUTIOUS_FOR, LOOK_SOON
from ..view.view import View


class Caution:
    """What one worker knows about failures on their way."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._known = 0, 0  # how many trials, and how many endings
        self._news_at = 0.0
        self._since: float | None = None  # when it began to wait

    def pause(self, now: float, view: View, present: Collection[str], max_failures: int, delay: float) -> float:
        """How many seconds to wait before asking again whether to begin a trial; 0: begin it.

        Args:
            now: seconds of a monotonic clock.
            view: what is known.
            present: the workers that are there, this one included.
            max_failures: after how many failures without a success the search is given up; 0: never.
            delay: how long news takes.
        """
        doubtful = max_failures and not view.succeeded and view.counts[Status.FAILED] and len(present) > 1
        if not doubtful or not (failures := view.failures_of(present)):
            self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        if self._known != (known := (view.n_rows, view.n_results)):
            self._known, self._news_at = known, now
        left = self._since + CAUTIOUS_FOR - now
        quiet = self._news_at + 2 * delay - now
        busy = {view.owner_of(row) for row in view.running}
        idle = sorted({*present} - busy)
        bearable = max(0, max_failures - failures - len(view.running))
        has_turn = bearable > len(idle) if self._me in busy else self._me in idle[:bearable]
        if left > 0 and quiet > 0:
            return min(left, max(quiet, LOOK_SOON))
        if left > 0 and not has_turn:
            return min(left, max(2 * delay, LOOK_SOON))
        self._since = None
        return 0.0

    def __repr__(self) -> str:
        return f"<Caution of {self._me}{'' if self._since is None else ', waiting'}>"
