"""The transport between processes and machines, over ZeroMQ.

Sockets
-------
An endpoint binds one ROUTER socket, its address; for every peer that it connects to it has a DEALER socket,
whose routing id is the endpoint's own address. So a ROUTER knows who is connected to it and the frames need no
envelope. What is *published* goes out through the ROUTER to every connected DEALER; what is *sent* goes through
the DEALER to the peer or, if only the peer is connected, through the ROUTER: one direction that a firewall lets
pass is enough.

PUB and SUB sockets for publishing would need a second port that peers must learn and firewalls must pass, and
twice the connections. What they save is the loop over the peers: 13 us against 1 us a frame to 8 peers, 24
against 1 to 15 (200-byte frames, CPU of the publishing thread). At the twenty batches a second of a flood that
is 0.05 % of a core. With 20 kB frames the whole process pays the same for either (0.18 ms to 8 peers).

Being heard
-----------
A ROUTER greets every new connection with an empty message (PROBE_ROUTER), and the DEALER answers with another.
So the ROUTER learns of a peer that listens, and learns it again when it was restarted or the network came
back. The reverse, a DEALER that announces itself, needs the option IMMEDIATE for the second time, which throws
away what was received but not yet read when the peer closes: its last words.

Bounds
------
Queues hold ``outbox`` messages of at most 64 KiB (see :mod:`.pieces`) per peer and direction, also for a
peer that is not there yet; then frames are dropped. With the default of 500 a peer that never reads costs at most
32 MiB for what is sent and as much for what is published to it. A frame holds ``max_frame`` bytes, and who sends
more is disconnected. A peer that is gone is retried after 0.1 s, doubling to 2 s. A connection that is silent for
6 s, in spite of pings every 2 s, is dropped and made again, so that a healed network is not left to TCP's own
back-off of minutes.

Refusals
--------
With a key every connection is encrypted and both ends prove that they have it: see :mod:`.security`. An
endpoint without a key that was not told to be insecure has a door that cannot be opened: it may only connect, to what
has no key either, which is what a spectator of an insecure mesh needs; loopback is no exception, as every user of the
machine can connect to it. A peer
whose handshake fails is tried again after 0.2 s, doubling to 30 s. ZeroMQ itself would either come back ten times a
second or, where it thinks that the protocol was violated, never.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import zmq

from aiohpo.errors import UsageError
from aiohpo.keys import find_key
from aiohpo.plugin import Options
from aiohpo.plugin.transport import check_frame

from ..receiving import hand_on
from .addresses import check_address, check_advertised, check_bind, host_of, is_local, listen, public_address
from .pieces import PIECE, Assembler, BadPiece, cut_into_pieces
from .ports import Port, Ports, Socket
from .security import CLIENT_EVENTS, SERVER_EVENTS, ZAP_ENDPOINT, Visitors, curves, read_event, why_failed

if TYPE_CHECKING:
    from aiohpo.keys import StudyKey
    from aiohpo.plugin import OnFrame

LINGER = 500  # ms that closing waits for what was sent to leave
_ENVELOPE = 64  # bytes that encryption adds to a message, and more
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0  # seconds between handshakes that fail


class ZeroMQTransport:
    """Carry frames over ZeroMQ.

    Args:
        worker: not needed here, as peers are named by address.
        bind: where to listen, ``tcp://host:port`` or ``ipc:///path``; port ``*`` is any free one. By default
            any free port on the loopback interface.
        advertise: the address that others are told, where it differs (NAT, containers); a port ``*`` is the one
            bound to. By default, for a bind to all interfaces, that of the default route.
        key: the study's key, or the file that holds it; None: no peer can connect to this endpoint, and it connects
            to others without encryption or authentication.
        insecure: let anyone connect, without a key.
        outbox: messages that may wait for one peer.
        max_frame: the longest frame, in bytes.
    """

    address_form: ClassVar[str] = "tcp://host:port or ipc:///path"
    any_address: ClassVar[str | None] = "tcp://0.0.0.0:0"
    is_local = staticmethod(is_local)

    def __init__(
        self,
        *,
        worker: str = "",
        bind: str | None = None,
        advertise: str | None = None,
        key: StudyKey | str | Path | None = None,
        insecure: bool = False,
        outbox: int = 500,
        max_frame: int = 16 << 20,
    ) -> None:
        self.dropped = 0
        self.malformed = 0
        options = Options("zmq")
        self._bind = "tcp://127.0.0.1:*" if bind is None else options.text("bind", bind)
        self._advertise = None if advertise is None else options.text("advertise", advertise)
        self._outbox = options.whole("outbox", outbox, least=1)
        self._max_frame = options.whole("max_frame", max_frame, least=1)
        options.flag("insecure", insecure)
        check_bind(self._bind)
        if advertise is not None:
            check_advertised(advertise)
        found = None if key is None else find_key(key)
        self._curve, self._guard = curves(bind, found, insecure)
        self._visitors = Visitors(None if found is None else found.fingerprint)
        self._address = ""
        self._on_frame: OnFrame | None = None
        self._loop: asyncio.AbstractEventLoop
        self._ports: Ports
        self._router: Port
        self._links: dict[str, _Dialled] = {}
        self._subscribers: dict[bytes, str] = {}
        self._assembler = Assembler(self._max_frame)
        self._numbers = itertools.count()

    def __repr__(self) -> str:
        state = "not started" if self._on_frame is None else "open" if self._usable else "closed"
        how = ", encrypted" if self._curve else ""
        links = f"{len(self._links)} connected, {len(self._subscribers)} listening"
        return f"<ZeroMQTransport {self._address or self._bind} {state}{how}, {links}, {self.dropped} dropped>"

    @staticmethod
    def undialled_address(worker: str) -> str | None:
        """A host of that name, which there is not: two machines may have the same loopback address."""
        return f"tcp://{worker}:*"

    @property
    def address(self) -> str:
        return self._address

    def report_to(self, tell: Callable[[str], None]) -> None:
        """Tell people through ``tell`` who was refused and who refused us."""
        self._visitors.tell = tell

    # -------------------------------------------------------------------------------- opening and closing
    async def start(self, on_frame: OnFrame) -> None:
        """Open the endpoint. Raises UsageError if it cannot listen on the address to bind to."""
        if self._on_frame is not None:
            raise RuntimeError(f"{self!r} was started before; make a new one")
        self._loop = asyncio.get_running_loop()
        self._ports = Ports()
        self._on_frame = on_frame
        try:
            if self._guard is not None:  # before any peer can knock
                zap = self._ports.socket(zmq.REP)
                zap.set(zmq.LINGER, 0)
                zap.bind(ZAP_ENDPOINT)
                self._ports.open(zap, "", self._on_knock)
            socket = self._socket(zmq.ROUTER)
            # Say who is not there, instead of dropping in silence.
            socket.set(zmq.ROUTER_MANDATORY, 1)
            # A restarted peer takes over from its predecessor, whose end may not have been noticed yet.
            socket.set(zmq.ROUTER_HANDOVER, 1)
            socket.set(zmq.PROBE_ROUTER, 1)
            self._router = self._ports.open(socket, "", self._from_router)
            self._ports.watch(self._router, SERVER_EVENTS, self._on_server_event)
            listen(socket, self._bind)
            endpoint = str(socket.get_string(zmq.LAST_ENDPOINT)).rstrip("\0")
            self._port_number = None if is_local(endpoint) else int(endpoint.rpartition(":")[2])
            self._address = public_address(endpoint, self._bind, self._advertise)
        except BaseException:
            self._ports.abandon()
            raise

    def _socket(self, kind: int) -> Socket:
        socket = self._ports.socket(kind)
        for option, value in (
            (zmq.LINGER, LINGER),
            (zmq.SNDHWM, self._outbox),
            (zmq.RCVHWM, self._outbox),
            (zmq.MAXMSGSIZE, min(self._max_frame, PIECE) + _ENVELOPE),
            (zmq.BACKLOG, 1024),
            (zmq.RECONNECT_IVL, 100),
            (zmq.RECONNECT_IVL_MAX, 2000),
            (zmq.CONNECT_TIMEOUT, 2000),
            (zmq.HANDSHAKE_IVL, 5000),
            (zmq.HEARTBEAT_IVL, 2000),
            (zmq.HEARTBEAT_TIMEOUT, 6000),
            (zmq.HEARTBEAT_TTL, 6000),
        ):
            socket.set(option, value)
        curve = self._guard if kind == zmq.ROUTER else self._curve
        if curve is not None:
            curve.secure(socket, server=kind == zmq.ROUTER)
        return socket

    @property
    def _usable(self) -> bool:
        return self._on_frame is not None and self._ports.usable

    async def aclose(self) -> None:
        if not self._usable:
            return
        for link in self._links.values():
            link.cancel()
        self._links.clear()
        self._subscribers.clear()
        await self._ports.aclose()

    # ---------------------------------------------------------------------------------------- admission
    def _on_knock(self, port: Port, request: list[bytes]) -> None:
        assert self._guard is not None
        try:
            port.socket.send_multipart(self._guard.answer(request), zmq.NOBLOCK)
        except zmq.Again:
            pass  # the one that wanted to know is gone
        self._ports.look_again(port)

    def _on_server_event(self, port: Port, parts: list[bytes]) -> None:
        self._visitors.on_server_event(*read_event(parts), self._loop.time(), self._port_number)

    # --------------------------------------------------------------------------------------------- links
    def connect(self, address: str) -> None:
        check_address(address)
        if self._usable and address not in self._links and address != self._address:
            self._links[address] = _Dialled(address)
            self._dial(self._links[address])

    def disconnect(self, address: str) -> None:
        if self._usable and (link := self._links.pop(address, None)) is not None:
            self._hang_up(link)
            self._assembler.forget(address)

    def _dial(self, link: _Dialled) -> None:
        try:
            socket = self._socket(zmq.DEALER)
            socket.set(zmq.ROUTING_ID, self._address.encode())
            link.port = self._ports.open(socket, link.address, self._from_dealer)
            self._ports.watch(link.port, CLIENT_EVENTS, lambda _, parts: self._on_client_event(link, parts))
            socket.connect(link.address)
        except zmq.ZMQError as error:
            self._hang_up(link, linger=0)
            if error.errno == errno.EMFILE:  # there may be descriptors again later
                link.timer = self._loop.call_later(_LONGEST_PAUSE, self._redial, link)
                return
            del self._links[link.address]
            raise UsageError(f"cannot connect to {link.address}: {error}") from error

    def _redial(self, link: _Dialled) -> None:
        if self._usable and self._links.get(link.address) is link:
            self._hang_up(link, linger=0)
            self._dial(link)

    def _hang_up(self, link: _Dialled, linger: int | None = None) -> None:
        link.cancel()
        if link.port is not None:
            self._ports.shut(link.port, linger)
            link.port, link.up = None, False

    def _on_client_event(self, link: _Dialled, parts: list[bytes]) -> None:
        event, value = read_event(parts)
        now = self._loop.time()
        if (why := why_failed(event, value)) is not None:
            self._visitors.refused_by(link.address, host_of(link.address), why, link.since, now)
            self._hang_up(link, linger=0)
            pause = min(_FIRST_PAUSE * 2**link.failures, _LONGEST_PAUSE)
            link.failures += 1
            link.timer = self._loop.call_later(pause, self._redial, link)
        elif event == zmq.EVENT_CONNECTED:
            link.since = now
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            link.failures = 0
            link.up = True
        elif event == zmq.EVENT_DISCONNECTED:
            # ZeroMQ makes a new attempt, and says so next, unless it thinks that the peer violated the protocol.
            link.cancel()
            link.up = False
            link.timer = self._loop.call_later(1.0, self._redial, link)
        else:  # it does
            link.cancel()

    # ------------------------------------------------------------------------------------------- sending
    def publish(self, frame: bytes) -> None:
        check_frame(frame, self._max_frame)
        if self._usable and self._subscribers:
            for identity in list(self._subscribers):
                self._route(identity, frame)
            self._ports.look_again(self._router)

    def send(self, peer: str, frame: bytes) -> bool:
        check_frame(frame, self._max_frame)
        if not self._usable:
            return False
        link, identity = self._links.get(peer), peer.encode()
        # A peer behind a firewall or NAT can only connect to us, and our own attempts lead nowhere.
        if identity in self._subscribers and (link is None or not link.up):
            port = self._router
            sent = self._route(identity, frame)
        elif link is not None and link.port is not None:
            port = link.port
            sent = self._post(port, frame)
        else:
            return False
        self._ports.look_again(port)
        return sent

    def _post(self, port: Port, frame: bytes) -> bool:
        """Send to a peer through its DEALER."""
        try:
            if len(frame) <= PIECE:
                port.socket.send(frame, zmq.NOBLOCK)
            else:
                for parts in cut_into_pieces(frame, next(self._numbers)):
                    port.socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:  # its queue is full
            self.dropped += 1
            return False
        return True

    def _route(self, identity: bytes, frame: bytes) -> bool:
        """Send to a peer that is connected to the ROUTER."""
        socket = self._router.socket
        try:
            if len(frame) <= PIECE:
                socket.send(identity, zmq.SNDMORE | zmq.NOBLOCK)
                socket.send(frame, zmq.NOBLOCK)
            else:
                for parts in cut_into_pieces(frame, next(self._numbers)):
                    socket.send_multipart((identity, *parts), zmq.NOBLOCK)
        except zmq.Again:
            self.dropped += 1
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._subscribers.pop(identity, None)
            self._assembler.forget(identity)
            return False
        return True

    # ----------------------------------------------------------------------------------------- receiving
    def _from_dealer(self, port: Port, parts: list[bytes]) -> None:
        if parts == [b""]:  # a greeting: there is a new connection
            self._post(port, b"")
        else:
            self._take(port.peer, port.peer, parts)

    def _from_router(self, port: Port, parts: list[bytes]) -> None:
        identity = parts.pop(0)
        peer = self._subscribers.get(identity)
        if peer is None:
            try:
                peer = identity.decode("ascii")
                check_address(peer)
            except ValueError:
                self.malformed += 1
                return
            if peer == self._address:  # connected to itself by another name
                return
            self._subscribers[identity] = peer
        if parts != [b""]:  # empty: the answer to the greeting
            self._take(peer, identity, parts)

    def _take(self, peer: str, sender: bytes | str, parts: list[bytes]) -> None:
        """Hand on a frame, when all of it is there. ``sender`` names the connection that it comes through."""
        frame: bytes | None = parts[0]
        if len(parts) == 2:
            try:
                frame = self._assembler.take(sender, *parts)
            except BadPiece:
                self._assembler.forget(sender)
                frame = b""
        if frame is None:
            return
        if not frame or len(parts) > 2:
            self.malformed += 1
            return
        assert self._on_frame is not None
        hand_on(frame, peer, self._on_frame, self._loop, self)


class _Dialled:
    """An address that one is connected to, or waiting to try again."""

    __slots__ = ("address", "failures", "port", "since", "timer", "up")

    def __init__(self, address: str) -> None:
        self.address = address
        self.port: Port | None = None  # None: waiting
        self.up = False  # the peer has accepted us
        self.failures = 0  # handshakes in a row
        self.since = 0.0  # when the connection was made whose handshake is under way
        self.timer: asyncio.TimerHandle | None = None  # for the next attempt

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
