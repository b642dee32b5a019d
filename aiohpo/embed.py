"""A worker inside somebody's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .interfaces import Identity, LaunchedTransport, UsageError
from .limits import make_limits
from .parts import new_worker_id
from .reach import make_transport
from .records import TrialRecord
from .rendezvous import Rendezvous, directory_of
from .result import Result
from .slurm import WORD as SLURM
from .slurm import slurm_job
from .standing import best_of

if TYPE_CHECKING:
    from types import TracebackType

    from .keys import StudyKey
    from .study import Study
    from .worker import PeerWorker

ANYWHERE = "tcp://*:*"  # any free port, on all interfaces
_LOOK_AGAIN = 1.0


class Worker:
    """One peer of a search, for use in an existing asyncio application.

    ``async with Worker(study, transport="zmq", bind=…, join=[…]) as worker`` starts it; it evaluates in the
    background until the search is over. ``async for trial in worker`` gives the finished trials of the whole
    swarm as they arrive and ends with the search; leaving the block makes this worker leave in good order.

    transport   "inproc", "zmq", … or an instance
    bind        the address to listen on; None for any free one
    join        addresses of living peers, ``file:///directory`` in which peers leave theirs, or "slurm"
    advertise   the address that others are told, where it is not the one listened at (NAT, containers)
    key         the study's key or its file; without it, AIOHPO_KEY of the environment, if there is one
    insecure    listen to other machines although there is no key
    rank, size  its place among workers launched together, if it has one
    """

    def __init__(
        self,
        study: Study,
        *,
        transport: Any = "inproc",
        bind: str | None = None,
        join: Sequence[str] = (),
        advertise: str | None = None,
        key: StudyKey | str | Path | None = None,
        insecure: bool = False,
        trials: int | None = None,
        time: float | None = None,
        target: float | None = None,
        trial_timeout: float | None = None,
        rank: int | None = None,
        size: int | None = None,
    ) -> None:
        if isinstance(join, str):
            raise UsageError(f"join is a list of addresses: join=[{join!r}]")
        self.study = study
        self.id = new_worker_id()
        if SLURM in join:
            job = slurm_job()
            join = [job.directory.absolute().as_uri() if address == SLURM else address for address in join]
            if rank is None and size is None:
                rank, size = job.rank, job.size
            if bind is None and job.many_nodes:
                bind = ANYWHERE
        directories = [d for d in map(directory_of, join) if d is not None]
        self._cards = [Rendezvous(directory, self.id) for directory in directories]
        self.peer: PeerWorker = study.peer(
            limits=make_limits(trials, time, target, trial_timeout),
            transport=make_transport(
                transport, worker=self.id, bind=bind, advertise=advertise, key=key, insecure=insecure
            ),
            join=[address for address in join if directory_of(address) is None],
            identity=Identity(self.id, rank, size),
        )
        if isinstance(self.peer.parts.transport, LaunchedTransport):
            self._cards = []  # everybody is known; what was left in the directory is of another launch
        self._running: asyncio.Task[None] | None = None
        self._meeting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Worker:
        await self.peer.start()
        try:
            for card in self._cards:
                card.announce(self.address)
        except BaseException:
            await self.peer.aclose("stopped")
            raise
        if self._cards:
            others = self._others()
            self.peer.parts.expects_peers |= bool(others)
            self.peer.exchange.join(others)
            self._meeting = asyncio.create_task(self._keep_meeting())
        self._running = asyncio.create_task(self.peer.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._running is not None
        self.peer.stop()
        if self._meeting is not None:
            self._meeting.cancel()
        await asyncio.wait([self._running])
        for card in self._cards:
            card.withdraw()
        await self.peer.aclose("done" if kind is None else "stopped")
        if error is None and not self._running.cancelled() and (failure := self._running.exception()):
            raise failure

    @property
    def address(self) -> str:
        """Where other workers reach this one."""
        return self.peer.parts.transport.address

    @property
    def result(self) -> Result:
        """What this worker knows now."""
        return Result(self.peer.view, interrupted=self.peer.stopped)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial that this worker knows of; see :class:`~aiohpo.result.Result`."""
        return best_of(self.peer.view)

    def stop(self) -> None:
        """Make this worker stop evaluating; it releases its running trial."""
        self.peer.stop()

    async def wait(self) -> Result:
        """Wait until the search is over; raises what broke this worker."""
        assert self._running is not None, "use 'async with Worker(…) as worker'"
        await asyncio.shield(self._running)
        return self.result

    async def __aiter__(self) -> AsyncIterator[TrialRecord]:
        assert self._running is not None, "use 'async with Worker(…) as worker'"
        trials = self.peer.finished()
        while True:
            arrived = asyncio.ensure_future(anext(trials, None))
            await asyncio.wait([arrived, self._running], return_when=asyncio.FIRST_COMPLETED)
            if not arrived.done():
                # The search is over; what is already here is still handed out.
                done, _ = await asyncio.wait([arrived], timeout=0)
                if not done:
                    arrived.cancel()
                    await asyncio.wait([arrived])
                    return
            record = arrived.result()
            if record is None:
                return
            yield record

    def _others(self) -> list[str]:
        return [address for card in self._cards for address in card.others()]

    async def _keep_meeting(self) -> None:
        pause = _LOOK_AGAIN / 16  # workers that start together should meet soon
        while True:
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _LOOK_AGAIN)
            # In a thread: a file server that hangs must not hold up what the peers have to say.
            self.peer.exchange.join(await asyncio.to_thread(self._others))

    def __repr__(self) -> str:
        return f"<Worker {self.id} of {self.study!r}>"
