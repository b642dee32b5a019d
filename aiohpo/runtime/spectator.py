"""The observer: somebody who watches a search over the network and takes no part in it.

It knows nothing but an address. It asks there what is searched (:class:`~aiohpo.mesh.frames.Inquire`) until a
definition comes, makes a view of it and then runs the very state that workers run, without a journal, an evaluator or a
searcher: so it hears what they hear, and repairs what it missed. Nothing is recorded and nobody counts on it; see
:mod:`aiohpo.mesh.links` for how the workers treat it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import UsageError
from ..events.codec import decode_batch
from ..events.log import Log
from ..events.schema import Fresh, Malformed, Seen
from ..keys import StudyKey
from ..launch.addresses import make_transport, transport_class
from ..mesh.effects import Connect, Disconnect, Effect, Notice, Send
from ..mesh.frames import FORMAT, Definition, Frame, Inquire, Refused, decode_frame, encode_frame
from ..mesh.health import Health
from ..mesh.timing import ANSWER_WITHIN, ASK_AGAIN, PONG_WITHIN, Timing
from ..peer.state import WorkerState
from ..plugin import TellingTransport, Transport
from ..space.space import Space
from ..text import printable
from ..view.view import View
from .services import new_worker_id

_MOST_SAID = 300  # characters of a stranger's words
_NO_STUDY = bytes(4)


def observer_id() -> str:
    """A name for an observer; people who see it somewhere know what it is."""
    return f"watch-{new_worker_id()}"


def observer_transport(name: str, worker: str, key: StudyKey | None = None) -> Transport:
    """Make the transport of an observer, which listens to nobody but must not be mistaken for somebody else.

    Peers tell each other apart by address. That of an observer is never dialled, but two of them on two machines
    could have the same one, their loopback address: so it advertises its own name instead.
    """
    return make_transport(name, worker=worker, advertise=transport_class(name).undialled_address(worker), key=key)


class Observer:
    """Watches the search that is reached at ``addresses()``."""

    def __init__(
        self,
        transport: Transport,
        worker: str,
        addresses: Callable[[], Sequence[str]],
        *,
        notice: Callable[[str], None],
        timing: Timing | None = None,
    ) -> None:
        self.transport = transport
        self.worker = worker
        self.name = ""  # who answered
        self.study: dict[str, Any] = {}
        self.state: WorkerState  # set by start()
        self.failure: BaseException | None = None
        self.frames_out = 0
        self.bytes_out = 0
        self._addresses = addresses
        self._timing = timing
        self._notice = notice
        self._last_notice = ""
        self._told: dict[str, int] = {}  # origin -> events that poll() returned
        self._answer: asyncio.Future[tuple[str, Definition]]
        self._progress = asyncio.Event()
        self._joined = False
        self._timer: asyncio.TimerHandle | None = None

    # --------------------------------------------------------------------------------------------- life
    async def start(self, within: float = ANSWER_WITHIN) -> None:
        """Find out what is searched and join. Raises ``UsageError`` if nobody answers ``within`` seconds."""
        self._loop = asyncio.get_running_loop()
        self._answer = self._loop.create_future()
        if isinstance(self.transport, TellingTransport):
            self.transport.report_to(self._tell)
        end = self._loop.time() + within
        await self.transport.start(self._on_frame)
        try:
            peer, definition = await self._inquire(end)
            self._join(peer, definition)
            await self._until(lambda: bool(self.state.mesh.membership.members), end)
            if not self.state.mesh.membership.members:
                raise UsageError(f"{peer} told what it searches but does not let us join{self._why()}")
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
                self._send(address, _NO_STUDY, Inquire())
            await asyncio.wait([self._answer], timeout=min(ASK_AGAIN, max(end - self._loop.time(), 0.0)))
        if not self._answer.done():
            where = ", ".join(asked[:3]) + (f" and {len(asked) - 3} more" if len(asked) > 3 else "")
            raise UsageError(
                f"no answer from {where or 'anybody: nobody left an address'}{self._why()}. Is a worker running there, "
                "listening at that address and not at loopback only? Is it the study's key that was given (--key)? "
                "Does a firewall let the port through?"
            )
        return self._answer.result()

    def _why(self) -> str:
        return f" ({self._last_notice})" if self._last_notice else ""

    def _join(self, peer: str, definition: Definition) -> None:
        try:
            self.study = study = json.loads(definition.json)
            view = View(Space.from_dict(study["space"]), study["metric"], study["mode"], study.get("max_steps"))
            bytes.fromhex(study["study"])
            if study["mode"] not in ("min", "max"):
                raise ValueError(f"its mode is {study['mode']!r}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(f"{peer} answered with what is no study: {printable(str(error), _MOST_SAID)}") from None
        self.state = WorkerState(
            me=self.worker,
            view=view,
            log=Log(),
            study=study["study"],
            address=self.transport.address,
            seed=0,
            now=self._loop.time(),
            timing=self._timing,
            observer=True,
        )
        self.name = peer
        self._joined = True
        self.state.join([peer], self._loop.time())
        self._carry_out()

    async def catch_up(self, within: float = ANSWER_WITHIN) -> bool:
        """Wait until all that some worker knew has arrived, and the first ping was answered."""
        end = self._loop.time() + within
        await self._until(lambda: self.state.gossip.caught_up, end)
        await self._until(lambda: self.state.mesh.round_trip > 0, min(end, self._loop.time() + PONG_WITHIN))
        return self.state.gossip.caught_up

    async def _until(self, condition: Callable[[], bool], end: float) -> None:
        while not condition() and self.failure is None and self._loop.time() < end:
            self._progress.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._progress.wait()
            except TimeoutError:
                return

    async def aclose(self) -> None:
        """Say goodbye and close."""
        if self._joined and self.failure is None:
            self.state.goodbye()
            self._carry_out()
        self._joined = False
        if self._timer is not None:
            self._timer.cancel()
        await self.transport.aclose()

    # ------------------------------------------------------------------------------------------ watching
    @property
    def view(self) -> View:
        return self.state.view

    def poll(self) -> list[Seen]:
        """Events that arrived since the last call. Raises what broke the observer."""
        if self.failure is not None:
            raise self.failure
        log = self.state.log
        new: list[Seen] = []
        for origin in log.origins:
            first = self._told.get(origin, 0) + 1
            if log.count(origin) >= first:
                new += Fresh(origin, first, decode_batch(log.batch(origin, first)))
                self._told[origin] = log.count(origin)
        return new

    def states(self) -> dict[str, str]:
        """What the mesh believes of each worker; one that it never met was gone before."""
        workers, members = self.view.workers, self.state.mesh.membership.members
        states = {name: "dead" for name, info in workers.items() if info.started is not None}
        states |= {name: member.state.name.lower() for name, member in members.items()}
        return states | {name: "left" for name, info in workers.items() if info.left is not None}

    def health(self) -> Health:
        state = self.state
        membership = state.mesh.membership
        heard = max((m.heard for m in membership.members.values()), default=self._loop.time())
        return Health(
            links=len(state.gossip.peers),
            round_trip=state.mesh.round_trip or None,
            silent=max(self._loop.time() - heard, 0.0),
            repairs=state.gossip.repairs,
            duplicates=state.gossip.duplicates,
            dropped=state.counters.malformed + state.counters.foreign + state.gossip.malformed,
            frames_in=state.counters.frames,
            bytes_in=state.counters.bytes,
            frames_out=self.frames_out,
            bytes_out=self.bytes_out,
        )

    # ------------------------------------------------------------------------------------------ exchange
    def _on_frame(self, peer: str, data: bytes) -> None:
        if not self._joined:
            self._before_joining(peer, data)
        elif self.failure is None:
            try:
                self.state.receive(self._loop.time(), peer, data)
                self._carry_out()
            except Exception as error:
                self.failure = error
        self._progress.set()

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

    def _on_timer(self) -> None:
        self._timer = None
        if self.failure is None and self._joined:
            try:
                self.state.tick(self._loop.time())
                self._carry_out()
            except Exception as error:
                self.failure = error

    def _carry_out(self) -> None:
        while effects := self.state.drain():
            for effect in effects:
                self._do(effect)
        self.state.ended.clear()
        self.state.newly_dead()
        self.state.newly_suspect()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self.state.next_deadline(), self._on_timer)

    def _do(self, effect: Effect) -> None:
        """Nothing is kept, and what is published reaches nobody: those effects are passed over."""
        match effect:
            case Send(peer, frame):
                self._send(peer, self.state.tag, frame)
            case Connect(address):
                try:
                    self.transport.connect(address)
                except ValueError as error:
                    self._tell(f"cannot connect to {address!r}: {error}")
            case Disconnect(address):
                self.transport.disconnect(address)
            case Notice(text):
                self._tell(text)

    def _send(self, peer: str, tag: bytes, frame: Frame) -> None:
        data = encode_frame(tag, frame)
        self.frames_out += 1
        self.bytes_out += len(data)
        self.transport.send(peer, data)

    def _tell(self, text: str) -> None:
        self._last_notice = text
        self._notice(text)

    def __repr__(self) -> str:
        what = repr(self.state) if self._joined else "not joined"
        return f"<Observer {self.worker}: {what}>"
