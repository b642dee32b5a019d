"""Budget, time and call-offs in simulated swarms: what one worker's user asks for, and what it means for the others."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from aiohpo import Float, Space, Study, Trial, UsageError
from aiohpo.events.lifecycle import Status
from aiohpo.events.log import Log
from aiohpo.events.schema import Batch
from aiohpo.peer.ending import EndReason
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from tests.swarm.harness import RandomSearcher, load

pytestmark = pytest.mark.swarm
SEEDS = range(8)


class Swarm:
    """Workers that come and go, on a network that delays and loses frames."""

    def __init__(
        self, seed: int, *, mean: float = 0.5, fails: bool = False, objective: Callable[..., Any] | None = None
    ) -> None:
        self.rng = random.Random(f"limits {seed}")
        self.network = SimNetwork(seed=seed, delay=(0.001, 0.05), loss=self.rng.choice([0.0, 0.05]))
        self.peers: list[Peer] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.notices: list[str] = []
        self._seed = seed

        async def train(trial: Trial) -> float:
            await asyncio.sleep(self.rng.expovariate(1 / mean))
            if fails:
                raise RuntimeError("this does not train")
            return float(trial["x"])

        self._study = Study(
            objective or train, Space(x=Float(0.0, 1.0)), searcher=RandomSearcher(), seed=seed, max_failures=6
        )

    async def start(
        self, limits: Limits, *, history: Sequence[Batch] = (), join: Sequence[str] = (), transport: Any = None
    ) -> Peer:
        """Start a worker that knows this history, and joins the first one and ``join``."""
        name = hashlib.blake2b(f"{self._seed}/{len(self.peers)}".encode(), digest_size=6).hexdigest()
        services = self._study._services(
            limits=limits,
            transport=transport or self.network.endpoint(name),
            join=[*join, *([self.peers[0].services.transport.address] if self.peers else [])],
            identity=Identity(name),
            notice=self.notices.append,
        )
        load(history, services.log, services.view)
        peer = Peer(services)
        await peer.start()
        self.peers.append(peer)
        self.tasks.append(asyncio.create_task(self._work(peer)))
        return peer

    @staticmethod
    async def _work(peer: Peer) -> None:
        try:
            await peer.run()
        finally:
            await peer.aclose()

    async def end(self) -> None:
        """Wait until all workers have ended, and raise what ended one."""
        async with asyncio.timeout(600.0):
            await asyncio.gather(*self.tasks)


def history_of(log: Log) -> list[Batch]:
    """Everything in a log."""
    return list(log.missing({}, 1 << 62))


def play(main: Coroutine[None, None, None], seed: int) -> None:
    """Run in virtual time."""

    async def wrapped() -> None:
        await main

    run(wrapped, seed=seed, timeout=3000.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_worker_whose_time_is_up_leaves_and_the_others_meet_the_budget(seed: int) -> None:
    """Its running trial is released to them, and nobody else's search ends for it."""

    async def main() -> None:
        swarm = Swarm(seed)
        for _ in range(swarm.rng.randint(1, 3)):
            await swarm.start(Limits(trials=60))
        timed = await swarm.start(Limits(trials=60, seconds=swarm.rng.uniform(0.5, 4.0)))
        for _ in range(2):
            await swarm.start(Limits())
        await swarm.end()
        assert timed.end is not None
        assert timed.end.reason is EndReason.TIME_UP
        assert not timed.stopped
        for peer in swarm.peers:
            if peer is not timed:
                assert peer.end is not None
                assert peer.end.reason is EndReason.BUDGET_MET
                assert (peer.view.n_settled, len(peer.view.running)) == (60, 0)
                left = peer.view.workers[timed.id].left
                assert left is not None
                assert left.reason == "time is up"

    play(main(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_end_of_an_earlier_run_is_none_of_a_newcomers(seed: int) -> None:
    """Workers without a history join one that resumes a search which was called off, in whatever order they hear it."""

    async def main() -> None:
        first = Swarm(seed)
        for _ in range(2):
            await first.start(Limits(target=0.5))
        await first.end()
        assert {peer.end and peer.end.reason for peer in first.peers} == {EndReason.TARGET_REACHED}
        history = history_of(first.peers[0].services.log)
        second = Swarm(seed + 1000)
        newcomers = second.rng.randint(1, 5)
        resumes = second.rng.randint(0, newcomers)
        for place in range(newcomers + 1):
            await second.start(Limits(trials=40), history=history if place == resumes else ())
            await asyncio.sleep(second.rng.choice([0.0, 0.0, 0.3, 1.0]))
        await second.end()
        for peer in second.peers:
            assert peer.end is not None
            assert peer.end.reason is EndReason.BUDGET_MET
            assert peer.view.n_settled == 40

    play(main(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_failed_in_an_earlier_run_does_not_end_a_newcomers(seed: int) -> None:
    """A search is given up for failures of workers that are there; those of an earlier run were mended since."""

    async def main() -> None:
        first = Swarm(seed, fails=True)
        for _ in range(2):
            await first.start(Limits(trials=40))
        await first.end()
        assert {peer.end and peer.end.reason for peer in first.peers} == {EndReason.GIVEN_UP}
        second = Swarm(seed + 1000)
        await second.start(Limits(trials=40), history=history_of(first.peers[0].services.log))
        for _ in range(3):
            await second.start(Limits(trials=40))
        await second.end()
        assert {peer.end and peer.end.reason for peer in second.peers} == {EndReason.BUDGET_MET}

    play(main(), seed)


def test_a_search_is_given_up_after_so_many_failures() -> None:
    """However fast they come: workers that know of each other wait for news when everything fails. Where news is lost
    on its way there may be one more for each of the others, as a rule there is none."""

    async def main(swarm: Swarm) -> None:
        for _ in range(4):
            await swarm.start(Limits(trials=200))
        await swarm.end()
        assert {peer.end and peer.end.reason for peer in swarm.peers} == {EndReason.GIVEN_UP}
        [failures] = {peer.view.census()[Status.FAILED] for peer in swarm.peers}
        assert 6 <= failures < 6 + 4
        found.append(failures)

    found: list[int] = []
    for seed in range(20):
        play(main(Swarm(seed, mean=0.001, fails=True)), seed)
    assert found.count(6) >= 16


@pytest.mark.parametrize("seed", SEEDS)
def test_a_newcomer_with_too_small_a_budget_is_refused_and_nothing_is_lost(seed: int) -> None:
    """It knows nothing when it joins, so it hears the others out before it says anything."""

    async def main() -> None:
        swarm = Swarm(seed)
        for _ in range(2):
            await swarm.start(Limits(trials=40))
        await asyncio.sleep(6.0)
        assert swarm.peers[0].view.n_settled > 1
        await swarm.start(Limits(trials=1))
        with pytest.raises(UsageError, match=r"a budget of 1 trials .* smaller than the \d+ that have results"):
            await swarm.tasks[2]
        await asyncio.gather(*swarm.tasks[:2])
        for peer in swarm.peers[:2]:
            assert (peer.state.goal, peer.view.n_settled) == (40, 40)
        assert not [text for text in swarm.notices if "budget" in text], swarm.notices

    play(main(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_newcomer_that_meets_nobody_at_first_does_not_shrink_the_budget(seed: int) -> None:
    """It begins with the budget that it was given, alone, and goes by the others' once they are heard, saying so."""

    async def main() -> None:
        swarm = Swarm(seed)
        for _ in range(2):
            await swarm.start(Limits(trials=40))
        await asyncio.sleep(3.0)
        known = [peer.services.transport.address for peer in swarm.peers]
        late = await swarm.start(Limits(trials=30))
        swarm.network.partition(known, [late.services.transport.address])
        await asyncio.sleep(3.0)
        assert late.state.goal == 30
        swarm.network.heal()
        await swarm.end()
        for peer in swarm.peers:
            assert (peer.state.goal, peer.view.n_settled) == (40, 40)
        assert swarm.notices.count("the budget is 40 trials from now on; it was 30") == 1

    play(main(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_budget_is_said_to_all(seed: int) -> None:
    """Larger, or smaller and not below what is done: each worker says it once, and all end with it."""

    async def main() -> None:
        swarm = Swarm(seed)
        budget = swarm.rng.choice([30, 60])
        for _ in range(3):
            await swarm.start(Limits(trials=40))
        await asyncio.sleep(1.0)
        await swarm.start(Limits(trials=budget))
        await swarm.end()
        for peer in swarm.peers:
            assert (peer.state.goal, peer.view.n_settled) == (budget, budget)
        assert swarm.notices == [f"the budget is {budget} trials from now on; it was 40"] * 4

    play(main(), seed)


def test_a_budget_is_shrunk_where_that_is_meant() -> None:
    """The results beyond it are kept, and do not count."""

    async def main() -> None:
        swarm = Swarm(1)
        await swarm.start(Limits(trials=40))
        await asyncio.sleep(6.0)
        await swarm.start(Limits(trials=2, shrink=True))
        await swarm.end()
        for peer in swarm.peers:
            assert (peer.state.goal, peer.view.n_settled) == (2, 2)
            assert len(peer.view.beyond_line()) > 1

    play(main(), 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_grace_period_saves_the_work_of_a_worker_whose_time_is_up(seed: int) -> None:
    """Its objectives save when they are told; the others go on from just there, and no step is done twice."""
    steps: list[tuple[str, int]] = []

    async def objective(trial: Trial) -> float:
        state = trial.restore() or 0
        assert trial.start == state
        for step in trial.steps():
            await asyncio.sleep(swarm.rng.uniform(0.5, 1.5))
            steps.append((trial.id, step))
            trial.report(trial["x"])
            if step == 20:
                return float(trial["x"])
        trial.save(trial.step)
        return 0.0

    async def main() -> None:
        nonlocal swarm
        swarm = Swarm(seed, objective=objective)
        await swarm.start(Limits(trials=6))
        timed = [await swarm.start(Limits(trials=6, seconds=swarm.rng.uniform(3.0, 12.0))) for _ in range(2)]
        await swarm.end()
        assert {peer.end and peer.end.reason for peer in timed} == {EndReason.TIME_UP}
        assert swarm.peers[0].view.n_settled == 6
        assert len(steps) == len(set(steps)) >= 120

    swarm: Swarm
    play(main(), seed)


@pytest.mark.parametrize("ways", ["time", "stop", "twice", "deaf"])
def test_an_objective_that_does_not_listen_is_ended_after_the_grace_period(ways: str) -> None:
    """Or earlier, if the worker is stopped once more; at once, if it has never looked at what it could be told."""

    async def objective(trial: Trial) -> float:
        if ways == "deaf":
            await asyncio.sleep(3600.0)
        assert not trial.ended
        await asyncio.sleep(3600.0)
        return 0.0

    async def main() -> None:
        swarm, loop = Swarm(1, objective=objective), asyncio.get_running_loop()
        began = loop.time()
        peer = await swarm.start(Limits(trials=3, seconds=20.0 if ways == "time" else None, grace=7.0))
        if ways != "time":
            await asyncio.sleep(20.0)
            peer.stop(7.0)
        if ways == "twice":
            await asyncio.sleep(2.0)
            peer.stop()
        await swarm.end()
        lasted = {"twice": 22.0, "deaf": 20.0}.get(ways, 27.0)
        assert lasted <= loop.time() - began < lasted + 3.0
        assert [record.status for record in peer.view.records()] == ["lost"]

    play(main(), 1)


def test_an_address_where_nobody_answers_is_told_and_recorded() -> None:
    """After five seconds, once; everybody who reads the log knows it, also that somebody answered in the end."""

    async def main() -> None:
        swarm, loop = Swarm(1), asyncio.get_running_loop()
        late = swarm.network.endpoint("c0ffee")
        peer = await swarm.start(Limits(trials=200), join=[late.address])
        await asyncio.sleep(4.9)
        assert swarm.notices == []
        assert peer.state.unanswered == [late.address]
        await asyncio.sleep(0.2)
        assert swarm.notices == [f"no answer from {late.address} for 5 s: this worker searches alone"]
        other = await swarm.start(Limits())
        await asyncio.sleep(5.0)
        event = other.view.workers[peer.id].unanswered
        assert event is not None
        assert event.addresses == (late.address,)
        assert other.state.unanswered == []
        swarm.notices.clear()
        await swarm.start(Limits(), transport=late)
        await asyncio.sleep(5.0)
        assert swarm.notices == [f"{late.address} answers now"]
        for each in swarm.peers:
            event = each.view.workers[peer.id].unanswered
            assert event is not None
            assert event.addresses == ()
        assert loop.time() < 60.0
        for each in swarm.peers:
            each.stop()
        await swarm.end()

    play(main(), 1)


def test_a_worker_that_others_have_met_says_so_of_an_address_without_an_answer() -> None:
    """It does not search alone, and one of its addresses is wrong all the same."""

    async def main() -> None:
        swarm = Swarm(2)
        for _ in range(2):
            await swarm.start(Limits(trials=60), join=["sim://nowhere"])
        await swarm.end()
        assert swarm.notices == ["no answer from sim://nowhere for 5 s: one other worker has been met"] * 2

    play(main(), 2)
