"""The worker without its shell: events in, effects out.

``WorkerState`` composes log, view, gossip, mesh and claims into one deterministic object. The shell tells it
what happened (a frame arrived, time passed, a trial reported) and then carries out the effects it collects
with :meth:`drain`, in order. Nothing here waits, reads a clock or draws from a global random state; the swarm
tests run thousands of these in virtual time, and what they run is what users run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .claims import MOST_LOSSES, Claims, Leases
from .effects import Abort, CallOff, Describe, Effect, Notice, Persist
from .events import (
    EXTERNAL,
    MAX_LAMPORT,
    OWN,
    QUEUED,
    Batch,
    Claimed,
    Ended,
    Ending,
    Event,
    Fresh,
    Goal,
    Left,
    Lost,
    Malformed,
    Over,
    Predicted,
    Proposed,
    Reported,
    Saved,
    Started,
    TrialId,
    TrialRef,
    trial_name,
)
from .fetch import Fetches
from .frames import Chunk, Digest, Events, Foreign, Hello, Inquire, Refused, Vector, Want, decode_frame
from .gossip import Gossip, Pace
from .interfaces import Assignment
from .log import Log
from .membership import Patience, State
from .mesh import Mesh
from .trial import FINAL, Status, advance
from .view import View


@dataclass(slots=True)
class Segment:
    """A segment that this worker runs now."""

    trial: TrialId
    row: int
    attempt: int
    doomed: bool = False  # an Abort was issued


@dataclass(slots=True)
class Counters:
    """What went wrong on the wire; shown to people, never fatal."""

    malformed: int = 0
    foreign: int = 0
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """All timing of a worker in one place (seconds)."""

    pace: Pace = field(default_factory=Pace)
    patience: Patience = field(default_factory=Patience)


class WorkerState:
    """One peer. ``study`` is the hash that all peers share, ``address`` where this one is reached. An ``observer``
    takes part in the exchange but records nothing."""

    def __init__(
        self,
        *,
        me: str,
        view: View,
        log: Log,
        study: str,
        address: str,
        seed: int,
        now: float,
        timing: Timing | None = None,
        shared_journal: str = "",
        observer: bool = False,
    ) -> None:
        timing = timing or Timing()
        rng = random.Random(f"{seed}/{me}")
        self.me = me
        self.view = view
        self.log = log
        self.tag = bytes.fromhex(study)[:4].ljust(4, b"\0")
        self.gossip = Gossip(log, rng, now, timing.pace)
        self.gossip.mine = me
        self.mesh = Mesh(me, study, address, self.gossip, rng, now, timing.patience)
        self.claims = Claims(me)
        p = timing.patience
        self.leases = Leases(me, grace=p.ping + p.suspect + 2 * p.dead)
        self.counters = Counters()
        self.segments: dict[TrialId, Segment] = {}
        self.ended: list[int] = []  # rows whose status changed to a final one; the shell empties it
        self.ended_here = 0
        self.fetches = Fetches()
        self.observer = observer
        self._began = 0
        self._newly_dead: list[str] = []
        self._shared_journal = shared_journal
        self._out: list[Effect] = []
        self._lease_due = now

    # ------------------------------------------------------------------------------------------ effects
    def drain(self) -> list[Effect]:
        """Take the effects collected since the last call, in the order to carry them out."""
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------------------------ what this worker does
    def begin(self, wall: float, host: str, pid: int, rank: int | None) -> None:
        """Record that this worker process started."""
        self._record(lambda t: Started(t, wall, host, pid, self._shared_journal, rank))
        self._began = self.log.clock

    def set_goal(self, trials: int) -> None:
        """Set the study's global budget, unless that is what it is already."""
        if self.view.goal is None or self.view.goal[1] != trials:
            self._record(lambda t: Goal(t, trials))

    def propose(self, wall: float, values: tuple[float | int | None, ...], to_step: int | None = None) -> Segment:
        """Propose a configuration and start running it."""
        seq = self._record(lambda t: Proposed(t, wall, values, OWN, to_step))
        return self._begin_segment((self.me, seq), 0)

    def enqueue(self, wall: float, values: tuple[float | int | None, ...]) -> TrialId:
        """Propose a configuration that any worker may take."""
        return self.me, self._record(lambda t: Proposed(t, wall, values, QUEUED))

    def add_past(self, wall: float, values: tuple[float | int | None, ...], value: float | None) -> None:
        """Add the result of a trial that ran elsewhere; it does not count against the budget."""
        seq = self._record(lambda t: Proposed(t, wall, values, EXTERNAL))
        how: Ending = "failed" if value is None else "finished"
        error = "added as failed" if value is None else None
        self._record(lambda t: Ended(t, seq, 0, how, 0, value, error=error))

    def claim(self, wall: float, row: int, to_step: int | None = None) -> Segment:
        """Take a claimable trial; another worker's smaller stamp may still win."""
        advance(self.view.status(row), "claim")
        trial, attempt = self.view.id(row), self.view.attempt(row) + 1
        self.claims.forget(trial, attempt)
        self._record(lambda t: Claimed(t, wall, self._ref(trial), attempt, to_step))
        return self._begin_segment(trial, attempt)

    def report(self, segment: Segment, step: int, value: float | None, extra: Mapping[str, float]) -> None:
        """Record what a running trial reported."""
        self._record(lambda t: Reported(t, self._ref(segment.trial), segment.attempt, step, value, dict(extra) or None))

    def saved(self, segment: Segment, step: int, digest: str, size: int) -> None:
        """Record a checkpoint."""
        self._record(lambda t: Saved(t, self._ref(segment.trial), segment.attempt, step, digest, size))

    def predicted(self, segment: Segment, digests: Mapping[str, str]) -> None:
        """Record predictions."""
        self._record(lambda t: Predicted(t, self._ref(segment.trial), segment.attempt, dict(digests)))

    def end(
        self,
        now: float,
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
        self.segments.pop(segment.trial, None)
        self.claims.worker_freed(now)
        status = self.view.status(segment.row)
        if status not in FINAL and status is not Status.CANCELLED:
            advance(Status.RUNNING if status in (Status.PAUSED, Status.QUEUED) else status, how)
        ref, metrics = self._ref(segment.trial), dict(extra) if extra else None
        self._record(lambda t: Ended(t, ref, segment.attempt, how, step, value, seconds, metrics, error, detail))
        self.ended_here += 1
        self.ended.append(segment.row)

    def yield_up(self, now: float, segment: Segment, *, step: int, seconds: float) -> None:
        """Give up an aborted segment without a result.

        If it is somebody else's by now there is nothing to say. If it is still this worker's, it is withdrawn
        when it lies behind the budget's line, or, should the line have moved meanwhile, released for anyone.
        """
        view, row = self.view, segment.row
        mine = view.owner(row) == self.me and view.attempt(row) == segment.attempt
        if not mine or view.status(row) is not Status.RUNNING:
            self.segments.pop(segment.trial, None)
            return
        how: Ending = "cancelled" if row in view.beyond_line() else "released"
        self.end(now, segment, how, step=step, seconds=seconds)

    def call_off(self, reason: str) -> None:
        """Tell every worker that the search is over."""
        if not self.called_off:
            self._record(lambda t: Over(t, reason))

    @property
    def called_off(self) -> bool:
        """Whether somebody called the search off since this worker began."""
        return self.view.over[0] > self._began

    def leave(self, wall: float, reason: str, now: float) -> None:
        """Record that this worker leaves and flush; keep it running until :meth:`flushed`, then say goodbye."""
        self._record(lambda t: Left(t, wall, reason))
        self._out += self.gossip.flush(now)

    def flushed(self) -> bool:
        """Whether every peer is known to have all that this worker has; if not, the peers are asked."""
        lagging = self.gossip.nudge()
        self._out += lagging
        return not lagging

    def goodbye(self) -> None:
        """Tell the peers that this worker is gone."""
        self._out += self.mesh.leave()

    # --------------------------------------------------------------------------------- what there is to do
    @property
    def goal(self) -> int | None:
        return self.view.goal[1] if self.view.goal else None

    def may_propose(self) -> bool:
        """Whether the budget has room for one more trial."""
        return self.goal is None or self.view.n_counted < self.goal

    def met(self) -> bool:
        """Whether the budget is met: as many trials as wanted, none of them still running."""
        if self.goal is None or self.view.n_counted < self.goal:
            return False
        beyond = self.view.beyond_line()
        return all(row in beyond for row in self.view.running)

    def takeover(self, now: float) -> int | None:
        """The oldest queued or lost trial that this worker may claim now, or None."""
        if not self.view.claimable or not self.may_propose():
            return None
        self.claims.now = now
        view = self.view
        rows = (r for r in view.claimable if view.status(r) in (Status.QUEUED, Status.LOST))
        for row in sorted(rows, key=view.stamp):
            if not self._given_up(row) and self.claims.may_claim(view.id(row), view.attempt(row) + 1):
                return row
        return None

    def idle(self) -> bool:
        """Whether nothing runs anywhere and nothing is left to be taken over."""
        return not self.view.running and all(map(self._given_up, self.view.claimable))

    def _given_up(self, row: int) -> bool:
        """Whether a trial took too many workers with it; being released (Ctrl-C) is not held against it."""
        return self.view.status(row) is Status.LOST and self.view.losses(row) > MOST_LOSSES

    def assignment(self, segment: Segment, to_step: int | None, max_steps: int | None) -> Assignment:
        """What the evaluator needs to run ``segment``."""
        view, row = self.view, segment.row
        checkpoint = view.checkpoint(row)
        return Assignment(
            trial=trial_name(segment.trial),
            number=view.number(row),
            config=view.config(row),
            attempt=segment.attempt,
            start=checkpoint[0] if checkpoint else 0,
            to_step=to_step,
            max_steps=max_steps,
            checkpoint=checkpoint[1] if checkpoint else None,
        )

    # -------------------------------------------------------------------------------- what others tell us
    def join(self, addresses: Iterable[str], now: float) -> None:
        """Greet these addresses until somebody answers."""
        self._out += self.mesh.join(addresses, now)

    def receive(self, now: float, peer: str, data: bytes) -> None:
        """Handle one frame from the peer at address ``peer``. Never raises for what it contains."""
        self.counters.frames += 1
        try:
            frame = decode_frame(self.tag, data)
        except Foreign:
            if not self.counters.foreign:
                self._out.append(Notice(f"dropping frames of another study or format version from {peer}"))
            self.counters.foreign += 1
            self._out += self.mesh.greet(peer, now)  # our hello lets both sides say what is wrong
            return
        except Malformed as error:
            if not self.counters.malformed:
                self._out.append(Notice(f"dropping malformed frames from {peer} ({error})"))
            self.counters.malformed += 1
            return
        if not self.mesh.known(peer) and not isinstance(frame, Hello | Refused):
            self._out += self.mesh.greet(peer, now)
        match frame:
            case Events():
                self._out += self.mesh.receive(now, peer, frame)
                news, effects = self.gossip.on_events(peer, frame, now)
                for fresh in news:
                    self._take(now, fresh)
                self._out += effects
            case Want():
                self._out += self.fetches.serve(peer, frame)
            case Chunk():
                self._out += self.fetches.on_chunk(now, peer, frame)
            case Inquire():
                self._out.append(Describe(peer))
            case Vector():
                self._out += self.gossip.on_vector(peer, frame, now)
            case Digest():
                self._out += self.gossip.on_digest(peer, frame)
                self._out += self.mesh.receive(now, peer, frame)
            case _:
                self._out += self.mesh.receive(now, peer, frame)
        if self.mesh.round_trip:
            self.claims.delay = self.mesh.round_trip / 2 + self.gossip.pace.interval
        self._notice_changes(now)

    def recover(self, now: float, batch: Batch) -> None:
        """Take events found on disk (a dead peer's journal) that may never have been sent."""
        try:
            fresh = self.log.merge(batch)
        except Malformed:
            self.counters.malformed += 1
            return
        if fresh is not None:
            self.gossip.flood(self.log.batch(fresh.origin, fresh.first))
            self._take(now, fresh)

    def fetch(self, now: float, digest: str, saved_by: str | None) -> None:
        """Fetch a blob, first from the worker that is likeliest to have it; a Fetched effect says how it ended."""
        members = self.mesh.membership.members
        present = [members[w] for w in self.mesh.membership.present if w in members]
        present.sort(key=lambda m: (m.worker != saved_by, m.worker))
        self._out += self.fetches.begin(now, digest, [m.address for m in present])

    def verified(self, now: float, digest: str, ok: bool) -> None:
        """Say whether a fetched blob's bytes match its name."""
        self._out += self.fetches.verified(now, digest, ok)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._out += self.gossip.tick(now, self.mesh.membership.hash)
        self._out += self.mesh.tick(now)
        self._out += self.fetches.tick(now)
        self._notice_changes(now)
        if now >= self._lease_due:
            self._lease_due = now + self.mesh.membership.patience.ping / 2
            self._release_lost(now)

    def next_deadline(self) -> float:
        """When :meth:`tick` wants to be called next."""
        due = min(self.gossip.next_deadline(), self.mesh.next_deadline(), self.fetches.next_deadline())
        return min(due, self._lease_due) if self._others_running() else due

    def newly_dead(self) -> list[str]:
        """Workers that died since the last call: their journals may hold what they never sent."""
        dead, self._newly_dead = self._newly_dead, []
        return dead

    # ------------------------------------------------------------------------------------------ internals
    def _record(self, make: Callable[[int], Event]) -> int:
        event = make(min(self.log.clock + 1, MAX_LAMPORT))
        seq = self.log.count(self.me) + 1
        batch = self.log.append_own(self.me, seq, event)
        self.view.apply(self.me, seq, event)
        self._out.append(Persist(batch))
        self.gossip.flood(batch)
        return seq

    def _ref(self, trial: TrialId) -> TrialRef:
        """How an event of this worker names a trial."""
        return trial[1] if trial[0] == self.me else trial

    def _begin_segment(self, trial: TrialId, attempt: int) -> Segment:
        row = self.view.row(trial)
        assert row is not None, "a worker's own proposal is valid"
        segment = self.segments[trial] = Segment(trial, row, attempt)
        return segment

    def _take(self, now: float, fresh: Fresh) -> None:
        """Bring new events of another worker into the view, and see what they mean for this one."""
        origin, apply = fresh.origin, self.view.apply
        for seq, event in enumerate(fresh.events, fresh.first):
            row = apply(origin, seq, event)
            if row is None:
                continue
            if type(event) is Ended:
                self.claims.worker_freed(now)
                self.ended.append(row)
            if self.segments and (segment := self.segments.get(self.view.id(row))) is not None:
                self._check(segment)
        if self.segments:
            self._check_line()
        if self.called_off:
            self._out.append(CallOff("the search was called off"))
        started = self.view.workers[origin].started
        if started is None or started.journal != self._shared_journal:
            # Nobody else writes it to this worker's directory.
            self._out.append(Persist(self.log.batch(origin, fresh.first)))

    def _check(self, segment: Segment) -> None:
        """See whether what others recorded still leaves this worker its segment."""
        if segment.doomed:
            return
        view, row = self.view, segment.row
        status = view.status(row)
        owner, attempt = view.owner(row), view.attempt(row)
        if status in FINAL:
            self._doom(segment, "its result arrived from another worker")
        elif owner != self.me and attempt >= segment.attempt:
            self._doom(segment, f"{owner} took it over")
        elif status is Status.LOST and attempt == segment.attempt:
            # Somebody thought us dead. We are not: claim the next attempt and go on.
            segment.attempt = attempt + 1
            self._record(lambda t: Claimed(t, 0.0, self._ref(segment.trial), segment.attempt, None))

    def _check_line(self) -> None:
        beyond = self.view.beyond_line()
        if beyond:
            for segment in list(self.segments.values()):
                if segment.row in beyond and not segment.doomed:
                    self._doom(segment, "the budget was filled by earlier proposals")

    def _doom(self, segment: Segment, why: str) -> None:
        segment.doomed = True
        self._out.append(Abort(segment.trial, segment.attempt, why))

    def _others_running(self) -> bool:
        return len(self.view.running) > len(self.segments)

    def _release_lost(self, now: float) -> None:
        if self.observer or not self._others_running():
            return
        view = self.view
        segments = [
            (view.id(row), view.attempt(row), owner)
            for row in sorted(view.running)
            if (owner := view.owner(row)) is not None and owner != self.me
        ]
        membership = self.mesh.membership

        def believed(worker: str) -> State | None:
            info = view.workers.get(worker)
            return State.LEFT if info is not None and info.left is not None else membership.state(worker)

        for trial, attempt in self.leases.expired(now, segments, believed, membership.present):
            self._declare_lost(trial, attempt)

    def _declare_lost(self, trial: TrialId, attempt: int) -> None:
        self._record(lambda t: Lost(t, self._ref(trial), attempt))

    def _notice_changes(self, now: float) -> None:
        for worker in self.mesh.changed():
            state = self.mesh.membership.state(worker)
            if state is State.DEAD:
                self._newly_dead.append(worker)
                self._out.append(Notice(f"worker {worker} is dead"))

    def __repr__(self) -> str:
        return f"<WorkerState {self.me}: {self.view!r}, {self.mesh.membership!r}>"
