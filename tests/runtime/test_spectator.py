"""Spectators in simulated swarms: they see everything, and nobody is any the worse for it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from aiohpo import Float, Space, Study
from aiohpo.errors import UsageError
from aiohpo.keys import StudyKey
from aiohpo.mesh.frames import (
    FORMAT,
    Definition,
    Inquire,
    decode_frame,
    encode_frame,
)
from aiohpo.mesh.membership import State
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.report.sources import JoinedMesh
from aiohpo.report.tally import Tally
from aiohpo.runtime.peer import Peer
from aiohpo.runtime.spectator import Spectator, spectator_id, spectator_transport
from aiohpo.testing import SimNetwork, run
from tests.support.peers import make_peer

SPACE = Space(x=Float(0.0, 1.0))


class Uniform:
    """A searcher that draws."""

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        self.space = space

    def ask(self, view: object, rng: np.random.Generator, slots: Sequence[int]) -> list[dict[str, object]]:
        return self.space.decode(self.space.sample(rng, len(slots)))


@dataclass
class Swarm:
    """Workers on a simulated network, and what was noticed by whom."""

    network: SimNetwork
    study: Study
    trials: int
    peers: list[Peer] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    closed: bool = False

    async def add(self) -> Peer:
        seed, number = self.network.seed, len(self.peers)
        name = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=6).hexdigest()
        peer = make_peer(
            self.study,
            limits=Limits(trials=self.trials),
            transport=self.network.endpoint(name),
            join=[self.peers[0].services.transport.address] if self.peers else [],
            identity=Identity(name, number),
            wall=asyncio.get_running_loop().time,
            notice=self.notices.append,
        )
        await peer.start()
        self.peers.append(peer)
        self.tasks.append(asyncio.create_task(peer.run()))
        return peer

    async def crash(self, number: int) -> None:
        peer, task = self.peers.pop(number), self.tasks.pop(number)
        self.network.crash(peer.services.transport.address)
        peer.exchange.fail(RuntimeError("killed"))
        await asyncio.wait([task])
        task.exception()

    def spectator(self, name: str = "watch-1") -> tuple[Spectator, list[str]]:
        told: list[str] = []
        address = self.peers[0].services.transport.address
        return Spectator(self.network.endpoint(name), name, lambda: [address], notice=told.append), told

    async def finish(self) -> None:
        await asyncio.gather(*self.tasks)
        await asyncio.sleep(1.0)  # the spectator is one frame behind

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            for peer in self.peers:
                peer.stop()
            await asyncio.gather(*self.tasks)
            await asyncio.gather(*(peer.aclose() for peer in self.peers))


def swarm(
    scenario: Callable[[Swarm], Awaitable[None]], *, workers: int, trials: int, seed: int = 0, loss: float = 0.0
) -> None:
    """Play a scenario with a search that is under way."""

    async def main() -> None:
        rng = random.Random(seed)

        async def objective(trial: object) -> float:
            await asyncio.sleep(rng.expovariate(1.0))
            return float(trial.config["x"])  # type: ignore[attr-defined]

        network = SimNetwork(seed=seed, loss=loss)
        it = Swarm(network, Study(objective, SPACE, searcher=Uniform(), seed=seed), trials)
        for _ in range(workers):
            await it.add()
        await asyncio.sleep(4.0)
        await scenario(it)
        await it.close()

    run(main, seed=seed, timeout=600.0)


def check_untouched(it: Swarm, spectator: Spectator) -> None:
    """Nobody has an event of the spectator, or believes anything of it."""
    for peer in it.peers:
        assert peer.services.log.count(spectator.worker) == 0
        assert spectator.worker not in peer.view.workers
        assert spectator.worker not in peer.state.node.mesh.membership.members
        assert spectator.transport.address not in peer.services.transport.connected  # type: ignore[attr-defined]
        assert set(peer.state.node.mesh.membership.members) <= {p.id for p in it.peers} | set(peer.view.workers)
    assert not [text for text in it.notices if spectator.worker in text]


@pytest.mark.parametrize(
    ("workers", "seed", "loss"), [(1, 0, 0.0), (4, 1, 0.0), (4, 2, 0.2), (16, 3, 0.0), (24, 4, 0.05)]
)
def test_a_spectator_joins_mid_search_and_sees_every_trial(workers: int, seed: int, loss: float) -> None:
    """It catches up, follows to the end, and the search does not know that it was there."""

    async def scenario(it: Swarm) -> None:
        spectator, _ = it.spectator()
        await spectator.start()
        assert await spectator.catch_up(30.0)
        tally = Tally(JoinedMesh(spectator))
        now = asyncio.get_running_loop().time
        before = tally.look(now())
        assert 0 < before.ended < it.trials
        assert before.total == it.trials
        assert {w.id for w in before.workers} == {p.id for p in it.peers}
        assert before.counts["running"] >= workers / 2
        await it.finish()
        await asyncio.sleep(10.0)
        after = tally.look(now())
        assert after.ended == it.trials
        assert list(spectator.view.records()) == list(it.peers[0].view.records())
        assert sum(w.trials for w in after.workers) >= it.trials
        assert after.health is not None
        assert after.health.round_trip is not None
        assert 0.001 < after.health.round_trip < 0.05
        check_untouched(it, spectator)
        await spectator.aclose()
        await asyncio.sleep(10.0)
        check_untouched(it, spectator)

    swarm(scenario, workers=workers, trials=12 * workers, seed=seed, loss=loss)


def test_a_spectator_hears_of_results_as_fast_as_workers_do() -> None:
    """In a full mesh as in a sparse one, what is recorded arrives by the flood and not first by repair."""
    for workers in (16, 20):

        async def scenario(it: Swarm) -> None:
            spectator, _ = it.spectator()
            await spectator.start()
            await spectator.catch_up(30.0)
            await asyncio.sleep(5.0)
            repairs = spectator.state.node.gossip.repairs
            for _ in range(20):
                ended = {t.id for peer in it.peers for t in peer.view.records() if t.status == "finished"}
                await asyncio.sleep(0.2)
                assert ended <= {t.id for t in spectator.view.records() if t.status == "finished"}
            assert spectator.state.node.gossip.repairs <= repairs + 2
            await spectator.aclose()

        swarm(scenario, workers=workers, trials=2000, seed=workers)


def test_a_crashed_spectator_disturbs_nobody() -> None:
    """Nobody suspects it, waits for it or notices it; the budget is met exactly."""

    async def scenario(it: Swarm) -> None:
        spectator, _ = it.spectator()
        await spectator.start()
        await spectator.catch_up(30.0)
        it.network.crash(spectator.transport.address)
        spectator.driver.fail(RuntimeError("killed"))
        await it.finish()
        before = asyncio.get_running_loop().time()
        await it.close()
        assert asyncio.get_running_loop().time() - before < 1.0, "leaving workers waited for a dead spectator"
        assert it.peers[0].view.n_ended == it.trials
        assert it.notices == []
        check_untouched(it, spectator)

    swarm(scenario, workers=4, trials=60)


def test_a_spectator_sees_a_worker_die() -> None:
    """A crashed worker turns suspect and then dead, and its trial is taken over."""

    async def scenario(it: Swarm) -> None:
        spectator, told = it.spectator()
        await spectator.start()
        await spectator.catch_up(30.0)
        victim = it.peers[2].id
        await it.crash(2)
        seen = []
        for _ in range(150):
            await asyncio.sleep(0.1)
            state = spectator.states()[victim]
            if state not in seen:
                seen.append(state)
        assert seen == ["alive", "suspect", "dead"]
        assert f"worker {victim} is dead" in told
        await it.finish()
        assert spectator.view.n_ended == it.trials
        await spectator.aclose()

    swarm(scenario, workers=4, trials=100)


def test_the_last_worker_is_judged_by_the_spectator_alone() -> None:
    """With nobody else left to say so, silence is enough."""

    async def scenario(it: Swarm) -> None:
        spectator, _ = it.spectator()
        await spectator.start()
        victim = it.peers[0].id
        await it.crash(0)
        await asyncio.sleep(12.0)
        assert spectator.states() == {victim: "dead"}
        assert spectator.health().silent > 10.0
        await spectator.aclose()

    swarm(scenario, workers=1, trials=1000)


def test_what_an_spectator_suspects_it_keeps_to_itself() -> None:
    """Cut off from one worker it thinks it dead; nobody else does, nothing is lost, and it learns better."""

    async def scenario(it: Swarm) -> None:
        spectator, _ = it.spectator()
        await spectator.start()
        await spectator.catch_up(30.0)
        other, mine = it.peers[1], spectator.transport.address
        there = other.services.transport.address
        it.network.cut(mine, there)
        it.network.cut(there, mine)
        await asyncio.sleep(15.0)
        assert spectator.states()[other.id] == "dead"
        believed = [p.state.node.mesh.membership.state(other.id) for p in it.peers]
        assert believed == [State.ALIVE] * len(it.peers)
        it.network.heal()
        await asyncio.sleep(25.0)
        assert spectator.states()[other.id] == "alive"
        await it.finish()
        assert not [t for t in it.peers[0].view.records() if t.attempt]
        check_untouched(it, spectator)
        await spectator.aclose()

    swarm(scenario, workers=4, trials=300)


def test_two_spectators_and_a_late_worker() -> None:
    """Spectators do not see each other, and see who comes later."""

    async def scenario(it: Swarm) -> None:
        first, second = it.spectator("watch-1")[0], it.spectator("watch-2")[0]
        await first.start()
        await second.start()
        late = await it.add()
        await asyncio.sleep(5.0)
        names = {p.id for p in it.peers}
        assert set(first.states()) == set(second.states()) == names
        assert first.states()[late.id] == "alive"
        await first.aclose()
        await it.finish()
        assert second.view.n_ended == it.trials
        await it.close()
        await asyncio.sleep(1.0)
        assert set(second.states().values()) == {"left"}
        await second.aclose()

    swarm(scenario, workers=3, trials=60)


def test_nobody_there_is_an_error_that_says_what_to_look_at() -> None:
    """After ten seconds the address and the likely causes are named."""

    async def main() -> None:
        network = SimNetwork()
        spectator = Spectator(network.endpoint("watch-1"), "watch-1", lambda: ["sim://nobody"], notice=print)
        began = asyncio.get_running_loop().time()
        with pytest.raises(UsageError, match=r"no answer from sim://nobody\. Is a worker .* key .* firewall"):
            await spectator.start()
        assert 9.0 < asyncio.get_running_loop().time() - began < 11.0
        assert not spectator.transport.alive  # type: ignore[attr-defined]

    run(main)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "no json",
        '{"space": {"\\u001b[2J": 1}}',
        '{"study": "xyz", "space": {}, "metric": "a", "mode": "min"}',
    ],
)
def test_a_definition_that_is_none_is_an_error(text: str) -> None:
    """Whatever a peer answers, it is one line that names the peer."""

    async def main() -> None:
        network = SimNetwork()
        peer = network.endpoint("peer")

        def answer(sender: str, data: bytes) -> None:
            if isinstance(decode_frame(bytes(4), data), Inquire):
                peer.send(sender, encode_frame(bytes(4), Definition(text)))

        await peer.start(answer)
        spectator = Spectator(network.endpoint("watch-1"), "watch-1", lambda: ["sim://peer"], notice=print)
        with pytest.raises(UsageError, match="sim://peer answered with something that is not a study") as caught:
            await spectator.start()
        assert str(caught.value).isprintable()

    run(main)


def test_a_peer_that_tells_but_does_not_let_in_is_an_error() -> None:
    """A definition without a hello after it ends after the same time."""

    async def main() -> None:
        network = SimNetwork()
        peer = network.endpoint("peer")
        definition = Study(None, SPACE)._definition.as_dict()

        def answer(sender: str, data: bytes) -> None:
            peer.send(sender, encode_frame(bytes(4), Definition(json.dumps(definition))))

        await peer.start(answer)
        spectator = Spectator(network.endpoint("watch-1"), "watch-1", lambda: ["sim://peer"], notice=print)
        with pytest.raises(UsageError, match="does not let us join"):
            await spectator.start()

    run(main)


def test_another_format_version_is_named() -> None:
    """Peers of another version are told apart from nobody at all."""

    async def main() -> None:
        network = SimNetwork()
        peer = network.endpoint("peer")
        data = encode_frame(bytes(4), Definition("{}"))

        await peer.start(lambda sender, _: peer.send(sender, bytes([FORMAT + 1]) + data[1:]) and None)
        spectator = Spectator(network.endpoint("watch-1"), "watch-1", lambda: ["sim://peer"], notice=print)
        with pytest.raises(UsageError, match=f"sim://peer speaks format version {FORMAT + 1}"):
            await spectator.start()

    run(main)


def test_an_address_of_another_kind_is_refused_at_once() -> None:
    """What the transport cannot connect to needs no waiting."""

    async def main() -> None:
        spectator = Spectator(SimNetwork().endpoint("watch-1"), "watch-1", lambda: ["tcp://a:1"], notice=print)
        with pytest.raises(UsageError, match="cannot connect to 'tcp://a:1'"):
            await spectator.start()
        assert asyncio.get_running_loop().time() < 1.0

    run(main)


def test_a_spectator_transport_advertises_its_own_name() -> None:
    """Two spectators on two machines must not have the same address, and need no port that others reach."""
    worker = spectator_id()
    assert worker.startswith("watch-")
    transport = spectator_transport("zmq", worker)
    assert transport._advertise == f"tcp://{worker}:*"  # type: ignore[attr-defined]
    assert spectator_transport("inproc", worker) is not None
    with pytest.raises(UsageError, match="'inproc' has no key"):
        spectator_transport("inproc", worker, StudyKey.generate())


def test_nothing_is_proposed_by_an_spectator() -> None:
    """Its state has no event of its own, from its first to its last moment."""

    async def scenario(it: Swarm) -> None:
        spectator, _ = it.spectator()
        await spectator.start()
        await spectator.catch_up(30.0)
        await it.finish()
        assert spectator.poll() == spectator.state.log.size > 0
        assert set(spectator.state.log.origins) == {p.id for p in it.peers}
        assert spectator.poll() == 0
        await spectator.aclose()
        assert spectator.state.log.count(spectator.worker) == 0

    swarm(scenario, workers=2, trials=20)
