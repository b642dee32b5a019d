"""The visitor: a peer that joins a search to say one thing, and leaves.

It finds the search as a :class:`~aiohpo.runtime.spectator.Spectator` does, but joins as a peer, without slots and for a
few seconds: what it records (that the search is over, that failed trials are to be tried again) is an event like any
other, which all workers hear of at once and which stays in the log.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable, Sequence

from ..events.log import Log
from ..events.schema import Batch
from ..mesh.effects import Milestone
from ..mesh.timing import LEAVE_WITHIN, LOOK_SOON, Timing
from ..peer.ending import SAW_THE_END
from ..peer.state import PeerState
from ..plugin import Transport
from ..runtime.spectator import Spectator
from ..storage.journal import Journal
from ..view.view import View

_CAUGHT_UP_WITHIN = 5.0


class Visitor(Spectator):
    """Visits the search that is reached at ``addresses()``.

    Args:
        known: what is known of the study already; None: nothing.
        journal: where its events are kept, with the identity of the directory that it is in; None: with the others.
        gone: workers that are certainly dead.
    """

    state: PeerState

    def __init__(
        self,
        transport: Transport,
        worker: str,
        addresses: Callable[[], Sequence[str]],
        *,
        notice: Callable[[str], None],
        timing: Timing | None = None,
        known: tuple[Log, View] | None = None,
        journal: tuple[Callable[[], Journal], str] | None = None,
        gone: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(transport, worker, addresses, notice=notice, timing=timing, persist=self._write_down)
        self.gone = gone
        self._known = known
        self._open_journal: Callable[[], Journal] | None = None
        self._journal_id = ""
        if journal is not None:
            self._open_journal, self._journal_id = journal
        self._journal: Journal | None = None
        self._unwritten: list[Batch] = []  # a peer gives lost trials free, also one that has nothing to say yet

    def _make_state(self, view: View, study: str) -> PeerState:
        log, view = self._known or (Log(), view)
        return PeerState(
            me=self.worker,
            view=view,
            log=log,
            study=study,
            address=self.transport.address,
            seed=0,
            now=self._loop.time(),
            timing=self._timing,
            shared_journal=self._journal_id,
            gone=self.gone,
        )

    async def meet(self) -> None:
        """Join, and hear what the others know, or what of it arrives in time. Raises ``UsageError`` if no peer is
        met."""
        await self.start()
        await self._until(Milestone.CAUGHT_UP, self._loop.time() + _CAUGHT_UP_WITHIN)

    async def say(self, speak: Callable[[PeerState], None]) -> None:
        """Let ``speak`` record something, and see that the others have it; to be called once, after :meth:`meet`."""
        if self._open_journal is not None:
            self._journal = self._open_journal()
        self.state.begin(time.time(), platform.node(), os.getpid(), None)
        speak(self.state)
        self.state.leave(time.time(), SAW_THE_END, self._loop.time())
        self.driver.carry_out()
        self.poll()  # raises what went wrong
        end = self._loop.time() + LEAVE_WITHIN
        while Milestone.FLUSHED not in self.driver.reached and self._loop.time() < end:
            self.state.ask_whether_flushed()
            self.driver.carry_out()
            await asyncio.sleep(LOOK_SOON)

    async def aclose(self) -> None:
        """Say goodbye and close."""
        await super().aclose()
        if self._journal is not None:
            self._journal.close()

    def _write_down(self, batches: list[Batch]) -> None:
        self._unwritten += batches
        if self._journal is not None:
            self._journal.append(self._unwritten)
            self._unwritten = []

    def __repr__(self) -> str:
        what = repr(self.state) if self._joined else "not joined"
        return f"<Visitor {self.worker}: {what}>"
