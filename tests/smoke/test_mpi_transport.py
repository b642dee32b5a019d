"""The MPI transport between real ranks, each a process, driven from here over sockets."""

from __future__ import annotations

import asyncio
import builtins
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest

from aiohpo.plugin import OnFrame
from aiohpo.testing import check_transport
from aiohpo_transports.mpi.transport import MPITransport
from tests.smoke.mpi_launch import ENVIRONMENT, launch, why_not
from tests.smoke.mpi_rank import LENGTH, packed

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.cluster,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

RANK = str(Path(__file__).with_name("mpi_rank.py"))
SHARED_MEMORY: tuple[str, ...] = ()
TCP = ("--mca", "btl", "self,tcp")


class Rank:
    """The socket to a rank."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.endpoint: Remote | None = None
        self._received = b""

    def order(self, *order: object) -> Any:
        """Have the rank do something and return what came of it."""
        self.connection.settimeout(600)
        self.connection.sendall(packed(list(order)))
        while True:
            answer = self._next()
            if answer[0] == "done":
                return answer[1]
            if answer[0] == "error":
                raise getattr(builtins, answer[1], RuntimeError)(answer[2])

    def _next(self) -> list[Any]:
        """The next message that is not a frame; frames are handed on in the next turn of the loop."""
        while True:
            if len(self._received) >= 4:
                end = 4 + LENGTH.unpack_from(self._received)[0]
                if len(self._received) >= end:
                    message: list[Any] = msgpack.unpackb(self._received[4:end])
                    self._received = self._received[end:]
                    if message[0] != "frame":
                        return message
                    if self.endpoint is not None:
                        self.endpoint.hand_on(message[1], message[2])
                    continue
            data = self.connection.recv(1 << 20)
            if not data:
                raise ConnectionError("the rank is gone")
            self._received += data

    def poll(self) -> None:
        """Hand on the frames that are here."""
        self.connection.settimeout(0)
        try:
            self._next()
        except BlockingIOError:
            pass


class Remote:
    """An endpoint in another process, as a transport in this one."""

    address_form = MPITransport.address_form
    any_address = MPITransport.any_address
    is_local = staticmethod(MPITransport.is_local)
    undialled_address = staticmethod(MPITransport.undialled_address)

    def __init__(self, free: list[Rank]) -> None:
        self._free = free
        self._rank: Rank
        self._closed = False
        self.address = ""

    async def start(self, on_frame: OnFrame) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_frame = on_frame
        self._rank = self._free.pop()
        self._rank.endpoint = self
        self.address = self._rank.order("start")
        self._loop.add_reader(self._rank.connection, self._rank.poll)

    def hand_on(self, peer: str, frame: bytes) -> None:
        self._loop.call_soon(self._on_frame, peer, frame)

    def publish(self, frame: bytes) -> None:
        self._rank.order("publish", frame, type(frame) is bytearray)

    def send(self, peer: str, frame: bytes) -> bool:
        return bool(self._rank.order("send", peer, frame, type(frame) is bytearray))

    def connect(self, address: str) -> None:
        self._rank.order("connect", address, False)

    def disconnect(self, address: str) -> None:
        self._rank.order("disconnect", address, False)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._rank.order("aclose")
        self._loop.remove_reader(self._rank.connection)
        self._free.append(self._rank)


@contextmanager
def ranks(n: int, tmp_path: Path, *flags: str) -> Iterator[list[Rank]]:
    """Launch some ranks that wait for orders."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "orders"))
        server.listen(n)
        server.settimeout(600)
        job = launch(n, sys.executable, RANK, str(tmp_path / "orders"), flags=flags, log=tmp_path / "log")
        found: list[Rank] = []
        try:
            for _ in range(n):
                found.append(Rank(server.accept()[0]))
            yield found
        finally:
            for rank in found:
                rank.connection.close()
            try:
                job.wait(120)
            except subprocess.TimeoutExpired:
                os.killpg(job.pid, signal.SIGKILL)
                raise


@pytest.mark.parametrize("flags", [SHARED_MEMORY, TCP], ids=["shared memory", "tcp"])
async def test_conforms_between_processes(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """It keeps the promises of a transport between ranks, over shared memory and over TCP."""
    with ranks(3, tmp_path, *flags) as free:
        # A rank sends while it waits for the next order: a longer flood, order by order, fills no link either.
        await check_transport(lambda: Remote(free), patience=600.0, quiet=0.1, flood=1000)


@pytest.mark.parametrize("flags", [SHARED_MEMORY, TCP], ids=["shared memory", "tcp"])
async def test_the_longest_frames_arrive(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Frames of 16 MiB arrive whole and in order."""
    with ranks(2, tmp_path, *flags) as free:
        heard: list[bytes] = []
        three = asyncio.Event()

        def on_frame(peer: str, frame: bytes) -> None:
            heard.append(frame)
            if len(heard) == 3:
                three.set()

        a, b = Remote(free), Remote(free)
        await a.start(on_frame)
        await b.start(lambda peer, frame: None)
        b.connect(a.address)
        frames = [bytes([k]) * (16 << 20) for k in range(3)]
        for frame in frames:
            assert b.send(a.address, frame)
        async with asyncio.timeout(600):
            await three.wait()
        assert heard == frames
        await a.aclose()
        await b.aclose()


def test_without_mpirun_it_is_a_single_rank() -> None:
    """Started without a launcher it works, alone."""
    code = (
        "import asyncio\n"
        "from aiohpo_transports.mpi.transport import MPITransport\n"
        "async def main():\n"
        "    transport = MPITransport()\n"
        "    await transport.start(print)\n"
        "    print(transport.address, transport.size, transport.peers())\n"
        "    await transport.aclose()\n"
        "asyncio.run(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout == "mpi://0 1 []\n"


def test_the_launcher_of_another_mpi_is_noticed() -> None:
    """Ranks that were launched together but do not find each other say so, instead of searching each for itself."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from aiohpo_transports.mpi.transport import MPITransport as T; T()"],
        env={**ENVIRONMENT, "PMI_SIZE": "4"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    assert "4 processes were launched together, but Open MPI v" in done.stderr
    assert "finds itself alone" in done.stderr
