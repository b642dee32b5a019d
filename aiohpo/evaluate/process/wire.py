"""msgpack messages between a worker and its child over a socket pair. msgpack delimits itself: no frames.

A segment is, from the child's side::

    <- [RUN, number, the fields of an Assignment in their order]
    -> [BEGIN]
    -> [REPORT, step, metrics]            <- [DECIDE, decision]
    -> [SAVE, step, digest, size]         -> [PREDICTIONS, digests]
    -> [NOTE, notes]                      -> [ATTACH, name, digest, size]
    -> [LISTEN]: the objective asks whether to end, which is said once
    -> [END, fit, kind, metrics, error, detail, crashed]

preceded once by a hello, a map, and by as many bytes as it says, a pickle of the objective if that cannot be imported.
The hello is answered with ``[READY]`` or ``[UNUSABLE, error, detail]``. ``fit``: whether another segment may run in the
child.

At any time there may come ``[ABORT, number]``: that segment is no longer wanted. It answers a report that has not
been answered, and what the child says of the segment from then on is not heard, but for its END. Or ``[ENDING,
number]``: the worker is about to end, and the objective should save its work and return.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import msgpack

READY, UNUSABLE, BEGIN, REPORT, SAVE, PREDICTIONS, END, LISTEN, NOTE, ATTACH = range(10)
RUN, DECIDE, ABORT, ENDING = range(4)
_CHUNK = 1 << 16


def encode_message(message: Any) -> bytes:
    """Encode one message."""
    data: bytes = msgpack.packb(message)
    return data


class BlockingWire:
    """The child's end."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._unpacker = msgpack.Unpacker(strict_map_key=False)

    def send(self, message: Any) -> None:
        self._socket.sendall(encode_message(message))

    def receive(self) -> Any:
        """Return the next message; raise EOFError when the worker has closed its end."""
        while True:
            for message in self._unpacker:
                return message
            data = self._socket.recv(_CHUNK)
            if not data:
                raise EOFError
            self._unpacker.feed(data)

    def receive_bytes(self, size: int) -> bytearray:
        """Return the next ``size`` bytes, which are no message. Raises EOFError as :meth:`receive` does."""
        data = bytearray(size)
        at = 0
        if here := self._unpacker.read_bytes(size):
            data[: len(here)], at = here, len(here)
        with memoryview(data) as view:
            while at < size:
                received = self._socket.recv_into(view[at:])
                if not received:
                    raise EOFError
                at += received
        return data

    def receive_now(self) -> Any:
        """Return the next message if it is here, else None. Raises EOFError as :meth:`receive` does."""
        try:
            data = self._socket.recv(_CHUNK, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            pass
        else:
            if not data:
                raise EOFError
            self._unpacker.feed(data)
        return next(self._unpacker, None)


class LoopWire:
    """The worker's end, on the running loop. ``on_message(message)`` and ``on_lost()`` are called there."""

    def __init__(self, sock: socket.socket, on_message: Callable[[Any], None], on_lost: Callable[[], None]) -> None:
        import asyncio  # for the worker's side alone: in the child it would be half of all that is imported

        sock.setblocking(False)
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._on_lost = on_lost
        self._unpacker = msgpack.Unpacker(strict_map_key=False)
        self._unsent = bytearray()
        self.closed = False
        self._loop.add_reader(sock.fileno(), self.read)

    def send(self, message: Any) -> None:
        """Send without waiting; what the socket does not take now follows later."""
        self.send_bytes(encode_message(message))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that are no message, or an encoded one, as :meth:`send` does."""
        if self.closed:
            return
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        waiting = False
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent, waiting = 0, True
        except OSError:
            return  # the child is gone, which reading finds out
        del self._unsent[:sent]  # which moves nothing
        if self._unsent or waiting:
            self._loop.add_writer(self._socket.fileno(), self._flush_rest)

    def _flush_rest(self) -> None:
        self._loop.remove_writer(self._socket.fileno())
        self._flush()

    def read(self) -> None:
        """Pass on what has arrived."""
        while not self.closed:
            try:
                data = self._socket.recv(_CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data or not self._deliver(data):
                self.close()
                self._on_lost()
            elif len(data) < _CHUNK:
                return

    def _deliver(self, data: bytes) -> bool:
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                if not self.closed:
                    self._on_message(message)
        except (TypeError, ValueError, msgpack.UnpackException):
            # Not from our code: the objective has written to a descriptor that is not its own.
            return False
        return True

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
