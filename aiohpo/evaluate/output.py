"""What a program prints: always read, so that it never blocks, and never more than a bounded part kept."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import Callable

# Characters of one segment's output that are passed on as its log, and bytes kept for the message if it fails.
MAX_LOGGED = 1 << 20
TAIL = 8_192
_CHUNK = 1 << 16
# Enough reads to empty a pipe (64 KiB by default, 1 MiB at most), and an end for those who keep writing.
_DRAIN = 16

Sink = Callable[[str], None]


def bounded(sink: Sink, limit: int = MAX_LOGGED) -> Sink:
    """Return a sink that passes on ``limit`` characters and then says once that it stops."""
    left = limit

    def take(text: str) -> None:
        nonlocal left
        if left > 0:
            if len(text) >= left:
                text = text[:left] + "\n[more output than is kept: the rest of this trial's is dropped]\n"
            left -= len(text)
            sink(text)

    return take


class Output:
    """Reads the pipe ``fd``, which it owns, on the running loop.

    Between :meth:`begin` and :meth:`end` what arrives goes to a sink, in chunks of text.
    """

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        os.set_blocking(fd, False)
        self._tail = bytearray()
        self._sink: Sink | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._loop.add_reader(fd, self._read)

    def begin(self, sink: Sink) -> None:
        """Start a segment: forget what came before it, and pass what comes to ``sink``."""
        self._sink = sink
        self._tail.clear()
        self._decoder.reset()

    def end(self) -> None:
        """End the segment: what comes now belongs to nobody and only its tail is kept."""
        self._sink = None

    @property
    def tail(self) -> str:
        """The end of what was printed."""
        return self._tail.decode("utf-8", "replace")

    def drain(self) -> None:
        """Read what is there already, without waiting."""
        for _ in range(_DRAIN):
            if not self._read():
                return

    def _read(self) -> bool:
        if self._fd < 0:
            return False
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        self._tail += data
        if len(self._tail) > TAIL:
            del self._tail[:-TAIL]
        if self._sink is not None and (text := self._decoder.decode(data)):
            self._sink(text)
        return True

    def close(self) -> None:
        """Stop reading. Idempotent."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
