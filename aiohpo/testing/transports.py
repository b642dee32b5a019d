"""The conformance check for transports: what :class:`aiohpo.plugin.Transport` promises, tried out."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING

from aiohpo.plugin import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    Frames = list[tuple[str, bytes]]


async def check_transport(
    factory: Callable[[], Transport], *, patience: float = 10.0, quiet: float = 0.2, flood: int = 20_000
) -> None:
    """Check a transport; raise AssertionError that names what is violated.

    Args:
        factory: called without arguments, gives a fresh endpoint, not started, which reaches the others.
        patience: seconds within which something must happen on a healthy link.
        quiet: seconds to wait for what must not happen.
        flood: frames of a KiB to publish, to send to a peer that does not read and to send to one that is gone:
            more than a link holds, where that can be filled from one loop.

    Works on a real loop and on :class:`aiohpo.testing.SimLoop`. It is checked that

    - each endpoint has its own address, and ``connect`` refuses an invalid one with a ValueError;
    - the class says what its addresses are like;
    - a published frame reaches the connected peers and no others, whole, as bytes, with the publisher's address;
    - a sent frame reaches its peer, and a reply reaches the sender, though no peer connected to the sender;
    - ``send`` to an unknown peer returns False; frames that are not bytes, or empty, raise TypeError;
    - frames of one link arrive in order, each at most once, small ones and large;
    - ``connect`` is idempotent; ``disconnect`` silences a peer and is undone by ``connect``; an endpoint that
      connects to itself does not hear itself;
    - two endpoints may connect to each other;
    - frames are handed on from the loop, in its thread, never from within ``publish`` or ``send``;
    - a flood to a peer that does not read, and to one that is gone, neither blocks nor raises, and the link
      works afterwards;
    - ``aclose`` lets what was sent leave, is idempotent, and then nothing is heard, sent or raised;
    - ``connect`` to an address without a peer changes nothing for others.
    """
    checks = _TransportCheck(factory, patience, quiet, flood)
    for check in (
        checks.addresses,
        checks.description,
        checks.publish_and_send,
        checks.order,
        checks.connect_and_disconnect,
        checks.both_ways,
        checks.flood,
        checks.nobody_there,
        checks.close,
    ):
        try:
            await check()
        finally:
            for peer in checks.peers:
                await peer.transport.aclose()
            checks.peers.clear()


class _Endpoint:
    """A started endpoint and what it heard."""

    calling = False  # of all peers: whether one is in publish() or send()

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.heard: Frames = []
        self._news = asyncio.Event()
        self._thread = threading.get_ident()

    @property
    def address(self) -> str:
        return self.transport.address

    def on_frame(self, source: str, frame: bytes) -> None:
        assert threading.get_ident() == self._thread, "on_frame() was called in another thread"
        assert not _Endpoint.calling, "on_frame() was called from within publish() or send()"
        assert type(source) is str, f"on_frame() was called with the peer {source!r}, not a str"
        assert type(frame) is bytes, f"on_frame() was called with {type(frame).__name__}, not bytes"
        self.heard.append((source, frame))
        self._news.set()

    def publish(self, frame: bytes) -> None:
        _Endpoint.calling = True
        try:
            self.transport.publish(frame)
        finally:
            _Endpoint.calling = False

    def send(self, peer: _Endpoint, frame: bytes) -> bool:
        _Endpoint.calling = True
        try:
            sent = self.transport.send(peer.address, frame)
        finally:
            _Endpoint.calling = False
        assert type(sent) is bool, f"send() returned {sent!r}, not True or False"
        return sent

    def from_peer(self, peer: _Endpoint) -> list[bytes]:
        return [frame for source, frame in self.heard if source == peer.address]

    async def hears(self, what: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``what()``, looked at whenever a frame arrives, at most some seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not what():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return what()
        return True


class _TransportCheck:
    def __init__(self, factory: Callable[[], Transport], patience: float, quiet: float, frames: int) -> None:
        self.factory, self.patience, self.quiet, self.frames = factory, patience, quiet, frames
        self.peers: list[_Endpoint] = []
        self._numbers = itertools.count()

    async def start(self, n: int) -> list[_Endpoint]:
        for _ in range(n):
            transport = self.factory()
            assert isinstance(transport, Transport), f"{transport!r} lacks methods of the Transport protocol"
            peer = _Endpoint(transport)
            await transport.start(peer.on_frame)
            self.peers.append(peer)
        return self.peers[-n:]

    async def link(self, publisher: _Endpoint, subscriber: _Endpoint) -> None:
        """Connect, and publish until something is heard: a subscription may take its time to settle."""
        subscriber.transport.connect(publisher.address)
        await self.until_heard(publisher, subscriber)

    async def until_heard(self, publisher: _Endpoint, subscriber: _Endpoint) -> None:
        mark = b"settled %d" % next(self._numbers)
        for _ in range(max(1, round(self.patience / 0.05))):
            publisher.publish(mark)
            if await subscriber.hears(lambda: mark in subscriber.from_peer(publisher), 0.05):
                break
        else:
            raise AssertionError(f"nothing published was heard {self.patience} s after connect()")
        # Further copies of the mark may be under way.
        await asyncio.sleep(self.quiet)
        subscriber.heard.clear()

    async def gets(self, peer: _Endpoint, source: _Endpoint, frame: bytes, what: str) -> None:
        arrived = await peer.hears(lambda: frame in peer.from_peer(source), self.patience)
        assert arrived, f"{what} did not arrive with its sender's address; heard: {peer.heard[:5]}"

    # -------------------------------------------------------------------------------------------- checks
    async def addresses(self) -> None:
        a, b = await self.start(2)
        assert isinstance(a.address, str), f"the address is {a.address!r}, not a str"
        assert a.address, "the address is empty"
        assert a.address != b.address, f"two endpoints share the address {a.address}"
        for malformed in ("", "nowhere", a.address.replace("://", ":")):
            try:
                a.transport.connect(malformed)
            except ValueError:
                continue
            raise AssertionError(f"connect({malformed!r}) did not raise ValueError")

    async def description(self) -> None:
        (a,) = await self.start(1)
        kind = type(a.transport)
        form, anywhere = getattr(kind, "address_form", None), getattr(kind, "any_address", "")
        assert isinstance(form, str), f"{kind.__name__}.address_form is {form!r}, not a str"
        scheme = a.address.partition("://")[0]
        assert scheme in form, f"{kind.__name__}.address_form is {form!r}, and an address is {a.address}"
        assert anywhere is None or (isinstance(anywhere, str) and anywhere), (
            f"{kind.__name__}.any_address is {anywhere!r}, neither an address nor None"
        )
        local = kind.is_local(a.address)
        assert isinstance(local, bool), f"is_local({a.address!r}) returned {local!r}"
        if anywhere is not None:
            assert not kind.is_local(anywhere), f"is_local({anywhere!r}) is true for what other machines are to reach"
        named = [kind.undialled_address(name) for name in ("0a", "0b")]
        assert named == [None, None] or None not in named, f"undialled_address() gave {named}"
        assert named[0] is None or named[0] != named[1], f"undialled_address() gave {named[0]} to two workers"

    async def publish_and_send(self) -> None:
        a, b, c = await self.start(3)
        await self.link(a, b)
        a.publish(b"news")
        await self.gets(b, a, b"news", "a published frame")
        assert b.send(a, b"question"), "send() to a connected peer returned False"
        await self.gets(a, b, b"question", "a sent frame")
        assert a.send(b, b"answer"), "send() to a peer that a frame came from returned False"
        await self.gets(b, a, b"answer", "a reply to a peer not connected to")
        assert not a.send(c, b"stranger"), "send() to an unknown peer returned True"
        b.publish(b"nobody listens")
        await asyncio.sleep(self.quiet)
        assert not c.heard, f"an endpoint that is not connected heard {c.heard}"
        assert b"nobody listens" not in a.from_peer(b), "a frame reached a peer that had not connected"
        for wrong in ("text", bytearray(b"bytes"), None, b""):
            for call in (a.transport.publish, lambda frame: a.transport.send(b.address, frame)):
                try:
                    call(wrong)  # type: ignore[arg-type]  # that is the point
                except TypeError:
                    continue
                raise AssertionError(f"a frame {wrong!r} did not raise TypeError")

    async def order(self) -> None:
        a, b = await self.start(2)
        await self.link(a, b)
        b.send(a, b"hello")
        await self.gets(a, b, b"hello", "a sent frame")
        total = 300
        for way, sink in (("publish", b), ("send", b), ("send back", a)):
            frames = [b"%06d" % k + b"x" * (k % 7 * 5000) for k in range(total)]
            sink.heard.clear()
            for k, frame in enumerate(frames):
                if way == "publish":
                    a.publish(frame)
                else:
                    (a if sink is b else b).send(sink, frame)
                if k % 10 == 9:
                    await asyncio.sleep(0.001)
            await sink.hears(lambda sink=sink: len(sink.heard) >= total, self.patience / 5)  # type: ignore[misc]
            arrived = [frame for _, frame in sink.heard]
            assert set(arrived) <= set(frames), f"{way}: a frame arrived changed"
            assert len(set(arrived)) == len(arrived), f"{way}: a frame arrived twice"
            assert arrived == sorted(arrived), f"{way}: frames arrived out of order"
            assert len(arrived) >= total / 2, f"{way}: only {len(arrived)} of {total} frames arrived"

    async def connect_and_disconnect(self) -> None:
        a, b = await self.start(2)
        b.transport.disconnect(a.address)
        await self.link(a, b)
        b.transport.connect(a.address)
        a.transport.connect(a.address)
        await asyncio.sleep(self.quiet)
        a.publish(b"once")
        await self.gets(b, a, b"once", "a published frame")
        await asyncio.sleep(self.quiet)
        assert b.from_peer(a) == [b"once"], f"connected twice, one frame arrived as {b.from_peer(a)}"
        assert not a.heard, f"an endpoint that connected to itself heard {a.heard}"
        b.transport.disconnect(a.address)
        b.transport.disconnect(a.address)
        b.heard.clear()
        for _ in range(10):
            a.publish(b"unheard")
            await asyncio.sleep(self.quiet / 10)
        assert not b.heard, f"after disconnect() there arrived {b.heard}"
        await self.link(a, b)

    async def both_ways(self) -> None:
        a, b = await self.start(2)
        a.transport.connect(b.address)
        await self.link(a, b)
        await self.until_heard(b, a)
        a.heard.clear()
        b.heard.clear()
        for one, other in ((a, b), (b, a)):
            one.publish(b"published")
            one.send(other, b"sent")
        for one, other in ((a, b), (b, a)):
            await self.gets(one, other, b"published", "a frame published both ways")
            await self.gets(one, other, b"sent", "a frame sent both ways")
        assert len(a.heard) == len(b.heard) == 2, f"linked both ways, {a.heard} and {b.heard} arrived"

    async def flood(self) -> None:
        a, b, gone = await self.start(3)
        await self.link(a, b)
        b.send(a, b"hello")
        await self.gets(a, b, b"hello", "a sent frame")
        await self.link(a, gone)
        a.transport.connect(gone.address)
        await gone.transport.aclose()
        chunk = bytes(1024)
        # No peer can read while this loop does not yield.
        for _ in range(self.frames):
            a.publish(chunk)
            a.send(b, chunk)
            a.send(gone, chunk)
        await self.until_heard(a, b)

    async def nobody_there(self) -> None:
        a, b, gone = await self.start(3)
        address = gone.address
        await gone.transport.aclose()
        b.transport.connect(address)
        b.send(gone, b"anybody?")
        await self.link(a, b)
        b.send(gone, b"anybody?")
        b.transport.disconnect(address)
        a.publish(b"still here")
        await self.gets(b, a, b"still here", "a published frame")

    async def close(self) -> None:
        a, b = await self.start(2)
        await self.link(a, b)
        b.send(a, b"hello")
        await self.gets(a, b, b"hello", "a sent frame")
        for k in range(10):
            a.publish(b"last words %d" % k)
            a.send(b, b"last words to you %d" % k)
        async with asyncio.timeout(self.patience):
            await a.transport.aclose()
            await a.transport.aclose()
        for words in (b"last words 0", b"last words to you 0"):
            await self.gets(b, a, words, f"{words!r}, said just before aclose(),")
        a.heard.clear()
        b.heard.clear()
        a.publish(b"ghost")
        assert not a.send(b, b"ghost"), "send() returned True after aclose()"
        a.transport.connect(b.address)
        a.transport.disconnect(b.address)
        b.publish(b"to a ghost")
        b.send(a, b"to a ghost")
        await asyncio.sleep(self.quiet)
        assert not a.heard, f"after aclose() there arrived {a.heard}"
        assert b"ghost" not in b.from_peer(a), "an endpoint spoke after its aclose()"
