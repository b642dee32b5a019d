"""The transport between the ranks of an MPI program: one rank, one worker.

An address is ``mpi://`` and a rank. All ranks are known from the start, so no rank needs an address to join by:
this is a :class:`~aiohpo.plugin.LaunchedTransport`.

Messages
--------
A frame is one MPI message, behind a header: what it is, the number of the endpoint that sends it and the number
of the one that it is for (0: any that is there). Endpoints of a process are numbered because they may follow each
other, one search after another, while MPI delivers everything in the end: what was meant for the predecessor is
thrown away. A peer that connects says LINK and is published to until it says UNLINK. A closing endpoint says BYE. A
LINK to a rank that has not started waits in MPI until it does.

Everything is point-to-point and nonblocking (:mod:`.link`): no barrier, no collective, no call
that waits for a rank, also not at the end (:mod:`.process`).

Waking up
---------
MPI has no file descriptor to wait on, so a timer looks for messages: at once after traffic, then after 1, 2 and
4 ms. One call of MPI makes progress and the next one finds what came of it, so it is asked twice; asked once, a
round trip took 11 ms. Measured with Open MPI 5.0.11 on two busy cores (tests/benchmarks/mpi_pump.py): looking every
4 ms costs 0.7 to 0.9 % of a core when nothing comes; a frame and its answer take 2.3 to 3.3 ms in the median after
a pause, at the 99th percentile 4.5 to 8.4 ms.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from aiohpo.errors import UsageError
from aiohpo.plugin import Options
from aiohpo.plugin.transport import check_frame

from ..receiving import hand_on
from .link import RankLink
from .process import TAG, mpi_world
from .secret import hand_out, receive

if TYPE_CHECKING:
    from aiohpo.plugin import OnFrame

FRAMES_PER_TURN = 256
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.004  # seconds
FAREWELL = 0.5  # seconds that closing may take

_PUBLISHED, _SENT, _LINK, _UNLINK, _BYE = range(5)
_HEADER = struct.Struct("<BHH")
_ADDRESS = re.compile(r"mpi://(0|[1-9]\d{0,8})")
_EVERYBODY = 16  # the most ranks at which each one greets all others

_numbers = count(1)
_open: dict[int, MPITransport] = {}  # by rank
_abandoned: list[tuple[Any, bytes | bytearray]] = []


class MPITransport:
    """Carry frames between MPI ranks.

    Args:
        worker: the worker's id; not needed here, as peers are named by rank.
        bind: this rank's address; there is no other to listen at.
        outbox: frames that may wait for one rank.
        max_frame: the longest frame, in bytes.

    Attributes:
        rank: this rank.
        size: how many ranks there are.
        malformed: messages that were not of this transport's making.
    """

    address_form: ClassVar[str] = "mpi://rank"
    any_address: ClassVar[str | None] = None  # MPI decides

    def __init__(
        self, *, worker: str = "", bind: str | None = None, outbox: int = 500, max_frame: int = 16 << 20
    ) -> None:
        self._mpi, self._comm = mpi_world()
        self.rank: int = self._comm.rank
        self.size: int = self._comm.size
        self.malformed = 0
        options = Options("mpi")
        self._outbox = options.whole("outbox", outbox, least=1)
        self._max_frame = options.whole("max_frame", max_frame, least=1)
        self._address = f"mpi://{self.rank}"
        if bind not in (None, self._address):
            raise UsageError(f"cannot bind to {bind!r}: MPI decides, this rank is {self._address}; leave it out")
        self._number = 0
        self._status = self._mpi.Status()
        self._loop: asyncio.AbstractEventLoop | None = None  # None: not started, or closed
        self._timer: asyncio.Handle | None = None
        self._pause = 0.0
        self._on_frame: OnFrame | None = None
        self._peers: dict[int, _Rank] = {}
        self._busy: set[_Rank] = set()  # those with something to send
        self._arriving: set[_Rank] = set()  # those with a message on its way to us

    def __repr__(self) -> str:
        state = "open" if self._loop else "closed" if self._on_frame else "not started"
        linked = sum(peer.wanted for peer in self._peers.values())
        listening = sum(peer.listening for peer in self._peers.values())
        links = f"{linked} connected, {listening} listening"
        return f"<MPITransport {self._address} of {self.size} {state}, {links}, {self.dropped} dropped>"

    @staticmethod
    def is_local(address: str) -> bool:
        """No rank is known to be on this machine."""
        return False

    @staticmethod
    def undialled_address(worker: str) -> str | None:
        """Ranks are different anyway."""
        return None

    @property
    def address(self) -> str:
        return self._address

    @property
    def dropped(self) -> int:
        """Frames that were not sent because their rank did not take them."""
        return sum(peer.dropped for peer in self._peers.values())

    def peers(self) -> Sequence[str]:
        """Whom to greet: everybody in a small world, else the ranks at distances that double."""
        if self.size <= _EVERYBODY:
            ranks = set(range(self.size))
        else:
            steps = [1 << k for k in range((self.size - 1).bit_length())]
            ranks = {(self.rank + sign * step) % self.size for step in steps for sign in (1, -1)}
        return [f"mpi://{rank}" for rank in sorted(ranks - {self.rank})]

    def share(self, secret: bytes | None) -> bytes:
        """Hand rank 0's secret to all ranks: see :mod:`.secret`."""
        if (self.rank == 0) != (secret is not None):
            raise ValueError("rank 0 gives a secret and the others give None")
        if secret is None:
            return receive(self._mpi, self._comm)
        hand_out(self._mpi, self._comm, secret)
        return secret

    # -------------------------------------------------------------------------------- opening and closing
    async def start(self, on_frame: OnFrame) -> None:
        """Open the endpoint. Raises UsageError if another one of this rank is open."""
        if self._on_frame is not None:
            raise RuntimeError(f"{self!r} was started before; make a new one")
        if self.rank in _open:
            raise UsageError(
                f"{_open[self.rank]!r} is open: a rank is one worker; close it first, or launch more ranks"
            )
        _open[self.rank] = self
        self._number = next(_numbers) % 0xFFFF + 1
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        _abandoned[:] = [one for one in _abandoned if not self._completed(one[0])]
        self._schedule(0.0)

    def _completed(self, request: Any) -> bool:
        try:
            return bool(request.Test())
        except self._mpi.Exception:
            return True

    async def aclose(self) -> None:
        if self._loop is None:
            return
        loop, self._loop = self._loop, None
        if self._timer is not None:
            self._timer.cancel()
        try:
            for peer in self._peers.values():
                if peer.listening or peer.heard or peer.told:
                    peer.offer(self._pack(peer, _BYE), loop.time())
                    self._busy.add(peer)
            end = loop.time() + FAREWELL
            while self._busy and loop.time() < end:
                self._flush_all(loop.time())
                await asyncio.sleep(FIRST_PAUSE)
        finally:
            for peer in self._peers.values():
                _abandoned.extend(peer.abandon())
                peer.wanted = peer.listening = peer.heard = False
            self._busy.clear()
            self._arriving.clear()
            del _open[self.rank]

    # --------------------------------------------------------------------------------------------- links
    def connect(self, address: str) -> None:
        peer = self._peer(self._rank(address))
        if self._loop is not None and peer.rank != self.rank:
            peer.wanted = True
            self._tell(peer)

    def disconnect(self, address: str) -> None:
        peer = self._find(address)
        if self._loop is not None and peer is not None:
            peer.wanted = False
            self._tell(peer)

    def _tell(self, peer: _Rank) -> None:
        """Say LINK or UNLINK if that is news. If a rank takes nothing, it is told when it does."""
        assert self._loop is not None
        if peer.told != peer.wanted:
            if peer.offer(self._pack(peer, _LINK if peer.wanted else _UNLINK), self._loop.time()):
                peer.told = peer.wanted
            self._hurry(peer)

    def _rank(self, address: str) -> int:
        found = _ADDRESS.fullmatch(address)
        if not found:
            raise UsageError(f"{address!r} is not an address among MPI ranks; write mpi:// and a rank")
        if int(found[1]) >= self.size:
            raise UsageError(f"there is no {address}: {self.size} ranks were launched, counted from 0")
        return int(found[1])

    def _find(self, address: str) -> _Rank | None:
        found = _ADDRESS.fullmatch(address)
        return self._peers.get(int(found[1])) if found else None

    def _peer(self, rank: int) -> _Rank:
        peer = self._peers.get(rank)
        if peer is None:
            longest = _HEADER.size + self._max_frame
            peer = self._peers[rank] = _Rank(self._mpi, self._comm, rank, TAG, self._outbox, longest)
        return peer

    # ------------------------------------------------------------------------------------------- sending
    def publish(self, frame: bytes) -> None:
        check_frame(frame, self._max_frame)
        if self._loop is not None:
            for peer in self._peers.values():
                if peer.listening:
                    self._post(peer, _PUBLISHED, frame)

    def send(self, peer: str, frame: bytes) -> bool:
        check_frame(frame, self._max_frame)
        found = self._find(peer)
        if self._loop is None or found is None or not (found.wanted or found.heard):
            return False
        return self._post(found, _SENT, frame)

    def _post(self, peer: _Rank, kind: int, frame: bytes) -> bool:
        assert self._loop is not None
        if not peer.offer(self._pack(peer, kind, frame), self._loop.time()):
            return False
        self._hurry(peer)
        return True

    def _pack(self, peer: _Rank, kind: int, frame: bytes = b"") -> bytes:
        return _HEADER.pack(kind, self._number, peer.number) + frame

    def _hurry(self, peer: _Rank) -> None:
        assert self._loop is not None
        if not peer.dead:
            self._busy.add(peer)
            peer.flush(self._loop.time())
            if self._pause > FIRST_PAUSE:  # an answer may come soon
                self._schedule(FIRST_PAUSE)

    def _flush_all(self, now: float) -> bool:
        moved = False
        for peer in list(self._busy):
            if peer.flush(now):
                moved = True
                if self._loop is not None:
                    self._tell(peer)
            if not peer.waiting:
                self._busy.discard(peer)
        return moved

    # ----------------------------------------------------------------------------------------- receiving
    def _schedule(self, pause: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._pause = pause
        self._timer = self._loop.call_later(pause, self._pump) if pause else self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        if self._loop is None:
            return
        pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        try:
            if self._receive() + self._flush_all(self._loop.time()):
                pause = 0.0
        finally:
            self._schedule(pause)

    def _receive(self) -> bool:
        """Hand on what arrived, at most so much that others on the loop get their turn."""
        moved = sum(self._take(peer) for peer in list(self._arriving)) > 0
        asked_again = False
        for _ in range(FRAMES_PER_TURN):
            try:
                message = self._comm.Improbe(self._mpi.ANY_SOURCE, TAG, self._status)
            except self._mpi.Exception:
                self._mourn()
                break
            if message is not None:
                peer = self._peer(self._status.Get_source())
                peer.announce(message, self._status.Get_count(self._mpi.BYTE))
                moved |= self._take(peer)
            elif asked_again:
                break
            else:
                asked_again = True
        return moved

    def _take(self, peer: _Rank) -> bool:
        moved = False
        for message in peer.received():
            moved = True
            self._read(peer, message or bytearray())
        (self._arriving.add if peer.arriving else self._arriving.discard)(peer)
        return moved

    def _read(self, peer: _Rank, message: bytearray) -> None:
        if len(message) < _HEADER.size:
            self.malformed += 1
            return
        kind, sender, receiver = _HEADER.unpack_from(message)
        if receiver not in (0, self._number):
            return  # for an endpoint that this process had before
        if peer.number not in (0, sender):  # the successor of the endpoint that we were linked to
            self._forget(peer)
        peer.number = sender
        if kind == _SENT or (kind == _PUBLISHED and peer.wanted):
            peer.heard = True
            self._hand_on(f"mpi://{peer.rank}", bytes(memoryview(message)[_HEADER.size :]))
        elif kind == _LINK:
            peer.listening = peer.heard = True
        elif kind == _UNLINK:
            peer.listening = False
        elif kind == _BYE:
            self._forget(peer)
        elif kind != _PUBLISHED:
            self.malformed += 1

    def _forget(self, peer: _Rank) -> None:
        """An endpoint is gone; ask its successor for what we wanted of it."""
        peer.listening = peer.heard = peer.told = False
        peer.number = 0
        self._tell(peer)

    def _mourn(self) -> None:
        """Find out which ranks died, and tell MPI that we know: until then it says so at every call."""
        try:
            self._comm.Ack_failed()
            failed = self._comm.Get_failed()
            ranks = failed.Translate_ranks(range(failed.size), self._comm.group)
        except (self._mpi.Exception, NotImplementedError):
            return  # an MPI that cannot tell
        for rank in ranks:
            peer = self._peer(rank)
            if not peer.dead:
                peer.write_off()
            peer.listening = peer.heard = False

    def _hand_on(self, peer: str, frame: bytes) -> None:
        assert self._loop is not None
        assert self._on_frame is not None
        hand_on(frame, peer, self._on_frame, self._loop, self)


class _Rank(RankLink):
    """A rank and the endpoint there."""

    number = 0  # of the endpoint; 0: not known
    wanted = False  # we are connected to it
    told = False  # and have said so
    listening = False  # it is connected to us
    heard = False  # it may be answered
