"""The MPI transport between ranks of a fake MPI, in virtual time; tests/smoke has the real one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from aiohpo import Float, Space, Study, Worker
from aiohpo.errors import UsageError
from aiohpo.keys import kept_key
from aiohpo.plugin import LaunchedTransport
from aiohpo.testing import check_transport, run
from aiohpo_transports.mpi import link as mpi_link
from aiohpo_transports.mpi import process as mpi_process
from aiohpo_transports.mpi import secret as mpi_secret
from aiohpo_transports.mpi import transport as mpi
from aiohpo_transports.mpi.transport import MPITransport
from tests.support.fake_mpi import World

Frames = list[tuple[str, bytes]]
Make = Callable[..., MPITransport]


@pytest.fixture
def world() -> World:
    """Four ranks."""
    return World(4)


@pytest.fixture
def make(world: World, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Give the endpoint of a rank."""
    monkeypatch.setattr(mpi, "_open", {})

    def make(rank: int, **options: object) -> MPITransport:
        monkeypatch.setattr(mpi, "mpi_world", lambda: (world, world.comm(rank)))
        return MPITransport(**options)  # type: ignore[arg-type]  # the tests' own options

    return make


async def opened(transport: MPITransport, heard: Frames | None = None) -> MPITransport:
    """Start an endpoint that writes down what it hears."""
    await transport.start(lambda peer, frame: None if heard is None else heard.append((peer, frame)))
    return transport


# ----------------------------------------------------------------------------------------------- conformance
def test_conforms_in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps the promises of a transport, each endpoint on a rank of its own."""
    world, ranks = World(64), count()
    monkeypatch.setattr(mpi, "mpi_world", lambda: (world, world.comm(next(ranks))))
    run(lambda: check_transport(MPITransport), seed=0)


def test_conforms_with_successors_on_a_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps them also when a process opens one endpoint after the other."""
    world = World(3)

    def free() -> MPITransport:
        used = {rank for rank, _ in reserved if rank in mpi._open}
        fresh = [rank for rank in range(3) if rank not in used and rank not in pending()]
        monkeypatch.setattr(mpi, "mpi_world", lambda: (world, world.comm(fresh[0])))
        transport = MPITransport()
        reserved.append((fresh[0], transport))
        return transport

    def pending() -> set[int]:
        return {rank for rank, transport in reserved if "not started" in repr(transport)}

    reserved: list[tuple[int, MPITransport]] = []
    run(lambda: check_transport(free), seed=0)


# ------------------------------------------------------------------------------------------------- launching
def test_every_rank_knows_the_others(make: Make) -> None:
    """It tells its rank, how many there are and whom to greet, before it starts."""
    transport = make(2)
    assert isinstance(transport, LaunchedTransport)
    assert (transport.rank, transport.size, transport.address) == (2, 4, "mpi://2")
    assert transport.peers() == ["mpi://0", "mpi://1", "mpi://3"]


def test_a_large_world_is_connected_by_few_greetings(world: World, make: Make) -> None:
    """In a large world each rank greets a few, and all become one mesh although one in ten is dead."""
    world.size = 1000
    greets = {rank: [int(a.removeprefix("mpi://")) for a in make(rank).peers()] for rank in range(1000)}
    assert max(map(len, greets.values())) <= 20
    alive = {rank for rank in range(1000) if rank % 10 != 3}
    reached, frontier = {0}, {0}
    while frontier:
        frontier = {other for rank in frontier for other in greets[rank]} & alive - reached
        reached |= frontier
    assert reached == alive


def test_alone_it_has_nobody_to_greet(world: World, make: Make) -> None:
    """A single rank works, and has no peers."""
    world.size = 1
    assert make(0).peers() == []


def test_binding_elsewhere_is_refused(make: Make) -> None:
    """An address that is not this rank's cannot be bound to."""
    assert make(1, bind="mpi://1").address == "mpi://1"
    with pytest.raises(UsageError, match="MPI decides, this rank is mpi://1"):
        make(1, bind="mpi://0")


@pytest.mark.parametrize("address", ["mpi://", "mpi://01", "mpi://x", "tcp://127.0.0.1:5", "mpi://4"])
def test_wrong_addresses(make: Make, address: str) -> None:
    """What names no rank, or none that was launched, is refused."""
    with pytest.raises(UsageError, match=r"address among MPI ranks|4 ranks were launched"):
        make(0).connect(address)


def test_one_endpoint_per_rank_at_a_time(make: Make) -> None:
    """A second endpoint of a rank is refused while the first one is open, and welcome afterwards."""

    async def scenario() -> None:
        first = await opened(make(0))
        with pytest.raises(UsageError, match="a rank is one worker"):
            await opened(make(0))
        await first.aclose()
        second = await opened(make(0))
        with pytest.raises(RuntimeError, match="started before"):
            await opened(second)
        await second.aclose()

    run(scenario, seed=0)


def test_rank_0_hands_out_a_secret(make: Make, world: World) -> None:
    """Rank 0 waits for nobody, also not for the dead; the others get what it gave, one for each endpoint in turn."""
    world.dead.add(3)
    assert make(0).share(b"first") == b"first"
    assert make(0).share(b"second") == b"second"
    for rank in (1, 2):
        assert [make(rank).share(None) for _ in range(2)] == [b"first", b"second"]
    with pytest.raises(ValueError, match="rank 0 gives a secret"):
        make(1).share(b"mine")
    with pytest.raises(ValueError, match="rank 0 gives a secret"):
        make(0).share(None)


def test_a_secret_that_does_not_come(make: Make, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank does not wait for ever, not for a rank 0 that could not start, and not for a dead one."""
    monkeypatch.setattr(mpi_secret.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(mpi_secret.time, "monotonic", count(0, 10).__next__)
    with pytest.raises(UsageError, match="rank 0 has not handed out the study's key within 120 s"):
        make(1).share(None)
    make(0).share(b"")
    with pytest.raises(UsageError, match="rank 0 could not start"):
        make(1).share(None)
    world.dead.add(0)
    with pytest.raises(UsageError, match="rank 0 died"):
        make(1).share(None)


def test_all_ranks_of_a_study_have_the_key_of_rank_0(
    make: Make, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Workers of a launch that share no directory agree on a key; one that rank 0 cannot read stops them all."""

    def worker(rank: int, **options: object) -> Worker:
        monkeypatch.setattr(mpi, "mpi_world", lambda: (world, world.comm(rank)))
        study = Study(lambda trial: 0.0, Space(x=Float(0, 1)), searcher="random", directory=tmp_path / str(rank))
        return Worker(study, transport="mpi", trials=1, **options)  # type: ignore[arg-type]  # the tests' own options

    keys = {worker(rank).study._replica.key for rank in range(4)}
    assert keys == {kept_key(tmp_path / "0")}
    with pytest.raises(UsageError, match="cannot read the key file nowhere"):
        worker(0, key="nowhere")
    with pytest.raises(UsageError, match="rank 0 could not start"):
        worker(1, key="nowhere")


# ----------------------------------------------------------------------------------------------- bad ranks
def test_a_rank_that_takes_nothing_is_bounded(world: World, make: Make) -> None:
    """What waits for a stopped rank is bounded, then dropped and counted; it is served again when it goes on."""

    async def scenario() -> None:
        heard: Frames = []
        a, b = await opened(make(0), heard), await opened(make(1), heard)
        a.connect("mpi://1")
        await asyncio.sleep(0.1)
        world.stopped.add(1)
        taken = sum(a.send("mpi://1", b"frame") for _ in range(1000))
        assert taken == mpi_link.FLYING + 500
        assert a.dropped == 1000 - taken
        await asyncio.sleep(mpi_link.STALLED + 1)
        assert not a.send("mpi://1", b"stalled")
        assert a.dropped == 1000 - mpi_link.FLYING + 1, "what waited is given up"
        world.stopped.clear()
        await asyncio.sleep(0.1)
        assert a.send("mpi://1", b"welcome back")
        await asyncio.sleep(0.1)
        assert heard == [("mpi://0", b"frame")] * mpi_link.FLYING + [("mpi://0", b"welcome back")]
        await a.aclose()
        await b.aclose()

    run(scenario, seed=0)


def test_connecting_to_a_rank_that_takes_nothing(world: World, make: Make) -> None:
    """Connecting and disconnecting over and over needs no memory, and the last word counts when the rank goes on."""

    async def scenario() -> None:
        heard: Frames = []
        a, b = await opened(make(0), heard), await opened(make(1))
        world.stopped.add(1)
        for _ in range(2000):
            a.connect("mpi://1")
            a.disconnect("mpi://1")
        a.connect("mpi://1")
        assert a._peers[1].waiting <= mpi_link.FLYING + 500
        world.stopped.clear()
        await asyncio.sleep(0.5)
        b.publish(b"news")
        await asyncio.sleep(0.1)
        assert heard == [("mpi://1", b"news")]
        await a.aclose()
        await b.aclose()

    run(scenario, seed=0)


def test_long_frames_are_bounded_in_bytes(world: World, make: Make) -> None:
    """Of the longest frames fewer wait than of short ones."""

    async def scenario() -> None:
        a = await opened(make(0, max_frame=10_000))
        a.connect("mpi://1")
        world.stopped.add(1)
        assert sum(a.send("mpi://1", bytes(10_000)) for _ in range(10)) == 3
        await a.aclose()

    run(scenario, seed=0)


def test_closing_does_not_wait_for_a_rank_that_takes_nothing(world: World, make: Make) -> None:
    """Closing is bounded, and the buffers of what is under way live on."""

    async def scenario() -> float:
        a = await opened(make(0))
        a.connect("mpi://1")
        world.stopped.add(1)
        a.send("mpi://1", b"unheard")
        began = asyncio.get_running_loop().time()
        await a.aclose()
        return asyncio.get_running_loop().time() - began

    assert run(scenario, seed=0) <= mpi.FAREWELL + 0.1
    assert any(buffer.endswith(b"unheard") for _, buffer in mpi._abandoned)


def test_a_rank_that_dies_is_written_off(world: World, make: Make) -> None:
    """Where MPI tells of a death, nothing is sent there any more, and the others are served as before."""

    async def scenario() -> None:
        heard: Frames = []
        a, b, c = await opened(make(0)), await opened(make(1), heard), await opened(make(2))
        b.connect("mpi://0")
        c.connect("mpi://0")
        await asyncio.sleep(0.1)
        world.dead.add(2)
        await asyncio.sleep(0.1)
        assert not a.send("mpi://2", b"anybody?")
        a.publish(b"news")
        a.connect("mpi://2")
        await asyncio.sleep(0.1)
        assert heard == [("mpi://0", b"news")]
        assert "dead" in repr(a._peers[2])
        await a.aclose()
        await b.aclose()

    run(scenario, seed=0)


def test_a_sender_that_dies_within_a_message(world: World, make: Make) -> None:
    """A message that never arrives completely holds up nobody but its sender."""

    async def scenario() -> None:
        heard: Frames = []
        a, b, c = await opened(make(0), heard), await opened(make(1)), await opened(make(2))
        b.connect("mpi://0")
        c.connect("mpi://0")
        world.slow.add(1)
        b.send("mpi://0", bytes(100_000))
        c.send("mpi://0", b"hello")
        await asyncio.sleep(0.1)
        assert heard == [("mpi://2", b"hello")]
        world.slow.clear()
        await asyncio.sleep(0.1)
        assert heard[1:] == [("mpi://1", bytes(100_000))]
        for transport in (a, b, c):
            await transport.aclose()

    run(scenario, seed=0)


def test_garbage_is_counted(world: World, make: Make) -> None:
    """What is too short, too long or of an unknown kind is counted and dropped, without memory for it."""

    async def scenario() -> None:
        heard: Frames = []
        a = await opened(make(0, max_frame=1000), heard)
        stranger = world.comm(3)
        for garbage in (b"", b"abc", bytes(100_000), b"\x09\x01\x00\x00\x00what"):
            stranger.Isend(garbage, 0, mpi_process.TAG)
        stranger.Isend(b"\x01\x01\x00\x00\x00fine", 0, mpi_process.TAG)
        await asyncio.sleep(0.1)
        assert a.malformed == 4
        assert heard == [("mpi://3", b"fine")]
        await a.aclose()

    run(scenario, seed=0)


def test_what_was_meant_for_a_predecessor_is_dropped(world: World, make: Make) -> None:
    """An endpoint hears nothing of what was sent to one that the process had before."""

    async def scenario() -> None:
        heard: Frames = []
        a, first = await opened(make(0)), await opened(make(1))
        first.connect("mpi://0")
        a.connect("mpi://1")
        await asyncio.sleep(0.1)
        first.publish(b"a learns the number")
        await asyncio.sleep(0.1)
        world.stopped.add(1)
        a.publish(b"for the first")
        await first.aclose()
        world.stopped.clear()
        second = await opened(make(1), heard)
        await asyncio.sleep(0.1)
        assert heard == []
        second.connect("mpi://0")
        await asyncio.sleep(0.1)
        a.publish(b"for the second")
        await asyncio.sleep(0.1)
        assert heard == [("mpi://0", b"for the second")]
        await a.aclose()
        await second.aclose()

    run(scenario, seed=0)


def test_a_receiver_that_raises(make: Make) -> None:
    """A frame on which the receiver chokes is reported, and the next one is handed on."""

    async def scenario() -> list[dict[str, object]]:
        reported: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        heard: Frames = []

        def choke(peer: str, frame: bytes) -> None:
            if frame == b"bad":
                raise ValueError("choked")
            heard.append((peer, frame))

        a, b = make(0), await opened(make(1))
        await a.start(choke)
        b.connect("mpi://0")
        b.send("mpi://0", b"bad")
        b.send("mpi://0", b"good")
        await asyncio.sleep(0.1)
        assert heard == [("mpi://1", b"good")]
        await a.aclose()
        await b.aclose()
        return reported

    (report,) = run(scenario, seed=0)
    assert "could not hand on a frame from mpi://1" in str(report["message"])


def test_repr(make: Make) -> None:
    """Its repr tells rank, state and links."""

    async def scenario() -> None:
        a = make(0)
        assert repr(a) == "<MPITransport mpi://0 of 4 not started, 0 connected, 0 listening, 0 dropped>"
        await opened(a)
        a.connect("mpi://1")
        assert repr(a) == "<MPITransport mpi://0 of 4 open, 1 connected, 0 listening, 0 dropped>"
        assert repr(a._peers[1]) == "<RankLink to rank 1 alive, 1 waiting, 0 dropped>"
        await a.aclose()
        assert repr(a) == "<MPITransport mpi://0 of 4 closed, 0 connected, 0 listening, 0 dropped>"

    run(scenario, seed=0)


# ------------------------------------------------------------------------------------------- the process
@pytest.mark.parametrize(
    ("environment", "launched"),
    [
        ({}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 4),
        ({"PMI_SIZE": "3"}, 3),
        ({"SLURM_STEP_NUM_TASKS": "8", "PMI_SIZE": "1"}, 8),
        ({"PMI_SIZE": "many"}, 1),
    ],
)
def test_how_many_were_launched(environment: dict[str, str], launched: int) -> None:
    """What a launcher tells in the environment is found, whatever MPI it belongs to."""
    assert mpi_process.launched_together(environment) == launched


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_MCA_mpi_ft_enable": "1"}, 0.0),
        ({"OMPI_COMM_WORLD_SIZE": "4", "SLURM_STEP_ID": "0"}, None),
        ({"SLURM_STEP_ID": "0"}, 60.0),
        ({}, None),
    ],
)
def test_how_long_finalize_may_take(environment: dict[str, str], seconds: float | None) -> None:
    """It is skipped where ranks may die, waited for where the launcher insists, and bounded under srun."""
    assert mpi_process.patience(environment) == seconds


def test_without_mpi4py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mpi4py the error says what to install."""
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(UsageError, match=r"pip install 'aiohpo\[mpi\]'"):
        MPITransport()


def test_importing_it_does_not_load_mpi() -> None:
    """MPI is loaded when an endpoint is made, not when the module is imported."""
    code = "import sys, aiohpo_transports.mpi.transport; sys.exit('mpi4py' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
