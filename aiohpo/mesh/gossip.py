"""Gossip: flood for speed, repair for correctness.

Flood      New events are published in batches, at most one batch every ``interval``; the first after a quiet
           time leaves at once. A receiver takes only what is next in line for its origin. Where the overlay is
           not a full mesh, receivers pass on what was new to them.
Repair     Every ~2 s (jittered) each worker sends a hash of its version vector to one random peer. On a
           mismatch they exchange vectors and each sends what the other lacks, in bounded chunks; the receiver
           asks for the next chunk when it has digested the last. A gap in a flooded batch and a newcomer's
           empty log are the same thing: a version vector that lacks something.

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
from collections.abc import Callable

from ..events.log import Log, Read
from ..events.schema import Batch, Fresh, Malformed
from .effects import Effect, Milestone, Notice, Publish, Reached, Send
from .frames import MAX_EVENTS, Blocks, Digest, Events, Heads, Vector, pages_of_events
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
        self._last_flush = now - pace.interval
        self._digest_due = now + pace.digest * rng.random()
        self._settled: dict[str, int] = {}
        self._repairing: tuple[str, float] | None = None
        self._theirs: dict[str, dict[str, int]] = {}  # the last version vector heard from each peer
        self._heard: dict[str, float] = {}  # when that was
        self.caught_up = False  # whether some peer's whole log has arrived once

    def relink(self, peers: list[str], *, forward: bool) -> None:
        """Exchange with these peers from now on; ``forward`` to them what others tell, where the overlay needs it."""
        self.peers = peers
        self._forward = forward

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
            return min(self._digest_due, self._last_flush + self.pace.interval)
        return self._digest_due

    def tick(self, now: float, members_hash: Callable[[], bytes]) -> list[Effect]:
        """Flush the flood and start a round of repair, whichever is due."""
        effects: list[Effect] = []
        if self._pending and now >= self._last_flush + self.pace.interval:
            effects += self.publish_queued(now)
        if now >= self._digest_due:
            self._digest_due = now + self.pace.digest * self._rng.uniform(0.75, 1.25)
            if self.peers:
                peer = self._rng.choice(self.peers)
                effects.append(Send(peer, Digest(self.log.hash(), members_hash())))
            self._settled = self.log.vector()
        return effects

    def publish_queued(self, now: float) -> list[Effect]:
        """Publish what is queued, in frames of about ``batch_bytes``."""
        pending, self._pending = self._pending, []
        self._last_flush = now
        if not self.peers:
            return []  # whoever comes later asks for it
        return [Publish(Events(page)) for page in pages_of_events(pending, self.pace.batch_bytes)]

    # -------------------------------------------------------------------------------------------- repair
    def ask_for_missing(self, peer: str, now: float, reply: bool = False) -> list[Effect]:
        """Ask ``peer`` for everything this log lacks, unless such a question is already open."""
        if self._repairing is not None and now < self._repairing[1]:
            return []
        self._repairing = peer, now + self.pace.repair_timeout
        return [Send(peer, self._vector(eager=True, reply=reply))]

    def on_digest(self, peer: str, frame: Digest) -> list[Effect]:
        """Compare hashes; on a mismatch send the version vector and ask for the peer's."""
        if frame.log == self.log.hash():
            return self._catch_up()
        return [Send(peer, self._vector(eager=False, reply=True))]

    def _vector(self, *, eager: bool, reply: bool) -> Vector:
        return Vector(self.log.vector(), eager, reply, self.log.hash())

    def on_vector(self, peer: str, frame: Vector, now: float) -> list[Effect]:
        """Send what the peer lacks, in bounded chunks, and ask for what it has more of."""
        if peer in self.peers:
            self._theirs[peer] = dict(frame.counts)
            self._heard[peer] = now
        upto = None if frame.eager else self._settled
        batches: list[Batch] = list(self.log.missing(frame.counts, self.pace.round_bytes, upto))
        sent = {b.origin: b.last for b in batches}
        more = any(True for _ in self.log.missing({**frame.counts, **sent}, 1, upto)) if batches else False
        pages = list(pages_of_events(batches, self.pace.round_bytes))
        effects: list[Effect] = [
            Send(peer, Events(page, repair=True, more=more and n == len(pages))) for n, page in enumerate(pages, 1)
        ]
        effects += [Send(peer, Events(page, repair=True)) for page in pages_of_events(self.log.beside(frame.counts))]
        if frame.reply and self.log.lacks_any_of(frame.counts):
            effects += self.ask_for_missing(peer, now)
        elif frame.reply:
            effects.append(Send(peer, self._vector(eager=False, reply=False)))
        if frame.log and frame.log != self.log.hash() and frame.counts == self.log.vector():
            effects.append(Send(peer, Heads({origin: self.log.hash_of(origin) for origin in frame.counts})))
        if not batches and frame.eager and not frame.reply:
            effects.append(Send(peer, Events((), repair=True)))  # "nothing": the question is closed
        return effects

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

    def lagging(self) -> list[str]:
        """Peers that are not known to have everything that this log has."""
        mine = self.log.vector()
        self._forget_strangers()
        return [
            peer
            for peer in self.peers
            if any(self._theirs.get(peer, {}).get(origin, 0) < n for origin, n in mine.items())
        ]

    def peers_ahead(self, since: float) -> list[str]:
        """Peers that have not said since then what they have, or that have something that this log lacks."""
        self._forget_strangers()
        return [
            peer
            for peer in self.peers
            if self._heard.get(peer, since - 1.0) < since or self.log.lacks_any_of(self._theirs[peer])
        ]

    def unaware(self, number: int) -> list[str]:
        """Peers that are not known to have this worker's own events up to ``number``, or that had something then that
        this log lacks."""
        self._forget_strangers()
        return [
            peer
            for peer in self.peers
            if (theirs := self._theirs.get(peer)) is None
            or theirs.get(self._mine, 0) < number
            or self.log.lacks_any_of(theirs)
        ]

    def compare(self, peers: list[str]) -> list[Effect]:
        """Tell these peers what there is here, and make them say what they have."""
        return [Send(peer, self._vector(eager=True, reply=True)) for peer in peers]

    def _forget_strangers(self) -> None:
        for peer in self._theirs.keys() - set(self.peers):
            del self._theirs[peer], self._heard[peer]

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
