"""The simulated network: what its endpoints promise, and the faults it can inject."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Transport
from aiohpo.testing import SimNetwork, SimTransport, run

Received = list[tuple[str, bytes]]
Scene = Callable[[SimNetwork, SimTransport, SimTransport, Received], Awaitable[None]]


def play(scene: Scene, seed: int = 0, **options: object) -> SimNetwork:
    """Run a scene between two endpoints, b connected to a; the list holds what b receives."""

    async def main() -> SimNetwork:
        network = SimNetwork(seed, **options)
        a, b = network.endpoint("a"), network.endpoint("b")
        received: Received = []
        await a.start(lambda peer, frame: None)
        await b.start(lambda peer, frame: received.append((peer, frame)))
        b.connect("sim://a")
        await asyncio.sleep(1)
        await scene(network, a, b, received)
        return network

    return run(main, seed=seed)


def frames(n: int) -> list[bytes]:
    """Return n distinct frames."""
    return [b"%d" % k for k in range(n)]


def test_is_a_transport() -> None:
    """An endpoint has everything that the protocol names."""
    assert isinstance(SimNetwork().endpoint("a"), Transport)


@pytest.mark.parametrize("seed", range(5))
def test_order_per_link(seed: int) -> None:
    """Frames of one link arrive complete and in order, though their delays differ."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        for frame in frames(300):
            a.publish(frame)
            if frame.endswith(b"0"):
                await asyncio.sleep(0.001)
        await asyncio.sleep(1)
        assert received == [("sim://a", frame) for frame in frames(300)]

    play(scene, seed)


def test_published_before_settling_is_lost() -> None:
    """A subscriber hears nothing that was published in the instant it connected."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        b.disconnect("sim://a")
        b.connect("sim://a")
        a.publish(b"early")
        await asyncio.sleep(1)
        a.publish(b"late")
        await asyncio.sleep(1)
        assert received == [("sim://a", b"late")]

    play(scene)


def test_disconnected_hears_nothing() -> None:
    """After disconnect not even what was under way is heard."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        a.publish(b"under way")
        b.disconnect("sim://a")
        await asyncio.sleep(1)
        assert received == []

    play(scene)


def test_send_needs_a_known_peer() -> None:
    """A peer can be sent to once connected to, or once a frame came from it, and not before."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        assert not a.send("sim://b", b"unknown")
        assert b.send("sim://a", b"hello")
        await asyncio.sleep(1)
        assert a.send("sim://b", b"known")
        await asyncio.sleep(1)
        assert received == [("sim://a", b"known")]

    play(scene)


def test_crash_loses_what_is_in_flight() -> None:
    """Nothing arrives from or at a crashed endpoint, and its methods do nothing."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        a.publish(b"last words")
        network.crash("sim://a")
        assert not a.send("sim://b", b"ghost")
        a.publish(b"ghost")
        assert b.send("sim://a", b"are you there?")
        await asyncio.sleep(1)
        assert received == []
        assert network.traffic["sim://a"].lost == 1

    play(scene)


def test_restart_at_the_same_address_is_heard() -> None:
    """A peer that stays connected to an address hears the next endpoint that starts there."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        network.crash("sim://a")
        again = network.endpoint("reborn", bind="sim://a")
        await again.start(lambda peer, frame: None)
        await asyncio.sleep(1)
        again.publish(b"back")
        await asyncio.sleep(1)
        assert received == [("sim://a", b"back")]

    play(scene)


def test_partition_and_heal() -> None:
    """A partition stops frames that leave or would arrive during it; healing lets later ones through."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        a.publish(b"in flight")
        network.partition(["sim://a"])
        a.publish(b"blocked")
        await asyncio.sleep(1)
        network.heal()
        a.publish(b"after")
        await asyncio.sleep(1)
        assert received == [("sim://a", b"after")]

    play(scene)


def test_cut_is_one_way() -> None:
    """A cut stops one direction of a link only."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        network.cut("sim://b", "sim://a")
        b.send("sim://a", b"lost")
        a.publish(b"heard")
        await asyncio.sleep(1)
        assert received == [("sim://a", b"heard")]
        assert network.traffic["sim://a"].received == 0

    play(scene)


def test_loss_and_duplication_have_their_rates() -> None:
    """About as many frames are lost and doubled as the probabilities say."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        for frame in frames(4000):
            a.publish(frame)
        await asyncio.sleep(5)
        assert network.traffic["sim://a"].sent == pytest.approx(4000 * 1.2, rel=0.05)
        assert len(received) == pytest.approx(4000 * 1.2 * 0.7, rel=0.05)

    play(scene, loss=0.3, duplicate=0.2)


def test_reordering() -> None:
    """With reordering, every frame arrives, some of them out of order."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        for frame in frames(500):
            a.publish(frame)
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)
        assert sorted(received) == sorted(("sim://a", frame) for frame in frames(500))
        assert received != [("sim://a", frame) for frame in frames(500)]

    play(scene, reorder=0.1)


def test_full_link_refuses() -> None:
    """A link holds its capacity; ``send`` says so when it is full."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        assert [b.send("sim://a", b"x") for _ in range(7)] == [True] * 5 + [False] * 2

    play(scene, capacity=5)


def test_same_seed_same_trace() -> None:
    """One seed gives one trace, faults included; another seed gives another."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        for frame in frames(200):
            a.publish(frame)
            b.send("sim://a", frame)
            await asyncio.sleep(0.001)

    faults = {"loss": 0.1, "duplicate": 0.1, "reorder": 0.1, "trace": True}
    traces = [play(scene, seed, **faults).trace for seed in (1, 1, 2)]
    assert traces[0] == traces[1] != traces[2]


def test_counts_traffic_and_degree() -> None:
    """Frames, bytes and linked peers are counted per address."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        a.publish(b"12345")
        await asyncio.sleep(1)
        assert network.traffic["sim://a"].sent_bytes == network.traffic["sim://b"].received_bytes == 5
        assert network.degree("sim://a") == network.degree("sim://b") == 1

    play(scene)


def test_address_in_use() -> None:
    """Two living endpoints cannot share an address."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        with pytest.raises(UsageError, match="sim://a is in use"):
            await network.endpoint("a").start(lambda peer, frame: None)

    play(scene)


def test_malformed_address() -> None:
    """An address of another kind is refused with the remedy."""
    with pytest.raises(ValueError, match="write sim:// and a name"):
        SimNetwork().endpoint("a", bind="tcp://127.0.0.1:1")


def test_repr_is_a_status_line() -> None:
    """Reprs say the seed, the size, the faults and the links."""

    async def scene(network: SimNetwork, a: SimTransport, b: SimTransport, received: Received) -> None:
        network.partition(["sim://a"])
        assert repr(network) == "<SimNetwork seed=0 of 2: loss 0.1, partitioned>"
        assert repr(b) == "<SimTransport sim://b alive, 1 connected>"

    play(scene, loss=0.1)
