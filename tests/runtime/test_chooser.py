"""Tests of what a free worker does next, with production workers in virtual time."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from aiohpo import Float, Space, Study
from aiohpo.errors import AiohpoError
from aiohpo.events.lifecycle import MOST_IDLE_PAUSES
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Decision, Identity, Idle, Inherit, NewTrial, Resume
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from tests.support.draws import Draws
from tests.support.peers import make_peer

SPACE = Space(x=Float(0.0, 1.0))


class Script:
    """A scheduler that answers what it is told, whenever what it depends on is there; then Idle."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)

    def setup(self, max_steps, seed, identity): ...

    def next(self, view, claims, rng):
        for answer in self.answers:
            made = answer(view, claims)
            if made is not None:
                return made
        return Idle()

    def on_report(self, view, trial, step):
        return Decision.CONTINUE


def trials(view):
    return [view.trial(id) for id in sorted(view.changed(0)[0], key=lambda id: view.trial(id).order)]


async def stepwise(trial):
    saved = trial.restore()
    assert trial.start == (0 if saved is None else saved[0])
    for step in trial.steps():
        await asyncio.sleep(1.0)
        trial.report(trial["x"] / step)
        trial.save(bytes([step]))


def search(
    scheduler, n: int = 1, searcher=None, before=lambda study: None, trials: int = 9, max_steps: int = 6
) -> list[Peer]:
    """Run a search to its end."""
    study = Study(stepwise, SPACE, searcher=searcher or Draws(), scheduler=scheduler, max_steps=max_steps)
    before(study)

    async def main() -> list[Peer]:
        network, peers = SimNetwork(seed=0), []
        for rank in range(n):
            worker = hashlib.blake2b(bytes([rank]), digest_size=6).hexdigest()
            peer = make_peer(
                study,
                limits=Limits(trials),
                transport=network.endpoint(worker),
                join=[peers[0].services.transport.address] if peers else [],
                identity=Identity(worker, rank, n),
            )
            await peer.start()
            peers.append(peer)
        async with asyncio.TaskGroup() as group:
            for peer in peers:
                group.create_task(peer.run())
        for peer in peers:
            await peer.aclose()
        return peers

    return run(main, seed=0, timeout=500.0)


def only_first(answer):
    """This answer while there is no trial."""
    return lambda view, claims: None if trials(view) else answer


def when_paused(make):
    """An answer about the first trial, once it has paused; nothing before, nothing later."""

    def answer(view, claims):
        known = trials(view)
        return make(known[0]) if len(known) == 1 and known[0].status == "paused" else None

    return answer


def test_a_new_trial_pauses_where_it_was_told_and_is_resumed_from_its_checkpoint():
    """NewTrial(to_step) and Resume(to_step): segments of one trial, from where the last one ended."""
    peer = search(
        Script(only_first(NewTrial(2, bracket=4)), when_paused(lambda t: Resume(t.id, 6) if t.step < 6 else None))
    )[0]
    (record,) = peer.view.records()
    assert (record.status, record.step, record.attempt, record.bracket) == ("finished", 6, 1, 4)
    assert sorted(record.curve) == [1, 2, 3, 4, 5, 6]


def test_a_restart_begins_from_scratch():
    """Resume(restart=True) ignores what was saved, also for whoever takes it over later."""
    peer = search(Script(only_first(NewTrial(2)), when_paused(lambda t: Resume(t.id, 6, restart=True))))[0]
    (record,) = peer.view.records()
    assert record.status == "finished"
    assert peer.view.trial(record.id).checkpoints == [6, 5, 4, 3, 2, 1]


def test_a_trial_can_begin_with_anothers_checkpoint_and_a_given_configuration():
    """NewTrial(config, parent) goes on where the parent was, with its own configuration."""
    child = when_paused(lambda t: NewTrial(None, config={"x": 0.25}, parent=Inherit(t.id, 2)))
    peer = search(Script(only_first(NewTrial(2)), child))[0]
    parent, record = peer.view.records()
    assert record.config == {"x": 0.25}
    assert record.parent == (parent.id, 2)
    assert sorted(record.curve) == [3, 4, 5, 6]
    assert (parent.status, record.status) == ("paused", "finished")


def test_a_checkpoint_that_nobody_has_is_not_built_upon(tmp_path):
    """Nothing starts; claims.obtainable says so, and the scheduler can do something else."""
    asked: list[bool] = []

    def inherit(view, claims):
        known = trials(view)
        if len(known) != 1 or known[0].status != "paused":
            return None
        asked.append(claims.obtainable(known[0].id, 2))
        return NewTrial(parent=Inherit(known[0].id, 2)) if asked[-1] else NewTrial(None, config={"x": 0.5})

    class Forgets(Script):
        def next(self, view, claims, rng):
            for known in trials(view):
                if known.status == "paused":
                    for digest in self.blobs.root.glob("*/*"):
                        digest.unlink()
            return super().next(view, claims, rng)

    scheduler = Forgets(only_first(NewTrial(2)), inherit)
    study = Study(stepwise, SPACE, searcher=Draws(), scheduler=scheduler, max_steps=6, directory=tmp_path)

    async def main() -> Peer:
        peer = make_peer(study, limits=Limits(9), transport=SimNetwork(seed=0).endpoint("ab" * 6))
        peer.services.scheduler.blobs = peer.services.blobs
        await peer.start()
        await peer.run()
        await peer.aclose()
        return peer

    peer = run(main, seed=0, timeout=500.0)
    records = list(peer.view.records())
    assert [r.parent for r in records] == [None, None]
    assert records[1].config == {"x": 0.5}
    assert asked[0]
    assert not asked[-1]


def test_queued_configurations_go_first_and_into_the_schedulers_bracket():
    """A queued trial takes the place of a new one, with its step and bracket; the searcher comes after it."""
    twice = lambda view, claims: NewTrial(3, bracket=2) if claims.may_start() else None  # noqa: E731
    peer = search(Script(twice), before=lambda study: study.enqueue({"x": 0.125}), trials=2)[0]
    first, second = peer.view.records()
    assert (first.config, first.bracket, first.step) == ({"x": 0.125}, 2, 3)
    assert (second.bracket, second.step) == (2, 3)


def test_promotions_go_on_when_the_searcher_has_no_more():
    """An exhausted searcher ends proposals, not the search."""

    def grow(view, claims):
        paused = [t for t in trials(view) if t.status == "paused" and t.step < 4 and claims.may_claim(t.id)]
        return Resume(paused[0].id, 4) if len(trials(view)) == 3 and paused else NewTrial(2)

    peer = search(Script(grow), searcher=Draws(3))[0]
    assert [r.step for r in peer.view.records()] == [4, 4, 4]


def test_idle_with_nothing_running_ends_the_search():
    """A scheduler that has nothing left to do ends it, though the budget has room."""
    peers = search(Script(only_first(NewTrial(None))), 3)
    assert peers[0].view.n_counted in (1, 2, 3)
    assert not peers[0].view.running


def wrong(answer) -> str:
    with pytest.raises(ExceptionGroup) as caught:
        search(Script(lambda view, claims: answer))
    (error,) = caught.value.exceptions
    assert isinstance(error, AiohpoError)
    return str(error)


def test_a_scheduler_that_names_what_does_not_exist_is_told_so():
    """Unknown trials and checkpoints that were never saved name themselves."""
    assert "nobody-7" in wrong(Resume("nobody-7"))
    assert "nobody-7" in wrong(NewTrial(parent=Inherit("nobody-7", 3)))
    assert "'y'" in wrong(NewTrial(config={"y": 1.0}))


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (lambda t: Resume(t.id, 2), Decision.CONTINUE),  # to where it is
        (lambda t: Resume(t.id, t.attempt + 3, restart=True), Decision.PAUSE),  # ever farther, but never there
    ],
)
def test_a_trial_that_is_resumed_without_moving_on_fails_with_the_reason(answer, decision):
    """A search ends although its scheduler resumes one trial for ever, and the trial's error says what went wrong."""

    class Stuck(Script):
        def on_report(self, view, trial, step):
            return decision

    (peer,) = search(Stuck(only_first(NewTrial(2)), when_paused(answer)))
    (record,) = peer.view.records()
    assert record.status == "failed"
    assert record.attempt == MOST_IDLE_PAUSES + 1
    assert all(word in record.error for word in ("never got beyond step", "trial.save()", "Stuck"))


def test_a_trial_that_moves_a_step_at_a_time_is_not_given_up():
    """Many pauses are no fault as long as each comes a step further."""
    far = 3 * MOST_IDLE_PAUSES
    one_more = when_paused(lambda t: Resume(t.id, t.step + 1))
    (peer,) = search(Script(only_first(NewTrial(1)), one_more), max_steps=far)
    (record,) = peer.view.records()
    assert (record.status, record.step) == ("finished", far)
