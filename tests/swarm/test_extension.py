"""A study that is begun with few steps and gone on with by workers that have more, in virtual time."""

from __future__ import annotations

import asyncio
import hashlib

import numpy as np
import pytest

from aiohpo import Float, Space, Study
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.runtime.assembly.replica import copy_log
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from tests.support.draws import Draws
from tests.support.peers import make_peer

SPACE = Space(x=Float(0.0, 1.0))


async def stepwise(trial):
    saved = trial.restore()
    assert trial.start == (0 if saved is None else saved[0])
    for step in trial.steps():
        await asyncio.sleep(0.25 + trial["x"])
        trial.report(trial["x"] + 1 / step)
        trial.save(bytes([step]))


def search(seed: int, phase: int, max_steps: int, trials: int, knows: dict[int, Peer], n: int = 3) -> list[Peer]:
    """Run a swarm to its end; worker i begins with what a peer of an earlier swarm, ``knows[i]``, knew."""
    rng = np.random.default_rng([seed, phase])

    async def main() -> list[Peer]:
        network = SimNetwork(seed=seed, delay=(0.001, float(rng.uniform(0.01, 0.5))), loss=float(rng.choice([0, 0.05])))
        peers: list[Peer] = []
        for rank in range(n):
            worker = hashlib.blake2b(bytes([phase, rank]), digest_size=6).hexdigest()
            study = Study(stepwise, SPACE, searcher=Draws(), scheduler="asha", max_steps=max_steps)
            peer = make_peer(
                study,
                limits=Limits(trials),
                transport=network.endpoint(worker),
                join=[peers[0].services.transport.address] if peers else [],
                identity=Identity(worker, rank, n),
            )
            if rank in knows:
                copy_log(knows[rank].services.log, peer.services.log, peer.view)
            await peer.start()
            peers.append(peer)
        async with asyncio.TaskGroup() as group:
            for peer in peers:
                group.create_task(peer.run())
        for peer in peers:
            await peer.aclose()
        return peers

    return run(main, seed=seed, timeout=5000.0)


@pytest.mark.parametrize("seed", range(8))
def test_workers_with_more_steps_agree_on_what_goes_on(seed):
    """One of them has the directory and the others only hear of it: all see the same trials, and those that had been
    complete are promoted, from what they had reached."""
    before = search(seed, 0, 4, 12, {})
    done = {r.id for r in before[0].view.records() if r.status == "finished"}
    assert done
    after = search(seed, 1, 54, 16, {seed % 3: before[0]})
    records = list(after[0].view.records())
    for peer in after:
        assert list(peer.view.records()) == records
        assert peer.services.scheduler._levels == (1, 3, 9, 27)
        assert peer.view.first_max_steps == 4
    complete = [r for r in records if r.status == "finished"]
    assert complete
    assert {r.step for r in complete} == {54}
    assert sum(r.status in ("finished", "paused") for r in records) == 16
    assert {r.id for r in records if r.step > 4} & done, "none of those that were complete went on"
    assert all(r.step >= 4 for r in records if r.id in done)
