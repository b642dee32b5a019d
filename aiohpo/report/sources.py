"""Where a search is looked at: a run directory, loaded or followed; its mesh; a worker of this process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import UsageError
from ..storage.follower import Follower
from ..storage.liveness import Writers
from ..storage.run_directory import read_ensemble, read_study

if TYPE_CHECKING:
    from ..events.log import Log
    from ..keys import StudyKey
    from ..mesh.health import Health
    from ..runtime.peer import Peer
    from ..runtime.spectator import Spectator
    from ..storage.run import Run
    from ..view.view import View


class ProgressSource(Protocol):
    """What a :class:`~aiohpo.report.tally.Tally` needs to know of a search."""

    @property
    def name(self) -> str:
        """Where it is looked at, for people."""
        ...

    @property
    def study(self) -> Mapping[str, Any]:
        """Its definition, as in ``study.json``."""
        ...

    @property
    def view(self) -> View:
        """What is known. :meth:`poll` may put another one in its place."""
        ...

    @property
    def log(self) -> Log:
        """The events that :attr:`view` was made of."""
        ...

    @property
    def directory(self) -> Path | None:
        """The run directory, None where it is not looked at in one."""
        return None

    def poll(self) -> int:
        """Bring :attr:`view` and :attr:`log` up to date, and return how many events became known since the last
        call."""
        ...

    def states(self) -> Mapping[str, str]:
        """What is believed of each worker: alive, suspect, dead, left, or unknown where that cannot be told."""
        ...

    def health(self) -> Health | None:
        """The mesh's; None where none is involved."""
        return None

    def ensemble(self) -> Mapping[str, Any] | None:
        """What is known of the ensemble that is kept while the search runs."""
        return None

    def damage(self) -> Sequence[str]:
        """What could not be read."""
        return ()

    def skipped(self) -> str:
        """What this version of aiohpo does not understand, in words; empty where it understands everything."""
        return ""


class FollowedDirectory(ProgressSource):
    """A run directory whose journals are read on while workers write to them.

    Once the study is continued with more steps, everything means something else (which trials are complete,
    above all); the same is true once another study has taken its place. It is then read anew, and there is a new
    :attr:`view`.
    """

    def __init__(self, path: Path) -> None:
        self._version = self._look(path)
        self._follower = Follower(path)

    @staticmethod
    def _look(path: Path) -> tuple[int, int] | None:
        """What differs once ``study.json`` was written again; None if it is not there."""
        try:
            found = os.stat(path / "study.json")
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _renew(self) -> None:
        path = self._follower.path
        version = self._look(path)
        if version in (None, self._version):
            return
        try:
            study = read_study(path)
        except UsageError:
            return  # the next look may fare better
        self._version = version
        if any(study.get(name) != self.study.get(name) for name in ("max_steps", "directory")):
            self._follower = Follower(path)

    @property
    def name(self) -> str:
        return str(self._follower.path)

    @property
    def study(self) -> Mapping[str, Any]:
        return self._follower.study

    @property
    def view(self) -> View:
        return self._follower.view

    @property
    def log(self) -> Log:
        return self._follower.log

    @property
    def directory(self) -> Path:
        return self._follower.path

    def poll(self) -> int:
        self._renew()
        return self._follower.poll()

    def states(self) -> Mapping[str, str]:
        return self._follower.states()

    def ensemble(self) -> Mapping[str, Any] | None:
        return read_ensemble(self._follower.path)

    def damage(self) -> Sequence[str]:
        return [str(damage) for damage in self._follower.damage()]

    def skipped(self) -> str:
        return self._follower.skipped


class LoadedDirectory(ProgressSource):
    """A run directory as it was when it was loaded."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._news = News(run.log)

    @property
    def name(self) -> str:
        return str(self._run.path)

    @property
    def study(self) -> Mapping[str, Any]:
        return self._run.study

    @property
    def view(self) -> View:
        return self._run.view

    @property
    def log(self) -> Log:
        return self._run.log

    @property
    def directory(self) -> Path:
        return self._run.path

    def poll(self) -> int:
        return self._news.poll()

    def states(self) -> Mapping[str, str]:
        return self._run.loaded.states

    def ensemble(self) -> Mapping[str, Any] | None:
        return read_ensemble(self._run.path)

    def damage(self) -> Sequence[str]:
        return [str(damage) for damage in self._run.loaded.damage]

    def skipped(self) -> str:
        return self._run.loaded.skipped


class JoinedMesh(ProgressSource):
    """A mesh that a spectator has joined."""

    def __init__(self, spectator: Spectator) -> None:
        self._spectator = spectator

    @property
    def name(self) -> str:
        return self._spectator.name

    @property
    def study(self) -> Mapping[str, Any]:
        return self._spectator.study

    @property
    def view(self) -> View:
        return self._spectator.view

    @property
    def log(self) -> Log:
        return self._spectator.log

    def poll(self) -> int:
        return self._spectator.poll()

    def states(self) -> Mapping[str, str]:
        return self._spectator.states()

    def health(self) -> Health:
        return self._spectator.health()


class OwnWorker(ProgressSource):
    """A worker of this process: it knows of the others what it heard. ``directory`` is where it keeps its journal."""

    name = "this process"

    def __init__(self, peer: Peer, study: Mapping[str, Any], directory: Path | None) -> None:
        self._peer = peer
        self._study = study
        self._news = News(peer.services.log)
        self._writers = None if directory is None else Writers(directory, peer.view)

    @property
    def study(self) -> Mapping[str, Any]:
        return self._study

    @property
    def view(self) -> View:
        return self._peer.view

    @property
    def log(self) -> Log:
        return self._peer.services.log

    def poll(self) -> int:
        return self._news.poll()

    def states(self) -> Mapping[str, str]:
        """What the mesh believes; of workers that it never met, what their journals tell."""
        workers = self.view.workers
        states: dict[str, str] = {name: "unknown" for name, info in workers.items() if info.started is not None}
        if self._writers is not None:
            states |= self._writers.states()
        states |= self._peer.state.states()
        states[self._peer.id] = "alive"
        return self.view.with_departures(states)

    def ensemble(self) -> Mapping[str, Any] | None:
        kept = self._peer.ensembling and self._peer.ensembling.state
        return kept.as_dict() if kept else None


class News:
    """Counts what is added to a log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._size = 0

    def poll(self) -> int:
        """Return how many events were added since the last call."""
        before, self._size = self._size, self._log.size
        return self._size - before


@asynccontextmanager
async def follow_directory(path: Path) -> AsyncIterator[ProgressSource]:
    """Follow a run directory. Raises ``UsageError`` if it is not one."""
    yield FollowedDirectory(path)


@asynccontextmanager
async def join_mesh(
    addresses: Sequence[str], transport: str, key: StudyKey | None, say: Callable[[str], None], once: bool
) -> AsyncIterator[ProgressSource]:
    """Join a mesh as a spectator; with ``once``, wait until everything that some worker knows is here."""
    from ..launch.cards import Card, cards_of, directory_of
    from ..runtime.spectator import Spectator, spectator_id, spectator_transport

    worker = spectator_id()
    cards = [Card(cards_of(directory), worker) for a in addresses if (directory := directory_of(a)) is not None]
    plain = [address for address in addresses if directory_of(address) is None]
    carrier = spectator_transport(transport, worker, key)
    spectator = Spectator(carrier, worker, lambda: [*plain, *(a for card in cards for a in card.others())], notice=say)
    await spectator.start()
    try:
        if once:
            await spectator.catch_up()
        yield JoinedMesh(spectator)
    finally:
        await spectator.aclose()
