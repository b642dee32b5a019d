"""Messages to and from one MPI rank: nonblocking requests, in order and bounded.

A request to a rank that does not receive never completes, and there is no way to take it back: MPI may read its
buffer at any time. So at most :data:`FLYING` are under way, a bounded number of messages waits behind them, and a
rank that has not taken anything for :data:`STALLED` seconds is offered nothing more until it does. Where MPI itself
tells of a death, the rank is written off.

FLYING also bounds the rate: the other side takes them all whenever it looks, every one or two milliseconds. With 8,
4,000 messages a second passed, with 64, 20,000 (200 bytes, two busy cores).

A message that has been announced is received by a nonblocking request, too: a large one is copied by both sides, and
the sender may have died in between. One is received at a time, so that memory is needed for one only, and what the
others announce waits in MPI.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

FLYING = 64
STALLED = 10.0


class RankLink:
    """The traffic with one rank.

    Args:
        mpi: the module ``mpi4py.MPI``.
        comm: the communicator.
        rank: the other rank.
        most: messages that may wait.
        longest: bytes that a message may have.
    """

    def __init__(self, mpi: Any, comm: Any, rank: int, tag: int, most: int, longest: int) -> None:
        self.rank = rank
        self.dead = False  # MPI said so: it never comes back
        self.dropped = 0
        self._mpi, self._comm, self._tag = mpi, comm, tag
        self._most, self._longest = most, longest
        self._queue: deque[bytes] = deque()
        self._flying: deque[tuple[Any, bytes]] = deque()
        self._bytes = 0  # in the queue and under way
        self._progress = 0.0  # when it last took something, or was first offered something
        self._announced: deque[tuple[Any, int]] = deque()
        self._receiving: tuple[Any, bytearray] | None = None

    def __repr__(self) -> str:
        state = "dead" if self.dead else "alive"
        return f"<RankLink to rank {self.rank} {state}, {self.waiting} waiting, {self.dropped} dropped>"

    @property
    def waiting(self) -> int:
        """How many messages it has not taken yet."""
        return len(self._queue) + len(self._flying)

    @property
    def arriving(self) -> bool:
        """Whether a message is on its way here."""
        return self._receiving is not None or bool(self._announced)

    # ------------------------------------------------------------------------------------------- sending
    def offer(self, message: bytes, now: float) -> bool:
        """Offer a message; False if it was dropped."""
        if self.dead:
            return False
        stalled = self._flying and now - self._progress > STALLED
        if stalled:
            self._drop_queue()
        if stalled or len(self._queue) >= self._most or self._bytes + len(message) > 4 * self._longest:
            self.dropped += 1
            return False
        self._queue.append(message)
        self._bytes += len(message)
        return True

    def flush(self, now: float) -> bool:
        """Notice what was taken and send what may go. Return whether anything happened."""
        moved = False
        try:
            while self._flying and self._flying[0][0].Test():
                self._bytes -= len(self._flying.popleft()[1])
                self._progress, moved = now, True
            while self._queue and len(self._flying) < FLYING:
                message = self._queue.popleft()
                request = self._comm.Isend(message, self.rank, self._tag)
                if not self._flying:
                    self._progress = now
                self._flying.append((request, message))
                moved = True
        except self._mpi.Exception:
            self.write_off()
        return moved

    def _drop_queue(self) -> None:
        self.dropped += len(self._queue)
        self._bytes -= sum(map(len, self._queue))
        self._queue.clear()

    # ----------------------------------------------------------------------------------------- receiving
    def announce(self, message: Any, size: int) -> None:
        """Note that there is a message to receive: what a matched probe gave."""
        self._announced.append((message, size))

    def received(self) -> Iterator[bytearray | None]:
        """Yield the messages that are completely here, in order; None for one that is too long."""
        while self.arriving:
            try:
                if self._receiving is None:
                    message, size = self._announced.popleft()
                    # Memory is never allocated because a message says that it is long.
                    buffer = bytearray(size if size <= self._longest else 0)
                    self._receiving = message.Irecv(buffer), buffer
                request, received = self._receiving
                if not request.Test():
                    return
            except self._mpi.Exception as error:
                if error.Get_error_class() != self._mpi.ERR_TRUNCATE:
                    self.write_off()
                    return
                self._receiving = None
                yield None
            else:
                self._receiving = None
                yield received

    # -------------------------------------------------------------------------------------------- ending
    def write_off(self) -> None:
        """Give up a rank that is dead, and everything under way to it and from it."""
        self._drop_queue()
        self.dropped += len(self._flying)
        self.dead = True
        self._bytes = 0
        self._flying.clear()
        self._announced.clear()
        self._receiving = None

    def abandon(self) -> list[tuple[Any, bytes | bytearray]]:
        """Return the requests under way with their buffers, which must live until these complete."""
        return [*self._flying, *([self._receiving] if self._receiving else [])]
