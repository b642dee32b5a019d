"""The ZeroMQ transport, on real sockets of the loopback interface and free ports."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import zmq

from aiohpo.errors import UsageError
from aiohpo.testing import check_transport
from aiohpo_transports.zeromq.ports import FRAMES_PER_TURN
from aiohpo_transports.zeromq.transport import ZeroMQTransport

Frames = list[tuple[str, bytes]]


@asynccontextmanager
async def endpoint(heard: Frames | None = None, **options: object) -> AsyncIterator[ZeroMQTransport]:
    """Open an endpoint without a key that writes down what it hears, and close it."""
    transport = ZeroMQTransport(**{"insecure": True, **options})  # type: ignore[arg-type]  # the tests' own options
    await transport.start(lambda peer, frame: None if heard is None else heard.append((peer, frame)))
    try:
        yield transport
    finally:
        await transport.aclose()


async def until(what: Callable[[], bool], *, seconds: float = 120.0, do: Callable[[], object] = bool) -> None:
    """Do something every now and then until something holds; fail after some seconds."""
    async with asyncio.timeout(seconds):
        while not what():
            do()
            await asyncio.sleep(0.01)


async def linked(publisher: ZeroMQTransport, subscriber: ZeroMQTransport, heard: Frames) -> None:
    """Connect, wait until published frames arrive, and forget them."""
    subscriber.connect(publisher.address)
    await until(lambda: bool(heard), do=lambda: publisher.publish(b"settling"))
    await asyncio.sleep(0.05)
    heard.clear()


# ----------------------------------------------------------------------------------------------- conformance
async def test_conforms_over_tcp() -> None:
    """It keeps the promises of a transport between free loopback ports."""
    await check_transport(lambda: ZeroMQTransport(insecure=True), patience=600.0, quiet=0.1)


async def test_conforms_over_ipc(tmp_path: Path) -> None:
    """It keeps them between Unix sockets."""
    paths = iter(range(100))
    await check_transport(
        lambda: ZeroMQTransport(insecure=True, bind=f"ipc://{tmp_path}/{next(paths)}"), patience=600.0, quiet=0.1
    )


async def test_conforms_over_ipv6() -> None:
    """It keeps them over IPv6, where the machine has it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback: {error}")
    await check_transport(lambda: ZeroMQTransport(insecure=True, bind="tcp://[::1]:*"), patience=600.0, quiet=0.1)


# ----------------------------------------------------------------------------------------------------- faults
async def test_restart_at_the_same_address_is_heard() -> None:
    """Who stays connected to an address hears the next endpoint there, and is heard by it."""
    heard: Frames = []
    async with endpoint(heard) as b:
        async with endpoint() as a:
            await linked(a, b, heard)
            address = a.address
        news: Frames = []
        async with endpoint(news, bind=address) as again:
            await until(lambda: bool(heard), do=lambda: again.publish(b"back"))
            assert heard[0] == (address, b"back")
            assert b.send(address, b"welcome")
            await until(lambda: (b.address, b"welcome") in news)


CHATTERBOX = """
import asyncio, sys
from aiohpo_transports.zeromq.transport import ZeroMQTransport

async def main():
    transport = ZeroMQTransport(bind=sys.argv[1], insecure=True)
    await transport.start(lambda peer, frame: transport.send(peer, frame))
    print(transport.address, flush=True)
    if len(sys.argv) > 2:
        transport.connect(sys.argv[2])
    async with asyncio.timeout(600):
        while True:
            transport.publish(b"chatter")
            await asyncio.sleep(0.01)

asyncio.run(main())
"""


@asynccontextmanager
async def chatterbox(bind: str = "tcp://127.0.0.1:*", *peers: str) -> AsyncIterator[tuple[int, str]]:
    """Run a process that publishes all the time and echoes what is sent to it; give its pid and address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHATTERBOX, bind, *peers, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(600):
            address = (await process.stdout.readline()).decode().strip()
        yield process.pid, address
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.smoke
async def test_killed_process_harms_nobody_and_comes_back() -> None:
    """When a peer is killed the others go on; restarted at its port, it is heard again."""
    heard: Frames = []
    async with endpoint(heard) as b, endpoint() as c:
        await linked(c, b, heard)
        async with chatterbox() as (pid, address):
            b.connect(address)
            await until(lambda: (address, b"chatter") in heard)
            os.kill(pid, signal.SIGKILL)
        heard.clear()
        for _ in range(100):
            b.send(address, b"are you there?")
            b.publish(b"news")
        c.publish(b"still here")
        await until(lambda: (c.address, b"still here") in heard)
        async with chatterbox(address):
            await until(lambda: (address, b"chatter") in heard)


FORKS = """
import asyncio, os, sys
from aiohpo_transports.zeromq.transport import ZeroMQTransport

async def main():
    heard = asyncio.Event()
    a, b = ZeroMQTransport(insecure=True), ZeroMQTransport(insecure=True)
    await a.start(lambda peer, frame: heard.set())
    await b.start(lambda peer, frame: None)
    b.connect(a.address)
    child = os.fork()
    if not child:
        b.send(a.address, b"from the child")
        b.disconnect(a.address)
        await b.aclose()
        os._exit(7)  # running on would close the loop, which asyncio shares with the parent
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert not heard.is_set()
    b.send(a.address, b"from the parent")
    async with asyncio.timeout(600):
        await heard.wait()
    await b.aclose()
    await a.aclose()

asyncio.run(main())
"""


@pytest.mark.smoke
async def test_fork_leaves_the_parent_alone() -> None:
    """In a forked child an endpoint does nothing and hangs nothing; in the parent it goes on."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", "-c", FORKS)
    try:
        async with asyncio.timeout(600):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.smoke
async def test_stopped_process_costs_bounded_memory() -> None:
    """A peer that is stopped and reads nothing costs no unbounded memory, and nobody waits for it."""
    heard: Frames = []
    async with endpoint(heard) as a, endpoint() as c:
        await linked(c, a, heard)
        async with chatterbox("tcp://127.0.0.1:*", a.address) as (pid, address):
            a.connect(address)
            await until(lambda: (address, b"echo") in heard, do=lambda: a.send(address, b"echo"))
            os.kill(pid, signal.SIGSTOP)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            frame = bytes(20_000)
            for _ in range(20_000):
                a.publish(frame)
                a.send(address, frame)
            assert not a.send(address, frame)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown < 100_000, f"{grown} kB more for 800 MB of frames"
            heard.clear()
            c.publish(b"still here")
            await until(lambda: (c.address, b"still here") in heard)
            os.kill(pid, signal.SIGCONT)
            await until(lambda: (address, b"chatter") in heard)


async def test_garbage_is_counted_and_dropped() -> None:
    """Random bytes, nameless peers, false names, odd messages and giant frames disturb nobody."""
    heard: Frames = []
    context = zmq.Context()
    odd_peers: list[zmq.Socket[bytes]] = []

    def odd_peer(identity: bytes) -> zmq.Socket[bytes]:
        odd = context.socket(zmq.DEALER)
        if identity:
            odd.set(zmq.ROUTING_ID, identity)
        odd.connect(a.address)
        odd_peers.append(odd)
        return odd

    try:
        async with endpoint(heard, max_frame=1000) as a, endpoint() as b:
            port = int(a.address.rpartition(":")[2])
            _, raw = await asyncio.open_connection("127.0.0.1", port)
            raw.write(os.urandom(100_000))
            odd_peer(b"").send(b"nameless")
            odd_peer(b"\xff\xfe").send(b"not text")
            odd_peer(b"nowhere").send(b"no address")
            odd_peer(b"tcp://127.0.0.1:1").send_multipart([b"two", b"parts"])
            odd_peer(b"tcp://127.0.0.1:2").send(bytes(2000))
            b.connect(a.address)
            b.send(a.address, b"fine")
            await until(lambda: (b.address, b"fine") in heard and a.malformed >= 4)
            assert heard == [(b.address, b"fine")]
            raw.close()
            with pytest.raises(ValueError, match="a frame of 1001 bytes exceeds the 1000"):
                a.publish(bytes(1001))
    finally:
        context.destroy(linger=0)


async def test_receiver_that_raises_hears_on() -> None:
    """A receiver that chokes on a frame still gets the next, and the loop's handler is told."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    heard: list[bytes] = []

    def on_frame(peer: str, frame: bytes) -> None:
        if frame == b"bad":
            raise ValueError(frame)
        heard.append(frame)

    a = ZeroMQTransport(insecure=True)
    await a.start(on_frame)
    async with endpoint() as b:
        b.connect(a.address)
        b.send(a.address, b"bad")
        b.send(a.address, b"good")
        await until(lambda: heard == [b"good"])
    await a.aclose()
    assert [type(error) for error in told] == [ValueError]


async def test_burst_leaves_the_loop_its_turns() -> None:
    """However much arrives at once, a bounded number of frames is handed on per turn of the loop."""
    heard: Frames = []
    async with endpoint(heard, outbox=5000) as a, endpoint(outbox=5000) as b:
        b.connect(a.address)
        b.send(a.address, b"first")
        await until(lambda: bool(heard))
        for _ in range(4000):
            b.send(a.address, b"x")
        most, before = 0, len(heard)
        async with asyncio.timeout(600):
            while len(heard) < 4001:
                await asyncio.sleep(0)
                most, before = max(most, len(heard) - before), len(heard)
        # A wake-up by the descriptor and a scheduled continuation may fall into one turn.
        assert most <= 2 * FRAMES_PER_TURN


async def test_dead_peers_cost_nothing() -> None:
    """Twenty peers that are not there are retried at next to no cost."""
    async with endpoint() as a:
        for port in range(1, 21):
            a.connect(f"tcp://127.0.0.1:{port}")
        start = time.process_time()
        await asyncio.sleep(1)
        assert time.process_time() - start < 0.1


async def test_disconnect_from_within_the_receiver() -> None:
    """A receiver may disconnect or close in reaction to a frame."""
    heard: list[bytes] = []
    async with endpoint() as a:
        b = ZeroMQTransport(insecure=True)

        def on_frame(peer: str, frame: bytes) -> None:
            heard.append(frame)
            b.disconnect(peer)

        await b.start(on_frame)
        b.connect(a.address)
        await until(lambda: bool(a._subscribers))
        for _ in range(10):
            a.publish(b"x")
        await until(lambda: bool(heard))
        await asyncio.sleep(0.05)
        await b.aclose()
    assert heard == [b"x"]


async def test_itself_by_another_name() -> None:
    """An endpoint that connects to itself by another name does not hear itself."""
    heard: Frames = []
    async with endpoint(heard) as a, endpoint() as b:
        a.connect(a.address.replace("127.0.0.1", "localhost"))
        await linked(b, a, heard)
        for _ in range(10):
            a.publish(b"echo?")
            await asyncio.sleep(0.01)
        assert heard == []


# -------------------------------------------------------------------------------------------------- addresses
async def test_address_in_use(tmp_path: Path) -> None:
    """A port or a path that somebody serves is not taken from them; the error says what to do."""
    for bind, remedy in (("tcp://127.0.0.1:*", "another port"), (f"ipc://{tmp_path}/s", "another path")):
        async with endpoint(bind=bind) as a:
            with pytest.raises(UsageError, match=f"is in use; bind to {remedy}"):
                await ZeroMQTransport(bind=a.address, insecure=True).start(lambda peer, frame: None)
    async with endpoint(bind=f"ipc://{tmp_path}/s"):  # a path that was left behind is free
        pass


@pytest.mark.parametrize(
    ("bind", "reason"),
    [("tcp://192.0.2.77:*", "is it an address of this machine"), ("ipc:///no/such/place", "No such file")],
)
async def test_impossible_binds(bind: str, reason: str) -> None:
    """An address that cannot be listened at is an error that says why."""
    with pytest.raises(UsageError, match=f"cannot listen on {bind.replace('*', '.')}: .*{reason}"):
        await ZeroMQTransport(bind=bind, insecure=True).start(lambda peer, frame: None)


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({}, r"tcp://127\.0\.0\.1:\d+"),
        ({"bind": "tcp://localhost:0"}, r"tcp://127\.0\.0\.1:\d+"),
        ({"bind": "tcp://0.0.0.0:*"}, r"tcp://(?!0\.)[\d.]+:\d+"),
        ({"advertise": "tcp://node7.example.org:*"}, r"tcp://node7\.example\.org:\d+"),
        ({"advertise": "tcp://node7.example.org:80"}, r"tcp://node7\.example\.org:80"),
    ],
)
async def test_address(options: dict[str, object], address: str) -> None:
    """The address is what others can connect to, or what one says it is."""
    async with endpoint(**options) as a:
        assert re.fullmatch(address, a.address)


@pytest.mark.parametrize(
    "address",
    ["tcp://", "tcp://host", "tcp://host:*", "tcp://host:0", "tcp://host:70000", "tcp://::1:5", "udp://h:1", "ipc://x"],
)
async def test_malformed_addresses(address: str) -> None:
    """What is no address cannot be connected to; the error shows the forms there are."""
    async with endpoint() as a:
        with pytest.raises(UsageError, match="write tcp://host:port"):
            a.connect(address)


async def test_repr_is_a_status_line() -> None:
    """The repr says the address, the state, the links and the losses."""
    async with endpoint() as a:
        a.connect("tcp://127.0.0.1:1")
        assert repr(a) == f"<ZeroMQTransport {a.address} open, 1 connected, 0 listening, 0 dropped>"


async def test_peer_that_cannot_be_reached() -> None:
    """Where only one of two can connect to the other, they still talk both ways, though both try."""
    heard: list[Frames] = [[], []]
    async with endpoint(heard[0]) as a, endpoint(heard[1], advertise="tcp://127.0.0.1:1") as hidden:
        a.connect(hidden.address)
        hidden.connect(a.address)
        await until(lambda: (hidden.address, b"up") in heard[0], do=lambda: hidden.send(a.address, b"up"))
        await until(lambda: (a.address, b"down") in heard[1], do=lambda: a.send(hidden.address, b"down"))
        await until(lambda: (a.address, b"news") in heard[1], do=lambda: a.publish(b"news"))


async def test_many_endpoints_in_a_mesh() -> None:
    """Sixteen endpoints, each connected to every other, hear each other within seconds."""
    heard: list[Frames] = [[] for _ in range(16)]
    mesh = [ZeroMQTransport(insecure=True) for _ in heard]
    try:
        for transport, frames in zip(mesh, heard, strict=True):
            await transport.start(lambda peer, frame, frames=frames: frames.append((peer, frame)))  # type: ignore[misc]
        for one in mesh:
            for other in mesh:
                one.connect(other.address)
        await until(lambda: all(len(a._subscribers) == 15 for a in mesh))
        for transport in mesh:
            transport.publish(b"hello")
        await until(lambda: all(len(frames) == 15 for frames in heard))
        for transport, frames in zip(mesh, heard, strict=True):
            assert {peer for peer, _ in frames} == {a.address for a in mesh} - {transport.address}
    finally:
        closing: list[Awaitable[None]] = [transport.aclose() for transport in mesh]
        await asyncio.gather(*closing)
