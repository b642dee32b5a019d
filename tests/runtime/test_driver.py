"""Tests of how effects are carried out."""

from __future__ import annotations

import asyncio

import pytest

from aiohpo.events.schema import Batch
from aiohpo.mesh.effects import (
    CallOff,
    Connect,
    Describe,
    Effect,
    Milestone,
    Notice,
    Persist,
    Publish,
    Reached,
    Send,
    TrialsEnded,
)
from aiohpo.mesh.frames import Ping, encode_frame
from aiohpo.runtime.driver import Driver
from aiohpo.testing import SimNetwork, run

TAG = b"tag."
BATCH = Batch("ann", 1, (b"event",))


class Scripted:
    """A state that asks for given effects, a round at a time, and notes what it is told."""

    tag = TAG

    def __init__(self, *rounds: list[Effect]) -> None:
        self.rounds = list(rounds)
        self.told: list[object] = []
        self.due = float("inf")

    def receive(self, now: float, peer: str, data: bytes) -> None:
        self.told.append((now, peer, data))
        if data == b"raise":
            raise RuntimeError("a bug")

    def tick(self, now: float) -> None:
        self.told.append(now)
        self.due = float("inf")

    def next_deadline(self) -> float:
        return self.due

    def drain(self) -> list[Effect]:
        return self.rounds.pop(0) if self.rounds else []


def test_events_are_written_before_anything_is_sent() -> None:
    """Of one round all events are persisted first; then the effects follow in their order, and the next round."""

    async def main() -> None:
        network, done = SimNetwork(), []
        other = network.endpoint("other")
        await other.start(lambda peer, data: done.append(data))
        driver = Driver(
            network.endpoint("me"),
            done.append,
            {TrialsEnded: done.append, CallOff: done.append},
            persist=lambda batches: done.append(batches),
        )
        ping = encode_frame(TAG, Ping(1.0))
        await driver.open()
        first = [Connect(other.address), Notice("one"), Send(other.address, Ping(1.0)), Persist(BATCH), CallOff("why")]
        driver.begin(Scripted([*first, Describe("x")], [Reached(Milestone.MET), TrialsEnded((3,))]))
        driver.carry_out()
        assert done == [[BATCH], "one", CallOff("why"), [], TrialsEnded((3,))]
        assert driver.reached == {Milestone.MET}
        await asyncio.sleep(1.0)
        assert done[-1] == ping
        assert (driver.frames_out, driver.bytes_out) == (1, len(ping))

    run(main)


def test_the_state_is_called_at_its_deadline() -> None:
    """A timer calls tick when the state has something due, at the earliest of the deadlines it named."""

    async def main() -> None:
        driver, state = Driver(SimNetwork().endpoint("me"), print, {}), Scripted()
        await driver.open()
        driver.begin(state)
        for state.due in (5.0, 2.0, 3.0):
            driver.carry_out()
        await asyncio.sleep(10.0)
        assert state.told == [2.0]
        state.due = 12.0
        driver.carry_out()
        driver.stop()
        await asyncio.sleep(10.0)
        assert state.told == [2.0]

    run(main)


def test_after_a_failure_nothing_happens_any_more() -> None:
    """What the state raises is kept and told once; later frames and deadlines do not reach it."""

    async def main() -> None:
        network, failures = SimNetwork(), []
        driver = Driver(network.endpoint("me"), print, {}, on_failure=lambda: failures.append(driver.failure))
        other = network.endpoint("other")
        await other.start(lambda peer, data: None)
        await driver.open()
        other.connect(driver.transport.address)
        state = Scripted()
        driver.begin(state)
        state.due = 5.0
        driver.carry_out()
        for data in (b"good", b"raise", b"late"):
            other.send(driver.transport.address, data)
            await asyncio.sleep(1.0)
        await asyncio.sleep(9.0)
        assert [data for _, _, data in state.told] == [b"good", b"raise"]
        assert [str(error) for error in failures] == ["a bug"]

    run(main)


def test_frames_before_the_beginning_go_elsewhere() -> None:
    """A spectator does not know yet what is searched: what it hears is read by itself."""

    async def main() -> None:
        network, strange = SimNetwork(), []
        driver, other = Driver(network.endpoint("me"), print, {}), network.endpoint("other")
        await other.start(lambda peer, data: None)
        await driver.open(lambda peer, data: strange.append(data))
        other.connect(driver.transport.address)
        other.send(driver.transport.address, b"before")
        await asyncio.sleep(1.0)
        state = Scripted()
        driver.begin(state)
        other.send(driver.transport.address, b"after")
        await asyncio.sleep(1.0)
        assert strange == [b"before"]
        assert [data for _, _, data in state.told] == [b"after"]

    run(main)


@pytest.mark.parametrize("effect", [Connect("tcp://elsewhere:1")])
def test_an_address_of_another_kind_is_noticed(effect: Effect) -> None:
    """What a peer advertises may be nothing that this transport can connect to: people hear of it."""

    async def main() -> None:
        told: list[str] = []
        driver = Driver(SimNetwork().endpoint("me"), told.append, {})
        await driver.open()
        driver.begin(Scripted([effect, Publish(Ping(0.0))]))
        driver.carry_out()
        [line] = told
        assert "cannot connect to 'tcp://elsewhere:1'" in line
        assert driver.frames_out == 1

    run(main)
