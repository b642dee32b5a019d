"""Tests of the public API: running, resuming, driving by hand, and what is said about bad input."""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import os
import sys

import numpy as np
import pytest

import aiohpo
from aiohpo import Categorical, Float, Int, Space, Study
from aiohpo.errors import Unavailable, UsageError
from aiohpo.events.schema import Goal
from aiohpo.peer.limits import Limits
from aiohpo.storage.blob_store import DirectoryBlobs
from tests.support.evaluate_objectives import behave
from tests.test_tables import Parsed

SPACE = Space(x=Float(-1.0, 1.0), k=Int(1, 4), c=Categorical(["a", "b"]))


async def objective(trial):
    await asyncio.sleep(0)
    return trial["x"] ** 2


def study(function=objective, space=SPACE, **options):
    return Study(function, space, **{"searcher": "random", **options})


def statuses(result):
    return dict(sorted(result.counts.items()))


# --------------------------------------------------------------------------------------------- running
@pytest.mark.parametrize("workers", [1, 3])
async def test_a_search_runs_exactly_its_budget(workers):
    """Whatever the number of workers, as many trials end as were asked for, and the best is the least."""
    result = await study().arun(trials=20, slots=workers)
    assert statuses(result)["finished"] == 20
    assert result.best is not None
    assert result.best.value == min(t.value for t in result.trials)
    assert result.best_config == result.best.config
    assert not result.interrupted


async def test_the_best_of_a_maximised_metric_is_the_largest():
    """With mode max the best value is the largest, and keeps its sign."""
    result = await study(mode="max", metric="score").arun(trials=10)
    assert result.best.value == max(t.value for t in result.trials) > 0
    assert result.best.metrics == {"score": result.best.value}


async def test_the_budget_spans_runs(tmp_path):
    """Running again, also from another object on the same directory, only adds what is missing."""
    first = study(directory=tmp_path / "run")
    assert len((await first.arun(trials=6)).trials) == 6
    assert statuses(await first.arun(trials=8, slots=2))["finished"] == 8
    again = study(directory=tmp_path / "run")
    result = await again.arun(trials=12, slots=2)
    assert statuses(result)["finished"] == 12
    assert len({t.id for t in result.trials}) == len(result.trials)
    unchanged = await study(directory=tmp_path / "run").arun(trials=12)
    assert unchanged.trials == result.trials


async def test_a_study_in_memory_resumes_too():
    """Without a directory a study object remembers what it ran, with all its workers' results."""
    s = study()
    for n in (5, 9, 14):
        result = await s.arun(trials=n, slots=3)
        assert statuses(result)["finished"] == n


async def test_a_seed_repeats_a_search():
    """One worker with the same seed proposes the same configurations again; another seed others."""
    runs = [[t.config for t in (await study(seed=seed).arun(trials=5)).trials] for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


async def test_a_target_ends_the_search():
    """The search ends when the target is reached, for either mode."""
    result = await study().arun(target=0.2, trials=5000)
    assert result.best.value <= 0.2
    assert len(result.trials) < 200
    result = await study(mode="max").arun(target=0.8, trials=5000)
    assert result.best.value >= 0.8


async def test_time_ends_the_search_and_nothing_that_ended_is_missing():
    """At the end of the time what runs is released, and every worker's results are in the result."""
    done = []

    async def slow(trial):
        await asyncio.sleep(0.01 + trial["x"] ** 2 / 100)
        return trial["x"]

    s = study(slow, callbacks=[done.append])
    result = await s.arun(time=0.2, slots=4)
    assert statuses(result)["finished"] == len(done)
    assert set(statuses(result)) <= {"finished", "lost"}
    ended = len(done)
    more = await s.arun(trials=ended + 5, slots=2)
    assert statuses(more)["finished"] == ended + 5


async def test_stop_ends_the_search_early_and_says_so():
    """stop() ends a running search in good order; the result is marked as interrupted."""
    s = study()

    async def stopping(trial):
        if trial.number == 3:
            s.stop()
            await asyncio.sleep(60)
        return 1.0

    s.objective = stopping
    result = await asyncio.wait_for(s.arun(trials=100), 120)
    assert result.interrupted
    assert statuses(result) == {"finished": 3, "lost": 1}
    s.objective = objective
    result = await s.arun(trials=6)
    assert statuses(result) == {"finished": 6}


@pytest.mark.parametrize(
    ("searcher", "scheduler", "space", "ends"),
    [
        ("random", "fifo", Space(x=Float(0.0, 1.0)), False),
        ("random", "asha", Space(x=Float(0.0, 1.0), n=Int(1, 3)), False),
        ("random", "fifo", Space(n=Int(1, 3)), True),
        ("grid:resolution=3", "fifo", Space(x=Float(0.0, 1.0)), True),
        ("random", "pbt:population=2,interval=2", Space(x=Float(0.0, 1.0)), True),
    ],
)
async def test_a_search_without_a_limit_has_to_end_by_itself(searcher, scheduler, space, ends):
    """A finite space, a grid and a population come to an end; anything else is told what to give."""

    async def train(trial):
        for _ in trial.steps():
            trial.report(float(trial.number))
            trial.save(b"")

    s = Study(train, space, searcher=searcher, scheduler=scheduler, max_steps=4)
    if ends:
        result = await asyncio.wait_for(s.arun(), 120)
        assert result.trials
        return
    with pytest.raises(UsageError, match="nothing would end this search: give a number of trials"):
        await s.arun()
    assert (await asyncio.wait_for(s.arun(trials=2), 120)).trials
    assert len((await asyncio.wait_for(s.arun(), 120)).trials) == 2  # the budget is the study's


async def test_stop_is_heard_while_the_search_is_starting():
    """stop() before the first trial begins ends the search without one."""
    s = study()
    running = asyncio.create_task(s.arun(trials=100, slots=3))
    await asyncio.sleep(0)
    s.stop()
    result = await asyncio.wait_for(running, 120)
    assert result.interrupted
    assert result.trials == []


async def test_cancelling_releases_what_runs(tmp_path):
    """Cancelling arun leaves a directory from which the search goes on."""
    started = asyncio.Event()

    async def hang(trial):
        started.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(study(hang, directory=tmp_path / "run").arun(trials=4))
    await asyncio.wait_for(started.wait(), 120)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    result = await study(directory=tmp_path / "run").arun(trials=4)
    assert statuses(result) == {"finished": 4}


async def test_failures_are_trials_too():
    """An objective that raises, or returns nonsense, makes failed trials with the reason; the search goes on."""

    async def moody(trial):
        match trial.number % 4:
            case 0:
                raise ValueError("no \udcff convergence")
            case 1:
                return "text"
            case 2:
                return float("nan")
        return 1.0

    result = await study(moody).arun(trials=8)
    assert statuses(result) == {"failed": 6, "finished": 2}
    errors = [t.error for t in result.trials if t.error]
    assert "ValueError: no" in errors[0]
    assert "text" in errors[1]
    assert "nan" in errors[2]


async def test_a_trial_that_hangs_times_out():
    """A trial beyond the trial timeout fails, naming the timeout, and the next one runs."""

    async def hang(trial):
        await asyncio.sleep(3600 if trial.number == 0 else 0)
        return 1.0

    result = await asyncio.wait_for(study(hang).arun(trials=3, trial_timeout=0.05), 600)
    assert [t.status for t in result.trials] == ["failed", "finished", "finished"]
    assert "timed out after 0.05 s" in result.trials[0].error


@pytest.mark.parametrize("scheduler", ["asha:r_min=6", "hyperband:r_min=6", "sha:r_min=6", "pbt:interval=6", "median"])
async def test_objectives_that_report_now_and_then_are_compared_by_their_last_report(scheduler):
    """A rung or a change of hyperparameters between two reports neither fails a trial nor stops it for good."""

    async def train(trial):
        done = trial.restore() or 0
        for step in trial.steps():
            done += 1
            if step % 5 == 0:
                trial.report(trial["x"] ** 2 + 1 / done)
            trial.save(done)

    result = await study(train, max_steps=27, scheduler=scheduler).arun(trials=12)
    assert "failed" not in result.counts
    assert result.counts["finished"]
    assert all(6 not in t.curve or t.curve[6] == t.curve[5] for t in result.trials)
    assert all(t.curve for t in result.trials)


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "sha", "pbt"])
async def test_a_search_that_pauses_needs_the_metric(scheduler):
    """Where nothing but other metrics is reported, the trials fail and say so, instead of pausing for ever."""

    async def train(trial):
        for _ in trial.steps():
            trial.report(accuracy=0.5)

    result = await study(train, max_steps=27, scheduler=scheduler).arun(trials=6)
    assert statuses(result) == {"failed": 6}
    assert all("no 'loss' to compare" in t.error for t in result.trials)


async def test_a_search_in_which_everything_fails_is_given_up_and_goes_on_once_mended(tmp_path):
    """It stops after max_failures and says so; once mended, the rest of the budget runs in the same directory."""

    async def broken(trial):
        raise ValueError("no data")

    first = study(broken, directory=tmp_path / "r", max_failures=4)
    result = await first.arun(trials=20)
    assert statuses(result) == {"failed": 4}
    assert result.given_up == "4 trials failed and none succeeded"
    assert repr(result) == "<Result no result, 4 failed, given up: 4 trials failed and none succeeded>"
    again = await first.arun(trials=20)  # not mended: so many more, not none
    assert statuses(again) == {"failed": 8}
    assert again.given_up is not None
    mended = await study(directory=tmp_path / "r").arun(trials=20)
    assert statuses(mended) == {"failed": 8, "finished": 12}
    assert mended.given_up is None


async def test_failures_after_a_success_end_no_search():
    """However many, and if max_failures is 0, without one, too."""

    async def seldom(trial):
        if trial.number != 1:
            raise ValueError("bad luck")
        return 0.5

    result = await study(seldom, max_failures=2).arun(trials=12)
    assert (statuses(result), result.given_up) == ({"failed": 11, "finished": 1}, None)

    async def never(trial):
        raise ValueError("bad luck")

    assert statuses(await study(never, max_failures=0).arun(trials=25)) == {"failed": 25}


async def test_callbacks_hear_of_every_ended_trial():
    """Callbacks are called with each record in the process that evaluated it; one that raises costs no trial."""
    heard = []
    result = await study(callbacks=[heard.append]).arun(trials=6, slots=2)
    assert sorted(r.id for r in heard) == sorted(t.id for t in result.trials if t.status in ("finished", "surplus"))

    def broken(record):
        raise KeyError("callback")

    searched = study(callbacks=[broken])
    assert statuses(await searched.arun(trials=2)) == {"finished": 2}
    assert len(searched.notices) == 1
    assert searched.notices[0].endswith("broken failed: KeyError: 'callback'")


async def test_a_finite_searcher_ends_the_search():
    """When the searcher has no more configurations the search ends, without a budget."""
    space = Space(k=Int(1, 4), c=Categorical(["a", "b"]))

    async def value(trial):
        return trial["k"]

    result = await asyncio.wait_for(study(value, space, searcher="grid").arun(slots=2), 120)
    assert len({json.dumps(t.config) for t in result.trials if t.status == "finished"}) == 8


async def test_a_trial_that_was_given_up_often_does_not_keep_a_finite_search_from_ending(tmp_path):
    """A configuration interrupted in run after run is tried again each time, and the search still ends."""
    space = Space(k=Int(1, 2))
    for _ in range(8):
        started = asyncio.Event()

        async def hang(trial, started=started):
            started.set()
            await asyncio.sleep(3600)

        task = asyncio.create_task(study(hang, space, searcher="grid", directory=tmp_path / "run").arun())
        await asyncio.wait_for(started.wait(), 120)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def value(trial):
        return trial["k"]

    result = await asyncio.wait_for(study(value, space, searcher="grid", directory=tmp_path / "run").arun(), 120)
    assert statuses(result) == {"finished": 2}


@pytest.mark.parametrize("evaluator", ["process", "thread"])
async def test_arun_keeps_what_processes_print_and_leaves_stdout_alone(evaluator, tmp_path, capsys):
    """In somebody's application a process' lines go to the directory and a thread's where all else goes."""
    stdout = sys.stdout
    s = study(behave, Space(do=Categorical(["print"])), evaluator=evaluator, directory=tmp_path / "run")
    result = await s.arun(trials=1)
    assert sys.stdout is stdout
    files = {file.name: file.read_text() for file in (tmp_path / "run" / "output").iterdir()}
    tag = f"[0 {result.trials[0].id}]"
    lines = f"hello from {result.trials[0].id}\n", "and stderr\n"
    if evaluator == "process":
        assert files == {"worker-0.log": "".join(f"{tag} {line}" for line in lines)}
        assert capsys.readouterr() == ("", "")
    else:
        assert files == {}
        assert capsys.readouterr() == lines


async def test_what_breaks_a_worker_is_raised():
    """A searcher that raises surfaces its own error."""

    class Broken:
        def setup(self, space, seed, identity):
            pass

        def ask(self, view, rng, slots):
            raise ZeroDivisionError("in ask")

    with pytest.raises(ZeroDivisionError, match="in ask"):
        await study(searcher=Broken()).arun(trials=3, slots=2)


async def test_a_searcher_that_cannot_serve_the_space_says_so():
    """What setup raises is what the user sees, and everything that was started is closed."""

    class Picky:
        def setup(self, space, seed, identity):
            raise ValueError("this searcher needs two parameters")

        def ask(self, view, rng, slots):
            return []

    s = study(searcher=Picky())
    with pytest.raises(ValueError, match="needs two parameters"):
        await s.arun(trials=3, slots=2)


async def test_an_objective_that_cannot_run_there_says_so(tmp_path):
    """An evaluator that refuses the objective is what the user hears of, also with a journal."""
    s = study(lambda trial: 1.0, evaluator="coroutine", directory=tmp_path / "run")
    with pytest.raises(UsageError, match="async def"):
        await s.arun(trials=3)


async def test_a_disk_that_stays_full_is_one_clear_error(tmp_path, monkeypatch):
    """When the journal cannot be written for long the search ends with that message, and running again goes on."""
    monkeypatch.setattr("aiohpo.peer.patience.PATIENCE", 0.1)
    s = study(directory=tmp_path / "run")
    real, left = os.write, [4]

    def full(fd, data):
        if b"J\x01" in data[:4]:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, os.strerror(28))
        return real(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Unavailable, match=r"No space left on device.*run the same command again"):
        await s.arun(trials=50, slots=2)
    monkeypatch.setattr(os, "write", real)
    result = await study(directory=tmp_path / "run").arun(trials=8)
    assert statuses(result)["finished"] == 8


async def test_a_study_runs_once_at_a_time():
    """Starting a study that runs is refused."""
    s = study()

    async def nested(trial):
        with pytest.raises(UsageError, match="running already"):
            await s.arun(trials=1)
        return 1.0

    s.objective = nested
    result = await s.arun(trials=1)
    assert statuses(result) == {"finished": 1}


def test_run_blocks_and_returns_the_result(capsys):
    """run() is arun for scripts."""
    result = study().run(trials=3, progress=False)
    assert statuses(result) == {"finished": 3}


# ------------------------------------------------------------------------------------------- by hand
def test_ask_and_tell_drive_a_search():
    """Without an objective, asked configurations are told values, metrics or errors."""
    s = study(None)
    a, b, c = s.ask(), s.ask(), s.ask()
    assert a["x"] == a.config["x"]
    assert s.tell(a, 0.5).value == 0.5
    assert s.tell(b, {"loss": 0.25, "aux": 3}).metrics == {"loss": 0.25, "aux": 3.0}
    assert s.tell(c, error="diverged").error == "diverged"
    assert s.result.best.number == 1
    assert statuses(s.result) == {"failed": 1, "finished": 2}
    assert repr(a) == f"<AskedTrial 0 {a.config}>"


@pytest.mark.parametrize("value", [None, "0.5", float("nan"), float("inf"), {"aux": 1.0}, [1, 2]])
def test_telling_nonsense_is_an_error_and_can_be_repaired(value):
    """A value that is none is refused, and the trial can still be told."""
    s = study(None)
    asked = s.ask()
    with pytest.raises(UsageError, match="loss"):
        s.tell(asked, value)
    assert s.tell(asked, 0.5).status == "finished"
    with pytest.raises(UsageError, match="told already"):
        s.tell(asked, 0.5)


def test_texts_of_any_length_and_content_can_be_told(tmp_path):
    """An error of any size, also with undecodable bytes, is kept within bounds and comes back from the journal."""
    s = study(None, directory=tmp_path / "run")
    s.tell(s.ask(), error="x" * 100_000)
    s.tell(s.ask(), error="file \udcff")
    s.tell(s.ask(), 0.5)
    again = study(None, directory=tmp_path / "run")
    assert statuses(again.result) == {"failed": 2, "finished": 1}


def test_the_searcher_by_hand_may_run_dry():
    """Asking a finite searcher too often is an error that names it."""
    s = study(None, Space(k=Int(1, 2)), searcher="grid")
    assert {s.ask()["k"], s.ask()["k"]} == {1, 2}
    with pytest.raises(UsageError, match=r"grid.*no more"):
        s.ask()


async def test_enqueued_configurations_come_first():
    """What is queued is tried before anything the searcher suggests, by hand and in runs."""
    config = {"x": 0.125, "k": 3, "c": "b"}
    s = study()
    s.enqueue(config)
    result = await s.arun(trials=3)
    assert config in [t.config for t in result.trials[:1]]
    assert statuses(result) == {"finished": 3}
    by_hand = study(None)
    by_hand.enqueue(config)
    assert by_hand.ask().config == config


async def test_past_trials_inform_but_do_not_count():
    """Added results are in the view and may be best, beside the full budget of new trials."""
    s = study()
    assert s.add([({"x": 0.0, "k": 1, "c": "a"}, 0.0), ({"x": 1.0, "k": 1, "c": "a"}, None)]) == 2
    result = await s.arun(trials=4)
    assert statuses(result) == {"failed": 1, "finished": 5}
    assert result.best.config == {"x": 0.0, "k": 1, "c": "a"}


async def test_a_previous_run_is_a_warm_start(tmp_path):
    """The directory of an earlier run, or its result, can be added to another study."""
    first = await study(directory=tmp_path / "one").arun(trials=5)
    assert first.best is not None
    for past in (first, tmp_path / "one", str(tmp_path / "one")):
        s = study()
        assert s.add(past) == 5
        assert s.result.best.value == first.best.value


@pytest.mark.parametrize(
    "past",
    [
        [({"x": 0.0, "k": 1, "c": "z"}, 0.5)],
        [({"x": 0.0, "k": 1}, 0.5)],
        [({"x": 0.0, "k": 1, "c": "a"}, float("nan"))],
        [({"x": 0.0, "k": 1, "c": "a"}, "0.5")],
        [({"x": 0.0, "k": 1, "c": "a"},)],
        [{"x": 0.0, "k": 1, "c": "a"}],
        [3],
    ],
)
def test_past_trials_that_do_not_fit_add_nothing(past):
    """One bad past trial is named by its place, and none is added."""
    s = study()
    with pytest.raises(UsageError, match="past trial 1"):
        s.add([({"x": 0.0, "k": 1, "c": "a"}, 0.5), *past])
    assert s.result.trials == []


def test_enqueueing_nonsense_is_an_error():
    """A configuration that is not of the space is refused with what is wrong."""
    with pytest.raises(UsageError, match="c"):
        study().enqueue({"x": 0.0, "k": 1, "c": "z"})


# ------------------------------------------------------------------------------------------ bad input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": None}, "space must be an aiohpo.Space, not NoneType"),
        ({"space": {"x": (0, 1)}}, "space must be an aiohpo.Space, not dict"),
        ({"mode": "minimize"}, "mode must be 'min' or 'max', not 'minimize'"),
        ({"metric": ""}, "metric must be a non-empty name"),
        ({"metric": 3}, "metric must be a non-empty name"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 0.5}, "seed must be"),
        ({"max_steps": 0}, "max_steps must be"),
        ({"max_steps": "9"}, "max_steps must be"),
        ({"max_steps": 10**20}, "max_steps must be a whole number from 1 to 9007199254740992"),
        ({"function": 3}, "objective must be a function"),
        ({"callbacks": print}, "callbacks"),
        ({"callbacks": [3]}, "callbacks"),
    ],
)
def test_bad_arguments_of_a_study(options, message):
    """Each wrong argument is one clear error when the study is made."""
    with pytest.raises(UsageError, match=message):
        study(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials must be a whole number from 1 to 2147483647, not 0"),
        ({"trials": 10**20}, "trials must be a whole number from 1 to 2147483647, not 1"),
        ({"trials": 1.5}, "trials must be"),
        ({"trials": True}, "trials must be"),
        ({"slots": 0}, "slots must be"),
        ({"time": 0}, "time must be a number of seconds above 0"),
        ({"time": "10"}, "time must be a number of seconds above 0"),
        ({"trial_timeout": -1}, "trial_timeout must be"),
        ({"target": float("nan")}, "target must be a finite number"),
        ({"target": "low"}, "target must be a number"),
    ],
)
async def test_bad_arguments_of_a_run(options, message):
    """Each wrong limit is one clear error before anything starts."""
    with pytest.raises(UsageError, match=message):
        await study().arun(**{"trials": 1, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"searcher": "randon"}, "no searcher named 'randon'"),
        ({"searcher": "random:speed=9"}, "no option 'speed'"),
        ({"searcher": None}, "is not a searcher"),
        ({"scheduler": "fif"}, "no scheduler named 'fif'"),
        ({"evaluator": "proces"}, "no evaluator named 'proces'"),
        ({"function": None}, "no objective"),
    ],
)
async def test_bad_plugins_are_said_before_anything_runs(tmp_path, options, message):
    """Unknown plugins and options, and a missing objective, are one clear error."""
    with pytest.raises(UsageError, match=message):
        await study(directory=tmp_path / "run", **options).arun(trials=1)


async def test_another_studys_directory_is_refused(tmp_path):
    """A directory of another space or metric is refused, naming what differs."""
    await study(directory=tmp_path / "run").arun(trials=1)
    with pytest.raises(UsageError, match=r"another study.*metric is 'loss', this study's is 'score'"):
        await study(directory=tmp_path / "run", metric="score").arun(trials=1)
    other = Space(x=Float(-1.0, 2.0), k=Int(1, 4), c=Categorical(["a", "b"]))
    with pytest.raises(UsageError, match=r"another study.*parameter 'x'.*Use another directory"):
        await study(space=other, directory=tmp_path / "run", max_steps=9).arun(trials=1)


def test_what_others_wrote_meanwhile_can_be_read_again(tmp_path):
    """A worker that is put together can read what was written to its directory since, but by workers that it has met;
    damage is passed over."""
    services = study(directory=tmp_path / "run")._services(limits=Limits())
    other = study(directory=tmp_path / "run")._services(limits=Limits())
    assert services.read_again is not None
    assert services.read_again(frozenset()) == []
    assert other.journal is not None
    assert services.journal is not None
    batch = other.log.append_own("other", 1, Goal(1, 3))
    other.journal.append([batch])
    (tmp_path / "run" / "journal" / "dead.log").write_text("no journal at all, and long enough to tell")
    assert services.read_again(frozenset()) == [batch]
    assert services.read_again(frozenset([other.identity.worker])) == []
    other.journal.close()
    services.journal.close()


async def test_an_unusable_directory_is_one_clear_error(tmp_path):
    """A path that cannot be a directory is refused with a remedy."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot use .*file.* as a run directory"):
        await study(directory=tmp_path / "file").arun(trials=1)


def test_an_unreadable_journal_of_a_dead_worker_is_a_notice(tmp_path):
    """What a dead peer left and cannot be read is mentioned, and the living go on."""
    s = study(directory=tmp_path / "run")
    services = s._services(limits=Limits())
    (tmp_path / "run" / "journal" / "dead.log").write_text("no journal at all, and long enough to tell")
    assert services.recover is not None
    assert services.recover("dead") == []
    assert services.recover("unknown") == []
    assert "dead.log: it is not an aiohpo journal" in s.notices[-1]
    assert services.journal is not None
    services.journal.close()


def test_repr_is_a_status_line(tmp_path):
    """The repr says what is searched, how and where."""
    assert repr(study()) == "<Study min loss over 3 parameters by random>"
    assert repr(study(directory="runs/a")) == "<Study min loss over 3 parameters by random in runs/a>"
    assert aiohpo.Study is Study


def test_a_notebook_shows_a_study_and_its_space():
    """The settings that are not left open, and a row for each parameter."""
    text = Parsed(study()._repr_html_()).text
    assert text.startswith("Studymetricloss, minsearcherrandomschedulerfifoSpace")
    assert "parametervaluesxFloat(" in text


def test_the_best_is_what_is_known_now():
    """None while there is nothing, else the result's best, with its number."""
    s = study()
    assert s.best is None
    s.tell(s.ask(), 2.0)
    s.tell(s.ask(), 1.0)
    assert s.best == s.result.best
    assert s.best is not None
    assert (s.best.number, s.best.value) == (1, 1.0)


def test_targets_are_kept_with_the_predictions(tmp_path):
    """Targets given once, to the study or by a trial, are found beside each trial's predictions."""

    def train(trial):
        trial.predictions(valid=[[0.4, 0.6]], test=[[0.5, 0.5]])
        trial.targets(test=["dog"])
        return 0.0

    study = aiohpo.Study(
        train, SPACE, searcher="random", evaluator="thread", directory=tmp_path / "r", targets={"valid": ["cat"]}
    )
    (trial,) = study.run(trials=1, progress=False).trials
    assert set(trial.predictions) == set(trial.targets) == {"valid", "test"}
    blobs = DirectoryBlobs(tmp_path / "r" / "blobs")
    found = {name: np.load(io.BytesIO(blobs.get(digest))).tolist() for name, digest in trial.targets.items()}
    assert found == {"valid": ["cat"], "test": ["dog"]}
    with pytest.raises(UsageError, match="targets"):
        aiohpo.Study(train, SPACE, targets=[1, 2])


def test_a_process_of_multiprocessing_does_not_begin_a_search(monkeypatch):
    """A file without a guard around study.run(), imported again for a process pool, says what is missing."""
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UsageError, match=r'study\.run\(\) under if __name__ == "__main__"'):
        Study(lambda trial: 1.0, Space(x=Float(0.0, 1.0))).run(trials=1)


def test_numbers_of_numpy_are_taken():
    """Seeds, steps and limits may come from an array."""
    s = Study(objective, SPACE, searcher="random", seed=np.int64(3), max_steps=np.int32(9))
    assert (type(s.seed), s.seed, type(s.max_steps), s.max_steps) == (int, 3, int, 9)
    found = s.run(trials=np.int64(2), time=np.float64(60), target=np.float32(-9), progress=False)
    assert found.counts == {"finished": 2}
    with pytest.raises(UsageError, match="max_steps must be a whole number from 1 to 9007199254740992, not True"):
        Study(objective, SPACE, max_steps=True)


def test_a_scheduler_that_needs_steps_says_so():
    """Whoever asks for one and gives no max_steps is told by an error for people."""
    with pytest.raises(UsageError, match=r"this study has no steps: give Study\(max_steps=…\)"):
        Study(objective, SPACE, scheduler="asha").run(trials=1, progress=False)
