"""What a program prints: always read, so that it never blocks, and never more than a bounded part kept."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import Callable

# Characters of one segment's output that are passed on, and bytes kept for the message if it fails.
MAX_FORWARDED = 1 << 20
TAIL = 8_192
_CHUNK = 1 << 16


class Output:
    """Reads the pipe ``fd``, which it owns, on the running loop.

    Between :meth:`begin` and :meth:`end` chunks of text go to a sink, up to MAX_FORWARDED characters.
    """

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        os.set_blocking(fd, False)
        self._tail = bytearray()
        self._sink: Callable[[str], None] | None = None
        self._left = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._loop.add_reader(fd, self._read)

    def begin(self, sink: Callable[[str], None]) -> None:
        """Start a segment: drop what came before it, and pass what comes to ``sink``."""
        self._sink = sink
        self._left = MAX_FORWARDED
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
        """Read what is there already, at most a pipe's worth, without waiting."""
        for _ in range(16):
            if not self._read():
                return

    def _read(self) -> bool:
        if self._fd < 0:
            return False
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        self._tail += data
        if len(self._tail) > TAIL:
            del self._tail[:-TAIL]
        if self._sink is not None and self._left > 0:
            text = self._decoder.decode(data)
            if len(text) >= self._left:
                text = f"{text[: self._left]}\n[the rest of the output is dropped]\n"
            self._left -= len(text)
            if text:
                self._sink(text)
        return True

    def close(self) -> None:
        """Stop reading. Idempotent."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
