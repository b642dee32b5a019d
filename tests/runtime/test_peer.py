"""Tests of the worker's shell, in virtual time."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import random
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from aiohpo import Float, Space, Study, Unavailable
from aiohpo.evaluate.checkpoint import encode
from aiohpo.evaluate.coroutine import CoroutineEvaluator
from aiohpo.events.codec import encode_event
from aiohpo.events.schema import QUEUED, Batch, Claimed, Ended, Lost, Parent, Proposed, Started, parse_trial
from aiohpo.mesh.timing import Suspicion, Timing
from aiohpo.peer.limits import Limits
from aiohpo.peer.patience import PATIENCE
from aiohpo.plugin import Identity
from aiohpo.runtime.peer import Peer
from aiohpo.storage.blob_store import DirectoryBlobs
from aiohpo.storage.journal import JournalGone
from aiohpo.testing import MemoryBlobs, SimNetwork, run
from tests.support.draws import Draws
from tests.support.evaluate_objectives import Alarm
from tests.support.peers import counts, make_peer
from tests.support.unavailable import FillingJournal, SometimesUnavailable
from tests.swarm.harness import MemoryJournal, completions

SPACE = Space(x=Float(0.0, 1.0))


class Learner(Draws):
    """A searcher whose fit returns how much it saw; ``fails`` makes it raise."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.fails = fails
        self.adopted: list[int] = []

    def fit(self, observations):
        if self.fails:
            raise ArithmeticError("cannot fit")
        return len(observations.y)

    def adopt(self, state):
        self.adopted.append(state)


async def broken(trial):
    await asyncio.sleep(1.0)
    raise ValueError("no data")


def test_a_swarm_whose_first_trials_all_fail_stops_together():
    """Whoever sees the last of so many failures says so in the log, and nobody goes on."""

    async def main(*peers):
        await asyncio.gather(*(peer.run() for peer in peers))
        await asyncio.sleep(5.0)
        assert all(peer.view.failures_of([p.id for p in peers]) in range(10, 13) for peer in peers)
        assert {peer.end.given_up for peer in peers} == {"10 trials failed and none succeeded"}
        assert not peers[0].view.running

    play(main, n=3, function=broken, limits=Limits(trials=1000))


async def second(trial):
    await asyncio.sleep(1.0)
    return trial["x"]


def swarm(
    network: SimNetwork, n: int, function=second, limits: Limits | None = None, given=lambda rank: {}, **options
) -> list[Peer]:
    """``n`` workers that know the first one's address; ``given(rank)`` takes the place of some of their services."""
    study = Study(function, SPACE, **{"searcher": Draws(), **options})
    names = [f"{i:012x}" for i in range(1, n + 1)]
    first = network.endpoint(names[0])
    return [
        make_peer(
            study,
            limits=limits or Limits(trials=4),
            transport=first if i == 0 else network.endpoint(name),
            join=[first.address] if i else [],
            identity=Identity(name, i, n),
            **given(i),
        )
        for i, name in enumerate(names)
    ]


def play(main: Callable, seed: int = 0, before: Callable[[Peer], None] = lambda peer: None, **options):
    """Run ``main(*peers)`` with started workers, then close them."""

    async def whole():
        network = SimNetwork(seed=seed)
        peers = swarm(network, **options)
        for peer in peers:
            before(peer)
            await peer.start()
        try:
            return await main(*peers)
        finally:
            for peer in peers:
                await peer.aclose()

    return run(whole, seed=seed, timeout=1000.0)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_swarm_ends_with_exactly_its_budget(n):
    """Workers share one budget; each evaluates, all know all, and nobody works longer than needed."""

    async def main(*peers):
        await asyncio.gather(*(peer.run() for peer in peers))
        await asyncio.sleep(5.0)
        assert all(counts(peer)["finished"] == 10 for peer in peers)
        assert asyncio.get_running_loop().time() < 10 / n + 8
        assert all(peer.busy_seconds >= 1.0 for peer in peers)

    play(main, n=n, limits=Limits(trials=10))


def test_many_checkpoints_are_deleted_in_few_calls_to_a_thread():
    """Each call takes a while, and at the end of a search it may be thousands of checkpoints that go."""

    async def saving(trial):
        for step in trial.steps():
            trial.report(trial["x"])
            trial.save(f"{trial.id} {step}".encode())

    async def main(peer):
        await peer.run()
        assert len(peer.services.blobs.blobs) == 4
        assert asyncio.get_running_loop().time() < 1.0

    play(main, n=1, function=saving, max_steps=100, given=lambda rank: {"blobs": MemoryBlobs()})


def test_a_trial_that_hangs_times_out():
    """The trial timeout makes it a failed trial and frees the worker."""

    async def hang(trial):
        await asyncio.sleep(1e6)

    async def main(peer):
        await peer.run()
        [record] = peer.view.records()
        assert record.status == "failed"
        assert record.error == "timed out after 3 s (the trial timeout)"
        assert record.seconds == pytest.approx(3.0)

    play(main, n=1, function=hang, limits=Limits(trials=1, trial_timeout=3.0))


class Preparing(CoroutineEvaluator):
    """Takes five seconds, which are not the objective's, to get ready for each segment."""

    async def run(self, assignment, channel):
        with channel.untimed():
            await asyncio.sleep(5.0)
        channel.notice("prepared")
        return await super().run(assignment, channel)


@pytest.mark.parametrize(("seconds", "status"), [(2.0, "finished"), (4.0, "failed")])
def test_what_an_evaluator_prepares_is_not_the_trials_time(seconds, status):
    """The clock of the trial timeout, and the trial's seconds, begin when the objective does."""

    async def objective(trial):
        await asyncio.sleep(seconds)
        return 0.5

    async def main(peer):
        await peer.run()
        [record] = peer.view.records()
        assert record.status == status
        assert record.seconds == pytest.approx(min(seconds, 3.0))
        assert notices == ["prepared"]

    notices = []
    options = {"evaluator": Preparing(), "limits": Limits(trials=1, trial_timeout=3.0)}
    play(main, n=1, function=objective, given=lambda rank: {"notice": notices.append}, **options)


def test_a_timeout_of_the_evaluators_own_is_not_the_trials():
    """A TimeoutError that comes out of an evaluator is a fault and surfaces, although trials have a timeout."""

    class Broken(CoroutineEvaluator):
        async def run(self, assignment, channel):
            raise TimeoutError("its own")

    async def main(peer):
        with pytest.raises(TimeoutError, match="its own"):
            await peer.run()

    play(main, n=1, evaluator=Broken(), limits=Limits(trials=1, trial_timeout=3.0))


def unavailable(notices, *spans):
    """Let the first worker's evaluator be unavailable within ``spans``; ``notices`` are what the worker says."""

    def given(rank):
        evaluator = SometimesUnavailable(CoroutineEvaluator(), spans)
        return {"notice": notices.append, "evaluator": evaluator} if rank == 0 else {}

    return given


def test_what_is_not_the_objectives_fault_costs_no_trial():
    """A trouble that passes is waited for, said once when it begins and once when it is over, and nothing fails."""

    async def main(peer):
        await peer.run()
        assert counts(peer) == {"finished": 20}
        assert peer.services.evaluator.refused > 3
        assert (
            notices
            == [
                "there is no process to be had. No trial fails because of this: trying again for up to 30 s",
                "the problem is over: continuing",
            ]
            * 2
        )
        assert asyncio.get_running_loop().time() < 20 + 6.5 + 1.5 + 12

    notices = []
    play(main, n=1, limits=Limits(trials=20), given=unavailable(notices, (1.5, 8.0), (20.0, 21.5)))


def test_trouble_that_does_not_pass_ends_the_worker_with_the_reason():
    """The running trial is left for others, and the peers hear that this worker has left in good order."""

    async def main(broken, *others):
        running = [asyncio.create_task(peer.run()) for peer in others]
        with pytest.raises(Unavailable, match=r"there is no process to be had. This has lasted for 3\d s"):
            await broken.run()
        await broken.aclose()
        await asyncio.gather(*running)
        assert counts(others[0]) == {"finished": 100}
        assert not [event for event in events(others[0]) if isinstance(event, Lost)]

    play(main, n=3, limits=Limits(trials=100), given=unavailable([], (3.0, 1e9)))


def test_a_worker_in_trouble_does_not_outlast_the_search():
    """When the others have met the budget, or time is up, it ends as they do, without an error."""

    async def main(broken, *others):
        await asyncio.gather(*(peer.run() for peer in (broken, *others)))
        assert counts(broken) == {"finished": 10}

    play(main, n=3, limits=Limits(trials=10), given=unavailable([], (0.0, 1e9)))

    async def alone(broken):
        await broken.run()
        assert asyncio.get_running_loop().time() == pytest.approx(5.0, abs=0.2)

    play(alone, n=1, limits=Limits(seconds=5.0), given=unavailable([], (0.0, 1e9)))


def test_what_the_journal_cannot_take_waits_and_nothing_new_begins():
    """A running trial goes on, its events are kept in memory and written as soon as there is room, in order."""

    async def main(peer):
        await peer.run()
        assert counts(peer) == {"finished": 6}
        assert journal.refused > 3
        for batch, following in pairwise(journal.batches):
            assert following.first == batch.last + 1
        assert journal.batches[-1].last == peer.services.log.count(peer.id)
        assert notices[0].startswith("cannot write to journal: No space left on device. No trial fails because of this")
        begun = [round(record.started) for record in peer.view.records()]
        assert not [moment for moment in begun if 3 <= moment < 9]

    notices, journal = [], FillingJournal([(2.5, 9.5)])
    play(main, n=1, limits=Limits(trials=6), given=lambda rank: {"notice": notices.append, "journal": journal})


def test_results_that_cannot_be_written_are_an_error_in_the_end():
    """The last results count only once they are on disk: the worker waits, and says so if that is in vain."""

    async def main(peer):
        with pytest.raises(Unavailable, match="No space left on device"):
            await peer.run()
        assert PATIENCE < asyncio.get_running_loop().time() < 2 * PATIENCE

    play(main, n=1, limits=Limits(trials=4), given=lambda rank: {"journal": FillingJournal([(3.5, 1e9)])})

    async def room(peer):
        await peer.run()
        assert peer.services.journal.batches[-1].last == peer.services.log.count(peer.id)

    play(room, n=1, limits=Limits(trials=4), given=lambda rank: {"journal": FillingJournal([(3.5, 12.0)])})


def test_a_journal_that_is_gone_ends_the_worker_within_a_second():
    """There is nothing to wait for when the run directory was deleted."""

    class Gone(FillingJournal):
        def sync(self):
            raise JournalGone("run was deleted")

    async def main(peer):
        with pytest.raises(Unavailable, match="run was deleted"):
            await peer.run()
        assert asyncio.get_running_loop().time() < 2.5

    play(main, n=1, limits=Limits(trials=100), given=lambda rank: {"journal": Gone([])})


def test_a_checkpoint_that_cannot_be_stored_here_releases_the_trial():
    """A full disk does not make a trial start over: it is resumed where, or when, there is room."""

    async def stepwise(trial):
        start = trial.restore() or b""
        starts.append(len(start))
        for step in trial.steps():
            await asyncio.sleep(1.0)
            trial.report(trial["x"])
            trial.save(bytes(step))
        return trial["x"]

    starts = []

    async def main():
        first, second = swarm(SimNetwork(seed=0), 2, stepwise, Limits(trials=1), given, max_steps=6)
        await first.start()
        await second.start()
        running = asyncio.create_task(first.run())
        await asyncio.sleep(3.5)
        first.stop()  # its trial is released, with a checkpoint that only it has
        await running
        await second.run()
        assert second.services.blobs.refused
        assert counts(second) == {"finished": 1}
        assert starts == [0, 3]
        assert notices[0].startswith("cannot write a checkpoint that a peer has: No space left on device. No trial")
        await asyncio.gather(first.aclose(), second.aclose())

    def given(rank):
        return {"blobs": FullBlobs(), "notice": notices.append} if rank else {"blobs": MemoryBlobs()}

    notices = []
    run(main, seed=0, timeout=1000.0)


class FullBlobs(MemoryBlobs):
    """Takes nothing from peers for the first seconds after it is asked to."""

    refused = 0
    ends = None

    def write_part(self, digest, offset, data):
        now = asyncio.get_running_loop().time()
        self.ends = self.ends or now + 4.0
        if now < self.ends:
            self.refused += 1
            raise OSError(28, "No space left on device")
        super().write_part(digest, offset, data)


def events(peer):
    """All events that a worker knows."""
    return [seen.event for origin in peer.services.log.origins for seen in peer.services.log.events(origin)]


def test_the_time_limit_ends_it_and_releases():
    """At the limit the running trial is given up for others, not failed."""

    async def main(peer):
        await peer.run()
        assert asyncio.get_running_loop().time() == pytest.approx(2.5, abs=0.1)
        assert counts(peer) == {"finished": 2, "lost": 1}
        assert not peer.stopped

    play(main, n=1, limits=Limits(seconds=2.5))


def test_a_target_reached_by_one_ends_all():
    """When anybody reaches the target all workers end as soon as they hear."""

    async def main(*peers):
        await asyncio.gather(*(peer.run() for peer in peers))
        assert any(peer.view.best_loss <= 0.1 for peer in peers)
        ended = sum(status == "finished" for status in (r.status for r in peers[0].view.records()))
        assert ended < 100

    play(main, n=3, limits=Limits(trials=10_000, target=0.1))


def test_an_exhausted_searcher_ends_the_search_when_the_last_trial_did():
    """Without budget the search lasts until the searchers have no more and nothing runs anywhere."""

    async def main(*peers):
        await asyncio.gather(*(peer.run() for peer in peers))
        await asyncio.sleep(5.0)
        assert counts(peers[0]) == {"finished": 6}
        assert all(not peer.state.view.running for peer in peers)

    play(main, n=2, searcher=Draws(3), limits=Limits())


def test_what_a_searcher_raises_ends_the_worker_with_it():
    """An error in ask surfaces from run(), and the worker can still be closed."""

    class Broken(Draws):
        def ask(self, view, rng, slots):
            raise ZeroDivisionError("in ask")

    async def main(peer):
        with pytest.raises(ZeroDivisionError):
            await peer.run()

    play(main, n=1, searcher=Broken())


def test_what_a_fit_raises_ends_no_worker():
    """A searcher that cannot learn goes on without a model until the budget is met."""

    async def main(peer):
        await peer.run()
        assert counts(peer) == {"finished": 4}
        assert peer.services.searcher.adopted == []

    play(main, n=1, searcher=Learner(fails=True))


def test_models_are_refitted_while_trials_run():
    """A learning searcher adopts models of more and more results, and a suggestion knows the newest."""

    async def main(peer):
        await peer.run()
        return peer.services.searcher.adopted

    adopted = play(main, n=1, searcher=Learner(), limits=Limits(trials=6))
    assert adopted == sorted(set(adopted))
    assert adopted[-1] >= 5


def test_callbacks_hear_of_own_trials_only():
    """Each worker's callbacks get what it evaluated itself."""
    heard = []

    async def main(*peers):
        await asyncio.gather(*(peer.run() for peer in peers))

    play(main, n=3, callbacks=[heard.append], limits=Limits(trials=9))
    ids = [record.id for record in heard]
    assert len(ids) == len(set(ids)) >= 9


def test_stopping_one_worker_leaves_its_trial_to_the_others():
    """A stopped worker releases its trial at once; another takes it over and the budget is met."""

    async def main(a, b):
        tasks = [asyncio.create_task(peer.run()) for peer in (a, b)]
        await asyncio.sleep(1.5)
        b.stop()
        await tasks[1]
        assert b.stopped
        await tasks[0]
        assert counts(a)["finished"] == 6
        assert any(r.attempt == 1 and r.worker == a.id for r in a.view.records())

    play(main, n=2, limits=Limits(trials=6))


def test_cancelling_run_is_not_swallowed():
    """A cancellation from outside reaches the caller, and what ran is released."""

    async def main(peer):
        task = asyncio.create_task(peer.run())
        await asyncio.sleep(1.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert counts(peer) == {"finished": 1, "lost": 1}

    play(main, n=1)


def test_an_objective_that_resists_its_cancellation_does_not_break_the_worker():
    """An aborted objective that swallows the cancellation is left behind; later trials time out as they should."""

    async def stubborn(trial):
        try:
            await asyncio.sleep(50.0 if trial.number == 0 else 1e5)
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)
        return 1.0

    async def main(peer):
        task = asyncio.create_task(peer.run())
        await asyncio.sleep(1.0)
        [segment] = peer.state.segments.values()
        other = peer.services.log.clock + 1
        batch_event = Ended(other, segment.trial, 0, "finished", 0, 0.5)
        fake = peer.services.log.__class__()
        batch = fake.append_own("bob", 1, batch_event)
        peer.state.recover(1.0, batch)
        peer.exchange.carry_out()
        await task
        assert counts(peer) == {"finished": 1, "failed": 1}

    play(main, n=1, function=stubborn, limits=Limits(trials=2, trial_timeout=60.0))


def test_a_worker_declared_lost_in_error_goes_on():
    """Somebody's mistaken declaration of loss costs a claim, not the trial."""

    async def main(peer):
        task = asyncio.create_task(peer.run())
        await asyncio.sleep(0.5)
        [segment] = peer.state.segments.values()
        other = type(peer.services.log)()
        peer.state.recover(0.5, other.append_own("bob", 1, Lost(99, segment.trial, 0)))
        peer.exchange.carry_out()
        await task
        assert counts(peer) == {"finished": 1}
        [record] = peer.view.records()
        assert record.attempt == 1

    play(main, n=1, limits=Limits(trials=1))


def completed(peer: Peer) -> int:
    return sum(len(ends) for ends in completions(peer.services.log).values())


def test_a_trial_that_several_take_over_is_completed_once():
    """Idle workers that take a dead one's trial over at the same time, with little left to do, record one result."""
    claims = 0

    async def main(network, peers):
        owner, *others = peers
        running = [asyncio.create_task(owner.run())]
        await asyncio.sleep(3.0)  # it has the only trial
        running += [asyncio.create_task(peer.run()) for peer in others]
        await asyncio.sleep(3.0)
        network.crash(owner.services.transport.address)
        owner.exchange.fail(ConnectionError("killed"))
        await asyncio.wait(running)
        assert [type(task.exception()) for task in running] == [ConnectionError, *[type(None)] * 3]
        await asyncio.sleep(5.0)
        assert [completed(peer) for peer in others] == [1, 1, 1]
        log = others[0].services.log
        return sum(isinstance(seen.event, Claimed) for origin in log.origins for seen in log.events(origin))

    async def whole(seed):
        seconds = iter([9.0, *[0.01] * 9])

        async def objective(trial):
            await asyncio.sleep(next(seconds))
            return 1.0

        network = SimNetwork(seed=seed, delay=(0.001, 0.3))
        peers = swarm(network, 4, objective, Limits(trials=1))
        for peer in peers:
            await peer.start()
        try:
            return await main(network, peers)
        finally:
            for peer in peers:
                await peer.aclose()

    for seed in range(8):
        claims += run(lambda seed=seed: whole(seed), seed=seed, timeout=1000.0)
    assert claims > 12, "they raced"


def test_a_result_is_kept_if_the_worker_ends_while_it_hears_its_rivals_out():
    """A worker that is stopped while it waits for the answer of a peer that is cut off records what it has."""

    async def objective(trial):
        await asyncio.sleep(1.0)
        return 0.5

    async def whole():
        network = SimNetwork(seed=0)
        one, other = swarm(network, 2, objective, Limits(trials=1))
        await one.start()
        await other.start()
        await asyncio.sleep(1.0)
        one.state.set_goal(1)
        one.state.enqueue(0.0, (0.5,))
        one.exchange.carry_out()
        running = asyncio.create_task(one.run())
        await asyncio.sleep(0.5)
        network.partition([one.services.transport.address], [other.services.transport.address])
        while one._dispatcher.slots[0]._is_evaluating:
            await asyncio.sleep(0.01)
        assert completed(one) == 0, "the other one has not answered"
        one.stop()
        await running
        assert completed(one) == 1
        await one.aclose()
        await other.aclose()

    run(whole, timeout=1000.0)


def test_what_peers_did_who_left_before_they_were_met_is_read_from_their_journals():
    """A worker that is ready only when the others are done evaluates nothing that they did."""
    evaluated: list[float] = []
    journals: dict[int, MemoryJournal] = {0: MemoryJournal(), 1: MemoryJournal()}

    async def objective(trial):
        evaluated.append(trial["x"])
        return 0.5

    def given(rank):
        every = lambda present: [batch for journal in journals.values() for batch in journal.batches]  # noqa: E731
        return {"journal": journals[rank], "journal_id": "shared", "read_again": every}

    async def whole():
        network = SimNetwork(seed=0)
        late, first = reversed(swarm(network, 2, objective, Limits(trials=5), given))
        network.partition([late.services.transport.address], [first.services.transport.address])
        await late.start()
        await first.start()
        await first.run()
        await first.aclose()
        network.heal()
        await late.run()
        assert len(evaluated) == 5
        assert counts(late) == {"finished": 5}
        await late.aclose()

    run(whole, timeout=1000.0)


def test_what_a_killed_worker_had_only_written_down_is_found_before_the_others_leave():
    """Its last proposal had not been heard by anybody: the survivor reads it, and settles what becomes of it."""
    journals: dict[int, MemoryJournal] = {}
    peers: list[Peer] = []
    network = SimNetwork(seed=0)

    class Killing(MemoryJournal):
        def append(self, batches):
            batches = list(batches)
            super().append(batches)
            if peers and peers[0].state.ended_here and peers[0].state.segments:  # its second trial begins
                loop, victim = asyncio.get_running_loop(), peers.pop()
                loop.call_soon(network.crash, victim.services.transport.address)
                loop.call_soon(victim.exchange.fail, ConnectionError("killed"))

    async def short(trial):
        await asyncio.sleep(0.01)
        return trial["x"]

    def given(rank):
        journal = journals[rank] = Killing() if rank else MemoryJournal()
        names = {f"{n + 1:012x}": n for n in range(2)}
        return {
            "journal": journal,
            "journal_id": "shared",
            "timing": Timing(suspicion=Suspicion(suspect=60.0)),  # nobody suspects it meanwhile
            "is_gone": lambda worker: worker == f"{2:012x}" and not peers,
            "recover": lambda worker: list(journals[names[worker]].batches),
        }

    async def whole():
        survivor, victim = swarm(network, 2, short, Limits(trials=6), given)
        await survivor.start()
        await victim.start()
        peers.append(victim)
        _, error = await asyncio.gather(survivor.run(), victim.run(), return_exceptions=True)
        assert isinstance(error, ConnectionError)
        assert sum(len(batch.raws) for batch in journals[1].batches) == survivor.services.log.count(victim.id)
        assert not survivor.view.running
        assert counts(survivor) == {"finished": 6}
        await survivor.aclose()

    run(whole, timeout=1000.0)


def test_finished_trials_arrive_once():
    """A second result of the same trial does not make it arrive again."""

    async def main(peer):
        arrived = []

        async def follow():
            async for record in peer.finished():
                arrived.append(record.id)

        follower = asyncio.create_task(follow())
        await peer.run()
        trial = peer.view.id(0)
        other = type(peer.services.log)()
        peer.state.recover(9.0, other.append_own("bob", 1, Ended(99, trial, 0, "finished", 0, 0.5)))
        peer.exchange.carry_out()
        await asyncio.sleep(0.1)
        await peer.aclose()
        await follower
        assert len(arrived) == len(set(arrived)) == 4

    play(main, n=1)


def test_the_same_seed_plays_the_same_search():
    """In virtual time a swarm repeats bit for bit."""

    async def main(*peers):
        await asyncio.gather(*(peer.run() for peer in peers))
        await asyncio.sleep(5.0)
        return [(r.id, r.value) for r in peers[0].view.records()]

    def once(seed: int):
        rng = random.Random(seed)

        async def objective(trial):
            await asyncio.sleep(rng.random())
            return trial["x"]

        return play(main, seed=seed, n=4, function=objective, limits=Limits(trials=20))

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_workers_of_one_launch_draw_differently():
    """Ranks of one seed make different draws."""

    async def main(*peers):
        await asyncio.gather(*(peer.run() for peer in peers))
        return [r.config["x"] for r in peers[0].view.records()]

    xs = play(main, n=4, limits=Limits(trials=12))
    assert len(np.unique(xs)) == len(xs) >= 12


# ------------------------------------------------------------------------------------------- checkpoints
ATTACKER = "bad000000001"


async def resuming(trial):
    """Steps of a second each; each says where it stood and what it had restored."""
    state = trial.restore()
    assert (0 if state is None else state["step"]) == trial.start
    for step in trial.steps():
        await asyncio.sleep(1.0)
        trial.report(trial["x"] + 1 / step)
        trial.save({"step": step})


def inherit_from(peer: Peer, blob: bytes) -> None:
    """Somebody who could write into the journal and the blob store has queued a trial that starts from ``blob``."""
    peer.services.blobs.put(blob)
    parent = Parent((ATTACKER, 1), 2, hashlib.sha256(blob).hexdigest(), len(blob), ATTACKER)
    events = [Started(1, 0.0, "host", 1, "1.0"), Proposed(2, 0.0, (0.5,), QUEUED, None, 0, parent)]
    for origin, seq, event in peer.services.log.merge(Batch(ATTACKER, 1, tuple(map(encode_event, events)))) or ():
        peer.view.apply(origin, seq, event)


@pytest.mark.parametrize("known", ["bytes of an earlier version", "another key", "no seal"])
def test_a_forged_checkpoint_is_not_loaded_and_costs_no_trial(known):
    """A trial whose checkpoint was not written under the study's key starts over, and the worker says so."""
    alarm, said = Alarm(), []
    blob = {
        "bytes of an earlier version": b"aiohpo checkpoint: pickle\n" + pickle.dumps(alarm),
        "another key": encode(alarm, b"another"),
        "no seal": pickle.dumps(alarm),
    }[known]

    async def main(peer):
        await peer.run()
        assert counts(peer) == {"finished": 4}
        inherited = [r for r in peer.view.records() if r.parent]
        assert [(r.step, r.status, r.config) for r in inherited] == [(3, "finished", {"x": 0.5})]

    options = {"before": lambda peer: inherit_from(peer, blob), "given": lambda rank: {"notice": said.append}}
    play(main, n=1, function=resuming, max_steps=3, **options)
    assert not alarm.rang()
    [notice] = [text for text in said if "starts over" in text]
    assert "its checkpoint of step 2 was not written under this study's key" in notice


def test_damaged_checkpoints_cost_no_trial():
    """Where something changes the files in the blob store, paused trials start over, and end as usual."""
    alarm, said, starts = Alarm(), [], []

    async def spoilt(trial):
        starts.append(trial.start)
        await resuming(trial)
        for file in trial._blobs.root.glob("*/*"):
            file.write_bytes(pickle.dumps(alarm))

    async def main(peer):
        await peer.run()
        assert sum(counts(peer).values()) == 9
        assert set(counts(peer)) == {"finished", "paused"}

    options = {"limits": Limits(trials=9), "given": lambda rank: {"notice": said.append}}
    play(main, n=1, function=spoilt, max_steps=4, scheduler="asha:eta=2", **options)
    assert set(starts) == {0}
    assert not alarm.rang()
    assert len(said) == len(starts) - 9
    assert all("starts over: its checkpoint of step" in text and "is damaged" in text for text in said)


def test_a_trial_goes_on_from_the_newest_checkpoint_that_can_be_read():
    """Where the newest one is damaged, an older one costs fewer steps than starting over."""
    starts, said, peers = [], [], []

    async def spoilt(trial):
        starts.append(trial.start)
        await resuming(trial)
        view = peers[0].view
        if (newest := view.checkpoint(view.row(parse_trial(trial.id))))[0] == 2:
            (file,) = trial._blobs.root.glob(f"*/{newest[1]}")
            file.write_bytes(b"spoilt")

    async def main(peer):
        await peer.run()
        assert set(counts(peer)) == {"finished", "paused"}

    options = {"limits": Limits(trials=9), "given": lambda rank: {"notice": said.append}, "before": peers.append}
    play(main, n=1, function=spoilt, max_steps=4, scheduler="asha:eta=2,first_rung=fixed", **options)
    assert set(starts) == {0, 1}
    assert said
    assert all("continues from step 1: its checkpoint of step 2 is damaged" in text for text in said)


def test_a_damaged_checkpoint_is_had_from_a_peer_that_has_a_good_one(tmp_path):
    """Where the blob stores of workers are apart; if they have a damaged one, too, that is what is said."""
    stores = [DirectoryBlobs(tmp_path / name) for name in "ab"]

    async def main(first, second):
        secret = first.services.program.secret
        good = encode({"step": 1}, secret)
        stores[0].put(good)
        digest = stores[1].put(good)
        serving = asyncio.create_task(second.run())
        await asyncio.sleep(3.0)
        stores[0].path(digest).write_bytes(b"spoilt")
        assert await first._dispatcher.slots[0]._find_fault(digest, second.id, len(good)) is None
        assert stores[0].get(digest) == good
        for store in stores:
            store.path(digest).write_bytes(b"spoilt")
        assert await first._dispatcher.slots[0]._find_fault(digest, second.id, len(good)) == "is damaged"
        second.stop()
        await serving

    play(main, n=2, function=resuming, max_steps=3, given=lambda rank: {"blobs": stores[rank]})


def test_workers_of_a_study_resume_from_each_others_checkpoints():
    """What one of them sealed, the others take over, though their blob stores are apart."""
    said, resumed = [], []

    async def objective(trial):
        resumed.append(trial.start > 0)
        await resuming(trial)

    def apart(rank):
        return {"blobs": MemoryBlobs(), "notice": said.append}

    async def main(*peers):
        await asyncio.gather(*(peer.run() for peer in peers))
        assert sum(counts(peers[0]).values()) == 9

    options = {"scheduler": "asha:eta=2", "limits": Limits(trials=9), "given": apart}
    play(main, n=3, function=objective, max_steps=4, **options)
    assert any(resumed)
    assert not any("starts over" in text for text in said)


def test_repr_is_a_status_line():
    """The repr names the worker and what it knows."""

    async def main(peer):
        await peer.run()
        assert repr(peer).startswith("<Peer 000000000001: <View 4 ended, 0 running, best loss ")

    play(main, n=1)
