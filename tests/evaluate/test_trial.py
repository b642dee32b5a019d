"""The trial as the objective sees it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.program import Program
from aiohpo.evaluate.segment import conclude, run_segment
from aiohpo.evaluate.trial import Trial
from aiohpo.evaluate.trial_link import TrialEnded
from aiohpo.events.schema import trial_name
from aiohpo.plugin import Assignment, Decision, Outcome
from aiohpo.storage.blob_store import DirectoryBlobs
from tests.support.evaluate_objectives import SECRET, Alarm, Recorder, assignment, stop_at


class Blobs(dict[str, bytes]):
    """Blobs in memory, named by their number."""

    def put(self, data: bytes) -> str:
        name = f"blob{len(self)}"
        self[name] = data
        return name


def make(channel: Recorder | None = None, *, blobs: Any = None, objective: Any = None, **options: Any) -> Trial:
    return Trial(
        assignment(**options),
        channel or Recorder(),
        Blobs() if blobs is None else blobs,
        objective or Program(None, "loss", secret=SECRET),
    )


def test_words_of_other_tools_are_answered() -> None:
    """An attribute or argument of another tool's trial is answered by what to write instead."""
    trial = make(lr=0.1)
    with pytest.raises(AttributeError, match=r"no attribute 'suggest_float'; the study's Space says what is searched"):
        trial.suggest_float("lr", 0, 1)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"no attribute 'should_prune'; write 'for step in trial.steps\(\):'"):
        trial.should_prune()  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"it is called as trial.report\(value=None, /, \*, step=None"):
        trial.report(0.5, 3)  # type: ignore[misc]


# ---------------------------------------------------------------------------------------------- reading
def test_it_reads_like_its_configuration() -> None:
    """Parameters by name; id, number, start and a status line."""
    trial = make(lr=0.1, kind="sgd", start=3, max_steps=9)
    assert trial["lr"] == 0.1
    assert "kind" in trial
    assert "momentum" not in trial
    assert (trial.id, trial.number, trial.start, trial.max_steps) == ("w.1", 1, 3, 9)
    assert repr(trial) == "<Trial w.1: lr=0.1, kind='sgd'; step 3 of 9>"


def test_an_absent_parameter_is_named_with_those_there_are() -> None:
    """The KeyError lists what the configuration has."""
    with pytest.raises(KeyError, match=r"no parameter 'momentum'.*lr"):
        make(lr=0.1)["momentum"]


def test_its_configuration_is_a_copy() -> None:
    """An objective that edits its configuration does not edit the worker's."""
    given = Assignment("w.1", 1, {"lr": 0.1})
    Trial(given, Recorder(), Blobs(), Program(None)).config["lr"] = 7
    assert given.config == {"lr": 0.1}


# ------------------------------------------------------------------------------------------------ steps
def test_steps_go_from_where_it_was_paused_to_the_end() -> None:
    """Steps are counted from 1, and a resumed trial goes on behind its start."""
    assert list(make(max_steps=3).steps()) == [1, 2, 3]
    assert list(make(max_steps=5, start=3).steps()) == [4, 5]
    assert list(make(max_steps=5, start=5).steps()) == []


@pytest.mark.parametrize("decision", [Decision.STOP, Decision.PAUSE])
def test_steps_end_when_told_to(decision: Decision) -> None:
    """After a PAUSE or STOP the loop ends at its next turn, even without an end of its own."""
    channel = Recorder(stop_at(2, decision))
    trial = make(channel)
    for _ in trial.steps():
        trial.report(0.5)
    assert [step for step, _ in channel.reports] == [1, 2]
    assert trial._decision is decision
    assert trial.ended


def test_steps_end_at_the_step_to_pause_at() -> None:
    """A trial pauses at to_step even if the channel says nothing and nothing was reported."""
    trial = make(to_step=2, max_steps=9)
    assert list(trial.steps()) == [1, 2]
    assert trial._decision is Decision.PAUSE


def test_a_complete_trial_is_not_paused() -> None:
    """Pausing at the last step would leave a trial that has nothing more to do."""
    trial = make(to_step=3, max_steps=3)
    for _ in trial.steps():
        trial.report(0.5)
    assert not trial.ended


def test_breaking_out_of_steps_is_fine() -> None:
    """An objective may stop on its own, and report after the loop at the step it reached."""
    channel = Recorder()
    trial = make(channel, max_steps=9)
    for step in trial.steps():
        trial.report(0.5)
        if step == 2:
            break
    trial.report(test=0.25)
    assert channel.reports == [(1, {"loss": 0.5}), (2, {"loss": 0.5}), (2, {"test": 0.25})]
    assert not trial.ended


def test_several_reports_in_a_step_belong_to_it() -> None:
    """Within steps() a second report is about the same step, also after the first said to pause."""
    channel = Recorder(stop_at(1, Decision.PAUSE))
    trial = make(channel)
    for _ in trial.steps():
        trial.report(0.5)
        trial.report(train=0.25)
    assert channel.reports == [(1, {"loss": 0.5}), (1, {"train": 0.25})]


# ---------------------------------------------------------------------------------------------- reports
def test_reports_outside_steps_count_by_themselves() -> None:
    """Without steps() each report is a step."""
    channel = Recorder()
    trial = make(channel, start=4)
    trial.report(0.5)
    trial.report(0.4)
    trial.report(0.3, step=9)
    assert [step for step, _ in channel.reports] == [5, 6, 9]
    assert trial.step == 9


def test_a_report_names_its_metrics() -> None:
    """One number is the study's metric; names and dicts are taken as given."""
    channel = Recorder()
    trial = make(channel)
    trial.report(np.float32(0.5))
    trial.report(1, extra=2)
    trial.report({"loss": 3, "extra": 4})
    trial.report(other=5)
    assert [metrics for _, metrics in channel.reports] == [
        {"loss": 0.5},
        {"loss": 1.0, "extra": 2.0},
        {"loss": 3.0, "extra": 4.0},
        {"other": 5.0},
    ]
    assert trial._reported == 3.0


@pytest.mark.parametrize("decision", [Decision.STOP, Decision.PAUSE])
def test_reporting_after_the_end_unwinds(decision: Decision) -> None:
    """A loop that ignores the decision is ended by its next report, through any ``except Exception``."""
    trial = make(Recorder(stop_at(1, decision)))
    trial.report(0.5)
    with pytest.raises(TrialEnded):
        trial.report(0.4)
    assert not issubclass(TrialEnded, Exception)


def test_a_loop_without_steps_pauses_at_its_step() -> None:
    """to_step ends it as well: with the next report."""
    trial = make(to_step=2)
    trial.report(0.5)
    assert not trial.ended
    trial.report(0.4)
    assert trial.ended
    with pytest.raises(TrialEnded):
        trial.report(0.3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("-inf")])
def test_a_report_that_is_not_finite_fails_the_trial(value: float) -> None:
    """Nothing reaches the channel, and the failure says which metric, value and step."""
    channel = Recorder()
    trial = make(channel)
    with pytest.raises(TrialEnded):
        trial.report(value)
    assert not channel.reports
    assert trial._failure is not None
    assert "loss=" in trial._failure
    assert "step 1" in trial._failure


def test_other_metrics_may_be_nan() -> None:
    """Only the objective has to be finite."""
    channel = Recorder()
    make(channel).report(0.5, auc=float("nan"))
    assert len(channel.reports) == 1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("0.5",), {}, "metric 'loss' is str"),
        ((), {}, "needs a number"),
        ((0.5,), {"loss": 0.5}, "twice"),
        ((), {"auc": "high"}, "metric 'auc' is str"),
        ((0.5,), {"step": 0}, "in order"),
        ((0.5,), {"step": 2}, "step 2 comes after step 3"),
        ((0.5,), {"step": 1.5}, "whole number"),
        ((0.5,), {"step": "4"}, "whole number"),
        ((0.5,), {"step": 10}, "beyond max_steps=9"),
    ],
)
def test_a_wrong_report_says_what_is_wrong(arguments: Any, options: Any, message: str) -> None:
    """Each mistake is an ordinary, catchable error with its remedy, and nothing is sent."""
    channel = Recorder()
    trial = make(channel, start=3, max_steps=9)
    with pytest.raises(UsageError, match=message):
        trial.report(*arguments, **options)
    assert not channel.reports


# ------------------------------------------------------------------------------------------------ blobs
def test_checkpoints_go_to_the_store_and_back() -> None:
    """What is saved at a step is what a later segment restores; only the digest goes through the channel."""
    channel, blobs = Recorder(), Blobs()
    trial = make(channel, blobs=blobs, max_steps=3)
    assert trial.restore() is None
    for _ in trial.steps():
        trial.save({"step": trial.step})
    assert trial.restore() == {"step": 3}
    assert [step for step, _, _ in channel.saves] == [1, 2, 3]
    _, digest, size = channel.saves[1]
    assert size == len(blobs[digest])
    assert make(blobs=blobs, start=2, checkpoint=digest).restore() == {"step": 2}


def test_a_study_may_have_its_own_format() -> None:
    """dump and load replace our encoding; load gets what was dumped, not what somebody else wrote."""
    loaded: list[bytes] = []
    objective = Program(
        None, dump=lambda obj: obj.encode(), load=lambda data: loaded.append(data) or data.decode(), secret=SECRET
    )
    blobs = Blobs()
    trial = make(blobs=blobs, objective=objective)
    trial.save("state")
    assert trial.restore() == "state"
    blobs["forged"] = b"state"
    with pytest.raises(UsageError, match="not written under this study's key"):
        make(blobs=blobs, objective=objective, start=1, checkpoint="forged").restore()
    assert loaded == [b"state"]


def test_a_checkpoint_of_another_study_is_not_loaded() -> None:
    """What was not written under this study's key is not unpickled, whoever put it into the blob store."""
    alarm, blobs = Alarm(), Blobs()
    make(blobs=blobs, objective=Program(None, secret=b"another")).save(alarm)
    trial = make(blobs=blobs, start=1, checkpoint="blob0")
    for restore in (trial.restore, trial._restore_directory):
        with pytest.raises(UsageError, match="not written under this study's key"):
            restore()
    assert not alarm.rang()


def test_a_checkpoint_that_vanished_releases_the_trial(tmp_path: Path) -> None:
    """A trial must not silently start over with the steps of another counted as done, nor fail for it."""
    trial = make(blobs=DirectoryBlobs(tmp_path), checkpoint="ab" * 32, start=3)
    with pytest.raises(TrialEnded):
        trial.restore()
    assert conclude(trial, 0.5) == Outcome("released", error=trial._trouble)
    assert "vanished" in (trial._trouble or "")


def broken(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a name")


@pytest.mark.parametrize(
    ("say", "what"),
    [
        (lambda trial: trial.save(b"1"), "cannot write a checkpoint to .*blobs: No space left on device"),
        (lambda trial: trial.predictions(valid=[0.5]), "cannot write predictions to .*blobs: No space left on device"),
    ],
)
def test_a_store_that_cannot_be_written_releases_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[[Trial], None], what: str
) -> None:
    """An objective that swallows everything does not turn a full disk into a failure or a success of its own."""
    trial = make(blobs=DirectoryBlobs(tmp_path / "blobs"))
    monkeypatch.setattr("aiohpo.files.create_file", broken)

    def objective(trial: Trial) -> float:
        try:
            say(trial)
        except BaseException:
            pass
        with pytest.raises(TrialEnded):
            trial.report(0.5)
        raise OSError("its own")

    outcome = run_segment(Program(objective), trial)
    assert outcome.kind == "released"
    assert re.fullmatch(what, outcome.error or "")


def test_a_checkpoint_that_cannot_be_unpacked_releases_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary directory is as little the objective's fault as the run directory."""
    (tmp_path / "w").write_text("1")
    trial = make(blobs=DirectoryBlobs(tmp_path / "blobs"))
    trial.save(tmp_path / "w")
    monkeypatch.setattr("tempfile.mkdtemp", broken)
    with pytest.raises(TrialEnded):
        trial.restore()
    assert "cannot unpack a checkpoint in" in (trial._trouble or "")


class RaisesWhenLoaded:
    def __reduce__(self) -> Any:
        return broken, ()


def test_what_the_objectives_own_classes_raise_stays_its_own(tmp_path: Path) -> None:
    """An OSError from unpickling is the objective's, and so is one from its own files."""
    trial = make(blobs=DirectoryBlobs(tmp_path / "blobs"))
    trial.save(RaisesWhenLoaded())
    with pytest.raises(OSError, match="No space left"):
        trial.restore()
    assert run_segment(Program(broken), make()).kind == "failed"


def test_a_restored_directory_lives_as_long_as_the_segment(tmp_path: Path) -> None:
    """Scratch files are gone when the trial is closed."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "w").write_text("1")
    trial = make()
    trial.save(tmp_path / "model")
    back = trial.restore()
    assert (back / "w").read_text() == "1"
    trial._close()
    assert not back.exists()


def test_predictions_are_stored_by_name() -> None:
    """Each array becomes a blob."""
    channel, blobs = Recorder(), Blobs()
    make(channel, blobs=blobs).predictions(valid=[[0.1, 0.9]], test=np.zeros(3))
    assert set(channel.stored) == {"valid", "test"}
    assert len(blobs) == 2


def test_a_closed_trial_says_nothing_more() -> None:
    """Whoever still holds a trial whose segment is over gets TrialEnded, and nothing is sent."""
    channel = Recorder()
    trial = make(channel)
    trial._close()
    for word in (lambda: trial.report(0.5), lambda: trial.save(b""), lambda: trial.predictions(valid=[1.0])):
        with pytest.raises(TrialEnded):
            word()
    assert not channel.reports
    assert not channel.saves
    assert not channel.stored


def test_what_is_public_is_what_objectives_need():
    """What evaluators use to conclude a segment is no part of what users see."""
    assert {name for name in dir(Trial) if not name.startswith("_")} == {
        *("config", "id", "number", "start", "step", "max_steps", "ended"),
        *("steps", "report", "save", "restore", "predictions", "targets", "note", "attach"),
    }


def test_an_id_names_a_file():
    """It is short and has no character that a file system or a shell minds."""
    assert re.fullmatch(r"[0-9a-f]{12}-\d+", trial_name(("a99104d6921c", 3)))


# ------------------------------------------------------------------------------------- a worker that ends
def test_a_loop_over_steps_ends_when_the_worker_does() -> None:
    """What is saved and reported after the loop still counts, and the segment is released, not finished."""
    channel = Recorder()
    trial = make(channel, max_steps=9)
    assert not trial.ended
    for step in trial.steps():
        channel.ending = step == 3
    assert trial.ended
    trial.report(0.5)
    trial.save({"epoch": trial.step})
    assert [step for step, *_ in channel.reports] == [step for step, *_ in channel.saves] == [3]
    assert conclude(trial, 0.5) == Outcome("released")
    assert repr(trial) == "<Trial w.1: ; step 3 of 9, told to leave>"


def test_a_trial_that_comes_to_its_end_is_finished_though_the_worker_ends() -> None:
    """It is complete after its last step, or where its objective never asked whether to end."""
    channel = Recorder()
    trial = make(channel, max_steps=3)
    for step in trial.steps():
        channel.ending = step == 3
    assert not trial.ended
    assert conclude(trial, 0.5) == Outcome("finished", {"loss": 0.5})
    deaf = make(Recorder(ending=True))
    deaf.report(0.5)
    deaf.save(b"the only step")
    assert conclude(deaf, 0.25) == Outcome("finished", {"loss": 0.25})


def test_an_objective_that_only_reports_is_unwound_at_its_next_step() -> None:
    """The step that was under way when the worker began to end can still be reported and saved."""
    channel = Recorder(ending=True)

    def objective(trial: Trial) -> float:
        for epoch in range(1, 9):
            trial.report(1 / epoch, step=epoch)
            trial.save({"epoch": epoch})
        return 1.0

    trial = make(channel)
    assert run_segment(Program(objective, "loss", secret=SECRET), trial) == Outcome("released")
    assert [step for step, *_ in channel.reports] == [step for step, *_ in channel.saves] == [1]


def test_the_scheduler_has_the_last_word_about_a_step() -> None:
    """A trial that pauses, or is stopped, at the step at which its worker ends has done what it was to do."""
    for decision, kind in ((Decision.PAUSE, "paused"), (Decision.STOP, "stopped")):
        channel = Recorder(stop_at(2, decision))
        trial = make(channel, max_steps=9)
        for step in trial.steps():
            trial.report(0.5)
            channel.ending = step == 2
        assert conclude(trial, None).kind == kind
