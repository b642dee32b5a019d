"""A worker inside your own event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import explained_class
from .errors import UsageError
from .events.schema import MAX_SLOTS
from .keys import ENVIRONMENT, NO_KEY, StudyKey, process_key
from .launch.addresses import make_transport, takes_key, transport_class
from .launch.cards import Card, cards_of, directory_of, keeps_key
from .launch.slurm import WORD as SLURM
from .launch.slurm import slurm_job
from .peer.limits import GRACE, make_limits
from .plugin import Identity, LaunchedTransport, Options, Transport
from .result import Result, path_of_file
from .runtime.assembly.loading import load_parts
from .runtime.assembly.services import new_worker_id
from .runtime.peer import Peer
from .storage.printed import Sink
from .view.summary import Summary
from .view.trials import TrialRecord

if TYPE_CHECKING:
    from types import TracebackType

    from .study import Study

_LOOK_AGAIN = 1.0


@explained_class({})
class Worker:
    """One peer of a search, for use in an existing asyncio application.

    ``async with Worker(study, transport="zmq", bind=…, join=[…]) as worker`` starts it; it evaluates trials in the
    background until the search is over. ``async for trial in worker`` yields the finished trials of the whole swarm as
    they arrive, and ends with the search; on leaving the block, this worker leaves the search cleanly.

    slots       how many trials it evaluates at a time
    transport   "inproc", "zmq", … or an instance
    bind        the address to listen on; None for any free one
    join        addresses of running peers, ``file:///directory`` in which peers leave theirs, or "slurm"
    advertise   the address announced to others, if it differs from the one listened on (NAT, containers)
    key         the file of the study's key, or the key; without it, the study's own, that of AIOHPO_KEY, or the one
                that is kept in the run directory or where the workers meet (made there by the first of them)
    insecure    use no key: anyone who can reach this worker can join, which includes running code here
    trials      the study's budget, over all workers and runs; one below the number of results needs ``shrink``
    time        seconds after which this worker leaves; the others continue
    grace       seconds that running objectives then have to save their work and return; ``trial.ended`` tells them
    target      the value of the metric at which the search ends for all workers
    rank, size  its place among workers launched together, if it has one
    notice      called with each message of this worker; None: messages are added to the study's ``notices``
    output      called with the output of trials here: ``output(trial_id, number, lines)``
    """

    def __init__(
        self,
        study: Study,
        *,
        slots: int = 1,
        transport: Any = "inproc",
        bind: str | None = None,
        join: Sequence[str] = (),
        advertise: str | None = None,
        key: StudyKey | str | Path | None = None,
        insecure: bool = False,
        trials: int | None = None,
        shrink: bool = False,
        time: float | None = None,
        target: float | None = None,
        trial_timeout: float | None = None,
        grace: float = GRACE,
        rank: int | None = None,
        size: int | None = None,
        notice: Callable[[str], None] | None = None,
        output: Sink | None = None,
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
                bind = transport_class(transport).any_address
        slots = Options().whole("slots", slots, least=1, most=MAX_SLOTS)
        limits = make_limits(trials, time, target, trial_timeout, grace=grace, shrink=shrink)
        directories = [d for d in map(directory_of, join) if d is not None]
        join = [address for address in join if directory_of(address) is None]
        carrier = self._carrier(transport, bind, advertise, key, insecure, directories, join)
        # Those launched together know each other; what was left in the directory is of another launch.
        meet = () if isinstance(carrier, LaunchedTransport) else directories
        self._cards = [Card(cards_of(directory), self.id) for directory in meet]
        self._transport = carrier
        self._make_services = partial(
            study._services,
            limits=limits,
            transport=carrier,
            join=join,
            identity=Identity.of_worker(self.id, rank, size, slots),
            notice=notice,
            output=output,
        )
        self._peer_here: Peer | None = None  # from the beginning of the block on
        self._stopped = False
        self._running: asyncio.Task[None] | None = None
        self._meeting: asyncio.Task[None] | None = None

    def _carrier(
        self,
        spec: Any,
        bind: str | None,
        advertise: str | None,
        key: StudyKey | str | Path | None,
        insecure: bool,
        meeting: Sequence[Path],
        dialled: Sequence[str],
    ) -> Transport:
        """Make the transport, and see to it that the study has the key that its peers have."""
        local = self.study._replica
        if insecure:
            if key is not None or self.study.key is not None or os.environ.get(ENVIRONMENT):
                raise UsageError(
                    "--insecure (insecure=True) means that there is no key, and one was given (--key or AIOHPO_KEY, "
                    "key=): leave one of them out"
                )
            carrier = make_transport(spec, worker=self.id, bind=bind, advertise=advertise, insecure=True)
            local.use_key(NO_KEY)
            self.study._notice(
                "insecure: there is no key, so anyone who can reach this worker's port can join it, which includes "
                "running code here"
            )
            return carrier
        if key is not None and not isinstance(spec, str):
            raise UsageError(
                f"give the key to the transport itself and to the study (Study(key=…)), not along with {spec!r}"
            )
        if takes_key(spec):
            found = local.settle_key(key, meeting=[keeps_key(place) for place in meeting], elsewhere=dialled)
            if found is None:
                raise UsageError(
                    "this worker can be joined by others, but its study has no key and no directory to keep one in: "
                    "key='study.key' (from 'aiohpo keygen study.key'), Study(directory=…), or insecure=True"
                )
            return make_transport(spec, worker=self.id, bind=bind, advertise=advertise, key=found)
        carrier = make_transport(spec, worker=self.id, bind=bind, advertise=advertise)
        if not isinstance(carrier, LaunchedTransport):
            local.settle_key(key)
        elif carrier.rank == 0:
            try:
                secret = (local.settle_key(key) or process_key()).secret
            except BaseException:
                carrier.share(b"")  # the others need not wait for it
                raise
            carrier.share(secret)
        else:
            local.settle_key(StudyKey(carrier.share(None)))
        return carrier

    async def __aenter__(self) -> Worker:
        study = self.study
        await load_parts(study._definition, self._transport, None if study._wishes_in_file else study._replica)
        peer = self._peer_here = Peer(self._make_services())
        if self._stopped:
            peer.stop()
        await peer.start()
        self.study._replica.follow_worker(peer.services.log)
        try:
            for card in self._cards:
                card.announce(self.address)
        except BaseException:
            await peer.aclose()
            await self.study._replica.leave_worker(peer.services.log, peer.view)
            raise
        if self._cards:
            self._peer.expect(self._others())
            self._meeting = asyncio.create_task(self._keep_meeting())
        self._running = asyncio.create_task(self._peer.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._running is not None
        self.stop()
        if self._meeting is not None:
            self._meeting.cancel()
        await asyncio.wait([self._running])
        for card in self._cards:
            card.withdraw()
        await self._peer.aclose()
        await self.study._replica.leave_worker(self._peer.services.log, self._peer.view)
        if error is None and not self._running.cancelled() and (failure := self._running.exception()):
            raise failure

    @property
    def _peer(self) -> Peer:
        assert self._peer_here is not None, "use 'async with Worker(…) as worker'"
        return self._peer_here

    @property
    def address(self) -> str:
        """The address at which other workers reach this one."""
        return self._transport.address

    @property
    def unanswered(self) -> list[str]:
        """The addresses to join that have not answered so far."""
        return self._peer.state.unanswered

    @property
    def result(self) -> Result:
        """The results that this worker knows so far; before it has started, those that the study knows."""
        peer = self._peer_here
        return (
            self.study.result
            if peer is None
            else Result(
                peer.view,
                interrupted=peer.stopped,
                end=peer.end,
                blobs=self.study._replica.blobs,
                log=peer.services.log,
            )
        )

    @property
    def best(self) -> TrialRecord | None:
        """The best trial that this worker knows of; see :class:`~aiohpo.result.Result`."""
        view = self.study._replica.view if self._peer_here is None else self._peer_here.view
        return Summary(view).best()

    def stop(self, grace: float = 0.0) -> None:
        """Make this worker stop evaluating; it releases its running trials. Nothing happens if the search is over.

        With ``grace``, ``trial.ended`` first tells their objectives, which have that many seconds to save their work.
        """
        self._stopped = True
        if self._peer_here is not None:
            self._peer_here.stop(grace)

    async def wait(self) -> Result:
        """Wait until the search is over. If this worker failed, raise the exception."""
        assert self._running is not None, "use 'async with Worker(…) as worker'"
        await asyncio.shield(self._running)
        blobs = self.study._replica.blobs
        peer = self._peer
        return await Result.collect(
            peer.view, interrupted=peer.stopped, end=peer.end, blobs=blobs, log=peer.services.log
        )

    async def file(self, trial: str, name: str) -> Path:
        """Return the path of a file of the trial with the id ``trial`` in this worker's directory, after fetching it
        from a worker that has it. Raises ``UsageError`` if there is no such file, or if no worker has it."""
        try:
            record = self._peer.view.record(self._peer.view.row_of(trial))
        except KeyError:
            raise UsageError(f"this worker knows of no trial {trial!r}: give its id") from None
        if (found := record.files.get(name)) is not None:
            await self._peer.exchange.fetch(found.digest, found.worker, found.size)
        return await asyncio.to_thread(path_of_file, record, name, self.study._replica.blobs)

    async def __aiter__(self) -> AsyncIterator[TrialRecord]:
        assert self._running is not None, "use 'async with Worker(…) as worker'"
        trials = self._peer.finished()
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
            self._peer.exchange.join(await asyncio.to_thread(self._others))

    def __repr__(self) -> str:
        return f"<Worker {self.id} of {self.study!r}>"
