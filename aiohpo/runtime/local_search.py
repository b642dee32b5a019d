"""Workers of one process that search together, as ``Study.run(workers=4)`` starts them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..peer.ending import EndReason, SearchEnd
from ..plugin import Identity
from .assembly.services import Services, new_worker_id
from .peer import Peer

if TYPE_CHECKING:
    from ..ensembles.ensemble import Ensemble


class LocalSearch:
    """Several peers of this process, from their start to their end.

    Args:
        workers: how many.
        make_services: puts together what the worker of an identity needs that joins the given addresses.
    """

    def __init__(self, workers: int, make_services: Callable[[Sequence[str], Identity], Services]) -> None:
        self.peers: list[Peer] = []
        self._workers = workers
        self._make_services = make_services
        self._stopping = False

    async def run(self) -> None:
        """Search until the search is over or :meth:`stop` is called. Raises what broke a worker."""
        try:
            for rank in range(self._workers):
                first = [peer.services.transport.address for peer in self.peers[:1]]
                peer = Peer(self._make_services(first, Identity(new_worker_id(), rank, self._workers)))
                await peer.start()
                self.peers.append(peer)
                if self._stopping:  # while it was starting
                    self.stop()
                    break
            async with asyncio.TaskGroup() as group:
                for peer in self.peers:
                    group.create_task(peer.run())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            for peer in self.peers:
                await peer.aclose()

    def stop(self, grace: float = 0.0) -> None:
        """End all workers in good order, those included that have yet to start. What runs has ``grace`` seconds."""
        self._stopping = True
        for peer in self.peers:
            peer.stop(grace)

    @property
    def interrupted(self) -> bool:
        """Whether :meth:`stop` ended it."""
        return any(peer.stopped for peer in self.peers)

    @property
    def end(self) -> SearchEnd | None:
        """Why the search is over; None if it is not. That a worker's time was up counts only if it was for all."""
        ends = [peer.end for peer in self.peers if peer.end is not None]
        return min(ends, key=lambda end: end.reason is EndReason.TIME_UP, default=None)

    @property
    def ensemble(self) -> Ensemble | None:
        """The ensemble that one of the workers made."""
        made = (peer.ensembling.state for peer in self.peers if peer.ensembling is not None)
        return next((state.ensemble for state in made if state is not None), None)

    def __repr__(self) -> str:
        return f"<LocalSearch by {len(self.peers)} of {self._workers} workers>"
