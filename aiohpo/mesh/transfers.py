"""Fetching blobs from peers: in bounded chunks, from whoever has them, checked at the end.

A checkpoint may be large, so it is asked for in parts, a few at a time, and written down as they come; observations
flooded meanwhile wait for at most those few. When a holder falls silent or does not have the blob, the next one is
asked, and goes on where the last one stopped: a blob is named by its hash, so all of them hold the same bytes.

Pure: the shell reads, writes and verifies. It is told of a finished fetch by a :class:`Fetched` effect and says
with :meth:`Transfers.verified` whether the bytes were right; if not, everything is fetched again from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .effects import Effect, Fetched, Send, Serve, Store
from .frames import Chunk, Want
from .timing import HOLDER_SILENT

CHUNK_BYTES = 64 << 10
WINDOW = 4
ROUNDS = 3  # how often all holders are tried


@dataclass(slots=True)
class Transfer:
    """One blob on its way. ``received`` bytes are written, ``asked`` is how far the questions go."""

    digest: str
    holders: list[str]
    turn: int
    due: float
    received: int = 0
    asked: int = 0
    total: int | None = None
    said_no: set[str] = field(default_factory=set)

    @property
    def holder(self) -> str:
        return self.holders[self.turn % len(self.holders)]


class Transfers:
    """All blobs that this worker is fetching."""

    def __init__(self) -> None:
        self.open: dict[str, Transfer] = {}

    def begin(self, now: float, digest: str, holders: Sequence[str]) -> list[Effect]:
        """Start fetching a blob from the addresses that may have it, the likeliest first."""
        if digest in self.open:
            return []
        if not holders:
            return [Fetched(digest, complete=False)]
        fetch = self.open[digest] = Transfer(digest, list(holders), 0, now + HOLDER_SILENT)
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
        if chunk.offset != fetch.received or (not chunk.data and chunk.total != fetch.received):
            return []
        fetch.total = chunk.total
        fetch.due = now + HOLDER_SILENT
        effects: list[Effect] = [Store(chunk.digest, fetch.received, chunk.data)]
        fetch.received += len(chunk.data)
        if fetch.received >= chunk.total:
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
        fetch.received = 0
        return self._next_holder(fetch, now)

    def give_up(self, digest: str) -> None:
        """Ask for a blob no longer."""
        self.open.pop(digest, None)

    def tick(self, now: float) -> list[Effect]:
        """Turn to the next holder where one has been silent for too long."""
        effects: list[Effect] = []
        for fetch in list(self.open.values()):
            if now >= fetch.due:
                effects += self._next_holder(fetch, now)
        return effects

    def next_deadline(self) -> float:
        return min((fetch.due for fetch in self.open.values()), default=float("inf"))

    def _next_holder(self, fetch: Transfer, now: float) -> list[Effect]:
        everybody = set(fetch.holders)
        for _ in fetch.holders:
            fetch.turn += 1
            if fetch.holder not in fetch.said_no:
                break
        if fetch.turn >= ROUNDS * len(fetch.holders) or fetch.said_no >= everybody:
            del self.open[fetch.digest]
            return [Fetched(fetch.digest, complete=False)]
        fetch.due = now + HOLDER_SILENT
        fetch.asked = fetch.received
        return self._ask(fetch)

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
