"""Which checkpoints and predictions may still be needed, and which may go: disks must not fill up.

Kept are
    the newest checkpoint of each trial that runs or lost its worker, and the one from which it would be resumed now;
    of all other trials what the scheduler may yet resume or inherit from (:class:`aiohpo.plugin.KeepingScheduler`;
    for one that does not say, the newest checkpoint of each paused trial);
    the last checkpoint of the ``best`` complete trials, for people;
    what ``also`` says: the checkpoints of the members of the present ensemble;
    the newest predictions of each name of every trial, and the targets that go with them.
Everything else goes once it has not been needed for :data:`GRACE` seconds, as a peer that does not know yet may be
fetching it; when nothing runs any more, at once. A blob that several trials refer to (a child inherits its
parent's, two models predict the same) stays as long as one of them needs it.

Most trials of a long search are over and their blobs gone, so what a sweep looks at is what changed, what is needed,
and what has waited long enough to go.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from ..events.lifecycle import Status
from ..plugin import KeepingScheduler, Scheduler
from ..view.view import View

GRACE = 30.0
SLICE = 200  # trials looked at in one go


@dataclass(slots=True)
class _Needs:
    """Digests that a trial needs, and those that it needed before and that have been seen to."""

    now: frozenset[str] = frozenset()
    earlier: set[str] = field(default_factory=set)


class Retention:
    """Finds, now and then, the checkpoints and predictions that may go.

    Args:
        best: how many complete trials keep their last checkpoint.
        also: returns digests that are needed for other reasons.
        present: returns the digests that are in the store when the first sweep begins; None: unknown.
    """

    def __init__(
        self,
        view: View,
        scheduler: Scheduler,
        best: int,
        also: Callable[[], set[str]] = lambda: set(),
        present: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        self._view = view
        self._also = also
        self._scheduler = scheduler if isinstance(scheduler, KeepingScheduler) else None
        self._best = best
        self._present = present
        self._moment = 0
        self._shown: list[int] = []  # the best complete trials that have a checkpoint
        self._checkpoints: dict[int, _Needs] = {}  # of trials that need any
        self._predictions: dict[int, _Needs] = {}
        self._users: Counter[str] = Counter()  # how many trials need each digest now
        # {digest: since when it has not been needed, and the trial whose checkpoint it was}, the longest waiting first.
        self._unneeded: dict[str, tuple[float, int | None]] = {}

    def digests_to_delete(self, now: float, grace: float = GRACE) -> Iterator[list[str]]:
        """Yield digests to delete, mostly none, a slice of the trials at a time: the event loop gets its turn in
        between. ``now`` in seconds of a monotonic clock."""
        here = None if self._present is None or self._moment else frozenset(self._present())
        touched, self._moment = self._view.touched(self._moment)
        changed = dict.fromkeys(touched)
        if self._scheduler is not None:  # it may think otherwise of a trial to which nothing happened
            changed |= dict.fromkeys(self._checkpoints)
        rows = list(changed)
        for i, row in enumerate(rows, 1):
            rows += self._compare(row)
            self._look_at_checkpoints(row, now, here)
            self._look_at_predictions(row, now, here)
            if not i % SLICE:
                yield []
        yield self._due(now, grace)

    def _compare(self, row: int) -> list[int]:
        """See whether a trial is among the best complete ones; return the one whose place it took."""
        if row in self._shown:
            self._shown.remove(row)
        if self._view.status(row) is not Status.FINISHED or not self._view.digests(row):
            return []
        insort(self._shown, row, key=self._view.rank)
        displaced = self._shown[self._best :]
        del self._shown[self._best :]
        return [other for other in displaced if other != row]

    def _look_at_checkpoints(self, row: int, now: float, here: Collection[str] | None) -> None:
        digests = self._view.digests(row)
        if digests:
            self._replace(self._checkpoints, row, self._needed(row), digests.values(), now, here)

    def _look_at_predictions(self, row: int, now: float, here: Collection[str] | None) -> None:
        newest, superseded = self._view.predictions(row)
        if newest or superseded:
            self._replace(self._predictions, row, frozenset(newest), superseded, now, here)

    def _replace(
        self,
        needs: dict[int, _Needs],
        row: int,
        needed: frozenset[str],
        known: Iterable[str],
        now: float,
        here: Collection[str] | None,
    ) -> None:
        """Take note of what a trial needs now, of all the digests that are ``known`` of it."""
        found = needs.get(row) or _Needs()
        self._users.subtract(found.now)
        self._users.update(needed)
        for digest in found.now - needed:
            if not self._users[digest]:
                del self._users[digest]
        found.earlier -= needed  # saved again, with the same bytes
        for digest in dict.fromkeys(known):
            if digest not in needed and digest not in found.earlier:
                found.earlier.add(digest)
                if here is None or digest in here:
                    self._unneeded.setdefault(digest, (now, row if needs is self._checkpoints else None))
        found.now = needed
        if needed:
            needs[row] = found
        else:
            needs.pop(row, None)

    def _due(self, now: float, grace: float) -> list[str]:
        """What has not been needed for that long."""
        also, due = self._also(), []
        for digest, (since, row) in list(self._unneeded.items()):
            if now - since < grace:
                break
            del self._unneeded[digest]
            if digest in also:
                self._unneeded[digest] = now, row
            elif not self._users[digest] and not self._needs_again(row, digest):
                due.append(digest)
        return due

    def _needs_again(self, row: int | None, digest: str) -> bool:
        """Whether a scheduler changed its mind about a trial's checkpoint in the meantime."""
        if row is None or self._scheduler is None:
            return False
        needed = self._needed(row)
        if digest in needed:
            self._replace(self._checkpoints, row, needed, (), 0.0, None)
        return digest in needed

    def _needed(self, row: int) -> frozenset[str]:
        """The digests of a trial's checkpoints that are needed now."""
        digests = self._view.digests(row)
        return frozenset(digests[step] for step in self._steps(row) if step in digests)

    def _steps(self, row: int) -> Collection[int]:
        view, status = self._view, self._view.status(row)
        newest = view.checkpoint(row)
        steps: set[int] = set()
        unfinished = status in (Status.RUNNING, Status.LOST)
        kept = row in self._shown or unfinished or (self._scheduler is None and status is Status.PAUSED)
        if newest is not None and kept:
            steps.add(newest[0])
        if unfinished and (resumed := view.resume_point(row, view.to_step(row) or view.max_steps)) is not None:
            steps.add(resumed[0])
        if self._scheduler is not None:
            steps.update(self._scheduler.keeps(view, view.state(row)))
        return steps

    def __repr__(self) -> str:
        return f"<Retention: {len(self._checkpoints)} trials need checkpoints, {len(self._unneeded)} blobs are to go>"
