"""The worker without its shell: events in, effects out.

``WorkerState`` is a :class:`~aiohpo.peer.recorder.Ledger` with peers: log, view, gossip, mesh, claims and fetches in
one deterministic object. The shell tells it
what happened (a frame arrived, time passed, a trial reported) and then carries out the effects it collects
with :meth:`drain`, in order. Nothing here waits, reads a clock or draws from a global random state; the swarm
tests run thousands of these in virtual time, and what they run is what users run.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from ..events.lifecycle import FINAL, Status
from ..events.log import Log
from ..events.schema import Batch, Ended, Fresh, Malformed, Unknown
from ..mesh.effects import Abort, CallOff, Describe, Notice, Persist
from ..mesh.frames import Chunk, Digest, Events, Foreign, Hello, Inquire, Refused, Vector, Want, decode_frame
from ..mesh.gossip import Gossip
from ..mesh.links import Mesh
from ..mesh.membership import State
from ..mesh.timing import Timing
from ..mesh.transfers import Fetches
from ..view.view import View
from .leases import Leases
from .recorder import Ledger, Segment


@dataclass(slots=True)
class Counters:
    """What came over the wire and what was wrong with it; shown to people, never fatal."""

    malformed: int = 0
    foreign: int = 0
    frames: int = 0
    bytes: int = 0


class WorkerState(Ledger):
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
        super().__init__(me, view, log, shared_journal)
        self.tag = bytes.fromhex(study)[:4].ljust(4, b"\0")
        self.gossip = Gossip(log, rng, now, timing.pace)
        self.gossip.mine = me
        self.mesh = Mesh(me, study, address, self.gossip, rng, now, timing.suspicion, observer)
        self.leases = Leases(me, grace=timing.suspicion.longest)
        self.counters = Counters()
        self.fetches = Fetches()
        self.observer = observer
        self._proposed_at = now - 60.0
        self._newly_dead: list[str] = []
        self._newly_suspect: list[str] = []
        self._lease_due = now
        self._told_skipped = bool(log.unknown_kinds)  # by what loaded the log

    def leave(self, wall: float, reason: str, now: float) -> None:
        """Record that this worker leaves and flush; keep it running until :meth:`flushed`, then say goodbye."""
        self.left(wall, reason)
        self._out += self.gossip.flush(now)

    def flushed(self) -> bool:
        """Whether every peer is known to have all that this worker has; if not, the peers are asked."""
        lagging = self.gossip.lagging()
        self._out += self.gossip.compare(lagging)
        return not lagging

    def heard_out(self, since: float) -> bool:
        """Whether every peer has said since then what it has, and all of it is here; if not, the peers are asked."""
        ahead = self.gossip.ahead(since)
        self._out += self.gossip.compare(ahead)
        return not ahead

    def goodbye(self) -> None:
        """Tell the peers that this worker is gone."""
        self._out += self.mesh.leave()

    def pause_before_proposing(self, now: float) -> float:
        """How long to wait, so that the others' proposals arrive first, when the budget is nearly used up.

        Only then, and only after trials shorter than news takes to travel: everywhere else nobody waits. Without
        it, workers with instant objectives each propose all that remains, and most of it is surplus.
        """
        present = len(self.mesh.membership.present)
        if self.goal is None or present == 1 or self.goal - self.view.n_counted > 2 * present:
            return 0.0
        pause = max(0.0, self._proposed_at + 2 * self.claims.delay - now)
        self._proposed_at = now + pause
        return pause

    # -------------------------------------------------------------------------------- what others tell us
    def join(self, addresses: Iterable[str], now: float) -> None:
        """Greet these addresses until somebody answers."""
        self._out += self.mesh.join(addresses, now)

    def receive(self, now: float, peer: str, data: bytes) -> None:
        """Handle one frame from the peer at address ``peer``. Never raises for what it contains."""
        self.counters.frames += 1
        self.counters.bytes += len(data)
        try:
            frame = decode_frame(self.tag, data)
        except Foreign:
            self.counters.foreign += 1
            self._out += self.mesh.stranger(peer, now)
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
            self.claims.news_takes(self.mesh.round_trip / 2 + self.gossip.pace.interval)
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

    def give_up_fetch(self, digest: str) -> None:
        """Ask nobody for a blob any longer: it cannot be stored here."""
        self.fetches.open.pop(digest, None)

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
            self._lease_due = now + self.mesh.membership.suspicion.ping / 2
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
    def _recorded(self, batch: Batch) -> None:
        self.gossip.flood(batch)

    def bury(self, worker: str, now: float) -> None:
        """Take it for certain that a suspected worker is dead."""
        self._out += self.mesh.bury(worker, now)
        self._notice_changes(now)

    def newly_suspect(self) -> list[str]:
        """Workers that came under suspicion since the last call: perhaps the shell can tell for sure."""
        suspect, self._newly_suspect = self._newly_suspect, []
        return suspect

    def _take(self, now: float, fresh: Fresh) -> None:
        """Bring new events of another worker into the view, and see what they mean for this one."""
        origin, apply = fresh.origin, self.view.apply
        for seq, event in enumerate(fresh.events, fresh.first):
            if isinstance(event, Unknown):
                self._skip(origin)
                continue
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
            over = self.view.last_over
            self._out.append(CallOff(over.reason if over is not None else "the search was called off"))
        info = self.view.workers.get(origin)
        if info is None or info.started is None or info.started.journal != self._shared_journal:
            # Nobody else writes it to this worker's directory.
            self._out.append(Persist(self.log.batch(origin, fresh.first)))

    def _skip(self, origin: str) -> None:
        """Say once that some of what others record is not understood here."""
        if not self._told_skipped:
            self._told_skipped = True
            self._out.append(Notice(f"worker {origin}: {self.log.skipped}"))

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
        elif status is Status.PAUSED and attempt == segment.attempt:
            self._doom(segment, "another worker was done with it first")
        elif status is Status.LOST and attempt == segment.attempt:
            # Somebody thought us dead. We are not: claim the next attempt and go on.
            self.hold_on(segment)

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
            self.declare_lost(trial, attempt)

    def _notice_changes(self, now: float) -> None:
        for worker in self.mesh.changed():
            state = self.mesh.membership.state(worker)
            if state is State.SUSPECT:
                self._newly_suspect.append(worker)
            elif state is State.DEAD:
                self._newly_dead.append(worker)
                self._out.append(Notice(f"worker {worker} is dead"))

    def __repr__(self) -> str:
        return f"<WorkerState {self.me}: {self.view!r}, {self.mesh.membership!r}>"
