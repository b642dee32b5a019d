"""The transport between the ranks of an MPI program: one rank, one worker.

An address is ``mpi://`` and a rank. All ranks are known from the start, so nobody needs an address to join by:
this is a :class:`~aiohpo.interfaces.LaunchedTransport`.

Messages
--------
A frame is one MPI message, behind a header: what it is, the number of the endpoint that sends it and the number
of the one that it is for (0: whoever is there). Endpoints of a process are numbered because they may follow each
other, one search after another, while MPI delivers everything in the end: what was meant for the predecessor is
thrown away. Whoever connects says LINK and is published to until it says UNLINK. A closing endpoint says BYE. A
LINK to a rank that has not started waits in MPI until it does.

Everything is point-to-point and nonblocking. No barrier and no collective, and no call that waits for a rank:
also a message that was announced is received with a nonblocking call, since a large one is copied by both sides,
and the sender may have died in between.

Waking up
---------
MPI has no file descriptor to wait on, so a timer looks for messages: at once after traffic, then after 1, 2 and
4 ms. Measured with Open MPI 5 (tests/benchmarks/mpi_pump.py): looking every 4 ms costs FIGURE_IDLE of a core when
nothing comes, and a frame and its answer take FIGURE_RTT in the median after a pause. Open MPI has to be asked
twice, as one call makes progress and only the next one finds what came of it.

The dead
--------
Requests to a rank that does not receive never complete, and cannot be taken back. So at most :data:`FLYING` are
under way to each rank, and a bounded number of frames waits behind them; who has not taken anything for
:data:`STALLED` seconds gets nothing more until it does. Where MPI itself tells of a death (Open MPI with ``--with-ft
ulfm``), the rank is written off at once. The buffers of what is still under way at the end are kept, as MPI may
read them at any time.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

from aiohpo.interfaces import UsageError

from .mpi_process import TAG, world

if TYPE_CHECKING:
    from mpi4py import MPI

    from aiohpo.interfaces import OnFrame

FRAMES_PER_TURN = 256
FLYING = 8
STALLED = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.004  # seconds
FAREWELL = 0.5  # seconds that closing may take

_PUBLISHED, _SENT, _LINK, _UNLINK, _BYE = range(5)
_HEADER = struct.Struct("<BHH")
_ADDRESS = re.compile(r"mpi://(0|[1-9]\d{0,8})")
_EVERYBODY = 16  # the most ranks at which each one greets all others

_numbers = count(1)
_open: MPITransport | None = None
_abandoned: list[tuple[MPI.Request, bytes | bytearray]] = []


class MPITransport:
    """Carry frames between MPI ranks.

    Args:
        worker: the worker's id; not needed here, as peers are named by rank.
        bind: this rank's address; there is no other to listen at.
        outbox: frames that may wait for one rank.
        max_frame: the longest frame, in bytes.

    Attributes:
        rank, size: this rank, and how many there are.
        dropped: frames that were not sent because their rank did not take them.
        malformed: messages that were none of this transport's.
    """

    def __init__(
        self, *, worker: str = "", bind: str | None = None, outbox: int = 500, max_frame: int = 16 << 20
    ) -> None:
        self._comm = world()
        from mpi4py import MPI

        self._mpi = MPI
        self._status = MPI.Status()
        self.rank = self._comm.rank
        self.size = self._comm.size
        self.dropped = 0
        self.malformed = 0
        self._outbox = outbox
        self._max_frame = max_frame
        self._address = f"mpi://{self.rank}"
        if bind not in (None, self._address):
            raise UsageError(f"cannot bind to {bind!r}: MPI decides, this rank is {self._address}; leave it out")
        self._number = 0
        self._loop: asyncio.AbstractEventLoop | None = None  # None: not started, or closed
        self._timer: asyncio.Handle | None = None
        self._pause = 0.0
        self._on_frame: OnFrame | None = None
        self._links: dict[int, _Link] = {}
        self._busy: set[_Link] = set()  # those with something to send
        self._arriving: set[_Link] = set()  # those with a message on its way to us

    def __repr__(self) -> str:
        state = "open" if self._loop else "closed" if self._on_frame else "not started"
        linked = sum(link.wanted for link in self._links.values())
        listening = sum(link.listening for link in self._links.values())
        links = f"{linked} connected, {listening} listening"
        return f"<MPITransport {self._address} of {self.size} {state}, {links}, {self.dropped} dropped>"

    @property
    def address(self) -> str:
        return self._address

    def peers(self) -> Sequence[str]:
        """Whom to greet: everybody in a small world, else some ranks at distances that double."""
        if self.size <= _EVERYBODY:
            ranks = set(range(self.size))
        else:
            steps = [1 << k for k in range((self.size - 1).bit_length())]
            ranks = {(self.rank + sign * step) % self.size for step in steps for sign in (1, -1)}
        return [f"mpi://{rank}" for rank in sorted(ranks - {self.rank})]

    # -------------------------------------------------------------------------------- opening and closing
    async def start(self, on_frame: OnFrame) -> None:
        """Open the endpoint. Raises UsageError if another one of this process is open."""
        global _open
        if self._on_frame is not None:
            raise RuntimeError(f"{self!r} was started before; make a new one")
        if _open is not None:
            raise UsageError(f"{_open!r} is open: a rank is one worker; close it first, or start more ranks")
        _open = self
        self._number = next(_numbers) % 0xFFFF + 1
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        _abandoned[:] = [one for one in _abandoned if not _finished(one[0])]
        self._schedule(0.0)

    async def aclose(self) -> None:
        global _open
        if self._loop is None:
            return
        loop, self._loop = self._loop, None
        if self._timer is not None:
            self._timer.cancel()
        try:
            for link in list(self._links.values()):
                if link.listening or link.heard or link.told:
                    link.queue.append(self._pack(link, _BYE))
                    self._busy.add(link)
            end = loop.time() + FAREWELL
            while self._busy and loop.time() < end:
                self._flush_all(loop.time())
                await asyncio.sleep(0.001)
        finally:
            for link in self._links.values():
                _abandoned.extend(link.flying)
                if link.receiving is not None:
                    _abandoned.append(link.receiving)
            self._links.clear()
            self._busy.clear()
            self._arriving.clear()
            if _open is self:
                _open = None

    # --------------------------------------------------------------------------------------------- links
    def connect(self, address: str) -> None:
        link = self._link(self._rank(address))
        if self._loop is not None and link.rank != self.rank and not link.wanted:
            link.wanted = True
            self._offer(link)

    def disconnect(self, address: str) -> None:
        found = _ADDRESS.fullmatch(address)
        link = self._links.get(int(found[1])) if found else None
        if self._loop is not None and link is not None and link.wanted:
            link.wanted = False
            self._offer(link)

    def _rank(self, address: str) -> int:
        found = _ADDRESS.fullmatch(address)
        if not found:
            raise UsageError(f"{address!r} is not an address among MPI ranks; write mpi:// and a rank")
        if int(found[1]) >= self.size:
            raise UsageError(f"there is no {address}: {self.size} ranks were launched, counted from 0")
        return int(found[1])

    def _link(self, rank: int) -> _Link:
        link = self._links.get(rank)
        if link is None:
            link = self._links[rank] = _Link(rank)
        return link

    def _write_off(self, link: _Link) -> None:
        """Forget a rank that MPI says is dead: it never comes back."""
        self.dropped += len(link.queue)
        link.dead, link.listening, link.heard = True, False, False
        link.queue.clear()
        link.flying.clear()
        link.inbound.clear()
        link.receiving = None
        self._busy.discard(link)
        self._arriving.discard(link)

    # ------------------------------------------------------------------------------------------- sending
    def publish(self, frame: bytes) -> None:
        self._check_frame(frame)
        if self._loop is not None:
            for link in self._links.values():
                if link.listening:
                    self._post(link, _PUBLISHED, frame)

    def send(self, peer: str, frame: bytes) -> bool:
        self._check_frame(frame)
        found = _ADDRESS.fullmatch(peer)
        link = self._links.get(int(found[1])) if found else None
        if self._loop is None or link is None or not (link.wanted or link.heard):
            return False
        return self._post(link, _SENT, frame)

    def _post(self, link: _Link, kind: int, frame: bytes) -> bool:
        assert self._loop is not None
        if link.dead:
            return False
        if link.flying and self._loop.time() - link.progress > STALLED:
            self.dropped += len(link.queue)
            link.queue.clear()
            link.waiting = 0
        elif len(link.queue) < self._outbox and link.waiting + len(frame) <= 4 * self._max_frame:
            link.queue.append(self._pack(link, kind, frame))
            link.waiting += len(link.queue[-1])
            self._offer(link)
            return True
        self.dropped += 1
        return False

    def _pack(self, link: _Link, kind: int, frame: bytes = b"") -> bytes:
        return _HEADER.pack(kind, self._number, link.number) + frame

    def _offer(self, link: _Link) -> None:
        assert self._loop is not None
        if not link.dead:
            self._busy.add(link)
            self._flush(link, self._loop.time())
            if self._pause > FIRST_PAUSE:  # an answer may come soon
                self._schedule(FIRST_PAUSE)

    def _flush_all(self, now: float) -> bool:
        return sum(self._flush(link, now) for link in list(self._busy)) > 0

    def _flush(self, link: _Link, now: float) -> bool:
        """Notice what was taken, and send what may go. Return whether anything happened."""
        moved = False
        try:
            while link.flying and link.flying[0][0].Test():
                link.flying.popleft()
                link.progress, moved = now, True
            while len(link.flying) < FLYING:
                if link.told != link.wanted and self._loop is not None:
                    link.told = link.wanted
                    data = self._pack(link, _LINK if link.told else _UNLINK)
                elif link.queue:
                    data = link.queue.popleft()
                    link.waiting -= len(data)
                else:
                    break
                request = self._comm.Isend(data, link.rank, TAG)
                if not link.flying:
                    link.progress = now
                if link.flying or not request.Test():
                    link.flying.append((request, data))
                moved = True
        except self._mpi.Exception:
            self._write_off(link)
        if not link.flying and not link.queue:
            self._busy.discard(link)
        return moved

    # ----------------------------------------------------------------------------------------- receiving
    def _schedule(self, pause: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._pause = pause
        self._timer = self._loop.call_later(pause, self._pump) if pause else self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        if self._loop is not None:
            moved = self._receive()
            moved |= self._flush_all(self._loop.time())
            self._schedule(0.0 if moved else min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE))

    def _receive(self) -> bool:
        """Hand on what arrived, at most so much that others on the loop get their turn."""
        moved = sum(self._take(link) for link in list(self._arriving)) > 0
        status = self._status
        for _ in range(FRAMES_PER_TURN):
            try:
                message = self._comm.Improbe(self._mpi.ANY_SOURCE, TAG, status)
            except self._mpi.Exception:
                self._mourn()
                break
            if message is None:
                break
            link = self._link(status.Get_source())
            link.inbound.append((message, status.Get_count(self._mpi.BYTE)))
            moved |= self._take(link)
        return moved

    def _take(self, link: _Link) -> bool:
        """Receive from one rank, message by message: they are handed on in order, and need memory only for one."""
        moved = False
        while link.receiving or link.inbound:
            try:
                if link.receiving is None:
                    message, size = link.inbound.popleft()
                    fits = _HEADER.size <= size <= _HEADER.size + self._max_frame
                    buffer = bytearray(size if fits else 0)
                    link.receiving = message.Irecv(buffer), buffer
                if not link.receiving[0].Test():
                    self._arriving.add(link)
                    return moved
                buffer = link.receiving[1]
            except self._mpi.Exception as error:
                if error.Get_error_class() != self._mpi.ERR_TRUNCATE:
                    self._write_off(link)
                    return True
                buffer = bytearray()
            link.receiving, moved = None, True
            self._read(link, buffer)
        self._arriving.discard(link)
        return moved

    def _read(self, link: _Link, message: bytearray) -> None:
        if len(message) < _HEADER.size:
            self.malformed += 1
            return
        kind, sender, receiver = _HEADER.unpack_from(message)
        if receiver not in (0, self._number):
            return  # for an endpoint that this process had before
        if link.number not in (0, sender):  # the successor of the endpoint that we were linked to
            self._forget(link)
        link.number = sender
        if kind == _SENT or (kind == _PUBLISHED and link.wanted):
            link.heard = True
            self._hand_on(f"mpi://{link.rank}", bytes(memoryview(message)[_HEADER.size :]))
        elif kind == _LINK:
            link.listening = link.heard = True
        elif kind == _UNLINK:
            link.listening = False
        elif kind == _BYE:
            self._forget(link)
        elif kind != _PUBLISHED:
            self.malformed += 1

    def _forget(self, link: _Link) -> None:
        """An endpoint is gone; ask its successor for what we wanted of it."""
        link.listening = link.heard = link.told = False
        link.number = 0
        if link.wanted:
            self._offer(link)

    def _mourn(self) -> None:
        """Find out which ranks died, and tell MPI that we know: until then it reports it at every call."""
        try:
            self._comm.Ack_failed()
            failed = self._comm.Get_failed()
            ranks = failed.Translate_ranks(range(failed.size), self._comm.group)
        except (self._mpi.Exception, NotImplementedError):
            return  # an MPI that cannot tell
        for rank in ranks:
            if not (link := self._link(rank)).dead:
                self._write_off(link)

    def _hand_on(self, peer: str, frame: bytes) -> None:
        assert self._loop is not None
        assert self._on_frame is not None
        try:
            self._on_frame(peer, frame)
        except Exception as error:
            # What follows this frame must not wait for ever because the receiver choked on it.
            self._loop.call_exception_handler(
                {"message": f"{self!r} could not hand on a frame from {peer}", "exception": error}
            )

    def _check_frame(self, frame: bytes) -> None:
        if type(frame) is not bytes or not frame:
            raise TypeError(f"a frame must be bytes, at least one, not {frame!r:.40}")
        if len(frame) > self._max_frame:
            raise ValueError(f"a frame of {len(frame)} bytes exceeds the {self._max_frame} that peers accept")


class _Link:
    """What is known of one rank, and what is under way to and from it."""

    __slots__ = (
        "dead", "flying", "heard", "inbound", "listening", "number", "progress", "queue", "rank", "receiving", "told",
        "waiting", "wanted",
    )  # fmt: skip

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.number = 0  # of the endpoint there; 0: not known
        self.wanted = False  # we are connected to it
        self.told = False  # and have said so
        self.listening = False  # it is connected to us
        self.heard = False  # it may be answered
        self.dead = False
        self.queue: deque[bytes] = deque()
        self.waiting = 0  # bytes in the queue
        self.flying: deque[tuple[MPI.Request, bytes]] = deque()
        self.progress = 0.0  # when it last took something, or was first offered something
        self.inbound: deque[tuple[MPI.Message, int]] = deque()
        self.receiving: tuple[MPI.Request, bytearray] | None = None


def _finished(request: MPI.Request) -> bool:
    from mpi4py import MPI

    try:
        return request.Test()
    except MPI.Exception:
        return True
