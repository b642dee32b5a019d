"""Records of trials, as people and notebooks see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.storage.run import open_run
from aiohpo.view.trials import TrialList
from tests.support.run_directories import make_run
from tests.test_tables import Parsed


@pytest.fixture
def trials(tmp_path: Path) -> TrialList:
    return TrialList(open_run(make_run(tmp_path / "r", [3.0, "<b>boom", 0.5])).records())


def test_a_record_is_a_line(trials: TrialList) -> None:
    """Number, status, value and configuration; what a failed one died of."""
    assert repr(trials[0]) == (
        "<TrialRecord 0 finished, 3: lr=0.1, optimizer='sgd', momentum=0, layers=1, mixed=1, epochs=10>"
    )
    assert repr(trials[1]).startswith("<TrialRecord 1 failed (<b>boom): lr=0.01, optimizer='adam'")


def test_a_notebook_shows_a_record_as_a_table(trials: TrialList) -> None:
    """What it has, and nothing that it has not."""
    text = Parsed(trials[1]._repr_html_()).text
    assert text.startswith("trial 1statusfailederror<b>boomseconds0.5worker")
    assert text.endswith("config.epochs10")
    assert "value" not in text
    assert "metric.size1.5" in Parsed(trials[0]._repr_html_()).text


def test_a_notebook_shows_trials_as_a_table(trials: TrialList) -> None:
    """Of many the first, and how many more there are; a slice is shown in the same way."""
    text = Parsed(TrialList([*trials] * 10)._repr_html_()).text
    assert text.startswith("30 trialsnumberstatusvaluesecondslroptimizer")
    assert text.endswith("and 10 more")
    assert "<b>boom" in text
    assert Parsed(trials[:2]._repr_html_()).text.startswith("2 trials")
    assert trials[2].value == 0.5
