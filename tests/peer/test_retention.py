"""Tests of retention: a checkpoint goes when nobody can need it any more, and not before."""

from __future__ import annotations

import pytest

from aiohpo import Float, Space
from aiohpo.events.schema import Attached, Claimed, Ended, Event, Parent, Predicted, Proposed, Reported, Saved
from aiohpo.peer.retention import GRACE, Retention
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View

A, B, C, D = (letter * 64 for letter in "abcd")


class Silent:
    """A scheduler that does not say which checkpoints it needs."""

    def setup(self, max_steps, seed, identity): ...
    def next(self, view, claims, rng): ...
    def on_report(self, view, trial, step): ...


class Keeping(Silent):
    """One that needs the steps it is told."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps

    def keeps(self, view, trial):
        return self.steps


class Study:
    """One worker's events, and the sweeps over them."""

    def __init__(self, scheduler: object = None, best: int = 1) -> None:
        self.view = View(Space(x=Float(0, 1)), Objective("loss", "min"), 9)
        self.retention = Retention(self.view, scheduler or Silent(), best)
        self.seq = 0

    def tell(self, *events: Event) -> int:
        for event in events:
            self.seq += 1
            self.view.apply("ann", self.seq, event)
        return self.seq

    def propose(self, parent: Parent | None = None) -> int:
        return self.tell(Proposed(self.seq + 1, 0.0, (0.5,), to_step=8, parent=parent))

    def save(self, trial: int, step: int, digest: str, reported: bool = True) -> None:
        self.tell(Saved(self.seq + 1, trial, 0, step, digest, 1))
        if reported:
            self.tell(Reported(self.seq + 1, trial, 0, step, 0.5))

    def predict(self, trial: int, **digests: str) -> None:
        self.tell(Predicted(self.seq + 1, trial, 0, digests))

    def end(self, trial: int, how: str, value: float | None = None) -> None:
        self.tell(Ended(self.seq + 1, trial, 0, how, 3, value))

    def deleted(self, now: float = 0.0) -> set[str]:
        """What goes at ``now`` and once the grace is over."""
        return {d for at in (now, now + GRACE) for due in self.retention.digests_to_delete(at) for d in due}


def test_only_the_newest_checkpoint_of_a_running_trial_stays():
    """What a newer checkpoint superseded goes, after a time of grace in which somebody may be fetching it."""
    study = Study()
    trial = study.propose()
    study.save(trial, 1, A)
    study.save(trial, 2, B)
    assert list(study.retention.digests_to_delete(0.0)) == [[]]
    assert list(study.retention.digests_to_delete(GRACE - 1)) == [[]]
    assert list(study.retention.digests_to_delete(GRACE)) == [[A]]
    assert study.deleted(100.0) == set()


def test_the_last_complete_step_stays_until_there_is_another():
    """Should the worker die between a step's checkpoint and its report, another begins with the one before."""
    study = Study()
    trial = study.propose()
    study.save(trial, 1, A)
    study.save(trial, 2, B)
    study.save(trial, 3, C, reported=False)
    assert study.deleted() == {A}
    study.tell(Reported(50, trial, 0, 3, 0.5))
    assert study.deleted(100.0) == {B}
    study.save(trial, 8, D)  # the end of the segment, which is done again
    assert study.deleted(200.0) == set()


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_trials_that_ended_badly_leave_nothing(how):
    """Stopped and failed trials are never resumed."""
    study = Study()
    trial = study.propose()
    study.save(trial, 1, A)
    study.end(trial, how)
    assert study.deleted() == {A}


def test_the_best_complete_trials_keep_their_last_checkpoint():
    """Of complete trials the best keep what their model can be had from; better ones displace them."""
    study = Study(best=1)
    for digest, value in ((A, 0.5), (B, 0.3)):
        trial = study.propose()
        study.save(trial, 3, digest)
        study.end(trial, "finished", value)
    assert study.deleted() == {A}
    trial = study.propose()
    study.save(trial, 3, C)
    study.end(trial, "finished", 0.1)
    assert study.deleted(100.0) == {B}


def test_a_paused_trial_keeps_what_the_scheduler_wants():
    """Its newest checkpoint if the scheduler does not say; else just what it says."""
    for scheduler, gone in ((Silent(), set()), (Keeping(), {A}), (Keeping(3), set())):
        study = Study(scheduler)
        trial = study.propose()
        study.save(trial, 3, A)
        study.end(trial, "paused")
        assert study.deleted() == gone


def test_what_a_scheduler_may_inherit_stays_though_its_trial_ended():
    """keeps() is asked about ended trials too."""
    study = Study(Keeping(1), best=0)
    trial = study.propose()
    study.save(trial, 1, A)
    study.save(trial, 2, B)
    study.end(trial, "stopped")
    assert study.deleted() == {B}


def test_a_blob_stays_as_long_as_anybody_refers_to_it():
    """A child's inherited checkpoint outlives its parent, until the child has one of its own."""
    study = Study(best=0)
    parent = study.propose()
    study.save(parent, 3, A)
    child = study.propose(Parent(("ann", parent), 3, A, 1, "ann"))
    study.end(parent, "stopped")
    assert study.deleted() == set()
    study.save(child, 6, D)
    assert study.deleted(100.0) == {A}


def test_bytes_that_are_saved_again_can_go_again():
    """A digest that was deleted and then saved anew is kept while needed and deleted afterwards."""
    study = Study()
    trial = study.propose()
    study.save(trial, 1, A)
    study.save(trial, 2, B)
    assert study.deleted() == {A}
    study.save(trial, 3, A)
    assert study.deleted(100.0) == {B}
    study.save(trial, 4, C)
    assert study.deleted(200.0) == {A}


def test_a_resumed_trial_is_looked_at_again():
    """What happens to a trial after a sweep counts in the next."""
    study = Study()
    trial = study.propose()
    study.save(trial, 3, A)
    study.end(trial, "paused")
    assert study.deleted() == set()
    study.tell(Claimed(50, 0.0, trial, 1, 9), Saved(51, trial, 1, 8, B, 1), Reported(52, trial, 1, 8, 0.5))
    assert study.deleted(100.0) == {A}


def test_members_of_the_ensemble_keep_their_checkpoints():
    """What somebody else says is needed stays, until it is not any more."""
    study = Study(best=0)
    members = {A}
    study.retention = Retention(study.view, Silent(), 0, lambda: set(members))
    for digest in (A, B):
        trial = study.propose()
        study.save(trial, 3, digest)
        study.end(trial, "finished", 0.5)
    assert study.deleted() == {B}
    members.clear()
    assert study.deleted(100.0) == {A}


def test_only_the_newest_predictions_of_a_trial_stay():
    """What a trial predicted after each step goes once it predicted anew, also when it has ended; of each name one
    stays, and targets as well."""
    study = Study()
    trial = study.propose()
    study.predict(trial, valid=A, test=B)
    assert study.deleted() == set()
    study.predict(trial, valid=C)
    assert list(study.retention.digests_to_delete(100.0)) == [[]]
    assert list(study.retention.digests_to_delete(100.0 + GRACE)) == [[A]]
    study.end(trial, "finished", 0.5)
    study.predict(trial, valid=D)
    assert study.deleted(200.0) == {C}
    assert study.deleted(300.0) == set()


def test_predictions_that_another_trial_has_too_stay():
    """Two models may predict the same, and one may come back to what it predicted before."""
    study = Study()
    one, two = study.propose(), study.propose()
    study.predict(one, valid=A)
    study.predict(two, valid=A)
    study.predict(one, valid=B)
    assert study.deleted() == set()
    study.predict(two, valid=C)
    assert study.deleted(100.0) == {A}
    study.predict(one, valid=A)
    assert study.deleted(200.0) == {B}
    study.predict(one, valid=D)
    assert study.deleted(300.0) == {A}


def test_predictions_that_arrive_late_are_superseded_already():
    """The newest is that with the latest stamp, in whatever order a peer hears of them."""
    study = Study()
    trial = study.propose()
    study.tell(Predicted(50, trial, 0, {"valid": B}), Predicted(40, trial, 0, {"valid": A}))
    assert study.deleted() == {A}


def test_files_stay_until_another_one_has_their_name():
    """Whatever becomes of the trial; a file that is attached again, or is a prediction as well, stays."""
    study = Study()
    trial = study.propose()
    study.tell(
        Attached(50, trial, "model", A, 1), Attached(51, trial, "copy", B, 1), Predicted(52, trial, 0, {"valid": B})
    )
    study.end(trial, "failed")
    assert study.deleted() == set()
    study.tell(Attached(60, trial, "model", C, 1), Attached(61, trial, "copy", D, 1))
    assert study.deleted(100.0) == {A}
    study.tell(Attached(62, trial, "model", A, 1))
    assert study.deleted(200.0) == {C}


def test_of_a_long_study_only_what_is_in_the_store_is_looked_for():
    """What earlier sweeps deleted is not deleted again when the study is taken up, however much that was."""
    study = Study(best=0)
    for digest in (A, B, C):
        trial = study.propose()
        study.save(trial, 3, digest)
        study.end(trial, "stopped")
    study.retention = Retention(study.view, Silent(), 0, present=lambda: {B})
    assert study.deleted() == {B}
    trial = study.propose()
    study.save(trial, 3, D)
    study.end(trial, "stopped")
    assert study.deleted(100.0) == {D}


def test_a_scheduler_may_change_its_mind_within_the_time_of_grace():
    """What it needs again before it went stays, and goes once it is not needed any more."""
    scheduler = Keeping()
    study = Study(scheduler, best=0)
    trial = study.propose()
    study.save(trial, 3, A)
    study.end(trial, "paused")
    assert list(study.retention.digests_to_delete(0.0)) == [[]]
    scheduler.steps = (3,)
    assert list(study.retention.digests_to_delete(GRACE)) == [[]]
    scheduler.steps = ()
    assert study.deleted(100.0) == {A}


def test_a_sweep_looks_at_what_changed_and_at_what_is_needed():
    """Trials that are over and need nothing cost nothing."""
    study = Study(Keeping(), best=1)
    for value in range(50):
        trial = study.propose()
        study.save(trial, 3, f"{value:064x}")
        study.end(trial, "finished", float(value))
    assert len(study.deleted()) == 49
    looked: list[object] = []
    study.view.state = lambda row: looked.append(row)
    assert study.deleted(100.0) == set()
    assert set(looked) == {0}


def test_repr_is_a_status_line():
    """How many trials have checkpoints that are needed, and how many blobs are to go."""
    assert repr(Study().retention) == "<Retention: 0 trials need checkpoints, 0 blobs are to go>"
