"""A peer without its shell: what happens goes in, effects come out.

``PeerState`` is a :class:`~aiohpo.peer.recorder.Recorder` with peers: log, view, a :class:`~aiohpo.mesh.node.Node` of
the mesh, claims and leases in one deterministic object.

Its methods are the door in: the shell calls one for each thing that happens (a frame arrived, time passed, a trial
reported) or that is to be done, with the time where it matters. :meth:`drain` is the door out: the methods collect
effects, and the caller of a method takes them there and carries them out, in order. The shell sets no attribute, and
what it waits for is an effect; view, log and segments may be read at any time.

Nothing here waits, reads a clock or draws from a global random state; the swarm tests run thousands of these in virtual
time, and what they run is what users run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..events.lifecycle import Status
from ..events.log import Log
from ..events.schema import MAX_ATTEMPT, Batch, Ended, Fresh, Proposed, Unknown
from ..mesh.effects import Abort, CallOff, Milestone, Notice, Persist, Reached
from ..mesh.health import Health
from ..mesh.membership import State
from ..mesh.node import Node
from ..mesh.timing import ANSWERED_WITHIN, Timing
from ..view.view import View
from .caution import Caution
from .leases import Leases
from .limits import check_budget
from .recorder import Recorder
from .running_segments import Segment


class PeerState(Recorder):
    """One peer. ``study`` is the hash that all peers share, ``address`` where this one is reached; the workers ``gone``
    are certainly dead."""

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
        gone: Iterable[str] = (),
    ) -> None:
        timing = timing or Timing()
        super().__init__(me, view, log, shared_journal)
        self.node = Node(me, study, address, log, seed=seed, now=now, timing=timing)
        self.leases = Leases(me, timing.suspicion.longest, gone)
        self._lease_every = timing.suspicion.ping / 2
        self._lease_due = now
        self._doubtful: set[int] = set()  # running trials of workers that are not known to be alive,
        self._members_seen = -1  # as of this version of the members
        self._trials_seen = 0  # and this moment of the view
        self._proposed_at = now - 60.0
        self._turn_left = 0  # trials that may be proposed without a further pause
        self._caution = Caution(me)
        self._sought: frozenset[str] = frozenset()
        self._answers_due = math.inf
        self._told_unanswered: list[str] = []
        self._told_budget: int | None = None  # what people know of
        self._has_settled_budget = False

    @property
    def tag(self) -> bytes:
        """What the frames of this study begin with."""
        return self.node.tag

    def leave(self, wall: float, reason: str, now: float) -> None:
        """Record that this worker leaves and flush; keep it running until it is flushed, then say goodbye."""
        self.record_leaving(wall, reason)
        self._out += self.node.gossip.publish_queued(now)

    def settle_budget(self, trials: int | None, *, shrink: bool, acquainted: bool) -> None:
        """Set the study's budget to what this worker's user wants, if anything; from now on say when others change it.

        Args:
            trials: the budget; None: it stays as it is.
            shrink: whether it may be smaller than the number of trials that have a result.
            acquainted: whether what the peers know is known here. If not, and there is no budget yet as far as this
                worker knows, it does not lower the one that they may have.

        Raises:
            UsageError: the budget is smaller than what is done, and ``shrink`` was not given.
        """
        before = self.goal
        if trials is not None and trials != before:
            check_budget(self.view, trials, shrink=shrink)
            self.set_goal(trials, at_least=not acquainted and before is None)
        self._told_budget = self.goal if before is None else before
        self._has_settled_budget = True
        self._tell_budget()

    def _tell_budget(self) -> None:
        """Tell people of a budget that has changed since they last heard of it."""
        before, self._told_budget = self._told_budget, self.goal
        if self._has_settled_budget and self.goal != before:
            was = "there was none" if before is None else f"it was {before}"
            self._out.append(Notice(f"the budget is {self.goal} trials from now on; {was}"))

    def call_off(self, reason: str, failures: int = 0) -> None:
        """Tell every worker that is there that the search is over."""
        self.record_call_off(reason, self.present, failures)

    @property
    def present(self) -> list[str]:
        """The workers that are there, this one included."""
        return self.node.mesh.membership.present

    def ask_whether_flushed(self) -> None:
        """Ask the peers that are not known to have all that this worker has; once there are none, that is reached."""
        gossip, lagging = self.node.gossip, self.node.gossip.progress.lagging()
        self._out += gossip.compare(lagging) if lagging else [Reached(Milestone.FLUSHED)]

    def ask_whether_heard(self, since: float) -> None:
        """Ask the peers that have not said since then what they have, or of which something is not here; once there
        are none, all is heard."""
        gossip, ahead = self.node.gossip, self.node.gossip.progress.ahead(since)
        self._out += gossip.compare(ahead) if ahead else [Reached(Milestone.HEARD_OUT)]

    def ask_who_else_claimed(self, segment: Segment, now: float) -> None:
        """Ask the peers that are not known to have heard of this worker's claim whether they claimed the segment too;
        once there are none, that is reached.

        A peer that has heard of the claim makes none of its own, and what it said before it heard is here.
        """
        gossip = self.node.gossip
        if unaware := gossip.progress.unaware(segment.claimed_by):
            self._out += [*gossip.publish_queued(now), *gossip.compare(unaware)]
        else:
            self._out.append(Reached(Milestone.CLAIM_HEARD))

    def goodbye(self) -> None:
        """Tell the peers that this worker is gone."""
        self._out += self.node.mesh.leave()

    def pause_before_proposing(self, now: float) -> float:
        """How long to wait, so that the others' proposals arrive first, when the budget is nearly used up.

        Only then, and only after trials shorter than news takes to travel: otherwise no worker waits. Without
        it, workers with instant objectives each propose all that remains, and most of it is surplus.
        """
        if self.goal is None or self._turn_left or len(present := self.present) == 1:
            return 0.0
        if self.goal - self.view.n_counted > 2 * sum(map(self.view.slots_of, present)):
            return 0.0
        return max(0.0, self._proposed_at + 2 * self.claims.delay - now)

    def note_proposal(self, now: float) -> None:
        """Take note that this worker proposes a trial now. A worker of many slots takes its turn with several: half of
        its share of what is left."""
        if self._turn_left:
            self._turn_left -= 1
            return
        self._proposed_at = now
        if self.goal is not None:
            self._turn_left = max((self.goal - self.view.n_counted) // (2 * len(self.present)) - 1, 0)

    def pause_after_failures(self, now: float, max_failures: int) -> float:
        """How long to wait before it is asked again whether to begin a trial, as one failure more might be one too
        many; 0: it may begin."""
        return self._caution.pause(now, self.view, self.present, max_failures, self.claims.delay)

    # -------------------------------------------------------------------------------- what others tell us
    def join(self, addresses: Iterable[str], now: float) -> None:
        """Greet these addresses until one answers."""
        self._out += self.node.join(addresses, now)

    def seek(self, addresses: Iterable[str], now: float) -> None:
        """Greet these addresses, which people gave, until one answers, and say so if none does."""
        self._sought = frozenset(addresses)
        self._answers_due = now + ANSWERED_WITHIN if self._sought else math.inf
        self.join(self._sought, now)

    @property
    def unanswered(self) -> list[str]:
        """Those of the sought addresses that have not answered yet."""
        return self.node.mesh.unanswered(self._sought)

    def _look_for_answers(self) -> None:
        before, now = self._told_unanswered, self.unanswered
        if not now:
            self._answers_due = math.inf
        if now == before:
            return
        self._told_unanswered = now
        self.record_unanswered(now)
        for address in sorted({*now} - {*before}):
            others = len(self.present) - 1
            so = f"{others} other workers have been met" if others else "this worker searches alone"
            so = so if others != 1 else "one other worker has been met"
            self._out.append(Notice(f"no answer from {address} for {ANSWERED_WITHIN:.0f} s: {so}"))
        for address in sorted({*before} - {*now}):
            self._out.append(Notice(f"{address} answers now"))

    def receive(self, now: float, peer: str, data: bytes) -> None:
        """Handle one frame from the peer at address ``peer``. Never raises for what it contains."""
        try:
            new, effects = self.node.receive(now, peer, data)
            for fresh in new:
                self._take(now, fresh)
            self._out += effects
        except Exception as error:
            self._out += self.node.survive(peer, error)
        if (delay := self.node.delay) is not None:
            self.claims.news_takes(delay)

    def recover(self, now: float, batch: Batch) -> None:
        """Take events found on disk (a dead peer's journal) that may never have been sent."""
        fresh, effects = self.node.recover(batch)
        if fresh is not None:
            self._take(now, fresh)
        self._out += effects

    def bury(self, worker: str, now: float) -> None:
        """Take it for certain that a suspected worker is dead."""
        self._out += self.node.mesh.declare_dead(worker, now)

    def fetch(self, now: float, digest: str, saved_by: str | None, size: int | None) -> None:
        """Fetch a blob of ``size`` bytes (None: unknown), first from the worker that is likeliest to have it; a Fetched
        effect says how it ended."""
        self._out += self.node.fetch(now, digest, saved_by, size)

    def give_up_fetch(self, digest: str) -> None:
        """Ask for a blob no longer: it cannot be stored here."""
        self._out += self.node.give_up_fetch(digest)

    def verified(self, now: float, digest: str, ok: bool) -> None:
        """Say whether a fetched blob's bytes match its name."""
        self._out += self.node.verified(now, digest, ok)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._out += self.node.tick(now)
        if now >= self._answers_due:
            self._look_for_answers()
        if now >= self._lease_due:
            self._lease_due = now + self._lease_every
            self._release_lost(now)

    def next_deadline(self) -> float:
        """When :meth:`tick` wants to be called next."""
        due = self.node.next_deadline()
        if not self._told_unanswered:  # else it is looked at in passing
            due = min(due, self._answers_due)
        return min(due, self._lease_due) if self._others_running() else due

    def states(self) -> dict[str, str]:
        """What the mesh believes of each worker that this one has met."""
        return self.node.states()

    def health(self, now: float, frames_out: int, bytes_out: int) -> Health:
        """What this peer measures of its mesh; the shell knows how much it sent."""
        return self.node.health(now, frames_out, bytes_out)

    # ------------------------------------------------------------------------------------------ internals
    def _recorded(self, batch: Batch) -> None:
        self.node.gossip.flood(batch)

    def _take(self, now: float, fresh: Fresh) -> None:
        """Bring new events of another worker into the view, and see what they mean for this one."""
        origin, again, apply = fresh.origin, fresh.again, self.view.apply
        for seq, event in enumerate(fresh.events, fresh.first):
            if isinstance(event, Unknown):
                continue
            row = apply(origin, seq, event, again=True) if again else apply(origin, seq, event)
            if row is None:
                continue
            if type(event) is Ended:
                self.claims.worker_freed(now)
                self._ended.append(row)
            if type(event) is Proposed and self.segments:
                self._check_repetition(row)
            if self.segments and (segment := self.segments.get(self.view.id(row))) is not None:
                self._check(segment)
        if self.segments:
            self._check_line()
        self._tell_budget()
        if self.called_off:
            _, over = self.view.called_off[self.me]
            self._out.append(CallOff(over.reason))
        info = self.view.workers.get(origin)
        if fresh.again:
            self._out += [Persist(batch) for batch in self.log.all_of(origin, fresh.first)]
        elif origin == self.me or info is None or info.started is None or info.started.journal != self._shared_journal:
            # No other process writes it to this worker's directory.
            self._out.append(Persist(self.log.batch_from(origin, fresh.first)))

    def _check(self, segment: Segment) -> None:
        """See whether what others recorded still leaves this worker its segment."""
        if segment.doomed:
            return
        view, row = self.view, segment.row
        if why := self.why_superseded(segment):
            self._doom(segment, why)
        elif view.status(row) is Status.LOST and view.attempt(row) == segment.attempt:
            # Another worker thought us dead. We are not: claim the next attempt and go on.
            if segment.attempt == MAX_ATTEMPT:
                self._doom(segment, "it was lost too often")
            else:
                self.hold_on(segment)

    def _check_repetition(self, row: int) -> None:
        """Give up a trial that another worker proposed a moment earlier, unless it has reported already.

        In a small space workers that choose at the same time may choose the same; the first proposal stands.
        """
        view = self.view
        for segment in self.segments.of_config(view.config_bytes(row)):
            mine = segment.row
            if (
                segment.trial[0] == self.me
                and segment.attempt == 0
                and not segment.doomed
                and view.stamp(row) < view.stamp(mine)
                and view.is_same_experiment(row, mine)
                and view.latest(mine) is None
            ):
                segment.repeats = True
                self._doom(segment, "another worker was first to try this configuration")

    def _check_line(self) -> None:
        beyond = self.view.beyond_line()
        if beyond:
            for segment in self.segments.in_rows(beyond):
                if not segment.doomed:
                    self._doom(segment, "the budget was filled by earlier proposals")

    def _doom(self, segment: Segment, why: str) -> None:
        self.segments.doom(segment)
        self._out.append(Abort(segment.trial, segment.attempt, why))

    def _others_running(self) -> bool:
        mine, doomed = len(self.segments), self.segments.doomed
        if doomed:
            mine -= sum(self.view.owner_of(s.row) != self.me for s in doomed)
        return len(self.view.running) > mine

    def _release_lost(self, now: float) -> None:
        if not self._others_running():
            return
        view, membership = self.view, self.node.mesh.membership
        segments = [
            (view.id(row), view.attempt(row), owner)
            for row in sorted(self._find_doubtful())
            if (owner := view.owner_of(row)) is not None
        ]

        def believed(worker: str) -> State | None:
            # A worker that answers has not left, whatever its log says: others may have written there.
            info, state = view.workers.get(worker), membership.state(worker)
            return State.LEFT if info is not None and info.left and state is not State.ALIVE else state

        present = membership.present if segments else ()
        for trial, attempt in self.leases.expired(now, segments, believed, present):
            self.declare_lost(trial, attempt)

    def _find_doubtful(self) -> set[int]:
        """The running trials of workers that are not known to be alive. While the members stay as they are, only what
        has changed of the trials is looked at."""
        view, membership = self.view, self.node.mesh.membership
        rows: Iterable[int]
        if self._members_seen == membership.version:
            rows, self._trials_seen = view.touched(self._trials_seen)
        else:
            self._members_seen = membership.version
            rows, self._trials_seen = list(view.running), view.touched(1 << 62)[1]
            self._doubtful.clear()
        for row in rows:
            owner = view.owner_of(row) if row in view.running else None
            if owner is None or owner == self.me or self.leases.is_certain_to_live(owner, membership.state(owner)):
                self._doubtful.discard(row)
            else:
                self._doubtful.add(row)
        return self._doubtful

    def __repr__(self) -> str:
        return f"<PeerState {self.me}: {self.view!r}, {self.node.mesh.membership!r}>"
