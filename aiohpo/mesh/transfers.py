"""Fetching blobs from peers: in bounded chunks, from any peer that has them, checked at the end.

A checkpoint may be large, so it is asked for in parts, a few at a time, and written down as they come; observations
flooded meanwhile wait for at most those few. When a holder falls silent or does not have the blob, the next one is
asked, and goes on where the last one stopped: a blob is named by its hash, so all of them hold the same bytes.

What a peer may send is bounded beforehand: by the size that was announced with the blob's name, and by a time that
follows from it. So no holder can fill the disk, or keep a trial waiting by answering a little at a time.

Pure: the shell reads, writes and verifies. It is told of a finished fetch by a :class:`Fetched` effect and says
with :meth:`Transfers.verified` whether the bytes were right; if not, everything is fetched again from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .effects import Effect, Fetched, Send, Serve, Store
from .frames import Chunk, Want
from .timing import FETCH_AT_LEAST, HOLDER_SILENT

CHUNK_BYTES = 64 << 10  # the size of every part but the last, so that no peer can answer byte by byte
WINDOW = 4
LEAST_RATE = 256 << 10  # bytes a second; a network that is slower still is no use to a search
MOST_BYTES = 1 << 30  # of a blob whose size was not announced
ROUNDS = 3  # how often all holders are tried


@dataclass(slots=True)
class Transfer:
    """One blob on its way. ``received`` bytes are written, ``asked`` is how far the questions go."""

    digest: str
    holders: list[str]
    size: int | None  # as it was announced
    until: float
    due: float = math.inf
    turn: int = 0
    received: int = 0
    asked: int = 0
    total: int | None = None  # as a holder says
    said_no: set[str] = field(default_factory=set)

    @property
    def holder(self) -> str:
        return self.holders[self.turn % len(self.holders)]


def _time_for(size: int | None) -> float:
    """Seconds within which a blob has to be here."""
    return FETCH_AT_LEAST + (MOST_BYTES if size is None else size) / LEAST_RATE


class Transfers:
    """All blobs that this worker is fetching."""

    def __init__(self) -> None:
        self.open: dict[str, Transfer] = {}

    @property
    def asked(self) -> set[str]:
        """The addresses that are being asked for blobs."""
        return {fetch.holder for fetch in self.open.values()}

    def begin(self, now: float, digest: str, holders: Sequence[str], size: int | None) -> list[Effect]:
        """Start fetching a blob of ``size`` bytes (None: unknown) from the addresses that may have it, the likeliest
        first."""
        if digest in self.open:
            return []
        if not holders:
            return [Fetched(digest, complete=False)]
        fetch = self.open[digest] = Transfer(digest, list(holders), size, until=now + _time_for(size))
        fetch.due = now + HOLDER_SILENT
        return self._ask(fetch)

    def answer(self, peer: str, want: Want) -> list[Effect]:
        """Answer a peer's question; the shell reads the bytes."""
        return [Serve(peer, want.digest, want.offset, CHUNK_BYTES)]

    def on_chunk(self, now: float, peer: str, chunk: Chunk) -> list[Effect]:
        """Take a part of a blob; what was not asked for, or comes out of turn, is dropped."""
        fetch = self.open.get(chunk.digest)
        if fetch is None or peer != fetch.holder:
            return []
        if chunk.total is None:
            fetch.said_no.add(peer)
            return self._next_holder(fetch, now)
        if chunk.offset != fetch.received:
            return []
        if fetch.total not in (None, chunk.total):  # this holder or an earlier one is wrong: begin again with this one
            fetch.received, fetch.asked, fetch.total = 0, 0, None
            fetch.due = now + HOLDER_SILENT
            return self._ask(fetch)
        right = chunk.total <= MOST_BYTES if fetch.size is None else chunk.total == fetch.size
        if not right or len(chunk.data) != min(CHUNK_BYTES, chunk.total - fetch.received):
            fetch.said_no.add(peer)  # it has something else under this name, or does not keep to the protocol
            return self._next_holder(fetch, now)
        fetch.total = chunk.total
        fetch.due = now + HOLDER_SILENT
        effects: list[Effect] = [Store(chunk.digest, fetch.received, chunk.data)]
        fetch.received += len(chunk.data)
        if fetch.received >= chunk.total:
            fetch.due = fetch.until = math.inf  # until it is verified
            effects.append(Fetched(chunk.digest, complete=True))
            return effects
        return effects + self._ask(fetch)

    def verified(self, now: float, digest: str, ok: bool) -> list[Effect]:
        """Say whether the bytes of a complete blob match its name."""
        fetch = self.open.get(digest)
        if fetch is None:
            return []
        if ok:
            del self.open[digest]
            return []
        fetch.said_no.add(fetch.holder)
        fetch.received, fetch.total, fetch.until = 0, None, now + _time_for(fetch.size)
        return self._next_holder(fetch, now)

    def give_up(self, digest: str) -> None:
        """Ask for a blob no longer."""
        self.open.pop(digest, None)

    def tick(self, now: float) -> list[Effect]:
        """Turn to the next holder where one has been silent for too long; give up what takes too long in all."""
        effects: list[Effect] = []
        for fetch in list(self.open.values()):
            if now >= fetch.until:
                effects.append(self._fail(fetch))
            elif now >= fetch.due:
                effects += self._next_holder(fetch, now)
        return effects

    def next_deadline(self) -> float:
        if not self.open:
            return float("inf")
        return min(min(fetch.due, fetch.until) for fetch in self.open.values())

    def _next_holder(self, fetch: Transfer, now: float) -> list[Effect]:
        everybody = set(fetch.holders)
        for _ in fetch.holders:
            fetch.turn += 1
            if fetch.holder not in fetch.said_no:
                break
        if fetch.turn >= ROUNDS * len(fetch.holders) or fetch.said_no >= everybody:
            return [self._fail(fetch)]
        fetch.due = now + HOLDER_SILENT
        fetch.asked = fetch.received
        return self._ask(fetch)

    def _fail(self, fetch: Transfer) -> Effect:
        del self.open[fetch.digest]
        return Fetched(fetch.digest, complete=False)

    def _ask(self, fetch: Transfer) -> list[Effect]:
        effects: list[Effect] = []
        limit = fetch.received + WINDOW * CHUNK_BYTES
        end = limit if fetch.total is None else min(limit, fetch.total)
        if fetch.total is None:
            end = fetch.received + 1  # the first answer says how much there is
        while fetch.asked < end:
            effects.append(Send(fetch.holder, Want(fetch.digest, fetch.asked)))
            fetch.asked += CHUNK_BYTES
        return effects

    def __repr__(self) -> str:
        return f"<Transfers {len(self.open)} open>"
