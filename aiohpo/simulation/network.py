"""A network in virtual time that delays, drops, duplicates, reorders, partitions and crashes.

Theory
------
:class:`SimTransport` implements :class:`aiohpo.plugin.Transport`; a :class:`SimNetwork` carries its
frames and decides, from a seed, what becomes of each. With its defaults it keeps to what a transport
promises: whole frames, in order per link while the link lives. Duplication and reordering go beyond that, as
a protocol that repairs itself should stand them too.

link       An ordered pair of addresses and a kind, "publish" or "send": as with real sockets, a frame sent to
           a peer may overtake one published before it.
settling   A subscription works one network delay after ``connect``, or after the publisher's start if that is
           later. What was published before is lost to that subscriber, as with ZeroMQ.
partition  A frame is lost if its link is cut when it leaves or when it would arrive.
crash      What is in flight from and to the address is lost, and its endpoint does nothing any more. Another
           endpoint may start at the same address; peers connected to the address will hear it.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from aiohpo.errors import UsageError
from aiohpo.plugin.transport import check_frame
from aiohpo.simulation.loop import SimLoop

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohpo.plugin import OnFrame


@dataclass(slots=True)
class Traffic:
    """What an address sent and received, in frames and bytes.

    A frame published to five subscribers counts five times. ``lost`` are frames it sent that did not arrive.
    """

    sent: int = 0
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    lost: int = 0


@dataclass(slots=True, eq=False)
class _SimLink:
    source: str
    target: str
    published: bool
    queue: deque[bytes] = field(default_factory=deque)
    last: float = 0.0  # arrival time of the last frame in the queue
    astray: int = 0  # frames under way outside the queue, because they were chosen to be reordered
    cut: bool = False  # source or target crashed: whatever is under way is lost


class SimNetwork:
    """Connect simulated endpoints.

    Args:
        seed: decides every delay and fault.
        delay: lowest and highest delay of a frame, in seconds; uniform in between.
        loss, duplicate, reorder: probability, per frame, of each fault. A reordered frame leaves its link's
            order and takes up to four times the highest delay.
        capacity: frames that a link holds; ``send`` returns False and ``publish`` drops beyond that.
        trace: record every event in :attr:`trace`, for comparing two runs.

    All but the seed may be changed, as attributes of the same names, while the network runs.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        delay: tuple[float, float] = (0.001, 0.01),
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        capacity: int = 10_000,
        trace: bool = False,
    ) -> None:
        self.seed = seed
        self.delay = delay
        self.loss = loss
        self.duplicate = duplicate
        self.reorder = reorder
        self.capacity = capacity
        self.traffic: defaultdict[str, Traffic] = defaultdict(Traffic)
        self.trace: list[tuple[float, str, str, str, int]] | None = [] if trace else None
        self._random = random.Random(f"{seed}:network")
        self._endpoints: dict[str, SimTransport] = {}
        # publisher -> subscriber -> when the subscription works. Dicts, as sets have no reproducible order.
        self._subscribers: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._links: dict[tuple[str, str, bool], _SimLink] = {}
        self._side: dict[str, int] | None = None
        self._cuts: set[tuple[str, str]] = set()

    def __repr__(self) -> str:
        faults = [f"{k} {v:g}" for k in ("loss", "duplicate", "reorder") if (v := getattr(self, k))]
        if self._side is not None or self._cuts:
            faults.append("partitioned")
        return f"<SimNetwork seed={self.seed} of {len(self._endpoints)}: {', '.join(faults) or 'no faults'}>"

    def endpoint(self, worker: str, bind: str | None = None) -> SimTransport:
        """Return a new endpoint, to be started, at ``bind`` or at ``sim://`` and the worker's id."""
        return SimTransport(self, worker=worker, bind=bind)

    def degree(self, address: str) -> int:
        """Return how many peers ``address`` is linked with, whichever side connected."""
        endpoint = self._endpoints.get(address)
        return len({*(endpoint.connected if endpoint else ()), *self._subscribers[address]})

    # ------------------------------------------------------------------------------------------- faults
    def partition(self, *groups: Collection[str]) -> None:
        """Let nothing pass between the groups of addresses. Who is in none is in a further group."""
        self._side = {address: number for number, group in enumerate(groups) for address in group}

    def cut(self, source: str, target: str) -> None:
        """Let nothing pass from ``source`` to ``target``; the way back stays open."""
        self._cuts.add((source, target))

    def heal(self) -> None:
        """Undo every :meth:`partition` and :meth:`cut`."""
        self._side = None
        self._cuts.clear()

    def crash(self, address: str) -> None:
        """Kill the endpoint at ``address`` without a word to its peers. The caller stops the code behind it."""
        self._note("crash", address, address, b"")
        self._remove(address, also_from=True)

    def _remove(self, address: str, *, also_from: bool) -> None:
        endpoint = self._endpoints.pop(address, None)
        if endpoint is None:
            return
        endpoint.alive = False
        for publisher in endpoint.connected:
            self._subscribers[publisher].pop(address, None)
        gone = [k for k in self._links if k[1] == address or (also_from and k[0] == address)]
        for key in gone:
            link = self._links.pop(key)
            link.cut = True
            self.traffic[link.source].lost += len(link.queue)
            link.queue.clear()

    def _blocked(self, source: str, target: str) -> bool:
        if self._side is None and not self._cuts:
            return False
        if self._side is not None and self._side.get(source) != self._side.get(target):
            return True
        return (source, target) in self._cuts

    # ------------------------------------------------------------------------ what endpoints do with it
    def _add(self, endpoint: SimTransport) -> None:
        address = endpoint.address
        if address in self._endpoints:
            raise UsageError(f"{address} is in use; give each endpoint an address of its own")
        self._endpoints[address] = endpoint
        for subscriber in self._subscribers[address]:
            self._subscribe(subscriber, address)

    def _subscribe(self, subscriber: str, publisher: str) -> None:
        now = asyncio.get_running_loop().time()
        self._subscribers[publisher][subscriber] = now + self._random.uniform(*self.delay)

    def _publish(self, source: str, frame: bytes) -> None:
        now = asyncio.get_running_loop().time()
        for subscriber, since in self._subscribers[source].items():
            if since <= now:
                self._transmit(source, subscriber, True, frame)

    def _linked(self, one: str, other: str) -> bool:
        return one in self._subscribers[other] or other in self._subscribers[one]

    def _transmit(self, source: str, target: str, published: bool, frame: bytes) -> bool:
        key = (source, target, published)
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = _SimLink(source, target, published)
        if len(link.queue) + link.astray >= self.capacity:
            return False
        traffic = self.traffic[source]
        copies = 1
        if self.duplicate and self._random.random() < self.duplicate:
            copies = 2
        for _ in range(copies):
            traffic.sent += 1
            traffic.sent_bytes += len(frame)
            if self.trace is not None:
                self._note("leave", source, target, frame)
            lost = self.loss and self._random.random() < self.loss
            if lost or target not in self._endpoints or self._blocked(source, target):
                traffic.lost += 1
            else:
                self._dispatch(link, frame)
        return True

    def _dispatch(self, link: _SimLink, frame: bytes) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop), "this network is one of virtual time"
        low, high = self.delay
        if self.reorder and self._random.random() < self.reorder:
            link.astray += 1
            loop.call_later(self._random.uniform(low, 4 * high), self._arrive_astray, link, frame)
            return
        # The timer takes the head of the queue when it rings, so that order holds even where two frames
        # arrive at the same instant and the loop shuffles their timers.
        link.last = max(link.last, loop.time() + self._random.uniform(low, high))
        link.queue.append(frame)
        loop.deliver_at(link.last, self._arrive_in_order, link)

    def _arrive_in_order(self, link: _SimLink) -> None:
        if not link.cut:
            self._deliver(link, link.queue.popleft())

    def _arrive_astray(self, link: _SimLink, frame: bytes) -> None:
        link.astray -= 1
        if link.cut:
            self.traffic[link.source].lost += 1
        else:
            self._deliver(link, frame)

    def _deliver(self, link: _SimLink, frame: bytes) -> None:
        source, target = link.source, link.target
        endpoint = self._endpoints[target]
        heard = not link.published or source in endpoint.connected
        if not heard or self._blocked(source, target):
            self.traffic[source].lost += 1
            return
        traffic = self.traffic[target]
        traffic.received += 1
        traffic.received_bytes += len(frame)
        if self.trace is not None:
            self._note("arrive", source, target, frame)
        endpoint._receive(source, frame)

    def _note(self, event: str, source: str, target: str, frame: bytes) -> None:
        if self.trace is not None:
            now = asyncio.get_running_loop().time()
            self.trace.append((now, event, source, target, zlib.crc32(frame)))


class SimTransport:
    """An endpoint of a :class:`SimNetwork`; its addresses are ``sim://`` and any name.

    ``connected`` holds the addresses it is connected to, in that order; ``alive`` is False once it was closed
    or crashed, and then every method does nothing.
    """

    address_form: ClassVar[str] = "sim://name"
    any_address: ClassVar[str | None] = None

    def __init__(self, network: SimNetwork, *, worker: str, bind: str | None = None) -> None:
        self.network = network
        self.worker = worker
        self.connected: dict[str, None] = {}
        self.alive = False
        self._address = _checked(bind or f"sim://{worker}")
        self._heard: set[str] = set()
        self._on_frame: OnFrame | None = None

    def __repr__(self) -> str:
        state = "alive" if self.alive else "dead" if self._on_frame else "not started"
        return f"<SimTransport {self._address} {state}, {len(self.connected)} connected>"

    @staticmethod
    def is_local(address: str) -> bool:
        """Every endpoint is a machine of its own."""
        return False

    @staticmethod
    def undialled_address(worker: str) -> str | None:
        """Names are different anyway."""
        return None

    @property
    def address(self) -> str:
        return self._address

    async def start(self, on_frame: OnFrame) -> None:
        if self._on_frame is not None:
            raise RuntimeError(f"{self!r} was started before; make a new one")
        self.network._add(self)
        self._on_frame = on_frame
        self.alive = True

    def publish(self, frame: bytes) -> None:
        check_frame(frame)
        if self.alive:
            self.network._publish(self._address, frame)

    def send(self, peer: str, frame: bytes) -> bool:
        check_frame(frame)
        if not self.alive:
            return False
        if peer not in self.connected:
            if peer not in self._heard:
                return False
            if not self.network._linked(self._address, peer):
                self._heard.discard(peer)
                return False
        return self.network._transmit(self._address, peer, False, frame)

    def connect(self, address: str) -> None:
        _checked(address)
        if self.alive and address not in self.connected and address != self._address:
            self.connected[address] = None
            self.network._subscribe(self._address, address)

    def disconnect(self, address: str) -> None:
        if self.connected.pop(address, self) is None:
            self.network._subscribers[address].pop(self._address, None)

    async def aclose(self) -> None:
        if self.alive:
            self.network._remove(self._address, also_from=False)

    def _receive(self, source: str, frame: bytes) -> None:
        self._heard.add(source)
        assert self._on_frame is not None
        self._on_frame(source, frame)


def _checked(address: str) -> str:
    if not address.startswith("sim://") or address == "sim://":
        raise ValueError(f"{address!r} is not a simulated address; write sim:// and a name")
    return address
