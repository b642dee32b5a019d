"""Tests of population based training, in a swarm of workers that train toy models."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from aiohpo import Float, Int, Space, Study
from aiohpo.errors import UsageError
from aiohpo.events.lifecycle import Status
from aiohpo.plugin import Config, Decision, Identity, Idle, NewTrial, Resume
from aiohpo.plugin.objective import Objective
from aiohpo.testing import check_scheduler
from aiohpo.testing.schedulers import OpenClaims
from aiohpo.view.lineage import Lineage
from aiohpo.view.view import View
from aiohpo_plugins.schedulers.pbt.population import bracket, place
from aiohpo_plugins.schedulers.pbt.scheduler import PBTScheduler
from tests.support.training_swarm import Swarm

SPACE = Space(lr=Float(1e-3, 1.0, log=True))
STEPS = 100


def descend(weights: Any, config: Config, step: int) -> tuple[Any, float]:
    """Gradient descent on noisy losses in expectation: e' = (1 - lr) e + lr^2, from 1.

    With a constant rate e ends at lr + (1 - lr)^n (1 - lr); the best schedule, lr = e / 2, gives about 4 / n.
    """
    error = 1.0 if weights is None else weights
    error = (1 - config["lr"]) * error + config["lr"] ** 2
    return error, error


BEST_CONSTANT = min(lr + (1 - lr) ** (STEPS + 1) for lr in np.geomspace(1e-3, 1, 2000))


def swarm(**given: Any) -> Swarm:
    options = given.pop("options", {})
    arguments = {"space": SPACE, "max_steps": STEPS, "train": descend, **given}
    return Swarm(scheduler=lambda: PBTScheduler(**options), **arguments)


def losers(found: Swarm) -> int:
    """Trials that ended because another one held their slot."""
    return Counter(found.statuses())["stopped"]


# ------------------------------------------------------------------------------------------------ quality
@pytest.mark.parametrize("exploit", ["truncation", "tournament"])
def test_schedule_beats_every_constant_rate(exploit: str) -> None:
    """In the steps of eight trainings a population ends below what any constant rate can reach."""
    found = [swarm(seed=seed, options={"exploit": exploit}) for seed in range(3)]
    for each in found:
        each.run()
    assert np.median([each.best() for each in found]) < 0.9 * BEST_CONSTANT
    assert all(each.trained <= 8 * STEPS + 5 * losers(each) for each in found)


def test_a_population_of_two_copies() -> None:
    """With the default quantile the worse one of two goes on from the better one."""
    found = swarm(options={"population": 2, "interval": 10}, workers=2)
    found.run()
    assert Lineage(found.view.records()).inherited


def test_ttest_copies_those_that_are_significantly_better() -> None:
    """It copies less than the other rules, and what it copies is better than the best of the fresh ones."""
    found = swarm(options={"exploit": "ttest", "interval": 10})
    found.run()
    lineage = Lineage(found.view.records())
    assert lineage.inherited
    assert found.best() <= min(r.value for r in lineage.roots if r.value is not None)


def test_maximised_metric_is_read_right() -> None:
    """With the sign turned round the same happens, loss by loss."""

    def ascend(weights: Any, config: Config, step: int) -> tuple[Any, float]:
        error, value = descend(weights, config, step)
        return error, -value

    low, high = swarm(seed=3), swarm(seed=3, train=ascend, mode="max")
    low.run()
    high.run()
    assert low.best() == -high.best()
    assert low.statuses() == high.statuses()


def test_only_what_may_vary_changes_and_the_rest_is_inherited() -> None:
    """The width of a copy is its donor's, whatever the one it replaces had."""
    space = Space(lr=Float(1e-3, 1.0, log=True), width=Int(1, 1000))
    found = swarm(space=space, options={"vary": "lr"})
    found.run()
    lineage = Lineage(found.view.records())
    assert lineage.inherited
    for record in found.view.records():
        assert set(lineage.changes(record)) <= {"lr"}


def test_copies_of_one_checkpoint_differ() -> None:
    """Nobody repeats what another one does already, though one parameter has but two factors."""
    found = swarm(options={"resample": 0.0})
    found.run()
    heirs = [(r.parent, r.config["lr"]) for r in found.view.records() if r.parent and r.status != "stopped"]
    again = Counter(heirs).most_common()
    assert sum(n > 1 for _, n in again) <= 0.15 * len(again)


def test_exploit_only_copies_configurations_as_they_are() -> None:
    """Without exploring, bad members go on from good ones with the good ones' hyperparameters."""
    found = swarm(options={"explore": False})
    found.run()
    lineage = Lineage(found.view.records())
    assert lineage.inherited
    assert not any(lineage.changes(record) for record in found.view.records())


def test_explore_only_never_copies_another_member() -> None:
    """Each member goes on from its own weights, with other hyperparameters at every age."""
    found = swarm(workers=1, options={"exploit": "none", "interval": 20})
    found.run()
    lineage = Lineage(found.view.records())
    complete = [record for record in found.view.records() if record.status == "finished"]
    assert len(complete) == 8
    for record in complete:
        slot, generation = place(record.bracket)
        assert generation == 4
        assert len({stretch.config["lr"] for stretch in lineage.schedule(record)}) > 1
        assert {place(stretch.trial.bracket)[0] for stretch in lineage.schedule(record)} == {slot}


def test_explore_only_begins_failed_members_anew() -> None:
    """Where nobody copies another, the place of a member that failed is taken by a new configuration."""

    def fragile(weights: Any, config: Config, step: int) -> tuple[Any, float]:
        if config["lr"] > 0.3:
            raise ArithmeticError("diverged")
        return descend(weights, config, step)

    found = swarm(train=fragile, workers=1, options={"exploit": "none", "interval": 20})
    found.run()
    records = {record.bracket: record for record in found.view.records()}
    anew = [records[b] for b in records if records.get(b - 1) and records[b - 1].status == "failed"]
    assert anew
    assert all(record.parent is None for record in anew)


# --------------------------------------------------------------------------------------------- population
@pytest.mark.parametrize("workers", [1, 3, 8, 20])
def test_population_has_its_size_and_ends(workers: int) -> None:
    """However many workers there are, each slot is held by one complete trial in the end."""
    found = swarm(workers=workers, seed=workers)
    found.run()
    complete = [r for r in found.view.records() if r.status == "finished"]
    slots = [place(r.bracket)[0] for r in complete]
    assert sorted(set(slots)) == list(range(8))
    assert len(complete) <= 8 + losers(found)
    assert not found.view.running


def test_what_is_compared_has_the_same_age() -> None:
    """Every copy begins at a multiple of the interval, at the age of the one it replaces, of a better one."""
    found = swarm()
    found.run()
    lineage = Lineage(found.view.records())
    by_bracket = {r.bracket: r for r in found.view.records() if r.status != "stopped"}
    copies = [r for r in by_bracket.values() if r.parent is not None]
    assert len(copies) > 10
    for copy in copies:
        replaced, donor = by_bracket[copy.bracket - 1], lineage.parent(copy)
        assert donor is not None
        assert copy.parent is not None
        step = copy.parent[1]
        assert step % 5 == 0
        assert replaced.step == step
        assert donor.curve[step] < replaced.curve[step]


def test_ages_stay_close_together() -> None:
    """The youngest are taken up first: nobody is two intervals ahead of a member that waits."""
    found = swarm(workers=3)
    for _ in range(600):
        found.tick()
        view = found.view
        holders = PBTScheduler()
        holders.setup(STEPS, 0, Identity("somebody"))
        members = holders._read(view)
        ages = [members.age(h) for h in members.holders if h is not None and h.status in ("paused", "running")]
        assert not ages or max(ages) - min(ages) <= 2


def test_answers_are_a_function_of_the_set_of_events() -> None:
    """The same events in any order of arrival, the same choices; nor does it matter what was asked before."""
    found = swarm(workers=3)
    for _ in range(150):
        found.tick()
    expected = _answer(found.view, seed=5)
    for seed in range(4):
        assert _answer(_again(found, seed), seed=5) == expected
    watching = found.workers[0].scheduler
    fresh = PBTScheduler()
    fresh.setup(STEPS, 0, Identity("w0", 0, 3))
    view = found.workers[0].view
    both = [s.next(view, OpenClaims(), np.random.default_rng(1)) for s in (watching, fresh)]
    assert both[0] == both[1]


def _answer(view: View, seed: int) -> Any:
    scheduler = PBTScheduler()
    scheduler.setup(STEPS, 0, Identity("somebody"))
    return scheduler.next(view, OpenClaims(), np.random.default_rng(seed))


def _again(found: Swarm, seed: int) -> View:
    """What all workers said, in another order."""
    view, rng = View(SPACE, Objective("loss", "min"), STEPS), random.Random(seed)
    queues = {worker.name: list(enumerate(worker.said, 1)) for worker in found.workers}
    while queues:
        name = rng.choice(sorted(queues))
        view.apply(name, *queues[name].pop(0))
        if not queues[name]:
            del queues[name]
    return view


# -------------------------------------------------------------------------------------------- what goes wrong
def test_failed_member_is_replaced() -> None:
    """Rates above a half diverge: their members come back as copies of others, and all slots are completed."""

    def fragile(weights: Any, config: Config, step: int) -> tuple[Any, float]:
        if config["lr"] > 0.1:
            raise ArithmeticError("diverged")
        return descend(weights, config, step)

    found = swarm(train=fragile, seed=2)
    found.run()
    statuses = Counter(found.statuses())
    assert statuses["failed"] >= 2
    assert statuses["finished"] >= 8


def test_search_in_which_everything_fails_ends() -> None:
    """Each slot is tried a few times, then given up."""

    def broken(weights: Any, config: Config, step: int) -> tuple[Any, float]:
        raise ArithmeticError("no such device")

    found = swarm(train=broken)
    found.run()
    assert 8 * 4 <= len(found.statuses()) <= 8 * 4 + 8
    assert set(found.statuses()) == {"failed"}


@pytest.mark.parametrize("at", [3, 40, 130])
def test_death_of_a_worker_loses_nothing_but_its_last_steps(at: int) -> None:
    """Its trial goes on elsewhere, from its checkpoint if anybody has it; the population is completed."""
    found = swarm(workers=4, seed=at)
    for _ in range(at):
        found.tick()
    found.kill(found.workers[1])
    found.run()
    complete = [r for r in found.view.records() if r.status == "finished"]
    assert {place(r.bracket)[0] for r in complete} == set(range(8))
    assert found.best() < 1.1 * BEST_CONSTANT


def test_lost_checkpoints_of_all_donors() -> None:
    """When nobody has any checkpoint any more, members start over and the search still ends well."""
    found = swarm(workers=2)
    for _ in range(120):
        found.tick()
    for worker in found.workers:
        worker.blobs.clear()
    found.run()
    assert Counter(found.statuses())["finished"] == 8


def test_partition_heals_without_too_many_members() -> None:
    """Two halves go on by themselves, replacing the same members; afterwards one trial holds each slot and
    the others are not trained on."""
    for seed in range(4):
        found = swarm(workers=6, seed=seed)
        for _ in range(30):
            found.tick()
        found.islands = [{"w0", "w1", "w2"}, {"w3", "w4", "w5"}]
        for _ in range(25):
            found.tick()
        found.islands = []
        found.spread()
        found.tick()
        found.tick()
        running = [found.view.state(row) for row in found.view.running]
        assert len({place(state.bracket)[0] for state in running}) >= len(running) - 1
        found.run()
        complete = [r for r in found.view.records() if r.status == "finished"]
        assert {place(r.bracket)[0] for r in complete} == set(range(8))
        assert len(complete) <= 9


def test_objective_that_saves_nothing_is_trained_without_copies() -> None:
    """There is nothing to inherit, so each member is a plain trial that starts over after each pause."""
    found = swarm(saves=False, max_steps=6, workers=1, options={"population": 3})
    found.run()
    assert Counter(found.statuses()) == {"finished": 3}


def test_checkpoints_that_are_kept_are_enough_and_few() -> None:
    """With all others deleted at once, nothing has to be trained twice, and the disk holds two per member at most."""
    found, most = swarm(workers=3, seed=1), 0
    for _ in range(10_000):
        if all(worker.over for worker in found.workers):
            break
        found.tick()
        found.sweep()
        most = max(most, len(set().union(*(worker.blobs for worker in found.workers))))
    assert Counter(found.statuses())["finished"] == 8
    assert found.trained <= 8 * STEPS + 5 * losers(found)
    assert Lineage(found.view.records()).inherited
    assert most <= 2 * 8 + losers(found)
    assert not any(worker.blobs for worker in found.workers)


# ------------------------------------------------------------------------------------------------- budget
def test_without_room_for_copies_members_go_on() -> None:
    """A budget of just the population gives that many complete trials."""
    found = swarm(trials=8)
    found.run()
    assert Counter(found.statuses()) == {"finished": 8}


def test_budget_below_the_population() -> None:
    """The slots that cannot be filled do not keep the others from being trained."""
    found = swarm(trials=5, workers=1)
    found.run()
    assert Counter(found.statuses()) == {"finished": 5}


def test_searcher_with_no_more_configurations() -> None:
    """Slots that no configuration is left for stay empty; the others still copy each other."""
    found = swarm(workers=2)
    while len(found.statuses()) < 5:
        found.tick()
    for worker in found.workers:
        worker.claims.exhaust()
    found.run()
    slots = {place(r.bracket)[0] for r in found.view.records()}
    assert 5 <= len(slots) < 8
    assert Lineage(found.view.records()).inherited


# ------------------------------------------------------------------------------------------------ contract
@pytest.mark.parametrize("exploit", ["truncation", "tournament", "ttest", "none"])
def test_keeps_the_contract_of_schedulers(exploit: str) -> None:
    """The conformance check for schedulers passes."""
    check_scheduler(lambda: PBTScheduler(exploit=exploit), claims=OpenClaims())


def test_trial_of_nobody_is_left_alone() -> None:
    """A trial that another scheduler started in the same directory runs on."""
    found = swarm()
    found.tick()
    view = found.workers[0].view
    scheduler = PBTScheduler()
    scheduler.setup(STEPS, 0, Identity("somebody"))
    row = next(iter(view.running))
    assert view.status(row) is Status.RUNNING
    name = view.state(row).id
    assert scheduler.on_report(view, name, 1) is Decision.CONTINUE
    view._details.edit(row).bracket = 3
    scheduler.setup(STEPS, 0, Identity("somebody"))
    assert scheduler.on_report(view, name, 1) is Decision.CONTINUE
    assert list(scheduler.keeps(view, view.state(row))) == []


def test_first_slots_of_workers_differ() -> None:
    """Workers that start together begin with different slots, and each to the first interval."""
    view, rng = View(SPACE, Objective("loss", "min"), STEPS), np.random.default_rng(0)
    firsts = []
    for rank in range(4):
        scheduler = PBTScheduler()
        scheduler.setup(STEPS, 0, Identity(f"w{rank}", rank, 4))
        choice = scheduler.next(view, OpenClaims(), rng)
        assert isinstance(choice, NewTrial)
        assert choice.to_step == 5
        firsts.append(choice.bracket)
    assert firsts == [bracket(slot, 0) for slot in (0, 2, 4, 6)]


def test_nothing_to_do_when_all_members_are_complete() -> None:
    """Then the search is over, whatever budget there is left."""
    found = swarm(workers=1)
    found.run()
    answer = found.workers[0].scheduler.next(found.view, OpenClaims(), np.random.default_rng(0))
    assert answer == Idle()


def test_one_interval_is_a_plain_search() -> None:
    """Where no round comes before the end, trials run through at once."""
    found = swarm(options={"interval": STEPS})
    found.run()
    assert Counter(found.statuses()) == {"finished": 8}
    assert all(r.attempt == 0 for r in found.view.records())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"population": 1}, "pbt: population must be a whole number of at least 2, not 1"),
        ({"population": 4.5}, "population must be .*, not 4.5"),
        ({"interval": 0}, "interval must be .*, not 0"),
        ({"exploit": "best"}, "exploit must be one of truncation, tournament, ttest, none, not 'best'"),
        ({"quantile": 0.6}, "quantile must be a number above 0 and at most 0.5, not 0.6"),
        ({"perturb": 2}, "perturb must be a number above 0 and below 1, not 2"),
        ({"resample": 1.5}, "resample must be a number from 0 to 1, not 1.5"),
        ({"vary": ""}, "vary must be one or more names"),
        ({"vary": 3}, "vary must be one or more names"),
        ({"explore": "maybe"}, "explore must be true or false, not 'maybe'"),
        ({"explore": False, "exploit": "none"}, "changes nothing during a trial; use the scheduler fifo"),
        ({"explore": False, "vary": "lr"}, "perturb, resample and vary do nothing"),
        ({"explore": False, "perturb": 0.5}, "perturb, resample and vary do nothing"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], complaint: str) -> None:
    """The complaint names the option, its value and what is allowed."""
    with pytest.raises(ValueError, match=complaint):
        PBTScheduler(**options)


@pytest.mark.parametrize(
    ("options", "max_steps", "complaint"),
    [({}, None, "this study has no steps: give Study"), ({"interval": 20}, 10, "interval=20 is longer than")],
)
def test_study_that_cannot_be_served(options: dict[str, Any], max_steps: int | None, complaint: str) -> None:
    """A study without steps, or with fewer than an interval, is refused with the remedy."""
    with pytest.raises(ValueError, match=complaint):
        PBTScheduler(**options).setup(max_steps, 0, Identity("somebody"))


def test_misspelt_parameter_ends_the_search_with_a_clear_error() -> None:
    """Names are checked when the first copy is made, against the space."""
    with pytest.raises(UsageError, match="vary names 'rate'; the tunable parameters are lr"):
        swarm(options={"vary": "rate"}).run()


def test_repr_is_a_status_line() -> None:
    """Options as they were given."""
    assert repr(PBTScheduler(interval=3, vary="a+b")) == (
        "PBTScheduler(population=8, interval=3, exploit='truncation', "
        "Explorer(perturb=0.2, resample=0.25, vary=['a', 'b']))"
    )
    assert repr(PBTScheduler(explore=False)) == "PBTScheduler(population=8, exploit='truncation', explore=False)"


# --------------------------------------------------------------------------------------------------- study
def test_in_a_study_with_an_enqueued_configuration() -> None:
    """By its name, with real workers: the queued configuration is a member, checkpoints are inherited, and the search
    ends by itself."""

    def train(trial: Any) -> None:
        error = trial.restore() or 1.0
        for _ in trial.steps():
            error = (1 - trial["lr"]) * error + trial["lr"] ** 2
            trial.report(error)
        if trial.ended:
            trial.save(error)

    study = Study(
        train, SPACE, max_steps=20, searcher="random", scheduler="pbt:population=5,interval=4", evaluator="thread"
    )
    study.enqueue({"lr": 0.05})
    result = study.run(slots=2, progress=False)
    complete = [trial for trial in result.trials if trial.status == "finished"]
    assert {place(trial.bracket)[0] for trial in complete} == set(range(5))
    assert any(trial.config == {"lr": 0.05} and trial.bracket for trial in result.trials)
    lineage = Lineage(result.trials)
    assert lineage.inherited
    for trial in result.trials:  # the weights were inherited indeed: the curve goes on where the donor's was
        error = 1.0
        for stretch in lineage.schedule(trial):
            for step in range(stretch.first, stretch.last + 1):
                error = (1 - stretch.config["lr"]) * error + stretch.config["lr"] ** 2
                assert stretch.trial.curve.get(step, error) == pytest.approx(error)


def test_resume_goes_to_the_next_age() -> None:
    """A paused member is taken up to the next multiple of the interval, at last to the end."""

    def equals(weights: Any, config: Config, step: int) -> tuple[Any, float]:  # of whom nobody copies another
        return step, 1.0

    found = swarm(workers=1, train=equals, options={"population": 2, "interval": 40})
    found.run()
    assert Counter(found.statuses()) == {"finished": 2}
    scheduler = PBTScheduler(population=2, interval=40)
    scheduler.setup(STEPS, 0, Identity("somebody"))
    half = swarm(workers=1, train=equals, options={"population": 2, "interval": 40})
    choices = []
    for _ in range(80 + 80 + 2):
        half.tick()
        choice = scheduler.next(half.view, OpenClaims(), np.random.default_rng(0))
        if isinstance(choice, Resume):
            choices.append(choice.to_step)
    assert set(choices) == {80, None}
