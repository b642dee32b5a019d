"""Floods and peers that do not read: what they cost a ZeroMQ endpoint, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aiohpo.keys import StudyKey
from aiohpo_transports.zeromq.transport import ZeroMQTransport

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc"),
]

MB = 1 << 20
KEY = StudyKey(bytes(range(32)))

LISTENER = """
import asyncio, sys
from aiohpo.keys import StudyKey
from aiohpo_transports.zeromq.transport import ZeroMQTransport

async def main():
    key = StudyKey(bytes(range(32))) if sys.argv[2] == "key" else None
    transport = ZeroMQTransport(key=key, insecure=key is None)
    await transport.start(lambda peer, frame: transport.send(peer, b"%d" % len(frame)))
    print(transport.address, flush=True)
    transport.connect(sys.argv[1])
    await asyncio.sleep(3600)

asyncio.run(main())
"""

# Each kind of garbage for as long as it takes, to the endpoint at the port given.
FLOODS = {
    "random bytes": """
while True:
    try:
        with socket.create_connection(("127.0.0.1", port)) as s:
            for _ in range(100):
                s.sendall(os.urandom(100_000))
    except OSError:
        pass
""",
    "a greeting, then random bytes": """
while True:
    try:
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"\\xff" + bytes(8) + b"\\x7f\\x03\\x01" + mechanism.ljust(20, b"\\0") + bytes(32))
            for _ in range(100):
                s.sendall(os.urandom(100_000))
    except OSError:
        pass
""",
    "connections that say nothing": """
held = []
while True:
    held.append(socket.create_connection(("127.0.0.1", port)))
    if len(held) > 200:
        held.pop(0).close()
    time.sleep(0.001)
""",
    "messages": """
peer = dealer()
frame = os.urandom(200)
while True:
    peer.send(frame)
""",
    "giant messages": """
frame = bytes(16 << 20)
while True:
    peer = dealer()
    for _ in range(4):
        peer.send(frame)
    time.sleep(0.1)
    peer.close(linger=0)
""",
    "pieces that make no frame": """
peer = dealer()
piece = bytes(64 << 10)
while True:
    peer.send_multipart([struct.pack(">IHH", 1, 0, 256), piece])
    peer.send_multipart([struct.pack(">IHH", 1, 7, 256), piece])
    peer.send_multipart([b"x", b"y"])
    peer.send_multipart([b"x", b"y", b"z"])
""",
    "frames of 16 MiB": """
peer = dealer()
piece = os.urandom(64 << 10)
while True:
    for index in range(256):
        peer.send_multipart([struct.pack(">IHH", 1, index, 256), piece])
""",
}
FLOODER = """
import os, socket, struct, sys, time
import zmq
port, mechanism = int(sys.argv[1]), sys.argv[2].encode()
context = zmq.Context()
def dealer():
    peer = context.socket(zmq.DEALER)
    peer.set(zmq.ROUTING_ID, b"tcp://127.0.0.1:1")
    peer.set(zmq.SNDHWM, 100)
    peer.connect(f"tcp://127.0.0.1:{port}")
    return peer
print("it begins", flush=True)
"""


def memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def program(*args: str, **options: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python program until the block ends."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", *args, **options)
    try:
        yield process
    finally:
        process.kill()
        await process.communicate()


async def until(what: Callable[[], bool], *, seconds: float = 120.0, do: Callable[[], object] = bool) -> None:
    """Do something every now and then until something holds; fail after some seconds."""
    async with asyncio.timeout(seconds):
        while not what():
            do()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("key", [None, KEY], ids=["without a key", "with a key"])
async def test_peer_that_never_reads(key: StudyKey | None) -> None:
    """A peer that is stopped costs at most 64 MiB, however long the frames; then they are dropped and counted."""
    answers: list[bytes] = []
    a = ZeroMQTransport(key=key, insecure=key is None)
    await a.start(lambda peer, frame: answers.append(frame))
    try:
        how = "key" if key else "none"
        async with program(LISTENER, a.address, how, stdout=asyncio.subprocess.PIPE) as process:
            assert process.stdout is not None
            address = (await asyncio.wait_for(process.stdout.readline(), 120)).decode().strip()
            a.connect(address)
            await until(lambda: b"5" in answers, do=lambda: a.send(address, b"hello"))
            await until(lambda: b"4" in answers, do=lambda: a.publish(b"news"))
            os.kill(process.pid, signal.SIGSTOP)
            frame, before, dropped = os.urandom(MB), memory(), a.dropped
            for _ in range(150):
                a.publish(frame)
                a.send(address, frame)
                await asyncio.sleep(0)
            assert a.dropped - dropped > 200
            assert memory() - before < 72 * MB  # ZeroMQ's own bookkeeping comes on top
            os.kill(process.pid, signal.SIGCONT)
            answers.clear()
            await until(lambda: b"%d" % MB in answers)
            answers.clear()
            await until(lambda: b"5" in answers, do=lambda: a.send(address, b"hello"))
    finally:
        await a.aclose()


@pytest.mark.parametrize("key", [None, KEY], ids=["without a key", "with a key"])
@pytest.mark.parametrize("flood", FLOODS)
async def test_floods(flood: str, key: StudyKey | None) -> None:
    """Whatever floods an endpoint, its memory stays, nothing raises, its peers hear from it and get answers; with a
    key nothing of it is handed on, without one nothing but whole frames."""
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    told: list[str] = []
    heard = {"flood": 0, "largest": 0}
    a, b = (ZeroMQTransport(key=key, insecure=key is None) for _ in range(2))
    a.report_to(told.append)
    arrived = asyncio.Event()

    def on_frame(peer: str, frame: bytes) -> None:
        if peer == b.address:
            a.send(peer, frame)
        else:
            heard["flood"] += 1
            heard["largest"] = max(heard["largest"], len(frame))

    await a.start(on_frame)
    await b.start(lambda peer, frame: arrived.set())
    b.connect(a.address)
    try:

        async def round_trip() -> None:
            arrived.clear()
            b.send(a.address, b"ping")
            async with asyncio.timeout(600):
                await arrived.wait()

        await round_trip()
        before, most = memory(), 0
        port, mechanism = a.address.rpartition(":")[2], "CURVE" if key else "NULL"
        async with program(FLOODER + FLOODS[flood], port, mechanism, stdout=asyncio.subprocess.PIPE) as flooder:
            assert flooder.stdout is not None
            assert await flooder.stdout.readline() == b"it begins\n"
            for _ in range(60):
                await round_trip()
                most = max(most, memory() - before)
                await asyncio.sleep(0.01)
        assert most < 80 * MB
        assert not errors
        assert len(told) <= 1
        assert heard["largest"] <= 16 * MB
        if key:
            assert not heard["flood"]
            assert repr(a).endswith("0 connected, 1 listening, 0 dropped>")
    finally:
        await a.aclose()
        await b.aclose()
