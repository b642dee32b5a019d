"""Gossip: flood for speed, repair for correctness.

Flood      New events are published in batches, at most one batch every ``interval`` (longer in swarms
           of thousands); the first after a quiet
           time leaves at once. A receiver takes only what is next in line for its origin. Where the overlay is
           not a full mesh, receivers pass on what was new to them.
Repair     Every ~2 s (jittered) each worker sends a hash of its version vector to one random peer. On a
           mismatch they exchange vectors and each sends what the other lacks, in bounded chunks; the receiver
           asks for the next chunk when it has digested the last. A gap in a flooded batch and a newcomer's
           empty log are the same thing: a version vector that lacks something.
           Where both hold the logs of more than a few hundred workers they compare hashes of groups of logs first
           (:mod:`aiohpo.events.groups`), and exchange the vectors of the groups that differ.

Everything may be lost, doubled, delayed or reordered: flooding then only gets slower, and repair alone makes
all replicas equal as long as any chain of links now and then carries a frame.

Forks      Two events with one number (:mod:`aiohpo.events.origin_log`) are noticed where both arrive, and both are
           flooded. Where each arrived only in a part of the swarm, version vectors agree and hashes of logs do not:
           then hashes of single workers' logs are compared, then those of blocks, and blocks that differ are exchanged.

What is so new that it is certainly still being flooded is left out of the answer to a mere hash mismatch
(under steady traffic hashes nearly always differ); otherwise every event would travel twice.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from ..events.groups import hash_of_all
from ..events.log import Log, Read
from ..events.schema import Batch, Fresh, Malformed
from .effects import Effect, Milestone, Notice, Publish, Reached, Send
from .frames import MAX_EVENTS, Blocks, Digest, Events, Groups, GroupVector, Heads, Vector, pages_of_events
from .progress import PeerProgress
from .quotas import Quota
from .timing import Pace

_FORKS_AT_ONCE = 8  # workers whose logs are compared block by block


class Gossip:
    """Keeps one log in step with its peers'. Peers are named by their addresses.

    ``mine`` is the origin that only this worker writes to.
    """

    def __init__(self, log: Log, rng: random.Random, now: float, pace: Pace, mine: str) -> None:
        self.log = log
        self.pace = pace
        self.peers: list[str] = []
        self._forward = False
        self._mine = mine
        self.origins = Quota("workers")
        self.duplicates = 0
        self.repairs = 0  # rounds in which a peer had something that was missing here
        self._rng = rng
        self._pending: list[Batch] = []
        self.interval = pace.interval  # between two batches of a flood
        self._last_flush = now - self.interval
        self._digest_due = now + pace.digest * rng.random()
        self._settled: dict[str, int] = {}
        self._repairing: tuple[str, float] | None = None
        self.progress = PeerProgress(log, mine)
        self.caught_up = False  # whether some peer's whole log has arrived once

    def relink(self, peers: list[str], *, forward: bool, members: int = 0) -> None:
        """Exchange with these peers from now on; ``forward`` to them what others tell, where the overlay needs it.

        ``members``: how many there are in all.
        """
        self.peers = peers
        self.interval = self.pace.interval_among(members)
        self.progress.peers = peers
        self._forward = forward
        if self._repairing is not None and self._repairing[0] not in peers:
            self._repairing = None  # the answer would not arrive: ask the next one

    # --------------------------------------------------------------------------------------------- flood
    def flood(self, batch: Batch) -> None:
        """Queue events that are new here for publication; they leave with the next :meth:`tick`."""
        joined = self._pending[-1].join(batch) if self._pending else None
        if joined is not None and len(joined.raws) <= self.pace.batch_events:
            self._pending[-1] = joined
        else:
            self._pending.append(batch)

    def next_deadline(self) -> float:
        """When :meth:`tick` has something to do next."""
        if self._pending:
            return min(self._digest_due, self._last_flush + self.interval)
        return self._digest_due

    def tick(self, now: float, members_hash: Callable[[], bytes]) -> list[Effect]:
        """Flush the flood and start a round of repair, whichever is due."""
        effects: list[Effect] = []
        if self._pending and now >= self._last_flush + self.interval:
            effects += self.publish_queued(now)
        if now >= self._digest_due:
            self._digest_due = now + self.pace.digest * self._rng.uniform(0.75, 1.25)
            if self.peers:
                peer = self._rng.choice(self.peers)
                effects.append(Send(peer, Digest(self.log.hash(), members_hash(), self.log.groups.count)))
            self._settled = self.log.vector()
        return effects

    def publish_queued(self, now: float) -> list[Effect]:
        """Publish what is queued, in frames of about ``batch_bytes``."""
        pending, self._pending = self._pending, []
        self._last_flush = now
        if not self.peers:
            return []  # a peer that comes later asks for it
        return [Publish(Events(page)) for page in pages_of_events(pending, self.pace.batch_bytes)]

    # -------------------------------------------------------------------------------------------- repair
    def ask_for_missing(self, peer: str, now: float) -> list[Effect]:
        """Ask ``peer`` for everything this log lacks, unless such a question is already open."""
        return [Send(peer, self._vector(eager=True, reply=False))] if self._opens_question(peer, now) else []

    def _opens_question(self, peer: str, now: float) -> bool:
        """Whether ``peer`` may be asked for what is missing; then that question is open."""
        if self._repairing is not None and now < self._repairing[1]:
            return False
        self._repairing = peer, now + self.pace.repair_timeout
        return True

    def on_digest(self, peer: str, frame: Digest) -> list[Effect]:
        """Compare hashes; on a mismatch send those of groups of logs or, where these are few, the version vector."""
        self.progress.divides_by(peer, frame.groups)
        if frame.log == self.log.hash():
            return self._catch_up()
        if count := self.log.groups.common_count(frame.groups):
            return [Send(peer, Groups(self.log.groups.hashes(count), eager=False))]
        return [Send(peer, self._vector(eager=False, reply=True))]

    def _vector(self, *, eager: bool, reply: bool) -> Vector:
        return Vector(self.log.vector(), eager, reply, self.log.hash())

    def on_groups(self, peer: str, frame: Groups) -> list[Effect]:
        """Compare the hashes of groups; send the version vector of those that differ, and ask for the peer's."""
        count, groups = len(frame.hashes), self.log.groups
        if not groups.divide_by(count):  # this worker has begun anew with fewer
            return [Send(peer, self._vector(eager=frame.eager, reply=True))]
        mine = groups.hashes(count)
        differing = [group for group in range(count) if mine[group] != frame.hashes[group]]
        if not differing and not frame.eager:
            return self._catch_up()
        asked = hash_of_all(frame.hashes)
        return [Send(peer, self._group_vector(count, differing, eager=frame.eager, reply=True, asked=asked))]

    def _group_vector(
        self, count: int, of: Sequence[int], *, eager: bool, reply: bool, asked: bytes = b""
    ) -> GroupVector:
        hashes = self.log.groups.hashes(count)
        counts = self.log.vector(self.log.groups.origins(count, of))
        return GroupVector(count, {group: hashes[group] for group in of}, counts, eager, reply, asked)

    def on_vector(self, peer: str, frame: Vector, now: float) -> list[Effect]:
        """Send what the peer lacks, in bounded chunks, and ask for what it has more of."""
        self.progress.on_vector(peer, frame, now)
        effects, nothing = self._send_missing(peer, frame)
        if frame.reply and self.log.lacks_any_of(frame.counts):
            effects += self.ask_for_missing(peer, now)
        elif frame.reply:
            effects.append(Send(peer, self._vector(eager=False, reply=False)))
        if frame.log and frame.log != self.log.hash() and frame.counts == self.log.vector():
            effects += self._send_heads(peer, frame.counts)
        return effects + self._close(peer, frame, nothing)

    def on_group_vector(self, peer: str, frame: GroupVector, now: float) -> list[Effect]:
        """Do the same for the groups of logs that differ."""
        self.progress.on_group_vector(peer, frame, now)
        groups = self.log.groups
        if not groups.divide_by(frame.count):
            return []  # what it answers was said by an earlier process at this address
        differing = [group for group in frame.hashes if group < frame.count]
        effects, nothing = self._send_missing(peer, frame, groups.origins(frame.count, differing))
        if frame.reply and self.log.lacks_any_of(frame.counts) and self._opens_question(peer, now):
            effects.append(Send(peer, self._group_vector(frame.count, differing, eager=True, reply=False)))
        hashes = groups.hashes(frame.count)
        for group in differing:
            held = self.log.vector(groups.origins(frame.count, [group]))
            if frame.hashes[group] != hashes[group] and held.items() <= frame.counts.items():
                effects += self._send_heads(peer, held)
        return effects + self._close(peer, frame, nothing)

    def _send_missing(
        self, peer: str, frame: Vector | GroupVector, among: Sequence[str] | None = None
    ) -> tuple[list[Effect], bool]:
        """Return what sends it, and whether there is nothing to be sent."""
        upto = None if frame.eager else self._settled
        batches: list[Batch] = list(self.log.missing(frame.counts, self.pace.round_bytes, upto, among))
        sent = {b.origin: b.last for b in batches}
        lacking = self.log.missing({**frame.counts, **sent}, 1, upto, among)
        more = bool(batches) and next(lacking, None) is not None
        pages = list(pages_of_events(batches, self.pace.round_bytes))
        effects: list[Effect] = [
            Send(peer, Events(page, repair=True, more=more and n == len(pages))) for n, page in enumerate(pages, 1)
        ]
        beside = self.log.beside(frame.counts, among)
        return effects + [Send(peer, Events(page, repair=True)) for page in pages_of_events(beside)], not batches

    def _send_heads(self, peer: str, origins: Iterable[str]) -> list[Effect]:
        return [Send(peer, Heads({origin: self.log.hash_of(origin) for origin in origins}))]

    def _close(self, peer: str, frame: Vector | GroupVector, nothing: bool) -> list[Effect]:
        """Say to a peer that asks, if so, that there is nothing for it."""
        return [Send(peer, Events((), repair=True))] if nothing and frame.eager and not frame.reply else []

    def on_heads(self, peer: str, frame: Heads) -> list[Effect]:
        """See whose logs differ, though they are of one length, and compare those block by block."""
        differ = [origin for origin, hash in frame.hashes.items() if self.log.hash_of(origin) not in (hash, b"")]
        return [
            Send(peer, Blocks(origin, tuple(self.log.block_hashes(origin)), reply=True))
            for origin in differ[:_FORKS_AT_ONCE]
        ]

    def on_blocks(self, peer: str, frame: Blocks) -> list[Effect]:
        """Send the first block that differs; the others follow when the logs are compared again."""
        mine = self.log.block_hashes(frame.origin)
        at = next((i for i, (a, b) in enumerate(zip(mine, frame.hashes, strict=False)) if a != b), None)
        if at is None:
            return []
        effects: list[Effect] = []
        if frame.reply:
            effects.append(Send(peer, Blocks(frame.origin, tuple(mine), reply=False)))
        block = self.log.block(frame.origin, at, self.pace.round_bytes)
        return effects + [Send(peer, Events(page, repair=True)) for page in pages_of_events(block)]

    def compare(self, peers: list[str]) -> list[Effect]:
        """Tell these peers what there is here, and make them say what they have."""
        effects: list[Effect] = []
        for peer in peers:
            count = self.progress.ask(peer)
            question = Groups(self.log.groups.hashes(count), True) if count else self._vector(eager=True, reply=True)
            effects.append(Send(peer, question))
        return effects

    def on_events(self, peer: str, frame: Events, now: float) -> tuple[list[Fresh], list[Effect]]:
        """Merge batches; return (what was new, effects).

        Raises :class:`Malformed` if anything in the frame is no event; then nothing of it was taken.
        """
        read = self._read(frame)
        new: list[Fresh] = []
        effects: list[Effect] = []
        gap = False
        for each in read:
            batch = each.batch
            if each.forks:
                if (fresh := self.log.take_fork(each)) is not None:
                    new.append(fresh)
                    for other in self.log.all_of(batch.origin, batch.first):
                        self.flood(other)
                continue
            if self._has_gap(batch):
                gap = True
                continue
            if batch.first == 1 and not self.log.count(batch.origin) and not self.origins.admit(peer, len(self.log)):
                if (complaint := self.origins.complaint(peer)) is not None:
                    effects.append(Notice(complaint))
                continue
            fresh = self.log.take(each)
            if fresh is None:
                continue
            new.append(fresh)
            if self._forward or (frame.repair and self.caught_up):
                self.flood(self.log.batch_from(fresh.origin, fresh.first))
        self.repairs += frame.repair and bool(new)
        if frame.repair and (self._repairing is None or self._repairing[0] == peer):
            self._repairing = None
            if not frame.more:
                effects += self._catch_up()
        if gap or (frame.more and new):  # what was refused would be sent again and again
            effects += self.ask_for_missing(peer, now)
        return new, effects

    def _read(self, frame: Events) -> list[Read]:
        if len(frame.batches) > 1 and (events := sum(len(batch.raws) for batch in frame.batches)) > MAX_EVENTS:
            raise Malformed(f"a frame of {events} events")
        read = []
        for batch in frame.batches:
            if self.log.holds(batch):
                self.duplicates += len(batch.raws)
                continue
            new = self.log.read(batch)
            if new is None or new.batch is not batch:  # some numbers are known
                read += self.log.read_forks(batch)
            if new is not None:
                read.append(new)
            else:
                self.duplicates += len(batch.raws)
        return read

    def _catch_up(self) -> list[Effect]:
        if self.caught_up:
            return []
        self.caught_up = True
        return [Reached(Milestone.CAUGHT_UP)]

    def _has_gap(self, batch: Batch) -> bool:
        return batch.first > self.log.count(batch.origin) + 1

    def __repr__(self) -> str:
        return f"<Gossip of {self.log!r} with {len(self.peers)} peers>"
