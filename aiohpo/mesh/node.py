"""A node of the mesh: everything that peers and spectators do alike to keep a log in step.

It reads frames and hands each to the part whose it is: the gossip, the links or the fetches. What comes of it is
returned: events that are new here, and effects.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence

from ..events.log import Log
from ..events.schema import Batch, Fresh, Malformed, Unknown
from ..text import printable
from .effects import Describe, Effect, Notice
from .frames import (
    Blocks,
    Chunk,
    Digest,
    Events,
    Foreign,
    Groups,
    GroupVector,
    Heads,
    Hello,
    Inquire,
    Refused,
    Vector,
    Want,
    decode_frame,
)
from .gossip import Gossip
from .health import Counters, Health
from .links import Mesh
from .timing import COLLECT_FOR, Timing
from .transfers import Transfers

_MOST_NOTICES = 50
_logger = logging.getLogger(__name__)


class Node:
    """Log, gossip, links and fetches of one process.

    me       its name, as that of a worker
    study    the hash that all workers of the study share
    address  where it is reached
    links    how it links to others: as a worker or as a spectator
    """

    def __init__(
        self,
        me: str,
        study: str,
        address: str,
        log: Log,
        *,
        seed: int,
        now: float,
        timing: Timing,
        links: type[Mesh] = Mesh,
    ) -> None:
        rng = random.Random(f"{seed}/{me}")
        self.tag = bytes.fromhex(study)[:4].ljust(4, b"\0")
        self.log = log
        self.gossip = Gossip(log, rng, now, timing.pace, me)
        self.mesh = links(me, study, address, self.gossip, rng, now, timing.suspicion)
        self.transfers = Transfers()
        self.counters = Counters()
        self._told_skipped = bool(log.unknown_kinds)  # by what loaded the log
        self._told_forks: set[str] = set()
        self._told_refused = bool(log.far_ahead)

    @property
    def delay(self) -> float | None:
        """Seconds that news takes to travel; None before it was measured."""
        return self.mesh.round_trip / 2 + self.gossip.interval + COLLECT_FOR if self.mesh.round_trip else None

    def receive(self, now: float, peer: str, data: bytes) -> tuple[list[Fresh], list[Effect]]:
        """Handle one frame from the peer at address ``peer``. Never raises for what it contains."""
        self.counters.frames += 1
        self.counters.bytes += len(data)
        try:
            frame = decode_frame(self.tag, data)
        except Foreign:
            self.counters.foreign += 1
            return [], self.mesh.stranger(peer, now)
        except Malformed as error:
            return [], self._drop(now, peer, error)
        effects: list[Effect] = []
        # A visitor asks for a blob and goes again.
        if not self.mesh.has_introduced_itself(peer) and not isinstance(frame, Hello | Refused | Want):
            effects += self.mesh.greet(peer, now)
        new: list[Fresh] = []
        match frame:
            case Events():
                effects += self.mesh.receive(now, peer, frame)
                try:
                    new, more = self.gossip.on_events(peer, frame, now)
                except Malformed as error:
                    return [], effects + self._drop(now, peer, error)
                effects += more
                effects += self._tell_skipped(new)
            case Want():
                effects += self.transfers.answer(peer, frame)
            case Chunk():
                effects += self._visiting(self.transfers.on_chunk(now, peer, frame))
            case Inquire():
                effects.append(Describe(peer))
            case Vector():
                effects += self.gossip.on_vector(peer, frame, now)
            case Groups():
                effects += self.gossip.on_groups(peer, frame)
            case GroupVector():
                effects += self.gossip.on_group_vector(peer, frame, now)
            case Heads():
                effects += self.gossip.on_heads(peer, frame)
            case Blocks():
                effects += self.gossip.on_blocks(peer, frame)
            case Digest():
                effects += self.gossip.on_digest(peer, frame)
                effects += self.mesh.receive(now, peer, frame)
            case _:
                effects += self.mesh.receive(now, peer, frame)
        return new, effects

    def survive(self, peer: str, error: Exception) -> list[Effect]:
        """Count a frame that showed a bug of this version, and say so the first time.

        What a peer sends is checked before any of it is applied, so this should never be called. But the same bytes
        reach every worker, and one bug must not end them all.
        """
        self.counters.faults += 1
        _logger.error("a frame from %s could not be handled", printable(peer), exc_info=error)
        if self.counters.faults > 1:
            return []
        what = printable(f"{type(error).__name__}: {error}")
        return [
            Notice(f"a frame from {printable(peer)} could not be handled: a bug of aiohpo, please report it ({what})")
        ]

    def _drop(self, now: float, peer: str, error: Malformed) -> list[Effect]:
        """Count a frame that is dropped whole, and say so the first time. Who sent it does not work as it should."""
        self.counters.malformed += 1
        effects: list[Effect] = []
        if self.counters.malformed == 1:
            effects.append(Notice(f"dropping malformed frames from {printable(peer)} ({printable(str(error))})"))
        return effects + self.mesh.accuse(peer, now)

    def recover(self, batch: Batch) -> tuple[Fresh | None, list[Effect]]:
        """Take events that were found on disk and may never have been sent."""
        try:
            fresh = self.log.merge(batch)
        except Malformed:
            self.counters.malformed += 1
            return None, []
        if fresh is None:
            return None, []
        self.gossip.flood(self.log.batch_from(fresh.origin, fresh.first))
        return fresh, self._tell_skipped([fresh])

    def fetch(self, now: float, digest: str, saved_by: str | None, size: int | None) -> list[Effect]:
        """Fetch a blob of ``size`` bytes (None: unknown), first from the worker that is likeliest to have it; a Fetched
        effect says how it ended."""
        members = self.mesh.membership.members
        present = [members[w] for w in self.mesh.membership.present if w in members]
        present.sort(key=lambda m: (m.worker != saved_by, m.worker))
        return self._visiting(self.transfers.begin(now, digest, [m.address for m in present], size))

    def give_up_fetch(self, digest: str) -> list[Effect]:
        """Ask for a blob no longer."""
        self.transfers.give_up(digest)
        return self._visiting([])

    def verified(self, now: float, digest: str, ok: bool) -> list[Effect]:
        """Say whether the bytes of a complete blob match its name."""
        return self._visiting(self.transfers.verified(now, digest, ok))

    def _visiting(self, effects: list[Effect]) -> list[Effect]:
        """What the fetches ask for, once this worker is connected to those that they ask."""
        return self.mesh.visit(self.transfers.asked) + effects

    def join(self, addresses: Iterable[str], now: float) -> list[Effect]:
        """Greet these addresses until they answer."""
        return self.mesh.join(addresses, now)

    def tick(self, now: float) -> list[Effect]:
        """Do what is due."""
        effects = self.gossip.tick(now, self.mesh.membership.hash)
        effects += self.mesh.tick(now)
        effects += self._visiting(self.transfers.tick(now))
        return effects

    def next_deadline(self) -> float:
        """When :meth:`tick` has something to do next."""
        return min(self.gossip.next_deadline(), self.mesh.next_deadline(), self.transfers.next_deadline())

    def states(self) -> dict[str, str]:
        """What is believed of each worker that this node has met: alive, suspect, dead or left."""
        return {name: member.state.name.lower() for name, member in self.mesh.membership.members.items()}

    def health(self, now: float, frames_out: int, bytes_out: int) -> Health:
        """What this node measures of its mesh; the shell knows how much it sent."""
        heard = max((m.heard for m in self.mesh.membership.members.values()), default=now)
        return Health(
            links=len(self.gossip.peers),
            round_trip=self.mesh.round_trip or None,
            silent=max(now - heard, 0.0),
            repairs=self.gossip.repairs,
            duplicates=self.gossip.duplicates,
            dropped=self.counters.malformed + self.counters.foreign,
            frames_in=self.counters.frames,
            bytes_in=self.counters.bytes,
            frames_out=frames_out,
            bytes_out=bytes_out,
        )

    def _tell_skipped(self, new: Sequence[Fresh]) -> list[Effect]:
        """Say once that some of what others record is not understood here, or refused."""
        effects: list[Effect] = []
        for fresh in new:
            origin = fresh.origin
            if not fresh.again and origin != self.mesh.me:
                continue
            if origin not in self._told_forks and len(self._told_forks) < _MOST_NOTICES:
                self._told_forks.add(origin)
                whose = "this worker" if origin == self.mesh.me else f"worker {origin}"
                effects.append(
                    Notice(
                        f"the log of {whose} holds events that it did not record: someone with the key writes in its "
                        "name, or a journal was changed; they count like the others"
                    )
                )
        if self.log.far_ahead and not self._told_refused:
            self._told_refused = True
            effects.append(Notice(self.log.refused()[0]))
        if not self._told_skipped and self.log.unknown_kinds:
            self._told_skipped = True
            origin = next(f.origin for f in new if any(isinstance(event, Unknown) for event in f.events))
            effects.append(Notice(f"worker {origin}: {self.log.skipped}"))
        return effects

    def __repr__(self) -> str:
        return f"<Node {self.mesh!r}>"
