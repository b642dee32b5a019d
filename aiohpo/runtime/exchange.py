"""A peer's exchange with the others: its driver, its journal and its blobs, and the waiting at its beginning and end.

What cannot be written to the journal waits, and is tried again; see :meth:`Exchange.write`.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable
from functools import partial

from ..errors import AiohpoError, Unavailable, UsageError
from ..events.schema import Batch
from ..mesh.effects import (
    Abort,
    CallOff,
    Describe,
    Fetched,
    Milestone,
    Serve,
    Store,
    TrialsEnded,
    WorkerDied,
    WorkerSuspected,
)
from ..mesh.frames import Chunk, Definition
from ..mesh.timing import (
    ACQUAINTED_WITHIN,
    CLAIM_HEARD_WITHIN,
    HEAR_OUT_WITHIN,
    LEAVE_WITHIN,
    LOOK_AT_ONCE,
    LOOK_LATER,
    LOOK_SOON,
    SYNC_EVERY,
)
from ..peer.patience import in_words
from ..peer.running_segments import Segment
from ..peer.state import PeerState
from ..plugin import Identity
from ..storage.journal import JournalGone
from .assembly.services import Services
from .driver import Driver
from .threads import in_thread


class Exchange(Driver):
    """The driver of a peer.

    ``on_ended`` is called when trials ended anywhere, ``on_abort`` when a running segment is no longer wanted,
    ``on_call_off`` when the search is over for everybody, ``on_failure`` when this worker cannot go on (its journal
    cannot be written, or a bug).
    """

    state: PeerState  # set by start()

    def __init__(
        self,
        worker: str,
        services: Services,
        on_ended: Callable[[TrialsEnded], None],
        on_abort: Callable[[Abort], None],
        on_call_off: Callable[[CallOff], None],
        on_failure: Callable[[], None],
    ) -> None:
        super().__init__(
            services.transport,
            self._say,
            {
                TrialsEnded: on_ended,
                Abort: on_abort,
                CallOff: on_call_off,
                Serve: self._serve,
                Store: self._store,
                Fetched: self._fetched,
                Describe: self._describe,
                WorkerSuspected: self._look_after,
                WorkerDied: self._recover,
            },
            persist=self._write_down,
            on_failure=on_failure,
        )
        self.worker = worker
        self.services = services
        self._waiting: list[Batch] = []  # for the journal, which could not take them
        self._unwritten = self._unsynced = ""  # why
        self._fetching: dict[str, asyncio.Future[bool]] = {}

    async def start(self, identity: Identity) -> None:
        """Open the transport and introduce this worker."""
        services = self.services
        await self.open()
        now = self._loop.time()
        self.begin(
            PeerState(
                me=self.worker,
                view=services.view,
                log=services.log,
                study=services.study_hash,
                address=services.transport.address,
                seed=services.seed,
                now=now,
                timing=services.timing,
                shared_journal=services.journal_id,
                gone=services.gone,
            )
        )
        self.state.begin(services.wall(), platform.node(), os.getpid(), identity.worker_rank, identity.slots)
        for address in services.join:
            try:
                services.transport.connect(address)
            except ValueError as error:
                raise UsageError(f"cannot join {address!r}: {error}") from None
        self.state.seek(services.join, now)
        self.carry_out()

    def join(self, addresses: list[str]) -> None:
        """Greet these addresses until one answers."""
        if self.failure is None:
            self.state.join(addresses, self._loop.time())
            self.carry_out()

    async def leave(self, reason: str) -> None:
        """Leave the swarm once every peer has what this worker has, or after two seconds: some may be dead."""
        try:
            if self.failure is None:
                self.state.leave(self.services.wall(), reason, self._loop.time())
                self.carry_out()
                await self._flush()
                self.state.goodbye()
                self.carry_out()
        except AiohpoError as error:
            self._say(str(error))  # a full disk: only the farewell is missing
        finally:
            self.stop()
            try:
                async with asyncio.timeout(LEAVE_WITHIN):
                    await self.services.transport.aclose()
            except TimeoutError:
                pass  # a peer that does not read must not keep us here
            if self.services.journal is not None:
                try:
                    self.services.journal.close()
                except Unavailable as error:
                    if self.failure is None:
                        self._say(str(error))

    async def _flush(self) -> None:
        await self._ask_until(Milestone.FLUSHED, self.state.ask_whether_flushed, LEAVE_WITHIN)

    async def get_acquainted(self, stop: Callable[[], bool]) -> bool:
        """Hear what the others know before the first proposal; else workers that start together would all begin with
        the same thing. A worker whose peers do not answer goes on alone; returns whether one did.

        A worker is put together some time before it can be met, and others that write to the same directory may have
        left meanwhile. What they did is in their journals, so those are read again.
        """
        end = self._loop.time() + ACQUAINTED_WITHIN
        # A look every 10 ms for at most a second, once: cheaper to read than an event through three layers.
        while Milestone.CAUGHT_UP not in self.reached and not stop() and self._loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SOON)
        if self.services.read_again is not None and not stop():
            for batch in await in_thread(self.services.read_again, frozenset(self.state.present)):
                self.state.recover(self._loop.time(), batch)
            self.carry_out()
        return Milestone.CAUGHT_UP in self.reached

    async def hear_out(self, stop: Callable[[], bool]) -> None:
        """Wait until all that the peers know has arrived. Those that do not answer are not waited for very long."""
        ask = partial(self.state.ask_whether_heard, self._loop.time())
        await self._ask_until(Milestone.HEARD_OUT, ask, HEAR_OUT_WITHIN, stop)
        if Milestone.HEARD_OUT not in self.reached and not stop():
            for worker in self.state.present:
                self._look_after(WorkerSuspected(worker))  # one that was killed may have left something in its journal
            self.carry_out()

    async def hear_rivals(self, segment: Segment, stop: Callable[[], bool]) -> None:
        """Wait until every peer that may have claimed a segment as well has said so: before it is recorded how that
        ended. Those that do not answer are not waited for very long."""

        def ask() -> None:
            self.state.ask_who_else_claimed(segment, self._loop.time())

        await self._ask_until(Milestone.CLAIM_HEARD, ask, CLAIM_HEARD_WITHIN, stop, LOOK_AT_ONCE)

    async def _ask_until(
        self,
        milestone: Milestone,
        ask: Callable[[], None],
        within: float,
        stop: Callable[[], bool] = lambda: False,
        pause: float = LOOK_SOON,
    ) -> None:
        """Ask the peers again and again until the milestone is reached, ``stop()``, or so many seconds have passed."""
        end = self._loop.time() + within
        while self.failure is None and not stop():
            self.reached.discard(milestone)
            ask()
            if self._loop.time() >= end:
                return  # the question leaves with the next effects
            self.carry_out()
            if milestone in self.reached:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LOOK_LATER)

    async def fetch(self, digest: str, saved_by: str | None, size: int | None = None) -> bool:
        """Get a blob of ``size`` bytes (None: unknown) from a peer that has it; False if none does. Returns at once if
        it is here already.

        Raises :class:`~aiohpo.Unavailable` if it cannot be stored here.
        """
        if digest in self.services.blobs:
            return True
        waiting = self._fetching.get(digest)
        if waiting is None:
            waiting = self._fetching[digest] = self._loop.create_future()
            # The waiting task may have been cancelled; then the error does not matter.
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
            self.state.fetch(self._loop.time(), digest, saved_by, size)
            self.carry_out()
        return await asyncio.shield(waiting)

    def _fetched(self, fetched: Fetched) -> None:
        if fetched.complete:
            check = self._loop.create_task(in_thread(self.services.blobs.finish, fetched.digest))
            check.add_done_callback(lambda done: self._verified(fetched.digest, done))
        else:
            self._answer(fetched.digest, False)

    def _verified(self, digest: str, check: asyncio.Future[bool]) -> None:
        ok = not check.cancelled() and check.exception() is None and check.result()
        if self.failure is None:
            self.state.verified(self._loop.time(), digest, ok)
            self.carry_out()
        if ok:
            self._answer(digest, True)

    def _store(self, store: Store) -> None:
        try:
            self.services.blobs.write_part(store.digest, store.offset, store.data)
        except OSError as error:
            self.state.give_up_fetch(store.digest)
            waiting = self._fetching.pop(store.digest, None)
            if waiting is not None and not waiting.done():
                waiting.set_exception(Unavailable(f"cannot write a checkpoint that a peer has: {in_words(error)}"))

    def _answer(self, digest: str, found: bool) -> None:
        waiting = self._fetching.pop(digest, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(found)

    async def keep_synced(self) -> None:
        """Make the journal durable once a second, in a thread; runs until cancelled."""
        while True:
            await asyncio.sleep(SYNC_EVERY)
            await self.sync()

    async def sync(self) -> None:
        """Write what could not be written before, and make it durable; what is wrong is in ``unwritten`` afterwards."""
        self.write()
        if self.services.journal is not None:
            try:
                await in_thread(self.services.journal.sync)
                self._unsynced = ""
            except JournalGone as error:
                self.fail(error)
            except Unavailable as error:
                self._unsynced = str(error)

    @property
    def unwritten(self) -> str:
        """Why the journal does not hold all events; empty if it does."""
        return self._unwritten or self._unsynced

    def write(self) -> None:
        """Write down what is to be written. What cannot be written waits: it is told to peers, who hold it as well,
        and the worker begins nothing new meanwhile."""
        if self._waiting and self.services.journal is not None:
            try:
                self.services.journal.append(_joined(self._waiting))
            except Unavailable as error:
                self._unwritten = str(error)
            else:
                self._waiting.clear()
                self._unwritten = ""

    def _write_down(self, batches: list[Batch]) -> None:
        if self.services.journal is not None:
            self._waiting += batches
        self.write()

    def _serve(self, serve: Serve) -> None:
        part = self.services.blobs.read_part(serve.digest, serve.offset, serve.most)
        total, data = part if part is not None else (None, b"")
        self.send(serve.peer, Chunk(serve.digest, serve.offset, total, data))

    def _describe(self, describe: Describe) -> None:
        self.send(describe.peer, Definition(self.services.definition))

    def _look_after(self, suspected: WorkerSuspected) -> None:
        if self.services.is_gone is not None and self.services.is_gone(suspected.worker):
            self.state.bury(suspected.worker, self._loop.time())

    def _recover(self, died: WorkerDied) -> None:
        if self.services.recover is not None:
            for batch in self.services.recover(died.worker):
                self.state.recover(self._loop.time(), batch)

    def _say(self, text: str) -> None:
        self.services.notice(text)

    def __repr__(self) -> str:
        return f"<Exchange of {self.worker}: {self.state!r}>"


def _joined(batches: list[Batch]) -> list[Batch]:
    """Join consecutive batches of one origin, so that they become one record."""
    joined = batches[:1]
    for batch in batches[1:]:
        both = joined[-1].join(batch)
        if both is None:
            joined.append(batch)
        else:
            joined[-1] = both
    return joined
