"""Who may connect over ZeroMQ with and without a key, on real sockets of the loopback interface."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack
import pytest
import zmq
from zmq.utils import z85

from aiohpo.errors import UsageError
from aiohpo.keys import StudyKey, write_key
from aiohpo.testing import check_transport
from aiohpo_transports.zeromq.security import MOST_NOTICES, Curve, Visitors, Why, why_failed
from aiohpo_transports.zeromq.transport import ZeroMQTransport

OURS, OTHERS = StudyKey(bytes(range(32))), StudyKey(bytes(range(1, 33)))


class Endpoint:
    """An endpoint, what it heard and what it told people."""

    def __init__(self, key: StudyKey | str | None = None, **options: object) -> None:
        self.transport = ZeroMQTransport(key=key, **{"insecure": key is None, **options})  # type: ignore[arg-type]  # the tests' own options
        self.heard: list[tuple[str, bytes]] = []
        self.told: list[str] = []
        self.transport.report_to(self.told.append)

    @property
    def address(self) -> str:
        return self.transport.address


@asynccontextmanager
async def endpoints(*options: dict[str, object]) -> AsyncIterator[list[Endpoint]]:
    """Open one endpoint per set of options, and close them."""
    opened = [Endpoint(**o) for o in options]  # type: ignore[arg-type]  # the tests' own options
    try:
        for e in opened:
            await e.transport.start(lambda peer, frame, e=e: e.heard.append((peer, frame)))  # type: ignore[misc]
        yield opened
    finally:
        await asyncio.gather(*(e.transport.aclose() for e in opened))


async def until(what: Callable[[], bool], *, seconds: float = 120.0, do: Callable[[], object] = bool) -> None:
    """Do something every now and then until something holds; fail after some seconds."""
    async with asyncio.timeout(seconds):
        while not what():
            do()
            await asyncio.sleep(0.01)


async def hears(a: Endpoint, b: Endpoint, word: bytes) -> None:
    """Wait until what ``a`` publishes reaches ``b``, which is connected to it."""
    await until(lambda: (a.address, word) in b.heard, do=lambda: a.transport.publish(word))


# ------------------------------------------------------------------------------------------------ with a key
async def test_conforms_with_a_key(tmp_path: Path) -> None:
    """Encrypted, it keeps the promises of a transport; over tcp and over ipc."""
    await check_transport(lambda: ZeroMQTransport(key=OURS), patience=600.0, quiet=0.1)
    paths = iter(range(100))
    await check_transport(
        lambda: ZeroMQTransport(key=OURS, bind=f"ipc://{tmp_path}/{next(paths)}"), patience=600.0, quiet=0.1
    )


async def test_key_file(tmp_path: Path) -> None:
    """The key may be the name of its file, as in the options of a transport."""
    write_key(tmp_path / "k", OURS)
    async with endpoints({"key": OURS}, {"key": str(tmp_path / "k")}) as (a, b):
        b.transport.connect(a.address)
        await hears(a, b, b"welcome")


async def test_several_meshes_in_one_process() -> None:
    """Endpoints of one process admit those with their own key, whatever keys the others have."""
    other = {"key": OTHERS}
    async with endpoints({"key": OURS}, {"key": OURS}, other, other, {}, {}) as (a, b, c, d, e, f):
        for one, two in ((a, b), (c, d), (e, f)):
            two.transport.connect(one.address)
        for one, two in ((a, b), (c, d), (e, f)):
            await hears(one, two, b"ours")


@pytest.mark.parametrize("bind", ["tcp://0.0.0.0:*", "tcp://*:*", "tcp://[::]:*"])
async def test_open_to_the_network_with_a_key(bind: str) -> None:
    """With a key one may listen everywhere, and advertises an address that works."""
    async with endpoints({"key": OURS, "bind": bind}, {"key": OURS}) as (a, b):
        assert "0.0.0.0" not in a.address
        assert "[::]" not in a.address
        b.transport.connect(a.address)
        await hears(a, b, b"welcome")


# ------------------------------------------------------------------------------------------- without a key
@pytest.mark.parametrize(
    ("bind", "who"),
    [
        ("tcp://0.0.0.0:*", "other machines"),
        ("tcp://*:5555", "other machines"),
        ("tcp://[::]:*", "other machines"),
        ("tcp://node7:5555", "other machines"),
        ("tcp://127.0.0.1:*", "this machine"),
        ("tcp://[::1]:5555", "this machine"),
        ("ipc:///tmp/socket", "this machine"),
    ],
)
def test_listening_without_a_key_is_refused(bind: str, who: str) -> None:
    """Where to listen is refused without a key, on loopback too, unless one insists."""
    with pytest.raises(UsageError, match=rf"anyone on {who}.*aiohpo keygen .* --key .* --insecure"):
        ZeroMQTransport(bind=bind)
    ZeroMQTransport(bind=bind, insecure=True)
    with pytest.raises(UsageError, match="leave out one of insecure and key"):
        ZeroMQTransport(bind=bind, key=OURS, insecure=True)


async def test_an_endpoint_without_a_key_lets_nobody_in() -> None:
    """One that has no key and was not told to be insecure hears those that it connects to, and has no open door."""
    open_mesh, shut, stranger, keyed = {}, {"insecure": False}, {}, {"key": OTHERS}
    async with endpoints(open_mesh, shut, stranger, keyed) as (a, x, s, k):  # type: ignore[arg-type]
        for visitor in (s, k):
            visitor.transport.connect(x.address)
            visitor.transport.send(x.address, b"let me in")
        x.transport.connect(a.address)
        await hears(a, x, b"welcome")
        x.transport.send(a.address, b"thanks")
        await until(lambda: (x.address, b"thanks") in a.heard)
        for visitor in (s, k):
            await until(lambda visitor=visitor: bool(visitor.told))  # type: ignore[misc]
        assert {peer for peer, _ in x.heard} == {a.address}


# ------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("mesh", "intruder", "mesh_says", "intruder_says"),
    [
        (
            OURS,
            OTHERS,
            f"it has a different key from this (study's|worker) .{OURS.fingerprint}",
            "it has a different key",
        ),
        (OURS, None, "it has no key|it has a different key .*, or none", "(requires|has) a key"),
        (None, OTHERS, "has a key|requires a key", "it has no key|it has a different key .*, or none"),
    ],
    ids=["another key", "no key", "a key too many"],
)
async def test_refused_on_both_sides(
    mesh: StudyKey | None, intruder: StudyKey | None, mesh_says: str, intruder_says: str
) -> None:
    """Who has not the mesh's key is refused with one line on each side, and the mesh goes on."""
    async with endpoints({"key": mesh}, {"key": mesh}, {"key": intruder}) as (a, b, x):
        b.transport.connect(a.address)
        await hears(a, b, b"before")
        for e in (a, b):
            x.transport.connect(e.address)
        a.transport.connect(x.address)  # they may know of it from a shared directory
        for e in (a, x):
            x.transport.send(a.address, b"let me in")
            await until(lambda e=e: bool(e.told))  # type: ignore[misc]
        await asyncio.sleep(1.5)  # of further attempts
        await hears(a, b, b"after")
        assert [len(e.told) for e in (a, x)] == [1, 1], (a.told, x.told)
        assert len(b.told) <= 1
        assert re.search(mesh_says, a.told[0]), a.told
        assert re.search(intruder_says, x.told[0]), x.told
        assert x.heard == []
        assert {peer for e in (a, b) for peer, _ in e.heard} <= {a.address, b.address}
        secrets = [key.text.partition(":")[2] for key in (OURS, OTHERS)]
        for text in (*a.told, *b.told, *x.told, repr(a.transport), repr(x.transport)):
            assert not any(secret in text for secret in secrets)


async def test_refused_client_retries_less_and_less() -> None:
    """Who is refused comes back a bounded number of times, and is let in once the right peer is there."""
    async with endpoints({"key": OURS}, {"key": OTHERS}) as (a, x):
        accepted = 0
        on_event = a.transport._visitors.on_server_event

        def count(event: int, *rest: object) -> None:
            nonlocal accepted
            accepted += event == zmq.EVENT_ACCEPTED
            on_event(event, *rest)  # type: ignore[arg-type]

        a.transport._visitors.on_server_event = count  # type: ignore[method-assign]
        x.transport.connect(a.address)
        await asyncio.sleep(2.0)
        assert 2 <= accepted <= 5
        address = a.address
        await a.transport.aclose()
        async with endpoints({"key": OTHERS, "bind": address}) as (right,):
            await hears(right, x, b"at last")


async def test_client_that_knows_only_the_public_key() -> None:
    """Who somehow learned the study's public key, but not the secret one, is not admitted."""
    context = zmq.Context()
    async with endpoints({"key": OURS}) as (a,):
        try:
            thief = context.socket(zmq.DEALER)
            public, secret = zmq.curve_keypair()
            thief.set(zmq.CURVE_SERVERKEY, zmq.curve_public(z85.encode(OURS.secret)))
            thief.set(zmq.CURVE_PUBLICKEY, public)
            thief.set(zmq.CURVE_SECRETKEY, secret)
            thief.set(zmq.ROUTING_ID, b"tcp://127.0.0.1:1")
            thief.connect(a.address)
            thief.send(b"let me in")
            await until(lambda: bool(a.told))
            assert "a different key from this study's" in a.told[0]
            assert not thief.poll(200)
            assert a.heard == []
        finally:
            context.destroy(linger=0)


async def test_port_scans_are_not_reported() -> None:
    """A few connections that say nothing, as health checks make, are nobody's news."""
    async with endpoints({"key": OURS}) as (a,):
        for _ in range(2):
            _, writer = await asyncio.open_connection("127.0.0.1", int(a.address.rpartition(":")[2]))
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.3)
        assert a.told == []


def test_zap_answers() -> None:
    """Only a complete request of this domain with the study's own key is admitted."""
    curve = Curve(OURS.secret)
    public = z85.decode(zmq.curve_public(z85.encode(OURS.secret)))
    good = [b"1.0", b"7", b"aiohpo", b"10.0.0.1", b"", b"CURVE", public]
    assert curve.answer(good) == [b"1.0", b"7", b"200", b"OK", b"", b""]
    bad = [[], good[:6], [*good, b"more"], [*good[:6], b"\0" * 32], [*good[:6], b""]]
    bad += [[b"2.0", *good[1:]], [*good[:2], b"else", *good[3:]], [*good[:5], b"NULL"], [*good[:5], b"PLAIN", public]]
    for request in bad:
        assert curve.answer(request)[2] == b"400"
    assert repr(curve) == "<Curve>"


def test_refusals_are_told_a_bounded_number_of_times() -> None:
    """However many hosts are refused, the lines are bounded, and the last one says that there are more."""
    told: list[str] = []
    visitors = Visitors("12345678")
    visitors.tell = told.append
    for k in range(10 * MOST_NOTICES):
        visitors.refused_by(f"tcp://10.0.{k}.1:5", f"10.0.{k}.1", Why.KEY, 0.0, float(k))
        visitors.refused_by(f"tcp://10.0.{k}.1:5", f"10.0.{k}.1", Why.KEY, 0.0, float(k))
    assert len(told) == MOST_NOTICES + 1
    assert told[-1] == "refused more; no further refusals are shown"


def test_handshakes_that_ran_out_of_time_are_not_refusals() -> None:
    """A peer that is stopped or overloaded, and so does not answer a handshake, is not said to lack the key."""
    told: list[str] = []
    visitors = Visitors("12345678")
    visitors.tell = told.append
    for k in range(10):
        visitors.refused_by("tcp://h:5", "h", Why.UNCLEAR, k * 6.0, k * 6.0 + 5.0)
    assert told == []
    for k in range(10):
        visitors.refused_by("tcp://h:5", "h", Why.UNCLEAR, 100 + k, 100 + k)
    assert told == [
        "cannot join tcp://h:5: it closes the connection; most likely it has a different key from this worker "
        "(12345678), or none; give all workers the same key (--key FILE)"
    ]


def test_why_failed_reads_monitor_events() -> None:
    """Events of a monitor that are no failed handshakes are told from those that are."""
    assert why_failed(int(zmq.EVENT_ACCEPTED), 7) is None
    assert why_failed(int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), 400) is Why.KEY
    assert why_failed(int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), 32) is Why.UNCLEAR
    failed = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
    assert why_failed(failed, int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)) is Why.MISMATCH
    assert why_failed(failed, int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)) is Why.KEY
    assert why_failed(failed, int(zmq.PROTOCOL_ERROR_ZMTP_UNSPECIFIED)) is Why.UNCLEAR


# ---------------------------------------------------------------------------------------- man in the middle
@asynccontextmanager
async def man_in_the_middle(address: str, seen: bytearray) -> AsyncIterator[str]:
    """Relay connections to an address, and write down every byte of both directions; give the relay's address."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                seen.extend(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        writers.extend((writer, to_writer))
        for pair in ((reader, to_writer), (to_reader, writer)):
            tasks.add(asyncio.create_task(relay(*pair)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.close()
        await server.wait_closed()


@pytest.mark.parametrize("key", [OURS, None], ids=["with a key", "without"])
async def test_wire_shows_nothing_with_a_key(key: StudyKey | None) -> None:
    """Between two endpoints the frames cannot be read with a key, and can without."""
    sent, published = msgpack.packb(["learning_rate", 0.125]), os.urandom(200_000)
    seen = bytearray()
    async with endpoints({"key": key}, {"key": key}) as (a, b), man_in_the_middle(a.address, seen) as relayed:
        b.transport.connect(relayed)
        b.transport.send(relayed, sent)
        await until(lambda: (b.address, sent) in a.heard)
        a.transport.publish(published)
        await until(lambda: (relayed, published) in b.heard)
    assert len(seen) > len(published)
    in_the_clear = [word in seen for word in (sent, published[100:200], b.address.encode(), b"learning_rate")]
    assert in_the_clear == [key is None] * 4


async def test_man_in_the_middle_changes_nothing() -> None:
    """A byte that somebody changed on the way ends the connection; nothing false is handed on."""
    async with endpoints({"key": OURS}, {"key": OURS}) as (a, b):
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        b.transport.connect(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        client, _ = await loop.sock_accept(listener)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(a.address.rpartition(":")[2]))
        to_client = await asyncio.open_connection(sock=client)
        flip = False

        async def relay(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(bytes([*data[:-1], data[-1] ^ 1]) if flip else data)
            sink.close()

        tasks = [asyncio.create_task(relay(to_client[0], writer)), asyncio.create_task(relay(reader, to_client[1]))]
        relayed = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        await until(lambda: len(a.heard) > 0, do=lambda: b.transport.send(relayed, b"true"))
        await asyncio.sleep(0.1)
        flip = True
        b.transport.send(relayed, b"false")
        async with asyncio.timeout(600):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream in (writer, to_client[1]):
            stream.close()
        assert {frame for _, frame in a.heard} == {b"true"}
