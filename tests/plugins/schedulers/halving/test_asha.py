"""ASHA: whom it promotes, whom it stops, and which checkpoints it keeps."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Decision, Identity, KeepingScheduler, NewTrial, Resume
from aiohpo.plugin.registry import create
from aiohpo.testing import check_scheduler
from aiohpo_plugins.schedulers.halving.asha import ASHAScheduler
from tests.support.scheduled import SomeClaims, Told, begun, run_segment, work

RNG = np.random.default_rng(0)
OPEN = SomeClaims()


def ask(told: Told, claims=OPEN, **options):
    return begun(ASHAScheduler(**options), told.max_steps).next(told.view, claims, np.random.default_rng(0))


@pytest.mark.parametrize(
    "options", [{}, {"first_rung": "fixed"}, {"brackets": 3}, {"type": "stopping"}, {"restart": True}, {"eta": 2}]
)
def test_keeps_a_scheduler_s_promises(options):
    """The conformance check passes, whatever the options."""
    check_scheduler(lambda: ASHAScheduler(**options))


def test_is_registered_and_shown():
    """It is found by name, with options, and shows them."""
    scheduler = create("schedulers", "asha:eta=4,brackets=2,type=stopping")
    assert repr(scheduler) == "ASHAScheduler(eta=4, r_min=None, brackets=2, type='stopping')"
    assert isinstance(scheduler, KeepingScheduler)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 1}, "eta must be a number of at least 2, not 1"),
        ({"eta": float("nan")}, "eta must be a finite number"),
        ({"r_min": 0}, "r_min must be a whole number of at least 1, not 0"),
        ({"r_min": 3, "r_max": 2}, "r_max must be a whole number of at least 3, not 2"),
        ({"brackets": 0}, "brackets must be"),
        ({"type": "halving"}, "asha: type must be one of promotion, stopping, not 'halving'"),
        ({"restart": 1}, "restart must be true or false"),
        ({"restart": True, "type": "stopping"}, "never resumed"),
        ({"first_rung": "lowest"}, "asha: first_rung must be one of learned, fixed, not 'lowest'"),
        (
            {"first_rung": "learned", "brackets": 2},
            "and brackets both decide where a trial is first judged: give only one",
        ),
    ],
)
def test_wrong_options(options, message):
    """Options out of range are errors that say what would do."""
    with pytest.raises(UsageError, match=message):
        ASHAScheduler(**options)


@pytest.mark.parametrize(
    ("options", "max_steps", "message"),
    [
        ({}, None, r"give Study\(max_steps=…\)"),
        ({}, 1, "needs at least 2 steps"),
        ({"r_min": 9}, 9, "needs at least 10 steps .* a smaller r_min"),
        ({"brackets": 5}, 27, r"rungs at \[1, 3, 9\] and the end at 27 there are at most 4"),
    ],
)
def test_studies_that_it_cannot_serve(options, max_steps, message):
    """Without steps, or with too few of them, setup says what to do."""
    with pytest.raises(ValueError, match=message):
        ASHAScheduler(**options).setup(max_steps, 0, Identity("w"))


def test_promotes_the_best_third_of_a_rung():
    """Of n at a rung the best floor(n/eta) may go on, each once; else the lowest rung grows."""
    told = Told()
    trials = [told.paused(1, loss) for loss in (0.5, 0.4)]
    assert ask(told) == NewTrial(1)
    trials.append(told.paused(1, 0.6))
    assert ask(told) == Resume(trials[1], 3)
    told.resume(trials[1], 3)
    assert ask(told) == NewTrial(1)
    for loss in (0.7, 0.8, 0.3):
        trials.append(told.paused(1, loss))
    assert ask(told) == Resume(trials[-1], 3)
    assert ask(told, eta=4) == NewTrial(1) or ask(told, eta=4).trial == trials[-1]


def test_looks_from_the_top_down():
    """Higher rungs come first; from the top one a trial goes on to its end."""
    told = Told()
    trials = [told.paused(1, loss / 100) for loss in range(30)]
    for trial in trials[:9]:
        told.go_on(trial, 3, 0.1)
    assert ask(told) == Resume(trials[0], 9)
    for trial in trials[:3]:
        told.go_on(trial, 9, 0.05)
    assert ask(told) == Resume(trials[0], None)
    told.go_on(trials[0], None, 0.04)
    assert ask(told) == Resume(trials[9], 3)


def test_r_min_and_r_max_bound_the_rungs():
    """No rung below r_min or above r_max; who passes the top rung runs to the end."""
    told = Told()
    assert ask(told, r_min=2) == NewTrial(2)
    best = min((told.paused(2, loss) for loss in (0.3, 0.2, 0.1)), key=lambda t: told.view.trial(t).curve[2])
    assert ask(told, r_min=2) == Resume(best, 6)
    assert ask(told, r_min=2, r_max=5) == Resume(best, None)


def test_who_may_not_be_claimed_is_left_to_others():
    """The next best promotable trial is taken instead, or a new one begun; who has the checkpoint here comes first."""
    told = Told()
    best, second, *_ = [told.paused(1, loss / 10) for loss in range(9)]
    assert ask(told, SomeClaims(refused=[best])) == Resume(second, 3)
    assert ask(told, SomeClaims(refused=told.view.changed(0)[0])) == NewTrial(1)
    assert ask(told, SomeClaims(held=[second])) == Resume(second, 3)
    told.resume(best, 3)
    told.lose(best)
    assert ask(told) == Resume(second, 3)  # the core goes on with a lost one


def test_restarts_when_told_to():
    """Objectives that cannot pause begin from scratch when promoted."""
    told = Told()
    best, *_ = [told.paused(1, loss) for loss in (0.1, 0.2, 0.3)]
    assert ask(told, restart=True) == Resume(best, 3, restart=True)


def test_failures_are_the_worst():
    """A failed trial counts in the rung it was heading to, and is never promoted."""
    told = Told()
    good = told.paused(1, 0.5)
    for _ in range(2):
        told.end(told.new(1), "failed")
    assert ask(told) == Resume(good, 3)
    told = Told()
    for _ in range(9):
        told.paused(1, None)  # nothing to show for it
    assert ask(told) == NewTrial(1)


def test_maximised_metrics_are_read_right():
    """What the view hands out are losses, so the highest value is promoted."""
    told = Told(mode="max")
    trials = [told.paused(1, value) for value in (0.1, 0.9, 0.5)]
    assert ask(told) == Resume(trials[1], 3)


def test_a_late_result_counts():
    """A worker declared dead that ends its segment after all is at its rung like any other."""
    told = Told()
    told.paused(1, 0.5), told.paused(1, 0.4)
    late = told.new(1)
    told.lose(late)
    assert ask(told) == NewTrial(1)
    told.reach(late, 1, 0.1)
    assert ask(told) == Resume(late, 3)


def test_withdrawn_trials_never_count():
    """A trial withdrawn behind the budget's line leaves its rung."""
    told = Told()
    trials = [told.paused(1, loss) for loss in (0.1, 0.2, 0.3)]
    assert ask(told) == Resume(trials[0], 3)
    scheduler = begun(ASHAScheduler())
    assert scheduler.next(told.view, OPEN, RNG) == Resume(trials[0], 3)
    told.resume(trials[2], 3)
    told.end(trials[2], "cancelled")
    assert scheduler.next(told.view, OPEN, RNG) == NewTrial(1)


@pytest.mark.parametrize("options", [{}, {"brackets": 3}, {"eta": 2, "r_min": 2}])
def test_a_search_of_one_worker(options):
    """As many as the rungs below allow are at each; in the end somebody is complete, and order did not matter."""
    rng = np.random.default_rng(1)
    for trials in (1, 4, 100):
        told = Told(trials=trials)
        work(begun(ASHAScheduler(**options)), told, 1000, rng.random(100).tolist(), fails=range(5, 100, 7))
        states = [told.view.trial(id) for id in told.view.changed(0)[0]]
        assert len(states) == trials
        assert any(state.status == "finished" and state.step == 27 for state in states)
        assert {state.status for state in states} <= {"finished", "failed", "paused"}
        answers = [begun(ASHAScheduler(**options)).next(told.again(i), OPEN, np.random.default_rng(0)) for i in (0, 1)]
        assert answers[0] == answers[1]


def test_when_the_budget_is_used_up_the_best_goes_on():
    """With no new trials to come, a rung too small to promote anybody sends its best on, once nobody is under way."""
    told = Told(trials=2)
    best, other = told.paused(1, 0.1), told.new(1)
    assert ask(told, told.claims) == NewTrial(1)
    told.reach(other, 1, 0.2)
    assert ask(told, told.claims) == Resume(best, 3)
    told.go_on(best, 3, 0.05)
    assert ask(told, told.claims) == Resume(best, 9)
    told.resume(best, 9)
    assert ask(told, told.claims) == NewTrial(1)
    told.reach(best, 9, 0.05)
    told.go_on(best, None, 0.05)
    assert ask(told, told.claims) == NewTrial(1)


def test_brackets_are_drawn_as_hyperband_has_them():
    """New trials begin at rung s with probability ~ (K+1)/(K-s+1)·eta^(K-s), and stay in their bracket's rungs."""
    scheduler, rng = begun(ASHAScheduler(brackets=4)), np.random.default_rng(0)
    told, n = Told(), 20_000
    drawn = Counter(scheduler.next(told.view, OPEN, rng).bracket for _ in range(n))
    weights = [27, 4 / 3 * 9, 2 * 3, 4]
    for s, weight in enumerate(weights):
        assert drawn[s] / n == pytest.approx(weight / sum(weights), abs=0.015)
    starts = {scheduler.next(told.view, OPEN, rng) for _ in range(200)}
    assert starts == {NewTrial(1, 0), NewTrial(3, 1), NewTrial(9, 2), NewTrial(None, 3)}
    for loss in (0.3, 0.2):
        told.paused(3, loss, bracket=1)
    assert isinstance(scheduler.next(told.view, OPEN, rng), NewTrial)
    best = told.paused(3, 0.1, bracket=1)
    assert scheduler.next(told.view, OPEN, rng) == Resume(best, 9)


def test_stopping_continues_the_best_third():
    """A trial goes on iff it is at least as good as the 1/eta quantile of those at the rung, itself included."""
    told, scheduler = Told(), begun(ASHAScheduler(type="stopping", first_rung="fixed"))
    assert scheduler.next(told.view, OPEN, RNG) == NewTrial(None)
    decisions = []
    for loss in (0.5, 0.6, 0.4, 0.45, 0.5, 0.3, 0.3):
        trial = told.new()
        told.report(trial, 1, loss)
        decisions.append(scheduler.on_report(told.view, trial, 1) is Decision.CONTINUE)
    assert decisions == [True, False, True, True, False, True, True]
    assert scheduler.next(told.view, OPEN, RNG) == NewTrial(None)


def test_stopping_decides_once_at_each_rung():
    """Between rungs nothing is decided; irregular steps decide when a rung is passed; no number decides nothing."""
    told, scheduler = Told(), begun(ASHAScheduler(type="stopping"))
    for _ in range(3):
        run_segment(scheduler, told, told.new(), 0.1)
    trial = told.new()
    told.report(trial, 2, 0.1)
    assert scheduler.on_report(told.view, trial, 2) is Decision.CONTINUE
    told.report(trial, 5, 0.9)
    assert scheduler.on_report(told.view, trial, 5) is Decision.STOP
    told.report(trial, 6, 0.9)
    assert scheduler.on_report(told.view, trial, 6) is Decision.CONTINUE
    silent = told.new()
    told.report(silent, 1, None)
    assert scheduler.on_report(told.view, silent, 1) is Decision.CONTINUE


def test_promotion_never_stops_a_trial():
    """Segments end at rungs by themselves, so reports need no decision."""
    told, scheduler = Told(), begun(ASHAScheduler())
    for loss in (0.1, 0.2, 0.9):
        told.paused(1, loss)
    worst = told.new(1)
    told.report(worst, 1, 5.0)
    assert scheduler.on_report(told.view, worst, 1) is Decision.CONTINUE


def test_checkpoints_are_kept_while_they_may_be_needed():
    """Running and promotable trials keep their newest checkpoint; those far behind and those that ended keep none."""
    told, scheduler = Told(), begun(ASHAScheduler())
    trials = [told.new(1) for _ in range(30)]
    for i, trial in enumerate(trials):
        told.save(trial, 1)
        told.reach(trial, 1, i / 30)
    kept = [bool(scheduler.keeps(told.view, told.view.trial(trial))) for trial in trials]
    assert kept == [i <= 10 + 2 * (10 * 2 / 3) ** 0.5 for i in range(30)]
    told.resume(trials[0], 3)
    told.report(trials[0], 2, 0.0)
    told.save(trials[0], 2)
    assert scheduler.keeps(told.view, told.view.trial(trials[0])) == [2]
    told.lose(trials[0])
    assert scheduler.keeps(told.view, told.view.trial(trials[0])) == [2]
    told.end(trials[0], "failed")
    assert scheduler.keeps(told.view, told.view.trial(trials[0])) == []
    assert scheduler.keeps(told.view, told.view.trial(told.paused(1, 0.1))) == []
    restarting = begun(ASHAScheduler(restart=True))
    assert restarting.keeps(told.view, told.view.trial(trials[1])) == []


def test_a_raised_number_of_steps_adds_rungs_and_keeps_the_lower_ones():
    """The lowest rung stays where it was, which follows from the steps that the study was begun with."""
    scheduler = begun(ASHAScheduler(), max_steps=162)
    assert scheduler._levels == (1, 2, 6, 18, 54)
    scheduler.extend(27)
    assert scheduler._levels == (1, 3, 9, 27, 81)
    scheduler.extend(9)  # a peer knows of an earlier time
    assert scheduler._levels == (1, 3, 9, 27, 81)


def test_what_was_complete_with_fewer_steps_is_promoted():
    """Trials that had finished at the old top wait at the rung that is there now, and the best of them go on."""
    told = Told(27)
    told.began_with(9, "teller")
    trials = [told.paused(1, loss) for loss in (0.1, 0.2, 0.3)]
    for trial, loss in zip(trials, (0.3, 0.2, 0.1), strict=True):
        told.go_on(trial, None, loss)
    assert {told.view.trial(trial).status for trial in trials} == {"paused"}
    assert told.view.trial(trials[0]).curve == {1: 0.1, 9: 0.3}
    assert told.view.first_max_steps == 9
    scheduler = begun(ASHAScheduler())
    scheduler.extend(9)
    choice = scheduler.next(told.view, OPEN, np.random.default_rng(0))
    assert choice == Resume(trials[2], None)
    told.resume(trials[2], None, worker="later")
    told.end(trials[2], "finished", 0.05)
    assert told.view.trial(trials[2]).status == "finished"
    assert told.view.best_loss == 0.05
    for seed in range(20):
        again = told.again(seed)
        assert [again.trial(trial) for trial in trials] == [told.view.trial(trial) for trial in trials]


def test_stopped_trials_cannot_be_gone_on_with():
    """The variant that stops trials refuses to be extended, and says which does not."""
    with pytest.raises(ValueError, match="type=promotion goes on with them"):
        begun(ASHAScheduler(type="stopping")).extend(9)


def tell_curves(told: Told, bracket: int, curves):
    """Let trials that are first judged at a rung report after each step until there."""
    trials = []
    for curve in curves:
        trial = told.new(len(curve), bracket=bracket)
        for step, loss in enumerate(curve, 1):
            told.report(trial, step, loss)
        told.reach(trial, len(curve), curve[-1])
        trials.append(trial)
    return trials


def test_new_trials_begin_where_rungs_agree():
    """Where step 1 ranks as step 2 does trials begin there, else at a 27th of the steps, and where that does not rank
    as the next rung does they begin higher; a few begin above the usual rung, or above that."""
    rng = np.random.default_rng(0)
    losses = rng.random((24, 2))
    cases = [
        ([(a, a, *(a,) * 4) for a, _ in losses], {1, 6}),
        ([(b, a, *(a,) * 4) for a, b in losses], {2, 6}),
        ([(b, b, *(a,) * 4) for a, b in losses], {6, 18}),
    ]
    for curves, steps in cases:
        told = Told(54)
        tell_curves(told, 2, curves)
        scheduler, claims = begun(ASHAScheduler(), max_steps=54), SomeClaims(refused=told.view.changed(0)[0])
        begins = Counter(scheduler.next(told.view, claims, rng) for _ in range(400))
        assert {new.to_step for new in begins} == steps
        assert begins.most_common(1)[0][0].to_step == min(steps)
        assert all(new.bracket == [1, 2, 6, 18].index(new.to_step) for new in begins)
