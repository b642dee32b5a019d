"""The transport within one process."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aiohpo.errors import UsageError
from aiohpo.testing import check_transport, run
from aiohpo_transports.inproc import InprocTransport


async def test_conforms() -> None:
    """It keeps the promises of a transport."""
    await check_transport(InprocTransport, patience=600.0, quiet=0.02)


def test_conforms_in_virtual_time() -> None:
    """It keeps them on a loop that shuffles its callbacks, too."""

    async def main() -> None:
        await check_transport(InprocTransport, patience=600.0)

    for seed in range(5):
        run(main, seed=seed)


async def test_between_threads() -> None:
    """Endpoints on the loops of two threads reach each other, in order."""
    here = InprocTransport(worker="here")
    heard: list[bytes] = []
    done = asyncio.Event()

    def on_frame(peer: str, frame: bytes) -> None:
        heard.append(frame)
        here.send(peer, frame)
        if len(heard) == 1000:
            done.set()

    await here.start(on_frame)
    echoes: list[bytes] = []

    async def there() -> None:
        finished = asyncio.Event()
        endpoint = InprocTransport(worker="there")

        def on_echo(peer: str, frame: bytes) -> None:
            echoes.append(frame)
            if len(echoes) == 1000:
                finished.set()

        await endpoint.start(on_echo)
        endpoint.connect("inproc://here")
        for k in range(1000):
            assert endpoint.send("inproc://here", b"%d" % k)
        async with asyncio.timeout(10):
            await finished.wait()
        await endpoint.aclose()

    thread = threading.Thread(target=asyncio.run, args=(there(),))
    thread.start()
    async with asyncio.timeout(10):
        await done.wait()
    await asyncio.to_thread(thread.join, 10)
    await here.aclose()
    assert heard == echoes == [b"%d" % k for k in range(1000)]


async def test_full_inbox_refuses_per_link() -> None:
    """A link whose frames wait unread is refused; another link is not."""
    a, b, c = (InprocTransport(worker=name, inbox=5) for name in ("a", "b", "c"))
    for endpoint in (a, b, c):
        await endpoint.start(lambda peer, frame: None)
    b.connect("inproc://a")
    c.connect("inproc://a")
    assert [b.send("inproc://a", b"x") for _ in range(7)] == [True] * 5 + [False] * 2
    assert c.send("inproc://a", b"x")
    await asyncio.sleep(0)
    assert b.send("inproc://a", b"x")
    for endpoint in (a, b, c):
        await endpoint.aclose()


async def test_receiver_that_raises_hears_on() -> None:
    """A receiver that chokes on a frame still gets the next, and the loop's handler is told."""
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    a, b = InprocTransport(), InprocTransport()
    heard: list[bytes] = []

    def on_frame(peer: str, frame: bytes) -> None:
        if frame == b"bad":
            raise ValueError(frame)
        heard.append(frame)

    await a.start(on_frame)
    await b.start(on_frame)
    b.connect(a.address)
    b.send(a.address, b"bad")
    b.send(a.address, b"good")
    await asyncio.sleep(0)
    assert heard == [b"good"]
    assert [type(context["exception"]) for context in told] == [ValueError]
    await a.aclose()
    await b.aclose()


async def test_peer_of_a_closed_loop_is_gone() -> None:
    """A peer whose loop ended without closing it counts as dead, not as an error."""
    left: list[InprocTransport] = []

    async def careless() -> None:
        left.append(InprocTransport(worker="careless"))
        await left[0].start(lambda peer, frame: None)

    await asyncio.to_thread(asyncio.run, careless())
    endpoint = InprocTransport(worker="careful")
    await endpoint.start(lambda peer, frame: None)
    endpoint.connect("inproc://careless")
    assert not endpoint.send("inproc://careless", b"x")
    await endpoint.aclose()
    await left[0].aclose()


async def test_address_in_use() -> None:
    """An address belongs to one open endpoint at a time."""
    first, second, third = (InprocTransport(bind="inproc://one") for _ in range(3))
    await first.start(lambda peer, frame: None)
    with pytest.raises(UsageError, match="inproc://one is in use"):
        await second.start(lambda peer, frame: None)
    await first.aclose()
    await third.start(lambda peer, frame: None)
    await third.aclose()


async def test_repr_is_a_status_line() -> None:
    """The repr says the address, the state and the links."""
    endpoint = InprocTransport(worker="w")
    await endpoint.start(lambda peer, frame: None)
    endpoint.connect("inproc://other")
    assert repr(endpoint) == "<InprocTransport inproc://w open, 1 connected>"
    await endpoint.aclose()
    assert repr(endpoint) == "<InprocTransport inproc://w closed, 0 connected>"
