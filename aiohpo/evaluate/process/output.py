"""What a program prints: always read, so that it never blocks, and never more than a bounded part kept."""

from __future__ import annotations

import asyncio
import codecs
import os
import threading
from collections.abc import Callable

# Characters of one segment's output that are passed on as its log, and bytes kept for the message if it fails.
MAX_LOGGED = 1 << 20
TAIL = 8_192
# Characters without an end of line that are waited for before they are passed on as a line.
MAX_LINE = 1 << 20
_CHUNK = 1 << 16
# Enough reads to empty a pipe (64 KiB by default, 1 MiB at most), and an end for those who keep writing.
_DRAIN = 16

Sink = Callable[[str], None]


def bounded(sink: Sink, limit: int = MAX_LOGGED) -> Sink:
    """Return a sink that passes on ``limit`` characters of whole lines and then says once that it stops."""
    left = limit

    def take(text: str) -> None:
        nonlocal left
        if left > 0:
            if len(text) >= left:
                text = text[:left].removesuffix("\n") + "\n[more output than is kept: the rest is dropped]\n"
            left -= len(text)
            sink(text)

    return take


class LineAssembler:
    """Makes whole lines of text that comes in pieces, from any thread, and passes them to ``sink``.

    A progress bar that redraws itself with carriage returns becomes one line, its last state.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._pieces: list[str] = []  # of the line that has no end yet; joining them each time would be quadratic
        self._length = 0
        # Reentrant: the garbage collector may warn, and so print, in the middle of anything.
        self._lock = threading.RLock()
        self._closed = False

    def write(self, text: str) -> None:
        """Take a piece of any length."""
        with self._lock:
            if self._closed:
                return
            ended, newline, rest = text.rpartition("\n")
            if newline:
                first, newline, others = ended.partition("\n")
                self._add(first)
                if "\r" in others:
                    others = "\n".join(map(_last_state, others.split("\n")))
                self._sink(f"{self._take()}{newline}{others}\n")
            self._add(rest)
            if self._length > MAX_LINE:
                self._sink(f"{self._take()}\n")

    def close(self) -> None:
        """Pass on what is there of a last line without an end, and nothing from now on."""
        with self._lock:
            if not self._closed:
                self._closed = True
                rest = self._take()
                if rest.strip():
                    self._sink(f"{rest}\n")

    def _add(self, piece: str) -> None:
        if "\r" in piece:
            text = "".join(self._pieces) + piece
            # A return at the end does not clear the line: "\r\n" ends it, and some bars begin with the return.
            self._pieces = [_last_state(text) + "\r" * text.endswith("\r")]
            self._length = len(self._pieces[0])
        elif piece:
            self._pieces.append(piece)
            self._length += len(piece)

    def _take(self) -> str:
        line = _last_state("".join(self._pieces))
        self._pieces, self._length = [], 0
        return line


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


class Output:
    """Reads the pipe ``fd``, which it owns, on the running loop.

    Between :meth:`begin` and :meth:`end` what arrives goes to a sink, in whole lines.
    """

    def __init__(self, fd: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = fd
        os.set_blocking(fd, False)
        self._tail = bytearray()
        self._lines: LineAssembler | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._loop.add_reader(fd, self._read)

    def begin(self, sink: Sink) -> None:
        """Start a segment: forget what came before it, and pass what comes to ``sink``."""
        self._lines = LineAssembler(sink)
        self._tail.clear()
        self._decoder.reset()

    def end(self) -> None:
        """End the segment: output from now on belongs to no trial, and only its tail is kept. Idempotent."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

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
        if self._lines is not None and (text := self._decoder.decode(data)):
            self._lines.write(text)
        return True

    def close(self) -> None:
        """Stop reading, and end the segment. Idempotent."""
        self.end()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
