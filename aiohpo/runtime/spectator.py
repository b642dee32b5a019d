"""The spectator, which watches a search over the network and takes no part in it.

It knows nothing but an address. It asks there what is searched (:class:`~aiohpo.mesh.frames.Inquire`) until a
definition comes, makes a view of it and joins as a :class:`~aiohpo.peer.spectator.SpectatorState`, without a journal,
an evaluator or a searcher: so it hears what workers hear, and repairs what it missed. Nothing is recorded and no worker
depends on it; see :mod:`aiohpo.mesh.links` for how they treat it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import UsageError
from ..events.log import Log
from ..events.schema import Batch, Malformed
from ..keys import StudyKey
from ..launch.addresses import make_transport, transport_class
from ..mesh.effects import Milestone, Reached
from ..mesh.frames import FORMAT, Definition, Inquire, Refused, decode_frame, encode_frame
from ..mesh.health import Health
from ..mesh.timing import ANSWER_WITHIN, ASK_AGAIN, PONG_WITHIN, Timing
from ..peer.spectator import SpectatorState
from ..peer.state import PeerState
from ..plugin import Transport
from ..text import printable
from ..view.view import View
from .assembly.services import new_worker_id
from .driver import Driver

_MOST_SAID = 300  # characters of a stranger's words
_NO_STUDY = bytes(4)


def spectator_id() -> str:
    """A name for a spectator; people who see it somewhere know what it is."""
    return f"watch-{new_worker_id()}"


def spectator_transport(name: str, worker: str, key: StudyKey | None = None) -> Transport:
    """Make the transport of a spectator, which accepts no connections but must not be mistaken for another peer.

    Peers tell each other apart by address. That of a spectator is never dialled, but two of them on two machines
    could have the same one, their loopback address: so it advertises its own name instead.
    """
    return make_transport(name, worker=worker, advertise=transport_class(name).undialled_address(worker), key=key)


class Spectator:
    """Watches the search that is reached at ``addresses()``."""

    def __init__(
        self,
        transport: Transport,
        worker: str,
        addresses: Callable[[], Sequence[str]],
        *,
        notice: Callable[[str], None],
        timing: Timing | None = None,
        persist: Callable[[list[Batch]], None] = lambda batches: None,
    ) -> None:
        self.transport = transport
        self.worker = worker
        self.name = ""  # who answered
        self.study: dict[str, Any] = {}
        self.state: SpectatorState | PeerState  # set by start()
        self.driver = Driver(
            transport, self._tell, {Reached: self._on_progress}, persist=persist, on_failure=self._on_progress
        )
        self._addresses = addresses
        self._timing = timing
        self._notice = notice
        self._last_notice = ""
        self._told = 0  # events that poll() counted
        self._answer: asyncio.Future[tuple[str, Definition]]
        self._progress = asyncio.Event()
        self._joined = False

    # --------------------------------------------------------------------------------------------- life
    async def start(self, within: float = ANSWER_WITHIN) -> None:
        """Find out what is searched and join. Raises ``UsageError`` if there is no answer ``within`` seconds."""
        self._loop = asyncio.get_running_loop()
        self._answer = self._loop.create_future()
        end = self._loop.time() + within
        await self.driver.open(self._before_joining)
        try:
            peer, definition = await self._inquire(end)
            self._join(peer, definition)
            if not await self._until(Milestone.MET, end):
                raise UsageError(f"{peer} answered but does not let us join{self._why()}")
        except BaseException:
            await self.aclose()
            raise

    async def _inquire(self, end: float) -> tuple[str, Definition]:
        asked: Sequence[str] = ()
        while not self._answer.done() and self._loop.time() < end:
            asked = self._addresses()
            for address in asked:
                try:
                    self.transport.connect(address)
                except UsageError:
                    raise
                except ValueError as error:
                    raise UsageError(f"cannot connect to {address!r}: {error}") from None
                self.transport.send(address, encode_frame(_NO_STUDY, Inquire()))
            await asyncio.wait([self._answer], timeout=min(ASK_AGAIN, max(end - self._loop.time(), 0.0)))
        if not self._answer.done():
            where = ", ".join(asked[:3]) + (f" and {len(asked) - 3} more" if len(asked) > 3 else "")
            raise UsageError(
                f"no answer from {where or 'any peer: no addresses'}{self._why()}. Is a worker running there, "
                "listening at that address and not at loopback only? Is it the study's key that was given (--key)? "
                "Does a firewall let the port through?"
            )
        return self._answer.result()

    def _why(self) -> str:
        return f" ({self._last_notice})" if self._last_notice else ""

    def _join(self, peer: str, definition: Definition) -> None:
        try:
            self.study = study = json.loads(definition.json)
            view = View.of_study(study)
            bytes.fromhex(study["study"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"{peer} answered with something that is not a study: {printable(str(error), _MOST_SAID)}"
            ) from None
        self.state = self._make_state(view, study["study"])
        self.name = peer
        self._joined = True
        self.driver.begin(self.state)
        self.state.join([peer], self._loop.time())
        self.driver.carry_out()

    def _make_state(self, view: View, study: str) -> SpectatorState | PeerState:
        return SpectatorState(
            me=self.worker,
            view=view,
            study=study,
            address=self.transport.address,
            now=self._loop.time(),
            timing=self._timing,
        )

    async def catch_up(self, within: float = ANSWER_WITHIN) -> bool:
        """Wait until all that some worker knew has arrived, and the first ping was answered."""
        end = self._loop.time() + within
        caught_up = await self._until(Milestone.CAUGHT_UP, end)
        await self._until(Milestone.MEASURED, min(end, self._loop.time() + PONG_WITHIN))
        return caught_up

    async def _until(self, milestone: Milestone, end: float) -> bool:
        """Wait for a milestone; whether it was reached."""
        while milestone not in self.driver.reached and self.driver.failure is None and self._loop.time() < end:
            self._progress.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._progress.wait()
            except TimeoutError:
                break
        return milestone in self.driver.reached

    def _on_progress(self, _: Reached | None = None) -> None:
        self._progress.set()

    async def aclose(self) -> None:
        """Say goodbye and close."""
        if self._joined and self.driver.failure is None:
            self.state.goodbye()
            self.driver.carry_out()
        self._joined = False
        self.driver.stop()
        await self.transport.aclose()

    # ------------------------------------------------------------------------------------------ watching
    @property
    def view(self) -> View:
        return self.state.view

    @property
    def log(self) -> Log:
        return self.state.log

    def poll(self) -> int:
        """Return how many events arrived since the last call. Raises what broke the spectator."""
        if self.driver.failure is not None:
            raise self.driver.failure
        before, self._told = self._told, self.state.log.size
        return self._told - before

    def states(self) -> dict[str, str]:
        """What the mesh believes of each worker; one that it never met was gone before."""
        return self.state.states()

    def health(self) -> Health:
        """What this spectator measures of the mesh."""
        return self.state.health(self._loop.time(), self.driver.frames_out, self.driver.bytes_out)

    # ------------------------------------------------------------------------------------------ exchange
    def _before_joining(self, peer: str, data: bytes) -> None:
        try:
            frame = decode_frame(_NO_STUDY, data)
        except Malformed:
            return  # workers talk; what about is not known yet
        if data[0] != FORMAT:
            self._last_notice = f"{peer} speaks format version {data[0]}, this is version {FORMAT}"
        elif isinstance(frame, Definition) and not self._answer.done():
            self._answer.set_result((peer, frame))
        elif isinstance(frame, Refused):
            self._last_notice = f"{peer} refused us: {printable(frame.reason, _MOST_SAID)}"

    def _tell(self, text: str) -> None:
        self._last_notice = text
        self._notice(text)

    def __repr__(self) -> str:
        what = repr(self.state) if self._joined else "not joined"
        return f"<Spectator {self.worker}: {what}>"
