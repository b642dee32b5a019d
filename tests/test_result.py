"""Tests of what a search found."""

from __future__ import annotations

import sys

import pytest

from aiohpo.errors import UsageError
from aiohpo.events.schema import Ended, Proposed, Reported
from aiohpo.plugin.objective import Objective
from aiohpo.result import Result
from aiohpo.view.view import View
from tests.support.histories import SPACE
from tests.test_tables import Parsed


def view() -> View:
    v = View(SPACE, Objective("loss", "min"))
    events = [
        Proposed(1, 10.0, (0.25,)),
        Ended(2, 1, 0, "finished", 3, 0.5, 1.5, {"aux": 2.0}),
        Proposed(3, 11.0, (0.75,)),
        Ended(4, 3, 0, "failed", 0, None, 0.5, None, "boom", "traceback"),
        Proposed(5, 12.0, (0.5,)),
        Reported(6, 5, 0, 1, 0.75),
    ]
    for seq, event in enumerate(events, start=1):
        v.apply("ann", seq, event)
    return v


def test_a_result_is_a_snapshot():
    """Later events do not change a result that was taken before."""
    v = view()
    result = Result(v)
    v.apply("ann", 7, Ended(7, 5, 0, "finished", 1, 0.1))
    assert [t.status for t in result.trials] == ["finished", "failed", "running"]
    assert result.best is not None
    assert (result.best.value, result.best_config) == (0.5, {"x": 0.25})
    assert result.counts == {"finished": 1, "failed": 1, "running": 1}
    assert Result(v).best_config == {"x": 0.5}


def test_without_a_success_there_is_no_best_configuration():
    """Asking for the best of nothing is an error that says what there is instead."""
    result = Result(View(SPACE, Objective("loss", "min")))
    assert result.best is None
    with pytest.raises(UsageError, match=r"no trial has a loss yet \(no trials\)"):
        _ = result.best_config


def test_repr_is_a_status_line():
    """The repr says how it went."""
    assert repr(Result(view())) == "<Result best loss 0.5, 1 failed, 1 finished, 1 running>"
    assert repr(Result(view(), interrupted=True)).endswith(", interrupted>")
    assert repr(Result(View(SPACE, Objective("loss", "min")))) == "<Result no result, no trials>"


def test_a_notebook_shows_the_best_trials():
    """Complete ones, the best first; all while there is none."""
    v = view()
    assert Parsed(Result(v)._repr_html_()).text == (
        "Result best loss 0.5, 1 failed, 1 finished, 1 running; the best trials:"
        "numberstatusvaluestepssecondsx0finished0.531.50.25"
    )
    v.apply("ann", 7, Ended(7, 5, 0, "finished", 1, 0.125))
    assert "secondsx2finished0.125" in Parsed(Result(v)._repr_html_()).text.replace(" ", "")
    nothing = Result(View(SPACE, Objective("loss", "min")))
    assert Parsed(nothing._repr_html_()).text.startswith("Result no result, no trials; all trials:")


def test_data_frames_have_one_row_per_trial():
    """Columns are the record's, then configuration and metrics by name."""
    pytest.importorskip("pandas")
    frame = Result(view()).to_dataframe()
    assert list(frame["status"]) == ["finished", "failed", "running"]
    assert list(frame["config.x"]) == [0.25, 0.75, 0.5]
    assert frame["metric.aux"][0] == 2.0
    assert frame["error"][1] == "boom"
    assert len(Result(View(SPACE, Objective("loss", "min"))).to_dataframe()) == 0


def test_data_frames_need_pandas(monkeypatch):
    """Without pandas the error says how to get it."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install 'aiohpo\\[pandas\\]'"):
        Result(view()).to_dataframe()


def test_pictures_are_drawn_with_either_library_from_the_same_data() -> None:
    """The overview needs no log; what is not known of a search in memory is an error, as is an unknown name."""
    result = Result(view())
    assert [line.get_label() for line in result.plot("history").axes[0].get_lines()][:1] == ["complete (1)"]
    assert result.plot("history")._repr_png_().startswith(b"\x89PNG")  # in a notebook without pyplot
    assert result.plot(backend="plotly").data[0].name == "complete (1)"
    with pytest.raises(UsageError, match="no backend 'bokeh' for plots; the backends are: matplotlib, plotly"):
        result.plot(backend="bokeh")
    with pytest.raises(UsageError, match="no plot of kind 'pie'; the kinds are: overview, history"):
        result.plot("pie")
    with pytest.raises(UsageError, match="the study has no trial that a worker ran"):
        result.plot("timeline")
    with pytest.raises(UsageError, match="not from Python: aiohpo plot DIR --kind ensemble"):
        result.plot("ensemble")
    with pytest.raises(UsageError, match=r"the study has no rungs: .* \(see: result.plot\('curves'\)\)"):
        result.plot("rungs")


def test_a_later_best_trial_does_not_get_into_the_picture_of_an_earlier_result() -> None:
    """What was found after it was taken is not marked in it, as it is not among its trials."""
    v = view()
    result = Result(v)
    v.apply("ann", 7, Proposed(7, 13.0, (0.9,)))
    v.apply("ann", 8, Ended(8, 7, 0, "finished", 1, 0.01))
    assert result.plot("parallel", backend="plotly").layout.annotations[0].text.startswith("1 configurations")


def test_importance_is_asked_of_a_result() -> None:
    """What it says of trials is tested in tests/importance; of one parameter it says nothing."""
    with pytest.raises(UsageError, match="of which this space has only one, 'x'"):
        Result(view()).importance()
