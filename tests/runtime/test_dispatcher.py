"""Tests of a worker with several slots, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from aiohpo import Float, Int, Space, Study, Unavailable
from aiohpo.evaluate.coroutine import CoroutineEvaluator
from aiohpo.events.schema import Proposed
from aiohpo.peer.limits import Limits
from aiohpo.peer.patience import PATIENCE
from aiohpo.plugin import Identity, Outcome
from aiohpo.runtime.dispatcher import BEGUN_AT_ONCE
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from tests.support.draws import Draws
from tests.support.peers import counts, make_peer
from tests.support.unavailable import FillingJournal, SometimesUnavailable

SPACE = Space(x=Float(0.0, 1.0))


async def second(trial):
    await asyncio.sleep(1.0)
    return trial["x"]


async def instant(trial):
    return trial["x"]


def play(
    main: Callable[..., Any],
    slots: tuple[int, ...] = (4,),
    function: Callable[..., Any] = second,
    limits: Limits | None = None,
    space: Space = SPACE,
    seed: int = 0,
    given: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Run ``main(*peers)`` with started workers that have so many slots each, then close them."""

    async def whole() -> Any:
        study = Study(function, space, **{"searcher": Draws(), "seed": seed, **options})
        network, peers, rank = SimNetwork(seed=seed), [], 0
        for number, count in enumerate(slots, 1):
            name = f"{number:012x}"
            transport = network.endpoint(name)
            join = [peers[0].services.transport.address] if peers else []
            identity = Identity(name, rank, sum(slots), count)
            peer = make_peer(
                study, limits=limits or Limits(trials=8), transport=transport, join=join, identity=identity,
                **(given or {}),
            )  # fmt: skip
            rank += count
            await peer.start()
            peers.append(peer)
        try:
            return await main(*peers)
        finally:
            for peer in peers:
                await peer.aclose()

    return run(whole, seed=seed, timeout=1000.0)


async def search(*peers: Peer) -> None:
    await asyncio.gather(*(peer.run() for peer in peers))


def test_slots_evaluate_at_the_same_time() -> None:
    """Eight trials of a second take four slots two seconds, and the budget is met exactly."""

    async def main(peer: Peer) -> None:
        began = asyncio.get_running_loop().time()
        await search(peer)
        assert asyncio.get_running_loop().time() - began < 2.5
        assert counts(peer) == {"finished": 8}
        assert peer.busy_seconds == pytest.approx(8.0)
        assert peer.view.slots_of(peer.id) == 4

    play(main)


@pytest.mark.parametrize("slots", [(16,), (1, 4, 16), (5, 5)])
@pytest.mark.parametrize("function", [instant, second])
def test_slots_of_several_workers_share_one_budget(slots, function) -> None:
    """However many there are and however short the trials, all replicas end with the same, exact budget."""

    async def main(*peers: Peer) -> list[dict[str, int]]:
        await search(*peers)
        await asyncio.sleep(5.0)
        return [counts(peer) for peer in peers]

    found = play(main, slots, function, Limits(trials=50))
    assert all(counts["finished"] == 50 and counts == found[0] for counts in found)
    if len(slots) == 1:
        assert found == [{"finished": 50}]


def test_the_searcher_is_asked_once_for_all_that_wait() -> None:
    """Slots that are free together are answered together, by their numbers, with one write to the journal."""
    asked, written = [], []

    class Counts(Draws):
        def ask(self, view, rng, slots):
            asked.append(tuple(slots))
            return super().ask(view, rng, slots)

    class Journal(FillingJournal):
        def append(self, batches):
            written.append([event for batch in batches for event in batch.raws])
            super().append(batches)

    async def main(peer: Peer) -> None:
        peer._chooser._most_at_once = 256
        await search(peer)

    play(main, (6,), limits=Limits(trials=9), searcher=Counts(), given={"journal": Journal([])})
    assert asked[0] == (0, 1, 2, 3, 4, 5)
    assert sum(map(len, asked)) == 9
    assert max(map(len, written)) >= 6


def test_a_searcher_that_takes_long_is_asked_for_less() -> None:
    """It holds up the loop: the configurations asked for at a time fit what it takes, and grow where it is fast."""
    asked = []

    class Slow(Draws):
        seconds = 0.004

        def ask(self, view, rng, slots):
            asked.append(len(slots))
            asyncio.get_running_loop()._now += self.seconds * len(slots)  # type: ignore[attr-defined]
            return super().ask(view, rng, slots)

    async def main(peer: Peer) -> None:
        await search(peer)

    searcher = Slow()
    play(main, (64,), limits=Limits(trials=128), searcher=searcher)
    assert max(asked[8:]) <= 4
    asked.clear()
    searcher.seconds = 0.0
    play(main, (64,), limits=Limits(trials=512), searcher=searcher)
    assert max(asked) > 32


def test_the_loop_has_other_things_to_do_while_many_slots_are_filled() -> None:
    """Another task has turns while segments begin; in virtual time two rounds may come between two of its turns."""
    known = []

    async def main(peer: Peer) -> None:
        async def look() -> None:
            while peer.view.n_rows < 500:
                await asyncio.sleep(0)
                known.append(peer.view.n_rows)

        await asyncio.gather(look(), search(peer))

    play(main, (500,), limits=Limits(trials=500))
    assert known[-1] == 500
    assert max(after - before for before, after in pairwise(known)) < 4 * BEGUN_AT_ONCE


def test_a_segment_that_is_cancelled_before_it_begins_frees_its_slot() -> None:
    """The worker is stopped in the very moment in which its slots have been given something to do."""

    class Stopping(FillingJournal):
        def append(self, batches):
            batches = list(batches)
            super().append(batches)
            if peer and any(len(batch.raws) > 1 for batch in batches):
                asyncio.get_running_loop().call_soon(peer[0].stop)

    peer: list[Peer] = []

    async def main(me: Peer) -> None:
        me._chooser._most_at_once = 256
        peer.append(me)
        await search(me)
        assert counts(me) == {"lost": 4}

    play(main, given={"journal": Stopping([])})


def test_a_slot_whose_trial_fails_leaves_the_others_alone() -> None:
    """One objective raises and another hangs into its time-out; the trials beside them finish."""

    async def objective(trial):
        if trial.number == 1:
            raise ValueError("no data")
        await asyncio.sleep(1e6 if trial.number == 2 else 1.0)
        return trial["x"]

    async def main(peer: Peer) -> None:
        await search(peer)
        assert counts(peer) == {"finished": 6, "failed": 2}

    play(main, function=objective, limits=Limits(trials=8, trial_timeout=3.0))


def test_trouble_in_a_free_slot_does_not_end_what_runs_in_others() -> None:
    """As long as something runs the worker goes on trying; once nothing does, it stops with the reason."""
    hours = 3 * PATIENCE

    async def objective(trial):
        await asyncio.sleep(hours if trial.number == 0 else 1.0)
        return trial["x"]

    class Refuses(SometimesUnavailable):
        async def run(self, assignment, channel):
            if assignment.number == 0:
                return await self._inner.run(assignment, channel)
            return Outcome("released", error="there is no process to be had")

    async def main(peer: Peer) -> None:
        with pytest.raises(Unavailable, match="there is no process to be had"):
            await search(peer)
        assert counts(peer)["finished"] == 1
        assert asyncio.get_running_loop().time() < hours + 2 * PATIENCE

    play(main, function=objective, given={"evaluator": Refuses(CoroutineEvaluator(), [])})


def test_an_error_in_a_slot_ends_the_worker_and_releases_the_rest() -> None:
    """A bug in an evaluator is raised by run(), and what ran beside it is free for others."""

    class Broken(SometimesUnavailable):
        async def run(self, assignment, channel):
            if assignment.number == 3:
                await asyncio.sleep(0.5)
                raise LookupError("a bug")
            return await self._inner.run(assignment, channel)

    async def main(peer: Peer) -> None:
        with pytest.raises(LookupError):
            await search(peer)

    play(main, given={"evaluator": Broken(CoroutineEvaluator(), [])})


def test_a_repeated_configuration_ends_only_its_own_slot() -> None:
    """Workers that chose the same at the same time keep the earlier proposal; the other slots go on undisturbed."""

    async def main(*peers: Peer) -> None:
        await search(*peers)
        await asyncio.sleep(5.0)
        for peer in peers:
            seen = [tuple(r.config.items()) for r in peer.view.records() if r.status == "finished"]
            assert len(seen) == len(set(seen)) == 20

    play(main, (3, 3, 3), space=Space(x=Int(1, 20)), searcher="random", limits=Limits(trials=20))


def test_a_worker_is_stopped_with_grace_in_all_slots() -> None:
    """Objectives that listen save their work and return; one that does not is cancelled at once."""
    ends = []

    async def objective(trial):
        trial.report(0.5)
        while trial.number == 0 or not trial.ended:
            await asyncio.sleep(0.25)
        ends.append(asyncio.get_running_loop().time())
        trial.save(b"work")

    async def main(peer: Peer) -> None:
        running = asyncio.ensure_future(peer.run())
        await asyncio.sleep(1.0)
        now = asyncio.get_running_loop().time()
        peer.stop(grace=10.0)
        await running
        assert asyncio.get_running_loop().time() - now == pytest.approx(10.0, abs=0.5)
        assert len(ends) == 3
        assert max(ends) - now < 0.5
        assert counts(peer) == {"lost": 4}

    play(main, function=objective, max_steps=5)


def test_a_dead_workers_slots_are_all_taken_over() -> None:
    """Each of the trials that ran on it goes on somewhere."""

    async def main(*peers: Peer) -> None:
        victim, *others = peers
        tasks = [asyncio.ensure_future(peer.run()) for peer in peers]
        await asyncio.sleep(2.5)
        tasks[0].cancel()
        victim.exchange.fail(ConnectionError("the machine is gone"))
        await asyncio.wait({tasks[0]})
        await asyncio.gather(*tasks[1:])
        await asyncio.sleep(5.0)
        for peer in others:
            assert counts(peer) == {"finished": 30}

    async def two_seconds(trial):
        await asyncio.sleep(2.0)
        return trial["x"]

    play(main, (4, 4, 1), function=two_seconds, limits=Limits(trials=30))


def test_a_seed_repeats_what_one_slot_does() -> None:
    """With one slot the draws of a seed are the same again."""

    async def main(peer: Peer) -> list[dict[str, Any]]:
        await search(peer)
        return [record.config for record in peer.view.records()]

    first, again, other = (play(main, (1,), seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_proposals_of_a_batch_are_in_the_log_before_anything_runs() -> None:
    """Nothing is evaluated that the journal does not hold."""
    journal = FillingJournal([])

    async def objective(trial):
        assert sum(len(batch.raws) for batch in journal.batches) >= trial.number + 1
        return trial["x"]

    async def main(peer: Peer) -> None:
        await search(peer)
        assert counts(peer) == {"finished": 40}
        assert sum(isinstance(s.event, Proposed) for s in peer.services.log.events(peer.id)) == 40

    play(main, (8,), function=objective, limits=Limits(trials=40), given={"journal": journal})
