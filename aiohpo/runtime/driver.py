"""The driver: what carries out the effects of a pure state, a peer's or a spectator's.

Frames come in by callback and a timer calls when the state has something due; both are told to the state, and
:meth:`Driver.carry_out` then does what it asks for, in order: first the journal, then the wire, so that what any peer
ever heard is on disk. What frames that arrive together ask for is done together. No method waits for a peer.

The driver itself knows the transport. Every other kind of effect has a handler or is passed over: a spectator, which
keeps nothing and runs nothing, needs fewer of them than a peer (:mod:`aiohpo.runtime.exchange`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..events.schema import Batch
from ..mesh.effects import Connect, Disconnect, Effect, Milestone, Notice, Persist, Publish, Reached, Send
from ..mesh.frames import Frame, encode_frame
from ..mesh.timing import COLLECT_FOR
from ..plugin import TellingTransport, Transport


class Drivable(Protocol):
    """A pure state: :class:`aiohpo.peer.state.PeerState` or :class:`aiohpo.peer.spectator.SpectatorState`."""

    @property
    def tag(self) -> bytes: ...
    def receive(self, now: float, peer: str, data: bytes) -> None: ...
    def tick(self, now: float) -> None: ...
    def next_deadline(self) -> float: ...
    def drain(self) -> list[Effect]: ...


class Driver:
    """Owns one state, its transport and its timer.

    transport   is started by :meth:`open` and closed by the owner
    tell        takes what people should hear, a line at a time
    handlers    carry out the effects of a kind each, called with one
    persist     writes events down, before anything else of the same round is carried out
    on_failure  is called once if the state or what carries out its effects raises: ``failure`` says what, and nothing
                leaves from then on
    """

    def __init__(
        self,
        transport: Transport,
        tell: Callable[[str], None],
        handlers: Mapping[type[Effect], Callable[[Any], None]],
        *,
        persist: Callable[[list[Batch]], None] = lambda batches: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.transport = transport
        self.state: Drivable  # set by begin()
        self.failure: BaseException | None = None
        self.reached: set[Milestone] = set()
        self.frames_out = 0
        self.bytes_out = 0
        self._tell = tell
        self._on_failure = on_failure
        self._persist = persist
        own: dict[type[Effect], Callable[[Any], None]] = {
            Publish: self._publish,
            Send: lambda effect: self.send(effect.peer, effect.frame),
            Connect: self._connect,
            Disconnect: lambda effect: transport.disconnect(effect.address),
            Notice: lambda effect: tell(effect.text),
            Reached: lambda effect: self.reached.add(effect.milestone),
        }
        self._handlers = {
            kind: [by[kind] for by in (own, handlers) if kind in by] for kind in own.keys() | handlers.keys()
        }
        self._strangers: Callable[[str, bytes], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self._is_behind = False  # whether carry_out() is to be called in the loop's next turn

    async def open(self, strangers: Callable[[str, bytes], None] | None = None) -> None:
        """Start the transport; what arrives before :meth:`begin` goes to ``strangers``."""
        self._loop = asyncio.get_running_loop()
        self._strangers = strangers
        if isinstance(self.transport, TellingTransport):
            self.transport.report_to(self._tell)
        await self.transport.start(self._on_frame)

    def begin(self, state: Drivable) -> None:
        """Carry out the effects of ``state`` from now on."""
        self.state = state
        self._strangers = None

    def stop(self) -> None:
        """Call the state no more at its deadlines."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_due = float("inf")

    def fail(self, error: BaseException) -> None:
        """Note that it cannot go on: from now on nothing leaves."""
        if self.failure is None:
            self.failure = error
            self.stop()
            self._on_failure()

    def carry_out(self) -> None:
        """Do what the state asks for, in order; then see when it wants to be called next."""
        while effects := self.state.drain():
            self._do(effects)
        due = self.state.next_deadline()
        if due < self._timer_due:
            self.stop()
            self._timer_due = due
            self._timer = self._loop.call_at(max(due, self._loop.time() + COLLECT_FOR), self._on_timer)

    def _on_frame(self, peer: str, data: bytes) -> None:
        if self._strangers is not None:
            self._strangers(peer, data)
        elif self.failure is None:
            try:
                self.state.receive(self._loop.time(), peer, data)
            except Exception as error:
                self.fail(error)
            if not self._is_behind:
                self._is_behind = True
                self._loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        self._is_behind = False
        if self.failure is None:
            try:
                self.carry_out()
            except Exception as error:
                self.fail(error)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_due = float("inf")
        if self.failure is None:
            try:
                self.state.tick(self._loop.time())
                self.carry_out()
            except Exception as error:
                self.fail(error)

    def _do(self, effects: list[Effect]) -> None:
        self._persist([effect.batch for effect in effects if type(effect) is Persist])
        for effect in effects:
            for handler in self._handlers.get(type(effect), ()):
                handler(effect)

    def _publish(self, effect: Publish) -> None:
        data = encode_frame(self.state.tag, effect.frame)
        self.frames_out += 1
        self.bytes_out += len(data)
        self.transport.publish(data)

    def _connect(self, effect: Connect) -> None:
        try:
            self.transport.connect(effect.address)
        except ValueError as error:
            self._tell(f"cannot connect to {effect.address!r}: {error}")

    def send(self, peer: str, frame: Frame) -> None:
        """Send a frame to one peer, named by its address."""
        data = encode_frame(self.state.tag, frame)
        self.frames_out += 1
        self.bytes_out += len(data)
        self.transport.send(peer, data)
