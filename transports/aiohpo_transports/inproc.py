"""The transport within one process: endpoints on one event loop, or on the loops of several threads.

An address is ``inproc://`` and any name. An endpoint puts a frame into its peer's inbox and wakes the peer's
loop; nothing is copied, as frames are bytes. An inbox takes a bounded number of frames from each link, so that
one busy peer crowds out no other, and hands on a bounded number per turn of the loop, so that a burst does not
stall it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, defaultdict, deque
from itertools import count
from typing import TYPE_CHECKING, ClassVar

from aiohpo.errors import UsageError
from aiohpo.plugin import Options
from aiohpo.plugin.transport import check_frame

from .receiving import hand_on

if TYPE_CHECKING:
    from aiohpo.plugin import OnFrame

SCHEME = "inproc://"
FRAMES_PER_TURN = 256

_lock = threading.Lock()  # guards the two registries, which endpoints in several threads share
_endpoints: dict[str, InprocTransport] = {}
_subscribers: defaultdict[str, dict[str, InprocTransport]] = defaultdict(dict)
_numbers = count(1)


class InprocTransport:
    """Carry frames between endpoints of one process.

    Args:
        worker: the worker's id; names the address if ``bind`` does not.
        bind: the address, ``inproc://`` and a name.
        inbox: frames from one link that may wait here; more are dropped.

    Raises UsageError for values that are out of range.
    """

    address_form: ClassVar[str] = f"{SCHEME}name"
    any_address: ClassVar[str | None] = None  # nothing outside of this process reaches it

    def __init__(self, *, worker: str = "", bind: str | None = None, inbox: int = 10_000) -> None:
        options = Options("inproc")
        name = f"{SCHEME}{worker or next(_numbers)}" if bind is None else options.text("bind", bind)
        self._address = _checked(name)
        self._limit = options.whole("inbox", inbox, least=1)
        self._loop: asyncio.AbstractEventLoop | None = None  # None: not started, or closed
        self._on_frame: OnFrame | None = None
        self._connected: set[str] = set()
        self._heard: set[str] = set()
        # Guards what other threads touch: the inbox, how many frames of each link it holds, and whether this
        # endpoint's loop was told.
        self._gate = threading.Lock()
        self._inbox: deque[tuple[str, bool, bytes]] = deque()
        self._waiting: Counter[str] = Counter()
        self._woken = False

    def __repr__(self) -> str:
        state = "open" if self._loop else "closed" if self._on_frame else "not started"
        return f"<InprocTransport {self._address} {state}, {len(self._connected)} connected>"

    @staticmethod
    def is_local(address: str) -> bool:
        """Nothing leaves the process."""
        return True

    @staticmethod
    def undialled_address(worker: str) -> str | None:
        """Names in one process are different anyway."""
        return None

    @property
    def address(self) -> str:
        return self._address

    async def start(self, on_frame: OnFrame) -> None:
        """Open the endpoint. Raises UsageError if the address is in use in this process."""
        if self._on_frame is not None:
            raise RuntimeError(f"{self!r} was started before; make a new one")
        with _lock:
            if self._address in _endpoints:
                raise UsageError(f"{self._address} is in use in this process; bind to another name")
            _endpoints[self._address] = self
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()

    def publish(self, frame: bytes) -> None:
        check_frame(frame)
        if self._loop is not None:
            with _lock:
                subscribers = list(_subscribers.get(self._address, {}).values())
            for subscriber in subscribers:
                subscriber._put(self, True, frame)

    def send(self, peer: str, frame: bytes) -> bool:
        check_frame(frame)
        if self._loop is None or (peer not in self._connected and peer not in self._heard):
            return False
        endpoint = _endpoints.get(peer)
        if endpoint is None:
            self._heard.discard(peer)
            return False
        return endpoint._put(self, False, frame)

    def connect(self, address: str) -> None:
        _checked(address)
        if self._loop is not None and address != self._address:
            self._connected.add(address)
            with _lock:
                _subscribers[address][self._address] = self

    def disconnect(self, address: str) -> None:
        self._connected.discard(address)
        with _lock:
            if address in _subscribers:
                _subscribers[address].pop(self._address, None)
                if not _subscribers[address]:
                    del _subscribers[address]

    async def aclose(self) -> None:
        """Close at once: what was sent is in the peers' inboxes already."""
        if self._loop is None:
            return
        self._loop = None
        for address in list(self._connected):
            self.disconnect(address)
        with _lock:
            _endpoints.pop(self._address, None)
        with self._gate:
            self._inbox.clear()
            self._waiting.clear()

    # ---------------------------------------------------------------------------------------- receiving
    def _put(self, sender: InprocTransport, published: bool, frame: bytes) -> bool:
        """Take a frame, in the sender's thread."""
        loop = self._loop
        if loop is None:
            return False
        source = sender._address
        with self._gate:
            if self._waiting[source] >= self._limit:
                return False
            self._waiting[source] += 1
            self._inbox.append((source, published, frame))
            if self._woken:
                return True
            self._woken = True
        try:
            if loop is sender._loop:
                loop.call_soon(self._deliver)
            else:
                loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # its loop was closed without closing the endpoint: the peer is dead
            return False
        return True

    def _deliver(self) -> None:
        """Hand waiting frames on, in this endpoint's thread."""
        for _ in range(FRAMES_PER_TURN):
            with self._gate:
                if not self._inbox:
                    self._woken = False
                    return
                source, published, frame = self._inbox.popleft()
                self._waiting[source] -= 1
                if not self._waiting[source]:
                    del self._waiting[source]
            if published and source not in self._connected:
                continue  # disconnected while the frame waited
            self._heard.add(source)
            self._hand_on(source, frame)
        if self._loop is not None:
            self._loop.call_soon(self._deliver)

    def _hand_on(self, source: str, frame: bytes) -> None:
        if self._loop is None or self._on_frame is None:
            return
        hand_on(frame, source, self._on_frame, self._loop, self)


def _checked(address: str) -> str:
    if not address.startswith(SCHEME) or address == SCHEME:
        raise UsageError(f"{address!r} is not an address within a process; write {SCHEME} and a name")
    return address
