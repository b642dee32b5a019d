"""A swarm that searches a small space to its end, in virtual time."""

from __future__ import annotations

import asyncio
import hashlib

import numpy as np
import pytest

from aiohpo import Int, Space, Study
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from tests.support.peers import make_peer


class Greedy:
    """Suggests the first configuration that nobody has tried: workers that choose at the same time choose the same."""

    def setup(self, space, seed, identity):
        self.space = space

    def ask(self, view, rng, slots):
        every = [{"k": k} for k in range(1, 13)]
        new = ~view.seen(self.space.encode(every))
        return [config for config, is_new in zip(every, new, strict=True) if is_new][:1]


@pytest.mark.parametrize("seed", range(10))
def test_no_configuration_is_tried_twice(seed):
    """Where choices collide the later one is withdrawn before it has an effect, and its worker chooses again."""
    rng = np.random.default_rng(seed)
    tried: list[int] = []

    async def objective(trial):
        await asyncio.sleep(4.0)
        tried.append(trial["k"])
        return float(trial["k"])

    async def main() -> list[Peer]:
        network, peers = SimNetwork(seed=seed, delay=(0.001, float(rng.uniform(0.01, 0.3)))), []
        study = Study(objective, Space(k=Int(1, 12)), searcher=Greedy())
        for rank in range(4):
            worker = hashlib.blake2b(bytes([rank]), digest_size=6).hexdigest()
            join = [peers[0].services.transport.address] if peers else []
            place = Identity(worker, rank, 4)
            peer = make_peer(study, limits=Limits(12), transport=network.endpoint(worker), join=join, identity=place)
            await peer.start()
            peers.append(peer)
        async with asyncio.TaskGroup() as group:
            for peer in peers:
                group.create_task(peer.run())
        for peer in peers:
            await peer.aclose()
        return peers

    peers = run(main, seed=seed, timeout=1000.0)
    assert sorted(tried) == list(range(1, 13))
    for peer in peers:
        assert sorted(record.config["k"] for record in peer.view.records()) == list(range(1, 13))
        assert {record.status for record in peer.view.records()} == {"finished"}
