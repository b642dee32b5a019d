"""Which failed trials are tried again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiohpo.errors import UsageError
from aiohpo.peer.recorder import Recorder
from aiohpo.peer.retrying import choose_failed
from aiohpo.storage.run import Run, open_run
from tests.support.run_directories import make_run


@pytest.fixture
def failing(tmp_path: Path) -> Run:
    """A run whose trials 0 and 2 of three failed."""
    return open_run(make_run(tmp_path / "r", ["boom", 1.0, "bang"]))


def test_all_failed_ones_are_chosen_by_default(failing: Run) -> None:
    """Those that are retried already are left out."""
    view = failing.view
    assert [view.number(row) for row in choose_failed(view, [], "r")] == [0, 2]
    Recorder("bob", view, failing.log).queue_retry(0.0, view.row_of(next(failing.records()).id))
    assert [view.number(row) for row in choose_failed(view, [], "r")] == [2]


def test_trials_are_named_by_number_or_id_and_chosen_once(failing: Run) -> None:
    """In the order in which they were named."""
    records = list(failing.records())
    rows = choose_failed(failing.view, ["2", records[0].id, "0"], "r")
    assert [failing.view.number(row) for row in rows] == [2, 0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["9"], "there is no trial '9' in r"),
        (["ann-x"], "there is no trial 'ann-x' in r"),
        (["0", "1"], "trial 1 of r did not fail, it is finished"),
        (["2"], "trial 2 of r has been queued again already, as trial 3"),
    ],
)
def test_what_cannot_be_retried_is_named(failing: Run, names: list[str], message: str) -> None:
    """The error says why."""
    Recorder("bob", failing.view, failing.log).queue_retry(0.0, choose_failed(failing.view, ["2"], "r")[0])
    with pytest.raises(UsageError, match=re.escape(message)):
        choose_failed(failing.view, names, "r")


def test_having_nothing_to_retry_is_said(tmp_path: Path, failing: Run) -> None:
    """No failed trial, or none that is not retried already."""
    with pytest.raises(UsageError, match="no trial of r has failed"):
        choose_failed(open_run(make_run(tmp_path / "good", [1.0])).view, [], "r")
    recorder = Recorder("bob", failing.view, failing.log)
    for row in choose_failed(failing.view, [], "r"):
        recorder.queue_retry(0.0, row)
    with pytest.raises(UsageError, match="all 2 failed trials of r have been queued again already"):
        choose_failed(failing.view, [], "r")


def test_a_retry_that_failed_can_be_retried(failing: Run) -> None:
    """The chain goes on from its end."""
    recorder, view = Recorder("bob", failing.view, failing.log), failing.view
    for _ in range(2):
        row = view.row(recorder.queue_retry(0.0, choose_failed(view, [], "r")[-1]))
        assert row is not None
        recorder.end(recorder.record_claim(0.0, row), "failed", step=0, seconds=1.0, error="again")
    assert [view.number(row) for row in choose_failed(view, [], "r")] == [0, 4]
    assert view.n_counted == 3
