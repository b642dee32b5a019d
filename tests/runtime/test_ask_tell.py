"""Tests of driving a search by hand."""

from __future__ import annotations

import pytest

from aiohpo import Float, Space, Study
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
    m = AskTell("aaaaaaaaaaaa", View(SPACE, Objective("loss", "min")), Log(), 0, None, "", said.append)
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
