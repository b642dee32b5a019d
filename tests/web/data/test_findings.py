"""What takes longer than a look: importances, and the ensemble beside the best single model."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.errors import UsageError
from aiohpo.report.sources import FollowedDirectory
from aiohpo.web.data import findings
from aiohpo.web.data.feed import Feed
from aiohpo.web.data.findings import compared, ensemble
from tests.support.ensemble_runs import make_predictions
from tests.support.run_directories import make_run


def test_the_ensemble_stands_beside_the_best_single_model(tmp_path: Path) -> None:
    """With its members' weights, and metrics of the rows that it was not built from."""
    directory = make_predictions(tmp_path / "r")
    source = FollowedDirectory(directory)
    source.poll()
    found = ensemble(directory, {"score": 1.0}, source.study)
    assert found["live"] == {"score": 1.0}
    assert sum(member["weight"] for member in found["members"]) == pytest.approx(1.0)
    assert {member["trial"] for member in found["members"]} <= {record.id for record in source.view.records()}
    assert set(found["table"]["log_loss"]) == {"single", "ensemble"}
    assert set(found["table"]["accuracy"]["ensemble"]) == {"test"}


def test_over_the_mesh_there_is_only_what_a_worker_said_of_its_ensemble() -> None:
    """Predictions are in the run directory."""
    assert ensemble(None, {"score": 1.0}, {})["live"] == {"score": 1.0}
    with pytest.raises(UsageError, match="predictions are in the run directory"):
        ensemble(None, None, {})


def test_of_very_many_trials_a_sample_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one each time, without those that failed."""
    monkeypatch.setattr(findings, "_MOST_COMPARED", 3)
    feed = Feed(FollowedDirectory(make_run(tmp_path / "r", [1.0, "no", 2.0, 3.0, 4.0, 5.0])))
    feed.look(1.0)
    records, n = compared(feed)
    assert (len(records), n) == (3, 5)
    assert [record.number for record in compared(feed)[0]] == [record.number for record in records]


def test_importances_are_told_from_the_trials_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """As the command does, so that both give the same answer."""
    feed = Feed(FollowedDirectory(make_run(tmp_path / "r", [1.0, 2.0, 3.0])))
    feed.look(1.0)
    feed.column("number")[:3] = [2, 0, 1]  # as of workers that began at the same time
    assert [record.number for record in compared(feed)[0]] == [0, 1, 2]
    assert all(record.value is not None for record in compared(feed)[0])
