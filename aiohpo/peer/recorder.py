"""The recorder: what one worker records, and what the study as it knows it leaves to do.

A worker's deeds (it proposed, claimed, reported, ended) are events in its own log. The recorder numbers and stamps
them, brings them into the view and asks the shell to persist them. It knows no peers: that is what
:class:`~aiohpo.peer.state.PeerState` adds. Driving a study by hand needs no more than this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..events.lifecycle import FINAL, Status, advance
from ..events.log import Log
from ..events.schema import (
    EXTERNAL,
    MAX_LAMPORT,
    MAX_NAMED,
    OWN,
    QUEUED,
    Attached,
    Batch,
    Claimed,
    Died,
    Ended,
    Ending,
    Event,
    Goal,
    Left,
    Lost,
    Noted,
    Over,
    Parent,
    Predicted,
    Proposed,
    Reported,
    Saved,
    Started,
    TrialId,
    TrialRef,
    Unanswered,
    trial_name,
)
from ..mesh.effects import Effect, Persist, TrialsEnded
from ..plugin import Assignment
from ..view.view import View
from .ending import is_abandoned
from .racing import Racing
from .running_segments import RunningSegments, Segment


class Recorder:
    """One worker's own log, the view that it grows, and the segments it runs."""

    def __init__(self, me: str, view: View, log: Log, shared_journal: str = "") -> None:
        self.me = me
        self.view = view
        self.log = log
        self.claims = Racing(me)
        self.segments = RunningSegments()
        self.ended_here = 0
        self._shared_journal = shared_journal
        self._out: list[Effect] = []
        self._ended: list[int] = []  # rows, since the last drain()

    # ------------------------------------------------------------------------------------------ effects
    def drain(self) -> list[Effect]:
        """Take the effects collected since the last call, in the order to carry them out."""
        if self._ended:
            self._out.append(TrialsEnded(tuple(self._ended)))
            self._ended.clear()
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------------------------ what this worker does
    def begin(self, wall: float, host: str, pid: int, rank: int | None, slots: int = 1) -> None:
        """Record that this worker process started. ``rank``: its place among the workers of its launch."""
        self._record(lambda t: Started(t, wall, host, pid, self._shared_journal, rank, self.view.max_steps, slots))

    def set_goal(self, trials: int, *, at_least: bool = False) -> None:
        """Set the study's global budget, unless that is what it is already; ``at_least``: only if it is smaller."""
        if self.view.goal is None or self.view.goal[1] != trials:
            self._record(lambda t: Goal(t, trials, at_least))

    def propose(
        self,
        wall: float,
        values: tuple[float | int | None, ...],
        to_step: int | None = None,
        bracket: int = 0,
        parent: Parent | None = None,
    ) -> Segment:
        """Propose a configuration and start running it."""
        to = self._named_end(to_step)
        seq = self._record(lambda t: Proposed(t, wall, values, OWN, to, bracket, parent))
        return self._begin_segment((self.me, seq), 0, to_step)

    def enqueue(self, wall: float, values: tuple[float | int | None, ...]) -> TrialId:
        """Propose a configuration that any worker may take."""
        return self.me, self._record(lambda t: Proposed(t, wall, values, QUEUED))

    def queue_retry(self, wall: float, row: int) -> TrialId:
        """Queue the configuration of a failed trial again; the failed one leaves the budget."""
        values = self.view.space.pack(self.view.config(row))
        seq = self._record(lambda t: Proposed(t, wall, values, QUEUED, retry_of=self.view.id(row)))
        return self.me, seq

    def add_past(self, wall: float, values: tuple[float | int | None, ...], value: float | None) -> None:
        """Add the result of a trial that ran elsewhere; it does not count against the budget."""
        seq = self._record(lambda t: Proposed(t, wall, values, EXTERNAL))
        how: Ending = "failed" if value is None else "finished"
        error = "added as failed" if value is None else None
        self._record(lambda t: Ended(t, seq, 0, how, 0, value, error=error))

    def record_claim(
        self, wall: float, row: int, to_step: int | None = None, *, restart: bool = False, bracket: int = 0
    ) -> Segment:
        """Take a claimable trial; another worker's smaller stamp may still win."""
        advance(self.view.status(row), "claim")
        trial, attempt = self.view.id(row), self.view.attempt(row) + 1
        self.claims.forget(trial, attempt)
        to = self._named_end(to_step)
        seq = self._record(lambda t: Claimed(t, wall, self._ref(trial), attempt, to, restart, bracket))
        return self._begin_segment(trial, attempt, to_step, claimed_by=seq)

    def report(self, segment: Segment, step: int, value: float | None, extra: Mapping[str, float]) -> None:
        """Record what a running trial reported."""
        self._record(lambda t: Reported(t, self._ref(segment.trial), segment.attempt, step, value, dict(extra) or None))

    def record_checkpoint(self, segment: Segment, step: int, digest: str, size: int) -> None:
        """Record a checkpoint."""
        self._record(lambda t: Saved(t, self._ref(segment.trial), segment.attempt, step, digest, size))

    def predicted(self, segment: Segment, digests: Mapping[str, str]) -> None:
        """Record predictions."""
        self._record(lambda t: Predicted(t, self._ref(segment.trial), segment.attempt, dict(digests)))

    def note(self, trial: TrialId, notes: Mapping[str, str]) -> None:
        """Record what was noted of a trial."""
        self._record(lambda t: Noted(t, self._ref(trial), dict(notes)))

    def attach(self, segment: Segment, name: str, digest: str, size: int) -> None:
        """Record a file of a trial."""
        self._record(lambda t: Attached(t, self._ref(segment.trial), name, digest, size))

    def crash(self, segment: Segment, error: str, retries: int) -> bool:
        """Record that a segment's process died, before its end is recorded; say whether the trial is to be tried again.
        It is after each of its first ``retries`` crashes, on whatever worker."""
        self._record(lambda t: Died(t, self._ref(segment.trial), segment.attempt, error, retries))
        return self.view.crashes(segment.row) <= retries

    def end(
        self,
        segment: Segment,
        how: Ending,
        *,
        step: int,
        seconds: float,
        value: float | None = None,
        extra: Mapping[str, float] | None = None,
        error: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Record how a segment of this worker ended."""
        self.segments.discard(segment)
        status = self.view.status(segment.row)
        if status not in FINAL and status is not Status.CANCELLED:
            advance(Status.RUNNING if status in (Status.PAUSED, Status.QUEUED) else status, how)
        ref, metrics = self._ref(segment.trial), dict(extra) if extra else None
        complete = self.view.max_steps if how == "finished" else None
        self._record(
            lambda t: Ended(t, ref, segment.attempt, how, step, value, seconds, metrics, error, detail, complete)
        )
        self.ended_here += 1
        self._ended.append(segment.row)

    def yield_up(self, segment: Segment, *, step: int, seconds: float) -> None:
        """Give up an aborted segment without a result.

        If another worker has it by now there is nothing to say. If it is still this worker's, it is released for
        anyone; but what repeats another trial, or lies behind the budget's line, is withdrawn if it has nothing to
        show. What it had reported there is kept: see :meth:`aiohpo.view.view.View.shown_status`.
        """
        view, row = self.view, segment.row
        mine = view.owner_of(row) == self.me and view.attempt(row) == segment.attempt
        if not mine or view.status(row) is not Status.RUNNING:
            self.segments.discard(segment)
            return
        needless = segment.repeats or row in view.beyond_line()
        how: Ending = "cancelled" if needless and view.latest(row) is None else "released"
        self.end(segment, how, step=step, seconds=seconds)

    def record_call_off(self, reason: str, workers: Sequence[str], failures: int = 0) -> None:
        """Record that the search is over for these workers; after so many ``failures``, if that is why."""
        if not self.called_off:
            for at in range(0, len(workers), MAX_NAMED):
                self._record(partial(_over, reason, failures, tuple(workers[at : at + MAX_NAMED])))

    @property
    def called_off(self) -> bool:
        """Whether the search was called off for this worker."""
        return self.me in self.view.called_off

    def record_unanswered(self, addresses: Sequence[str]) -> None:
        """Record that these addresses have not answered so far."""
        self._record(lambda t: Unanswered(t, tuple(addresses)))

    def record_leaving(self, wall: float, reason: str) -> None:
        """Record that this worker ends in good order."""
        self._record(lambda t: Left(t, wall, reason))

    def declare_lost(self, trial: TrialId, attempt: int) -> None:
        """Record that the worker of a segment is dead."""
        self._record(lambda t: Lost(t, self._ref(trial), attempt))

    def hold_on(self, segment: Segment) -> None:
        """Claim the next attempt of a segment that others gave up for lost while it runs here."""
        segment.attempt += 1
        to = self._named_end(segment.to_step)
        segment.claimed_by = self._record(lambda t: Claimed(t, 0.0, self._ref(segment.trial), segment.attempt, to))

    def why_superseded(self, segment: Segment) -> str:
        """Why nothing that this worker still has to say of a segment is of use, in words; empty if it is.

        Another worker completed the trial, or paused it where this segment would have, or holds it by a claim that
        comes before this worker's. An ending would then be the second one of the same trial.
        """
        view, row = self.view, segment.row
        status, owner, attempt = view.status(row), view.owner_of(row), view.attempt(row)
        if status in FINAL:
            return "its result arrived from another worker"
        if owner != self.me and attempt >= segment.attempt:
            return f"{owner} took it over"
        if status is Status.PAUSED and attempt == segment.attempt:
            return "another worker finished it first"
        return ""

    # --------------------------------------------------------------------------------- what there is to do
    @property
    def goal(self) -> int | None:
        return self.view.goal[1] if self.view.goal else None

    def may_propose(self) -> bool:
        """Whether the budget has room for one more trial."""
        return self.view.has_room

    def takeover(self, now: float) -> int | None:
        """The oldest trial that lost its worker and that this worker may claim now, or None."""
        return self._oldest(Status.LOST, now)

    def queued(self, now: float) -> int | None:
        """The oldest trial that was queued and that this worker may claim now, or None."""
        return self._oldest(Status.QUEUED, now)

    def _oldest(self, status: Status, now: float) -> int | None:
        if not self.view.waiting or not self.may_propose():
            return None
        view = self.view
        row: int
        for row in sorted((r for r in view.waiting if view.status(r) is status), key=view.stamp):
            if not is_abandoned(self.view, row) and self.claims.may_claim(view.id(row), view.attempt(row) + 1, now):
                return row
        return None

    def assignment(self, segment: Segment, max_steps: int | None, slot: int = 0) -> Assignment:
        """What the evaluator needs to run ``segment`` in a slot."""
        view, row = self.view, segment.row
        checkpoint = view.resume_point(row, segment.to_step or max_steps)
        return Assignment(
            trial=trial_name(segment.trial),
            number=view.number(row),
            config=view.config(row),
            attempt=segment.attempt,
            start=checkpoint[0] if checkpoint else 0,
            to_step=segment.to_step,
            max_steps=max_steps,
            checkpoint=checkpoint[1] if checkpoint else None,
            reported=view.last_reported(row),
            slot=slot,
        )

    # ------------------------------------------------------------------------------------------ internals
    def _record(self, make: Callable[[int], Event]) -> int:
        event = make(min(self.log.clock + 1, MAX_LAMPORT))
        seq = self.log.count(self.me) + 1
        batch = self.log.append_own(self.me, seq, event)
        self.view.apply(self.me, seq, event)
        self._out.append(Persist(batch))
        self._recorded(batch)
        return seq

    def _recorded(self, batch: Batch) -> None:
        """Called with every event of this worker; :class:`~aiohpo.peer.state.PeerState` floods it."""

    def _named_end(self, to_step: int | None) -> int | None:
        """Where a segment is to pause, as events say it: the last step is named too, see ``Proposed``."""
        return to_step or self.view.max_steps

    def _ref(self, trial: TrialId) -> TrialRef:
        """How an event of this worker names a trial."""
        return trial[1] if trial[0] == self.me else trial

    def _begin_segment(self, trial: TrialId, attempt: int, to_step: int | None, claimed_by: int = 0) -> Segment:
        row = self.view.row(trial)
        assert row is not None, "a worker's own proposal is valid"
        segment = Segment(trial, row, attempt, to_step, claimed_by)
        self.segments.add(segment, self.view.config_bytes(row))
        return segment

    def __repr__(self) -> str:
        return f"<Recorder of {self.me}: {self.view!r}>"


def _over(reason: str, failures: int, workers: tuple[str, ...], lamport: int) -> Over:
    return Over(lamport, reason, failures, workers)
