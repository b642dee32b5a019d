"""Following a run directory while workers write to it: what a live display reads.

Every journal is read from where the last look ended. A record that is not all there yet is left for the next
look; one that is damaged is passed over as soon as an intact one follows it. Nothing is written and no lock is
kept, so any number of readers may follow a run, on any machine that sees the directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..events.log import FarAhead, Log
from ..events.schema import Malformed
from ..files import open_regular, read_at
from ..view.view import View
from .journal import (
    HEADER,
    MAGIC,
    WINDOW,
    Damage,
    foreign,
    is_no_journal,
    journals_in,
    read_record,
    readable_size,
    unreadable,
)
from .liveness import Writers, WriterState, sign_of
from .loading import is_worth_keeping, merge_batch
from .replica_cache import keep_replica, restore_replica
from .run_directory import read_study


class Follower:
    """A replica of the study in a run directory, brought up to date by :meth:`poll`.

    Args:
        path: the run directory.
        known: the log and view to bring up to date; None: new ones.
        reached: how far each journal is known.
    """

    def __init__(
        self, path: Path, known: tuple[Log, View] | None = None, reached: Mapping[Path, int] | None = None
    ) -> None:
        self.path = path
        self.study = read_study(path)
        self.log, self.view = known or (Log(), View.of_study(self.study))
        self._offsets = dict(restore_replica(path, self.log, self.view) if known is None else reached or {})
        self._keeps = known is None  # else there may be more in them than in the journals
        self._kept = sum(self._offsets.values())
        self._unsaid = self.log.size if known is None else 0
        self._unread: dict[Path, tuple[int, int]] = {}  # where an incomplete record begins, and the file's size
        self._damage: list[Damage] = []
        self._unknown: set[Path] = set()
        self._unusable: dict[Path, Damage] = {}  # what is no journal, or cannot be read at present

    def poll(self) -> int:
        """Read what was written since the last call, and return how many events were new.

        With the first call this includes what was read at an earlier time and kept.
        """
        new = self._unsaid
        self._unsaid = 0
        for file in journals_in(self.path):
            new += self._read_on(file)
        read = sum(self._offsets.values())
        if self._keeps and is_worth_keeping(read - self._kept, self._kept) and not self.damage():
            keep_replica(self.path, self.log, self.view, self._offsets)
            self._kept = read
        return new

    def states(self) -> dict[str, WriterState]:
        """What is known now of every worker that ever began."""
        return Writers(self.path, self.view).states()

    def damage(self) -> list[Damage]:
        """What could not be read so far. The end of a journal is torn once its writer has certainly ended."""
        torn = [
            Damage(file, offset, torn=True)
            for file, (offset, size) in self._unread.items()
            if file not in self._unusable
            and Writers(self.path, self.view).has_ended(file.stem, sign_of(file))
            and _size(file) == size
        ]
        skipped = [Damage(file, None) for file in sorted(self._unknown)]
        return [*self._damage, *skipped, *torn, *self._unusable.values()]

    @property
    def skipped(self) -> str:
        """What this version does not understand, in words; empty where it understands everything."""
        return self.log.skipped and f"{self.path}: {self.log.skipped}"

    def _read_on(self, file: Path) -> int:
        new, more = self._read_window(file)
        while more:
            part, more = self._read_window(file)
            new += part
        return new

    def _read_window(self, file: Path) -> tuple[int, bool]:
        """Read what fits into memory at once; return how many events were new, and whether there is more."""
        at = self._offsets.get(file, 0)
        try:
            descriptor = open_regular(file)
            try:
                size = readable_size(os.fstat(descriptor))
                if size <= at or self._unread.get(file) == (at, size):
                    return 0, False
                data = read_at(descriptor, at, WINDOW)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return 0, False
        except OSError as error:
            self._unusable[file] = unreadable(file, error)
            return 0, False  # the next look may fare better
        self._unusable.pop(file, None)
        if not at and is_no_journal(data):
            self._unusable[file] = foreign(file, data)
            self._unread[file] = 0, size
            return 0, False
        if not at and len(data) <= len(HEADER):
            return 0, False
        new = 0
        done = len(HEADER) if not at and data.startswith(HEADER) else 0
        position = done
        while position >= 0:
            batch, end = read_record(data, position)
            if batch is not None:
                known = len(self.log.far_ahead)
                try:
                    new += len(merge_batch(batch, self.log, self.view))
                except FarAhead:
                    pass  # which the log notes
                except Malformed:
                    self._unknown.add(file)
                self._damage += [Damage(file, None, why=why) for why in self.log.refused(known)]
                if position > done:
                    self._damage.append(Damage(file, at + done))
                done = position = end
            else:
                # Incomplete so far, or damaged for good: only an intact record behind it tells.
                position = data.find(MAGIC, position + 1)
        self._unread.pop(file, None)
        if len(data) == WINDOW and at + len(data) < size:  # there is more
            if not done:
                self._damage.append(Damage(file, at))
                done = WINDOW // 2  # no record is longer
            self._offsets[file] = at + done
            return new, True
        self._offsets[file] = at + done
        if done < len(data):
            self._unread[file] = at + done, max(size, at + len(data))
        return new, False

    def __repr__(self) -> str:
        return f"<Follower of {self.path}: {self.view!r}>"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
