"""Which checkpoints and predictions may still be needed, and which may go: disks must not fill up.

Kept are
    the newest checkpoint of each trial that runs or lost its worker, and the one from which it would be resumed now;
    of all other trials what the scheduler may yet resume or inherit from (:class:`aiohpo.plugin.KeepingScheduler`;
    for one that does not say, the newest checkpoint of each paused trial);
    the last checkpoint of the ``best`` complete trials, for people;
    what ``also`` says: the checkpoints of the members of the present ensemble;
    the newest predictions of each name of every trial, and the targets that go with them.
Everything else goes once it has not been needed for :data:`GRACE` seconds, as somebody who does not know yet may be
fetching it; when nothing runs any more, at once. A blob that several trials refer to (a child inherits its
parent's, two models predict the same) stays as long as one of them needs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator

from ..events.lifecycle import Status
from ..plugin import KeepingScheduler, Scheduler
from ..view.view import View

GRACE = 30.0
SLICE = 200  # trials looked at in one go


class Retention:
    """Finds, now and then, the checkpoints and predictions that may go."""

    def __init__(
        self, view: View, scheduler: Scheduler, best: int, also: Callable[[], set[str]] = lambda: set()
    ) -> None:
        self._view = view
        self._also = also
        self._scheduler = scheduler if isinstance(scheduler, KeepingScheduler) else None
        self._best = best
        self._moment = 0
        self._rows: dict[int, None] = {}  # trials with checkpoints that are not gone yet
        self._predictions: dict[int, set[str]] = {}  # the newest of each trial
        self._users: Counter[str] = Counter()  # how many trials' newest predictions a digest is among
        self._superseded: set[str] = set()  # predictions that are not gone yet
        self._unneeded: dict[str, float] = {}
        self._gone: set[str] = set()

    def digests_to_delete(self, now: float, grace: float = GRACE) -> Iterator[list[str]]:
        """Yield digests to delete, mostly none, a slice of the trials at a time: the event loop gets its turn in
        between. ``now`` in seconds of a monotonic clock."""
        view = self._view
        touched, self._moment = view.touched(self._moment)
        self._rows.update(dict.fromkeys(row for row in touched if view.digests(row)))
        self._look_at_predictions(touched)
        complete = [row for row in self._rows if view.status(row) is Status.FINISHED]
        shown = set(sorted(complete, key=view.rank)[: self._best])
        needed = self._also()
        saved: dict[int, set[str]] = {}
        for i, row in enumerate(list(self._rows)):
            digests = view.digests(row)
            needed.update(digests[step] for step in self._steps(row, row in shown) if step in digests)
            saved[row] = set(digests.values())
            if i % SLICE == SLICE - 1:
                yield []
        needed.update(digest for digest, users in self._users.items() if users)
        self._gone -= needed  # saved again, with the same bytes
        old = {digest for digests in saved.values() for digest in digests - needed} | (self._superseded - needed)
        self._unneeded = {digest: self._unneeded.get(digest, now) for digest in old - self._gone}
        due = [digest for digest, since in self._unneeded.items() if now - since >= grace]
        self._gone.update(due)
        self._superseded -= self._gone
        for row, every in saved.items():
            if every <= self._gone:  # until something new happens to it
                del self._rows[row]
        yield due

    def _look_at_predictions(self, rows: Collection[int]) -> None:
        for row in rows:
            newest, superseded = self._view.predictions(row)
            if newest or superseded:
                self._users.subtract(self._predictions.get(row, ()))
                self._users.update(newest)
                self._predictions[row] = newest
                self._superseded |= superseded - self._gone

    def _steps(self, row: int, shown: bool) -> Collection[int]:
        view, status = self._view, self._view.status(row)
        newest = view.checkpoint(row)
        steps: set[int] = set()
        unfinished = status in (Status.RUNNING, Status.LOST)
        if newest is not None and (shown or unfinished or (self._scheduler is None and status is Status.PAUSED)):
            steps.add(newest[0])
        if unfinished and (resumed := view.resume_point(row, view.to_step(row) or view.max_steps)) is not None:
            steps.add(resumed[0])
        if self._scheduler is not None:
            steps.update(self._scheduler.keeps(view, view.state(row)))
        return steps

    def __repr__(self) -> str:
        return f"<Retention of {len(self._rows)} trials' checkpoints, {len(self._gone)} gone>"
