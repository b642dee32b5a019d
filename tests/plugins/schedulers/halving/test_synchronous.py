"""Synchronous halving without a master: groups, complete rungs, races, and the end of the budget."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from aiohpo.plugin import Decision, NewTrial, Resume
from aiohpo_plugins.schedulers.halving.hyperband import HyperbandScheduler
from aiohpo_plugins.schedulers.halving.sha import SHAScheduler
from tests.support.scheduled import SomeClaims, Told, begun, work

RNG = np.random.default_rng(0)
OPEN = SomeClaims()


def ask(told: Told, claims=OPEN, scheduler=SHAScheduler):
    return begun(scheduler(), told.max_steps).next(told.view, claims, RNG)


def test_a_rung_is_promoted_when_it_is_complete():
    """Nobody goes on before all n have a value; then the best n/eta do, best first, and no more."""
    told = Told(9)
    losses = [0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8, 0.6]
    trials = [told.paused(1, loss) for loss in losses]
    assert ask(told) == NewTrial(1, 0)
    last = told.new(1)
    assert ask(told) == NewTrial(1, 1)  # nothing to do here: the next bracket
    told.reach(last, 1, 0.4)
    for best in (trials[1], trials[5], trials[3]):
        assert ask(told) == Resume(best, 3)
        told.resume(best, 3)
    assert ask(told) == NewTrial(1, 1)
    for best, loss in ((trials[1], 0.15), (trials[5], 0.05), (trials[3], 0.25)):
        told.reach(best, 3, loss)
    assert ask(told) == Resume(trials[5], None)
    told.resume(trials[5])
    assert ask(told) == NewTrial(1, 1)


def test_losses_that_are_equal_go_by_order():
    """Every worker promotes the same one."""
    told = Told(3)
    trials = [told.paused(1, 0.5) for _ in range(3)]
    assert ask(told) == Resume(trials[0], None)


def test_failures_are_the_worst_and_keep_their_slot():
    """A failed trial completes its rung; one that fails after promotion is not replaced."""
    told = Told(9)
    good = [told.paused(1, loss) for loss in (0.1, 0.2)]
    for _ in range(7):
        told.end(told.new(1), "failed")
    for trial in good:
        assert ask(told) == Resume(trial, 3)
        told.resume(trial, 3)
        told.end(trial, "failed")
    assert ask(told) == NewTrial(1, 1)


def test_a_lost_trial_holds_its_rung_up_until_somebody_goes_on():
    """The slot of a dead worker is neither given away nor counted as a result."""
    told = Told(3)
    trials = [told.paused(1, 0.2), told.paused(1, 0.3), told.new(1)]
    told.lose(trials[2])
    assert ask(told) == NewTrial(1, 1)
    told.resume(trials[2], 1, worker="other")
    assert ask(told) == NewTrial(1, 1)
    told.reach(trials[2], 1, 0.1)
    assert ask(told) == Resume(trials[2], None)


def test_a_withdrawn_trial_frees_its_slot():
    """What never counts is replaced."""
    told, scheduler = Told(3), begun(SHAScheduler(), 3)
    told.paused(1, 0.2), told.paused(1, 0.3)
    third = told.new(1)
    assert scheduler.next(told.view, OPEN, RNG) == NewTrial(1, 1)
    told.end(third, "cancelled")
    assert scheduler.next(told.view, OPEN, RNG) == NewTrial(1, 0)


def test_surplus_trials_fill_the_next_group():
    """Many workers that fill one slot at the same time make groups, each halved by itself."""
    told = Told(3)
    trials = [told.paused(1, loss) for loss in (0.5, 0.6, 0.7, 0.1)]
    assert ask(told) == Resume(trials[0], None)  # not the fourth, which is in the second group
    told.resume(trials[0])
    assert ask(told) == NewTrial(1, 0)
    told.paused(1, 0.2), told.paused(1, 0.3)
    assert ask(told) == Resume(trials[3], None)
    told.resume(trials[3])
    assert ask(told) == NewTrial(1, 1)


def test_groups_do_not_depend_on_the_order_of_arrival():
    """A trial that was proposed earlier and heard of later moves the others up; withdrawal moves them back."""
    for seed in range(20):
        rng = random.Random(seed)
        told = Told(9)
        scheduler = begun(SHAScheduler(), 9)
        for i in range(40):
            trial = told.new(1, rng.choice([0, 1]), worker=rng.choice("abc"))
            if rng.random() < 0.8:
                told.reach(trial, 1, rng.random())
            elif rng.random() < 0.3:
                told.end(trial, "cancelled")
            if i % 3 == 0:
                choice = scheduler.next(told.view, OPEN, RNG)
                if isinstance(choice, Resume):
                    told.resume(choice.trial, choice.to_step)
        expected = scheduler.next(told.view, OPEN, RNG)
        for again in range(3):
            view = told.again(again)
            late = begun(SHAScheduler(), 9)
            assert late.next(view, OPEN, RNG) == expected
            groups = {n: [[len(r) for r in g.rungs] for g in b.groups] for n, b in scheduler._brackets.items()}
            assert {n: [[len(r) for r in g.rungs] for g in b.groups] for n, b in late._brackets.items()} == groups


def test_an_early_proposal_that_arrives_late_moves_the_others_up():
    """Values and promotions of those behind it go with them to the next group."""
    told, scheduler = Told(3), begun(SHAScheduler(), 3)
    early = told.new(1, worker="early")
    trials = [told.paused(1, loss) for loss in (0.3, 0.2, 0.1, 0.4)]
    late, view = [event for event in told.events if event[0] == "early"], told._fresh()
    for event in told.events:
        if event not in late:
            view.apply(*event)
    assert scheduler.next(view, OPEN, RNG) == Resume(trials[2], None)
    for event in late:
        view.apply(*event)
    assert scheduler.next(view, OPEN, RNG) == NewTrial(1, 0)
    first, second = scheduler._brackets[0].groups
    assert [entry[2] for entry in first.rungs[0].entries] == [trials[1], trials[0]]
    assert [entry[2] for entry in second.rungs[0].entries] == [trials[2], trials[3]]
    assert first.entered[0] == 3
    assert first.place(early).entered == 1


@pytest.mark.parametrize("seen", [{"refused": True}, {"held": True}])
def test_claims_are_asked(seen):
    """Whoever may not be claimed is left to others, and the worker goes on to a new trial or the next best."""
    told = Told(9)
    trials = [told.paused(1, i / 10) for i in range(9)]
    if "refused" in seen:
        assert ask(told, SomeClaims(refused=trials[:1])) == Resume(trials[1], 3)
        assert ask(told, SomeClaims(refused=trials)) == NewTrial(1, 1)
    else:
        assert ask(told, SomeClaims(held=trials[1:])) == Resume(trials[1], 3)
        assert ask(told, SomeClaims(held=trials[3:])) == Resume(trials[0], 3)


@pytest.mark.parametrize("scheduler", [SHAScheduler, HyperbandScheduler])
@pytest.mark.parametrize("trials", [1, 5, 27, 30, 100])
def test_the_budget_ends_with_a_complete_trial(scheduler, trials):
    """Whatever the budget, the last bracket is halved too, with as many trials as it has."""
    told = Told(27, trials)
    work(begun(scheduler()), told, 2000, np.random.default_rng(2).random(100).tolist(), fails=range(5, 100, 9))
    states = [told.view.trial(id) for id in told.view.changed(0)[0]]
    assert len(states) == trials
    assert sum(state.status == "finished" for state in states) >= trials // 27 + (trials % 27 > 0)


def test_a_full_bracket_of_sha():
    """27 trials of 1 step, 9 of 3, 3 of 9, one complete: and so again and again."""
    told = Told(27, 81)
    work(begun(SHAScheduler()), told, 2000, np.random.default_rng(0).random(81).tolist())
    states = [told.view.trial(id) for id in told.view.changed(0)[0]]
    assert Counter((s.status, s.step) for s in states) == {
        ("paused", 1): 54,
        ("paused", 3): 18,
        ("paused", 9): 6,
        ("finished", 27): 3,
    }
    assert Counter(s.bracket for s in states) == {0: 27, 1: 27, 2: 27}


def test_reports_decide_nothing():
    """Segments end at rungs by themselves."""
    told = Told()
    trial = told.new(1)
    told.report(trial, 1, 9.0)
    assert begun(SHAScheduler()).on_report(told.view, trial, 1) is Decision.CONTINUE


def test_checkpoints_are_kept_while_they_may_be_needed():
    """Until as many are better as may go on; those that run keep theirs, those that ended none."""
    told, scheduler = Told(9), begun(SHAScheduler(), 9)
    trials = [told.new(1) for _ in range(9)]
    kept = []
    for i, trial in enumerate(trials):
        told.save(trial, 1)
        assert scheduler.keeps(told.view, told.view.trial(trial)) == [1]
        told.reach(trial, 1, abs(i - 5) / 10)
        kept.append([t for t in trials if scheduler.keeps(told.view, told.view.trial(t))][: i + 1])
    assert kept[3] == trials[1:4]
    assert kept[-1] == trials[4:7]
    for trial in trials[4:7]:
        told.go_on(trial, 3, 0.1)
    assert [t for t in trials if scheduler.keeps(told.view, told.view.trial(t))] == trials[4:5]
    told.go_on(trials[4], None, 0.1)
    assert scheduler.keeps(told.view, told.view.trial(trials[4])) == []
    assert scheduler.keeps(told.view, told.view.trial(told.paused(1, 0.1))) == []
