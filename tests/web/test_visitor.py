"""Visitors in simulated swarms: what they say reaches every worker, and they leave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from aiohpo import Float, Space, Study
from aiohpo.errors import UsageError
from aiohpo.events.lifecycle import Status
from aiohpo.mesh.membership import State
from aiohpo.peer.ending import EndReason
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from aiohpo.web.actions import at_work
from aiohpo.web.visitor import Visitor
from tests.support.peers import make_peer

SPACE = Space(x=Float(0.0, 1.0))


class Uniform:
    """A searcher that draws."""

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        self.space = space

    def ask(self, view: object, rng: np.random.Generator, slots: Sequence[int]) -> list[dict[str, object]]:
        return self.space.decode(self.space.sample(rng, len(slots)))


def visited(scenario: Callable[[list[Peer], Visitor], Awaitable[None]], workers: int, seed: int, loss: float) -> None:
    """Let somebody visit a search of so many workers that has been under way for some seconds; some trials fail."""

    async def main() -> None:
        draws = random.Random(seed)

        async def objective(trial: object) -> float:
            await asyncio.sleep(draws.expovariate(0.5))
            if draws.random() < 0.3:
                raise ValueError("unlucky")
            return float(trial.config["x"])  # type: ignore[attr-defined]  # what it is handed

        network, peers, tasks = SimNetwork(seed=seed, loss=loss), [], []
        study = Study(objective, SPACE, searcher=Uniform(), seed=seed, max_failures=0)
        for number in range(workers):
            peer = make_peer(
                study,
                limits=Limits(trials=100_000),
                transport=network.endpoint(f"{number:012x}"),
                join=[peers[0].services.transport.address] if peers else [],
                identity=Identity(f"{number:012x}", number),
                wall=asyncio.get_running_loop().time,
                notice=lambda text, level=0: None,
            )
            await peer.start()
            peers.append(peer)
            tasks.append(asyncio.create_task(peer.run()))
        await asyncio.sleep(6.0)
        address = peers[0].services.transport.address
        visitor = Visitor(network.endpoint("visitor"), "fedcba987654", lambda: [address], notice=lambda text: None)
        await scenario(peers, visitor)
        await visitor.aclose()
        await asyncio.sleep(8.0)
        for peer in peers:
            assert peer.state.states()["fedcba987654"] == "left"
            assert peer.state.node.mesh.membership.state("fedcba987654") is not State.ALIVE
            peer.stop()
        await asyncio.gather(*tasks)
        await asyncio.gather(*(peer.aclose() for peer in peers))

    run(main, seed=seed, timeout=600.0)


@pytest.mark.parametrize(("workers", "seed", "loss"), [(1, 0, 0.0), (4, 1, 0.2), (17, 2, 0.05)])
def test_a_search_that_a_visitor_calls_off_ends_everywhere(workers: int, seed: int, loss: float) -> None:
    """Every worker stops evaluating and says why, and the reason stays in the log."""

    async def call_off(peers: list[Peer], visitor: Visitor) -> None:
        await visitor.meet()
        await visitor.say(lambda state: state.record_call_off("enough", at_work(visitor)))
        await asyncio.sleep(5.0)
        for peer in peers:
            assert peer.end is not None
            assert (peer.end.reason, peer.end.text) == (EndReason.CALLED_OFF, "enough")

    visited(call_off, workers, seed, loss)


def test_workers_that_run_take_up_what_a_visitor_has_queued() -> None:
    """A failed trial that is to be tried again need not wait for the next run."""

    async def retry(peers: list[Peer], visitor: Visitor) -> None:
        await visitor.meet()
        view = visitor.state.view
        failed = [row for row in range(view.n_rows) if view.status(row) is Status.FAILED]
        trials: list[tuple[str, int]] = []
        await visitor.say(lambda state: trials.append(state.queue_retry(0.0, failed[0])))
        await asyncio.sleep(12.0)
        row = peers[-1].view.row(trials[0])
        assert row is not None
        assert peers[-1].view.status(row) in (Status.FINISHED, Status.FAILED)
        assert peers[-1].view.n_retried == 1

    visited(retry, 4, 3, 0.0)


def test_a_visitor_who_meets_nobody_says_so_and_leaves_no_trace() -> None:
    """Nothing is recorded before the others are met."""

    async def main() -> None:
        opened: list[str] = []
        visitor = Visitor(
            SimNetwork(seed=0).endpoint("visitor"),
            "fedcba987654",
            lambda: ["sim://nobody"],
            notice=lambda text: None,
            journal=(lambda: opened.append("opened"), "directory"),  # type: ignore[arg-type, return-value]  # a spy
        )
        with pytest.raises(UsageError, match="no answer from sim://nobody"):
            await visitor.meet()
        await visitor.aclose()
        assert opened == []

    run(main, seed=0, timeout=600.0)
