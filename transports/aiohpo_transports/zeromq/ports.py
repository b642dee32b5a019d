"""ZeroMQ sockets on an asyncio loop.

Plain sockets with ``loop.add_reader`` on their file descriptors: four times cheaper per message than
``zmq.asyncio``, whose ``recv`` loses messages when it is cancelled. The descriptor tells of *changes* only, and
any call on the socket may swallow the news. Hence: receive until there is nothing more (a bounded number per
turn of the loop, then go on in the next), and look again after every send.

ZeroMQ's threads do not survive a fork: a forked child's copy would hang at the first call, and take the parent's
descriptors away. So in a child nothing here does anything.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable

import zmq

FRAMES_PER_TURN = 64
_MOST_EVENTS = 100_000  # of a monitor that wait; then ZeroMQ's thread does, until the loop runs again

Socket = zmq.Socket[bytes]


class Port:
    """A socket, who is behind it and what takes its messages."""

    __slots__ = ("fd", "monitor", "peer", "scheduled", "socket", "take")

    def __init__(self, socket: Socket, peer: str, take: Callable[[Port, list[bytes]], None]) -> None:
        self.socket = socket
        self.peer = peer
        self.take = take
        self.fd = int(socket.get(zmq.FD))
        self.scheduled = False  # to receive in the next turn of the loop
        self.monitor: Port | None = None

    def __repr__(self) -> str:
        return f"<Port {self.fd} {'closed' if self.socket.closed else 'open'}>"


class Ports:
    """The sockets of one endpoint, with a context and threads of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context: zmq.Context[Socket] = zmq.Context()
        self._context.set(zmq.IPV6, 1)  # the default of its sockets
        self._process = os.getpid()
        self._open: set[Port] = set()
        self._closed = False
        self._monitors = itertools.count()

    @property
    def usable(self) -> bool:
        """Whether these are open, and not the copy in a forked child."""
        return not self._closed and os.getpid() == self._process

    def socket(self, kind: int) -> Socket:
        """Make a socket, which :meth:`open` then takes over. Raises ``zmq.ZMQError`` where there are too many."""
        return self._context.socket(kind)

    def open(self, socket: Socket, peer: str, take: Callable[[Port, list[bytes]], None]) -> Port:
        """Hand what arrives at ``socket`` to ``take(port, parts)``, on the loop."""
        port = Port(socket, peer, take)
        self._open.add(port)
        self._loop.add_reader(port.fd, self._receive, port)
        self._schedule(port)
        return port

    def watch(self, port: Port, events: int, take: Callable[[Port, list[bytes]], None]) -> None:
        """Hand what happens to the socket's connections to ``take``, as ZeroMQ's monitors tell it."""
        endpoint = f"inproc://monitor-{next(self._monitors)}"
        monitor = self._context.socket(zmq.PAIR)
        monitor.set(zmq.LINGER, 0)
        monitor.set(zmq.RCVHWM, _MOST_EVENTS)
        port.socket.monitor(endpoint, events)
        monitor.connect(endpoint)
        port.monitor = self.open(monitor, port.peer, take)

    def shut(self, port: Port, linger: int | None = None) -> None:
        """Close a socket; what it was sent leaves within ``linger`` ms (None: as it was set)."""
        if port not in self._open:
            return
        self._open.discard(port)
        if port.monitor is not None:
            port.socket.monitor(None, 0)
            self.shut(port.monitor)
        self._loop.remove_reader(port.fd)
        port.socket.close(linger)

    async def aclose(self) -> None:
        """Close all sockets and wait for them to linger."""
        if self.usable:
            self._shut_all(None)
            await asyncio.to_thread(self._context.term)  # which waits, so not on the loop

    def abandon(self) -> None:
        """Close all sockets at once; what they were sent is lost."""
        self._shut_all(0)
        self._context.destroy(linger=0)  # and what was never opened

    def _shut_all(self, linger: int | None) -> None:
        self._closed = True
        # Those that are watched first: they end their watch and close its monitor themselves. The other way round
        # ZeroMQ's thread may block sending an event to a monitor that has no reader any more, with the lock that
        # ending the watch needs.
        for port in sorted(self._open, key=lambda port: port.monitor is None):
            self.shut(port, linger)

    def look_again(self, port: Port) -> None:
        """Receive soon if the call just made swallowed the news that something arrived."""
        if not port.scheduled and int(port.socket.get(zmq.EVENTS)) & zmq.POLLIN:
            self._schedule(port)

    def _schedule(self, port: Port) -> None:
        port.scheduled = True
        self._loop.call_soon(self._receive_scheduled, port)

    def _receive_scheduled(self, port: Port) -> None:
        port.scheduled = False
        self._receive(port)

    def _receive(self, port: Port) -> None:
        if not self.usable:
            return
        for _ in range(FRAMES_PER_TURN):
            if port.socket.closed:  # by the receiver of the last message
                return
            try:
                parts = port.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            port.take(port, parts)
        if not port.scheduled and not port.socket.closed:
            self._schedule(port)

    def __repr__(self) -> str:
        return f"<Ports {len(self._open)} {'closed' if self._closed else 'open'}>"
