"""What this process holds of a study while no worker of it runs: its log and view, its run directory and its key."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import UsageError
from ...events.log import Log
from ...keys import StudyKey, find_key, kept_key, process_key, settle_key
from ...storage.blob_store import DirectoryBlobs
from ...storage.follower import Follower
from ...storage.journal import journals_in
from ...storage.liveness import Writers
from ...storage.loading import Loaded
from ...storage.run_directory import RunDirectory
from ...storage.scratch import Scratch
from ...view.view import View
from ..notices import Notify
from ..threads import in_thread
from .definition import StudyDefinition

COPIED_AT_ONCE = 16 << 10  # bytes of events, which take about 5 ms


@dataclass(frozen=True, slots=True)
class Reading:
    """What a worker begins with. ``sizes`` are those of the journals before they were read."""

    log: Log
    view: View
    loaded: Loaded = field(default_factory=lambda: Loaded((), {}))
    sizes: Mapping[Path, int] = field(default_factory=dict)


class Replica:
    """A process's copy of a study. Workers of the process begin with it, and what they knew in the end goes back to it.

    Nothing is opened or read before it is needed.

    Args:
        definition: the study, whose directory this is about.
        key: the study's key or the file that holds it, if the user named one.
        notice: hears what is wrong with the directory.
    """

    def __init__(self, definition: StudyDefinition, key: StudyKey | str | Path | None, notice: Notify) -> None:
        self._definition = definition
        self._given_key = key
        self._notice = notice
        self._known: tuple[Log, View] | None = None
        self._is_held = False  # a writer holds these two objects
        self._follower: Follower | None = None
        self._reached: Mapping[Path, int] = {}  # how far each journal was read
        self._workers: list[Log] = []  # of workers that run in this process
        self._prepared: Reading | None = None
        self._opened: RunDirectory | None = None
        self._blobs: DirectoryBlobs | None = None
        self._key: StudyKey | None = None

    @property
    def directory(self) -> RunDirectory | None:
        """The run directory, made if it is not there; None for a study in memory. Raises ``UsageError`` if it is that
        of another study."""
        path = self._definition.directory
        if path is not None and self._opened is None:
            self._opened = RunDirectory(
                path, self._definition.as_dict(), extend=self._definition.extend, share=self._definition.share
            )
            for concern in self._opened.concerns:
                self._notice(concern)
        return self._opened

    @property
    def log(self) -> Log:
        """All events that are known here."""
        return self._load()[0]

    @property
    def view(self) -> View:
        """What they mean."""
        return self._load()[1]

    def hold(self) -> tuple[Log, View]:
        """Return both to a writer. They stay these two objects from now on."""
        self._is_held = True
        return self._load()

    def _load(self) -> tuple[Log, View]:
        if self._known is None:
            self._known = self._definition.empty()
            if self.directory is not None:
                loaded = self.directory.load(*self._known)
                self._reached = loaded.reached
                for text in loaded.notices:
                    self._notice(text)
        return self._known

    def refresh(self) -> None:
        """Take in what other processes wrote to the run directory, and what workers of this one know."""
        for log in self._workers:
            copy_log(log, *self._load())
        if self.directory is not None:
            if self._follower is None:
                known = self._load()
                self._follower = Follower(self.directory.path, known, self._reached)
            self._follower.poll()

    async def prepare(self) -> None:
        """Get ready what the next worker begins with. Where much has happened this takes long: a directory is read in a
        thread, and what is known in memory is copied a little at a time."""
        if self._definition.directory is not None:
            self._prepared = await in_thread(self._read)
        elif self._known is not None:
            reading = Reading(*self._definition.empty())
            for _ in copy_in_parts(self._known[0], reading.log, reading.view):
                await asyncio.sleep(0)
            self._prepared = reading

    def begin(self) -> Reading:
        """What a worker begins with, which is its own from then on; it need not be prepared."""
        reading, self._prepared = self._prepared, None
        if self.directory is not None:
            return reading or self._read()
        reading = reading or Reading(*self._definition.empty())
        if self._known is not None:
            copy_log(self._known[0], reading.log, reading.view)
        return reading

    def _read(self) -> Reading:
        assert self.directory is not None
        sizes = sizes_of(journals_in(self.directory.path))
        log, view = self._definition.empty()
        return Reading(log, view, self.directory.load(log, view), sizes)

    def follow_worker(self, log: Log) -> None:
        """Take in, whenever this is refreshed, what a worker of this process knows."""
        self._workers.append(log)

    async def leave_worker(self, log: Log, view: View) -> None:
        """Take over what a worker knew when it ended, and forget about it.

        Where the worker knew everything that is known here, its log and view take the place of those here. Else what
        only the worker knew is copied, a little at a time: that is slow, and the loop has other things to do.
        """
        while not self._is_replaced_by(log, view):
            known = self._load()
            for _ in copy_in_parts(log, *known):
                await asyncio.sleep(0)
            if known is self._known:  # else another worker has left meanwhile
                break
        self._workers = [other for other in self._workers if other is not log]

    def _is_replaced_by(self, log: Log, view: View) -> bool:
        """Put what a worker knew in the place of what is known here, if that loses nothing; return whether it did."""
        if self._known is not None and (self._is_held or not log.covers(self._known[0])):
            return False
        self._known, self._follower = (log, view), None
        return True

    def is_gone(self, worker: str) -> bool:
        """Whether a worker that wrote to the run directory has certainly ended."""
        return self.directory is not None and Writers(self.directory.path, self.view).is_gone(worker)

    def turn(self) -> AbstractContextManager[None]:
        """What is asked for in such a block, no other process asks for at the same time; see :meth:`refresh`."""
        return nullcontext() if self.directory is None else self.directory.turn()

    def states(self) -> Mapping[str, str]:
        """What is known of the workers that wrote to the run directory, by their ids."""
        return {} if self.directory is None else Writers(self.directory.path, self.view).states()

    @property
    def blobs(self) -> DirectoryBlobs:
        """Checkpoints and predictions. Those of a study in memory are in a temporary directory, which is removed once
        neither the study nor a worker needs it."""
        if self.directory is not None:
            return self.directory.blobs
        if self._blobs is None:
            scratch = Scratch()
            self._blobs = DirectoryBlobs(scratch.path / "blobs")
            weakref.finalize(self._blobs, scratch.remove)
        return self._blobs

    # ---------------------------------------------------------------------------------------------- key
    @property
    def key(self) -> StudyKey:
        """The study's key: what its checkpoints are authenticated under, and who may join."""
        if self._key is None:
            self._key = self.settle_key() or process_key()
        return self._key

    def settle_key(
        self, key: StudyKey | str | Path | None = None, *, meeting: Sequence[Path] = (), elsewhere: Sequence[str] = ()
    ) -> StudyKey | None:
        """Decide on the key of this study and return it; None where there is none yet and no place to keep a new one.

        It is ``key``, else the study's own, else ``AIOHPO_KEY``'s, else the one kept in the directories where its
        workers meet or in the run directory; in the end all of these hold it (:func:`aiohpo.keys.settle_key`).
        ``elsewhere`` are addresses of workers that have the key already, so that a new one would be of no use: without
        theirs, ``UsageError`` says what to do.
        """
        given = find_key(self._given_key if key is None else key)
        path, share = self._definition.directory, self._definition.share
        own = [] if path is None else [path]
        if given is None and elsewhere and not any(kept_key(place, share=share) for place in (*meeting, *own)):
            raise UsageError(
                f"joining {elsewhere[0]} needs its study's key: copy the key file of the first worker to this machine "
                "(there it is study.key in the run directory, or what --key named) and give it with --key FILE (key=, "
                "AIOHPO_KEY); --insecure (insecure=True) if those workers were started with it"
            )
        _ = self.directory  # that of another study is refused before a key is left in it
        self._key = settle_key(given, [*meeting, *own], share=share)
        return self._key

    def use_key(self, key: StudyKey) -> None:
        """Go by ``key``, wherever it comes from, without keeping it."""
        self._key = key

    def __repr__(self) -> str:
        return (
            f"<Replica in {self._definition.directory or 'memory'}: {self._known[1] if self._known else 'not loaded'}>"
        )


def sizes_of(files: Iterable[Path]) -> dict[Path, int]:
    """How many bytes each file has; one that cannot be looked at is left out."""
    sizes = {}
    for file in files:
        with suppress(OSError):
            sizes[file] = file.stat().st_size
    return sizes


def copy_log(source: Log, log: Log, view: View) -> None:
    """Bring into ``log`` and ``view`` what only ``source`` knows."""
    for _ in copy_in_parts(source, log, view):
        pass


def copy_in_parts(source: Log, log: Log, view: View) -> Iterator[None]:
    """Do the same in parts that take about as long each, and yield after each of them."""
    copied = True
    while copied:
        copied = False
        for batch in source.missing(log.vector(), COPIED_AT_ONCE):
            for origin, seq, event in log.merge(batch) or ():
                view.apply(origin, seq, event)
                copied = True
        yield
