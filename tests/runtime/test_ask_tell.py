"""Tests of driving a search by hand."""

from __future__ import annotations

import pytest

from aiohpo import Float, Int, Space, Study
from aiohpo.errors import UsageError
from aiohpo.events.log import Log
from aiohpo.plugin import Identity
from aiohpo.plugin.objective import Objective
from aiohpo.runtime.ask_tell import AskTell
from aiohpo.view.view import View

SPACE = Space(x=Float(0.0, 1.0))


class Learner:
    """Suggests how many results its model knows."""

    def setup(self, space, seed, identity):
        self.identity, self.known = identity, -1

    def fit(self, observations):
        return len(observations.y)

    def adopt(self, state):
        self.known = state

    def ask(self, view, rng, slots):
        return [{"x": self.known / 100}]


def manual() -> AskTell:
    return AskTell("aaaaaaaaaaaa", View(SPACE, Objective("loss", "min")), Log(), 0, None, "")


def test_every_suggestion_knows_every_result():
    """A learning searcher is refitted before it is asked whenever something new was told."""
    m, searcher = manual(), Learner()
    told = []
    for i in range(4):
        asked = m.ask(searcher)
        assert asked is not None
        told.append(asked["x"])
        m.tell(asked, float(i), {}, None)
    assert told == [0.0, 0.01, 0.02, 0.03]
    assert searcher.identity == Identity("aaaaaaaaaaaa", 0, 1)


def test_a_fit_that_raises_keeps_the_last_model_and_is_said_once():
    """A searcher that cannot learn from some results is asked all the same."""

    class Broken(Learner):
        def fit(self, observations):
            if len(observations.y) > 1:
                raise ArithmeticError("singular")
            return len(observations.y)

    said = []
    m = AskTell("aaaaaaaaaaaa", View(SPACE, Objective("loss", "min")), Log(), 0, None, "", complain=said.append)
    searcher = Broken()
    for i in range(4):
        asked = m.ask(searcher)
        assert asked is not None
        assert asked["x"] == min(i, 1) / 100
        m.tell(asked, float(i), {}, None)
    assert [text.partition(":")[0] for text in said] == ["Broken.fit failed (ArithmeticError"]


def test_asked_trials_run_until_told():
    """Between ask and tell a trial is running and pending for searchers."""
    m = manual()
    asked = m.ask(Learner())
    assert asked is not None
    assert [r.status for r in m.view.records()] == ["running"]
    assert len(m.view.observations().pending) == 1
    m.tell(asked, 0.5, {"aux": 1.0}, None)
    assert m.record(asked).metrics == {"aux": 1.0, "loss": 0.5}
    assert m.record(asked).seconds >= 0.0


def test_a_trial_of_another_study_cannot_be_told():
    """A trial is told to the study that it was asked from."""
    m = manual()
    asked = AskTell("bbbbbbbbbbbb", View(SPACE, Objective("loss", "min")), Log(), 0, None, "").ask(Learner())
    assert asked is not None
    with pytest.raises(UsageError, match="not asked from this study"):
        m.tell(asked, 0.5, {}, None)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (("x",), "tell() was given 'x' for a trial: give what ask() returned"),
        (({"x": 0.5}, 1.0), "for a trial: give what ask() returned"),
        ((None, "x"), "tell() was given str 'x': metric 'loss' is str 'x': give one number (give a number, a dict"),
        ((None, float("inf")), "tell() was given float inf: metric 'loss' is inf"),
        ((None, {"accuracy": 1.0}), "give the value of 'loss', a dict with it, or error=…"),
        ((None,), "tell() was given None: give the value of 'loss'"),
    ],
)
def test_what_cannot_be_told_is_named(told, message):
    """What was given for a trial or its value is in the error, with what to give; the trial can still be told."""
    s = Study(None, SPACE, searcher="random")
    asked = s.ask()
    with pytest.raises(UsageError) as caught:
        s.tell(told[0] or asked, *told[1:])
    assert message in str(caught.value)
    assert s.tell(asked, 0.5).status == "finished"


@pytest.mark.parametrize("error", [ValueError("no data"), ValueError, True, ""])
def test_an_error_is_told_as_text(error):
    """An exception, or nothing, in place of the text that says what went wrong is refused."""
    s = Study(None, SPACE, searcher="random")
    asked = s.ask()
    with pytest.raises(UsageError, match="give text that says what went wrong"):
        s.tell(asked, error=error)
    with pytest.raises(UsageError, match=r"the value 0.5 and an error: give one of them"):
        s.tell(asked, 0.5, error="no data")
    assert s.tell(asked, error="no data").status == "failed"


@pytest.mark.parametrize("past", [{"x": 0.5}, 3, None])
def test_past_trials_come_in_a_list(past):
    """What is no list of pairs is refused with what to give."""
    with pytest.raises(UsageError, match=r"past trials are \[\(config, value\), …\], a Result or a directory, not"):
        Study(None, SPACE).add(past)


def test_what_was_done_by_hand_is_in_the_directory(tmp_path):
    """Asked, told, queued and added trials are on disk for the next process, open ones included."""
    s = Study(None, SPACE, searcher="random", directory=tmp_path / "run")
    s.tell(s.ask(), 0.25)
    s.ask()
    s.add([({"x": 0.125}, 0.125)])
    s.enqueue({"x": 0.75})
    again = Study(None, SPACE, searcher="random", directory=tmp_path / "run")
    assert again.result.counts == {"finished": 2, "running": 1}
    assert again.ask().config == {"x": 0.75}


@pytest.mark.parametrize("searcher", ["random", "quasirandom", "grid", "tpe", "adbo"])
def test_processes_that_ask_in_one_directory_follow_each_other(searcher, tmp_path):
    """No configuration is given to two of them, and both know the results of either."""
    studies = [Study(None, SPACE, directory=tmp_path / "run", searcher=searcher, seed=3) for _ in range(3)]
    asked = []
    for _ in range(2):
        for study in studies:
            trial = study.ask()
            asked.append(trial["x"])
            study.tell(trial, trial["x"])
    assert len(set(asked)) == 6
    assert [len(study.result.trials) for study in studies] == [6, 6, 6]
    assert len({study.result.best.value for study in studies}) == 1


@pytest.mark.parametrize("searcher", ["random", "quasirandom", "grid", "tpe"])
def test_who_asks_does_not_change_what_is_asked(searcher, tmp_path):
    """Several processes that take turns are given what one alone is given."""
    alone = Study(None, SPACE, searcher=searcher, seed=3)
    studies = [Study(None, SPACE, directory=tmp_path / "run", searcher=searcher, seed=3) for _ in range(2)]
    for i in range(6):
        asked = alone.ask(), studies[i % 2].ask()
        assert asked[0]["x"] == asked[1]["x"]
        alone.tell(asked[0], 1.0)
        studies[i % 2].tell(asked[1], 1.0)


def test_what_a_dead_process_had_asked_for_is_asked_again(tmp_path):
    """No point of a grid is lost with the process that was given it; one that lives keeps its own."""
    space = Space(k=Int(1, 3))
    alive = Study(None, space, directory=tmp_path / "run", searcher="grid")
    dead = Study(None, space, directory=tmp_path / "run", searcher="grid")
    mine, lost = alive.ask(), dead.ask()
    dead._manual.close()  # its lock goes, as it does however a process ends
    again = alive.ask()
    assert (again.id, again["k"]) == (lost.id, lost["k"])
    rest = alive.ask()
    assert {mine["k"], again["k"], rest["k"]} == {1, 2, 3}
    with pytest.raises(UsageError, match="no more"):
        alive.ask()
    for asked in (mine, again, rest):
        alive.tell(asked, 0.1)
    assert alive.result.counts == {"finished": 3}


def test_a_script_that_queues_and_adds_does_so_once(tmp_path):
    """However often it is run in its directory; each run has the same ids."""

    def script() -> tuple[Study, list[str]]:
        study = Study(None, SPACE, directory=tmp_path / "run", searcher="random")
        study.add([({"x": 0.5}, 1.0)])
        return study, [study.enqueue({"x": x}) for x in (0.25, 0.25, 0.75)]

    (first, ids), (second, again) = script(), script()
    assert ids == again
    assert len(list((tmp_path / "run" / "journal").iterdir())) == 1, "the second run had nothing to record"
    asked = [study.ask() for study in (first, second, first, second)]
    assert [trial["x"] for trial in asked[:3]] == [0.25, 0.25, 0.75]
    assert [trial.id for trial in asked[:3]] == ids
    assert asked[3]["x"] not in (0.25, 0.75)
    assert len(second.result.trials) == 5
