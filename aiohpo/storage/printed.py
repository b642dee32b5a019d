"""What trials print, on its way to people and back from files: every line says which trial wrote it."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TextIO

from ..files import open_regular, open_to_write
from ..text import SIGNS, printable

# Takes whole lines that a trial printed: its id, its number as far as is known now, and the text.
Sink = Callable[[str, int, str], None]

# Cursor moves and titles, as progress bars and shells write them, say nothing in a line.
_MOVES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\))")

# What begins a line that tagged() made with a trial's id.
_TAG = re.compile(r"\[\d+ ([A-Za-z0-9_.-]{1,64}-\d+)\] ")


def tagged(text: str, number: int, trial: str = "") -> str:
    """Return the lines of ``text``, each behind the trial's number, or number and id: ``[17] loss 0.3``."""
    tag = f"[{number} {trial}]" if trial else f"[{number}]"
    lines = _MOVES.sub("", text.removesuffix("\n")).split("\n")
    return "".join(f"{tag} {printable(line.expandtabs(4))}\n" for line in lines)


def tee(first: Sink, second: Sink) -> Sink:
    """Return a sink that passes on to two."""

    def take(trial: str, number: int, text: str) -> None:
        first(trial, number, text)
        second(trial, number, text)

    return take


def write_plainly(text: str, stream: TextIO | None) -> None:
    """Write to ``stream`` what it can show of ``text``. That it is closed or full must not end the search."""
    if stream is not None:  # as under pythonw
        encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            stream.write(text.encode(encoding, SIGNS).decode(encoding))
            stream.flush()
        except (OSError, ValueError):
            pass


class OutputFile:
    """Appends what trials print to ``path``; several processes may. ``notice`` hears, once, of what goes wrong.

    Nothing is raised: a full disk must not end the search for what was printed. The id stands beside the number,
    which is only final once all the others' earlier proposals are known.
    """

    def __init__(self, path: Path, notice: Callable[[str], None]) -> None:
        self.path = path
        self._notice = notice
        self._told = False

    def write(self, trial: str, number: int, text: str) -> None:
        """Append lines in one go, so that no other process' come in between."""
        data = tagged(text, number, trial).encode()
        try:
            # Opened each time: this is rare, and nothing has to be closed, on whatever way the search ends.
            file = open_to_write(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                while data:
                    data = data[os.write(file, data) :]
            finally:
                os.close(file)
        except OSError as error:
            if not self._told:
                self._told = True
                self._notice(f"cannot keep what trials print in {self.path}: {error.strerror or error}")

    def __repr__(self) -> str:
        return f"<OutputFile {self.path}>"


def read_output(directory: Path, trials: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield what trials of these ids printed, as it is kept in a run directory: (id, a line without its end).

    The lines of one file come in the order in which they were printed; of several files, as of a trial that went from
    worker to worker, the one that was written last comes last. Lines are as untrustworthy as what trials print.
    """
    files = []
    for path in (directory / "output").glob("*.log"):
        try:
            files.append((path.stat().st_mtime, path))
        except OSError:
            pass  # it has just been removed
    for _, path in sorted(files):
        try:
            descriptor = open_regular(path)
        except OSError:
            continue
        with os.fdopen(descriptor, encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for line in file:
                found = _TAG.match(line)
                if found is not None and found[1] in trials:
                    yield found[1], line[found.end() :].removesuffix("\n")


def tails(directory: Path, trials: Collection[str], most: int) -> dict[str, list[str]]:
    """Return the last lines, at most so many, that each of these trials printed; those that printed something."""
    found: dict[str, deque[str]] = {}
    for trial, line in read_output(directory, trials):
        found.setdefault(trial, deque(maxlen=most)).append(line)
    return {trial: list(lines) for trial, lines in found.items()}
