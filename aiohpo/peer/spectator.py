"""A spectator without its shell: a replica of the study that is kept in step and records nothing.

Like that of :class:`~aiohpo.peer.state.PeerState`, its door in are its methods, and its door out is :meth:`drain`. The
workers know that it is one (:mod:`aiohpo.mesh.spectating`).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..events.log import Log
from ..mesh.effects import Effect, Publish
from ..mesh.health import Health
from ..mesh.node import Node
from ..mesh.spectating import SpectatorMesh
from ..mesh.timing import Timing
from ..view.view import View


class SpectatorState:
    """One spectator of the study with the hash ``study``; ``me`` and ``address`` name it to the workers."""

    def __init__(
        self, *, me: str, view: View, study: str, address: str, now: float, timing: Timing | None = None
    ) -> None:
        self.view = view
        self.log = Log()
        self.node = Node(me, study, address, self.log, seed=0, now=now, timing=timing or Timing(), links=SpectatorMesh)
        self._out: list[Effect] = []

    @property
    def tag(self) -> bytes:
        """What the frames of this study begin with."""
        return self.node.tag

    def drain(self) -> list[Effect]:
        """Take the effects collected since the last call, in the order to carry them out.

        What a spectator would publish is left out: no worker listens to it.
        """
        out: list[Effect] = [effect for effect in self._out if not isinstance(effect, Publish)]
        self._out.clear()
        return out

    def join(self, addresses: Iterable[str], now: float) -> None:
        """Greet these addresses until one answers."""
        self._out += self.node.join(addresses, now)

    def receive(self, now: float, peer: str, data: bytes) -> None:
        """Handle one frame from the worker at address ``peer``. Never raises for what it contains."""
        try:
            new, effects = self.node.receive(now, peer, data)
            for fresh in new:
                for origin, seq, event in fresh:
                    self.view.apply(origin, seq, event, fresh.again)
            self._out += effects
        except Exception as error:
            self._out += self.node.survive(peer, error)

    def tick(self, now: float) -> None:
        """Do what is due."""
        self._out += self.node.tick(now)

    def next_deadline(self) -> float:
        """When :meth:`tick` wants to be called next."""
        return self.node.next_deadline()

    def goodbye(self) -> None:
        """Tell the workers that this spectator is gone."""
        self._out += self.node.mesh.leave()

    def states(self) -> dict[str, str]:
        """What the mesh believes of each worker; one that it never met was gone before."""
        workers = self.view.workers
        states = {name: "dead" for name, info in workers.items() if info.started is not None} | self.node.states()
        return self.view.with_departures(states)

    def health(self, now: float, frames_out: int, bytes_out: int) -> Health:
        """What this spectator measures of the mesh; the shell knows how much it sent."""
        return self.node.health(now, frames_out, bytes_out)

    def __repr__(self) -> str:
        return f"<SpectatorState: {self.view!r}, {self.node.mesh.membership!r}>"
