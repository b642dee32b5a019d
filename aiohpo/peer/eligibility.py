"""What one worker may take, as its scheduler sees it: :class:`aiohpo.plugin.Claims`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..events.lifecycle import Status
from ..events.schema import MAX_ATTEMPT, parse_trial
from ..view.view import View
from .racing import Racing


class Eligibility:
    """Answers a scheduler's questions from the view, the race between workers and this worker's own blobs.

    racing  the race between workers; None: every claim is open
    here    says whether a blob is in this worker's directory

    Where there is a race, whether a trial may be claimed depends on the time: it is asked within :meth:`at`.
    """

    def __init__(self, view: View, racing: Racing | None, here: Callable[[str], bool]) -> None:
        self._view = view
        self._racing = racing
        self._here = here
        self._now = 0.0
        self._exhausted = False
        self._missing: set[str] = set()

    @contextmanager
    def at(self, now: float) -> Iterator[Eligibility]:
        """Within the block claims are answered as of ``now``, in seconds of a monotonic clock."""
        self._now = now
        yield self

    @contextmanager
    def all_claims_open(self) -> Iterator[Eligibility]:
        """Within the block every claim is open: so it is asked whether anything is left to do at all."""
        racing, self._racing = self._racing, None
        try:
            yield self
        finally:
            self._racing = racing

    def may_start(self, *, suggested: bool = True) -> bool:
        """Whether the budget has room for one more trial, and the searcher (or the queue) has something for it."""
        view = self._view
        return view.has_room and not (suggested and self._exhausted and not view.counts[Status.QUEUED])

    def may_claim(self, trial: str) -> bool:
        """Whether this worker may resume ``trial`` now."""
        view = self._view
        row = view.row(parse_trial(trial))
        if row is None or view.status(row) is not Status.PAUSED or row in view.beyond_line():
            return False
        if (attempt := view.attempt(row) + 1) > MAX_ATTEMPT:
            return False
        return self._racing is None or self._racing.may_claim(view.id(row), attempt, self._now)

    def holds(self, trial: str, step: int | None = None) -> bool:
        """Whether the trial's checkpoint is in this worker's directory."""
        digest = self._digest(trial, step)
        return digest is not None and self._here(digest)

    def obtainable(self, trial: str, step: int) -> bool:
        """False once this worker tried to get the checkpoint and no peer had it, or if there is none."""
        digest = self._digest(trial, step)
        return digest is not None and digest not in self._missing

    @property
    def exhausted(self) -> bool:
        """Whether the searcher has no more to suggest."""
        return self._exhausted

    def exhaust(self) -> None:
        """The searcher has no more to suggest."""
        self._exhausted = True

    def missed(self, digest: str) -> None:
        """No peer had this blob."""
        self._missing.add(digest)

    def _digest(self, trial: str, step: int | None) -> str | None:
        row = self._view.row(parse_trial(trial))
        saved = None if row is None else self._view.checkpoint(row, step)
        return None if saved is None else saved[1]
