"""Tests of building an ensemble from a run directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiohpo.ensembles.metrics import METRICS
from aiohpo.errors import UsageError
from aiohpo.report.ensemble import Assessment, assess
from aiohpo.storage.blob_store import DirectoryBlobs
from aiohpo.storage.run import open_run
from aiohpo_plugins.ensembles.gradient import GradientBuilder
from aiohpo_plugins.ensembles.greedy import GreedyBuilder
from tests.support.ensemble_runs import CLASSES, SPLITS, make_predictions
from tests.support.run_directories import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_predictions(tmp_path_factory.mktemp("classes") / "r")


@pytest.fixture(scope="module")
def found(run: Path) -> Assessment:
    return assess(open_run(run), GreedyBuilder())


def test_members_are_trials_with_their_configurations(run: Path, found: Assessment) -> None:
    """The ensemble knows what each of its members was."""
    records = {record.id: record for record in open_run(run).records()}
    for member in found.ensemble.members:
        assert member.config == records[str(member.trial)].config
    assert len(found.library.names) == 10


def test_scores_are_those_of_the_predictions(found: Assessment) -> None:
    """What the table says can be computed from the rows."""
    p, y = CLASSES
    rows = found.ensemble.rows
    chosen = [found.ensemble.members[i].config["model"] for i in range(len(rows))]  # type: ignore[index]
    mixture = np.tensordot(found.ensemble.weights, p[chosen][:, SPLITS["test"]].astype(float), 1)
    table = found.table()
    assert next(iter(table)) == "log_loss"
    for name, both in table.items():
        assert both["ensemble"]["test"] == pytest.approx(METRICS[name](y[SPLITS["test"]], mixture), abs=1e-5)
    assert set(table["log_loss"]["single"]) == {"valid", "test"}
    assert set(table["accuracy"]["single"]) == {"test"}


def test_the_best_single_model_is_that_of_the_validation_rows(found: Assessment) -> None:
    """By the metric that the ensemble is for, whatever the search optimised."""
    p, y = CLASSES
    losses = [METRICS["log_loss"](y[SPLITS["valid"]], model) for model in p[:, SPLITS["valid"]]]
    assert found.single[1] == pytest.approx(min(losses[i] for i in range(12) if losses[i] >= found.single[1] - 1e-9))
    assert found.ensemble.score <= found.single[1]


def test_uncertainty_is_told_of_rows_that_were_not_used(found: Assessment) -> None:
    """It says how well it finds errors, and what the most certain half is worth."""
    told = found.uncertainty()
    assert set(told) == {"test"}
    assert told["test"]["auroc_total"] > 0.5
    assert told["test"]["accuracy_half"] >= told["test"]["accuracy"]


def test_what_is_no_good_is_named_and_left_out(tmp_path: Path) -> None:
    """NaN, missing rows and a lost blob: the ensemble is built from the others."""
    directory = make_predictions(tmp_path / "r", spoil=True)
    run = open_run(directory)
    records = {record.number: record for record in run.records()}
    DirectoryBlobs(directory / "blobs").path(records[4].predictions["valid"]).unlink()
    found = assess(run, GreedyBuilder())
    assert len(found.library.names) == 7
    for number, message in ((1, "NaN"), (2, "60 rows of predictions for 80 targets"), (4, "lost")):
        mine = [problem for problem in found.problems if problem.startswith(records[number].id)]
        assert len(mine) == 1
        assert message in mine[0]


def test_rows_that_a_member_did_not_predict_are_left_out(tmp_path: Path) -> None:
    """The table then has the validation rows only, and says why."""
    directory = make_predictions(tmp_path / "r", trials=3)
    run = open_run(directory)
    for record in run.records():
        DirectoryBlobs(directory / "blobs").path(record.predictions["test"]).unlink()
    found = assess(run, GreedyBuilder())
    assert found.others == ()
    assert found.problems[0].startswith("test: ")
    assert set(found.uncertainty()) == {"valid"}


def test_regression_is_told_from_the_targets(tmp_path: Path) -> None:
    """Numbers that are no classes are regressed, by rmse."""
    found = assess(open_run(make_predictions(tmp_path / "r", "regression")), GradientBuilder())
    assert found.metric.name == "rmse"
    table = found.table()
    assert table["rmse"]["ensemble"]["test"] < table["rmse"]["single"]["test"]
    assert "test" in table["nll"]["ensemble"]
    assert "test" not in table["nll"]["single"]  # a single model states no variance
    assert "accuracy" not in found.uncertainty()["test"]


def test_a_run_without_predictions_says_what_to_do(tmp_path: Path) -> None:
    """So does one without targets."""
    with pytest.raises(UsageError, match=r"call trial\.predictions"):
        assess(open_run(make_run(tmp_path / "r", [1.0])), GreedyBuilder())


def test_lost_targets_say_what_to_do(tmp_path: Path) -> None:
    """Nothing can be built without them."""
    directory = make_predictions(tmp_path / "r", trials=2)
    run = open_run(directory)
    for record in run.records():
        DirectoryBlobs(directory / "blobs").path(record.targets["valid"]).unlink(missing_ok=True)
    with pytest.raises(UsageError, match=r"targets"):
        assess(run, GreedyBuilder())


def test_checkpoints_that_are_gone_are_not_promised(run: Path, found: Assessment) -> None:
    """A member has a checkpoint only if it can still be loaded."""
    assert all(member.checkpoint is None for member in found.ensemble.members)
