"""``aiohpo ensemble``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import aiohpo
from aiohpo.cli.main import invoke
from aiohpo.ensembles.metrics import METRICS
from tests.support.ensemble_runs import CLASSES, SPLITS, make_predictions
from tests.support.run_directories import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_predictions(tmp_path_factory.mktemp("classes") / "r", spoil=True)


def test_prints_members_and_a_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights, trials and configurations; then what the ensemble is worth beside the best single model."""
    assert invoke(["ensemble", str(run), "--method", "greedy"]) == 0
    out, err = capsys.readouterr()
    assert "models, chosen by greedy for log_loss" in out
    assert "model=" in out
    header = next(line for line in out.splitlines() if "best single, valid" in line)
    assert "ensemble, test" in header
    assert "AUROC for errors" in out
    assert "left out: " in err
    assert "NaN" in err


def test_json_and_a_saved_ensemble_agree(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was saved predicts what the table says."""
    file = tmp_path / "best.ensemble"
    assert invoke(["ensemble", str(run), "--metric", "brier", "--size", "4", "--save", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["saved"] == str(file)
    assert told["ensemble"]["builder"] == "gradient"
    loaded = aiohpo.load_ensemble(file)
    assert len(loaded.members) <= 4
    p, y = CLASSES
    test = np.stack([p[member.config["model"], SPLITS["test"]] for member in loaded.members])  # type: ignore[index]
    brier = METRICS["brier"](y[SPLITS["test"]], loaded.predict_proba(test))
    assert told["table"]["brier"]["ensemble"]["test"] == pytest.approx(brier, abs=1e-6)


@pytest.mark.parametrize("method", ["topk", "greedy:start=3,size=5", "gradient:scaling=temperature"])
def test_methods_take_options(run: Path, method: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As searchers do."""
    assert invoke(["ensemble", str(run), "--method", method, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ensemble"]["builder"] == method.partition(":")[0]


def test_the_number_of_models_to_choose_from_can_be_bounded(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fewer are loaded."""
    assert invoke(["ensemble", str(run), "--models", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] <= 4


def test_what_cannot_be_done_is_one_clear_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No predictions, an unknown method, option or metric, a metric of another task, a size given twice."""
    empty = make_run(tmp_path / "e", [1.0])
    for args, said in (
        ([str(empty)], "call trial.predictions"),
        ([str(run), "--method", "magic"], "there is no ensemble named 'magic'"),
        ([str(run), "--method", "greedy:speed=3"], "has no option 'speed'"),
        ([str(run), "--metric", "log_los"], "there is no metric 'log_los'"),
        ([str(run), "--metric", "rmse"], "regression has"),
        ([str(run), "--method", "greedy:size=3", "--size", "4"], "the size is given twice"),
        ([str(run), "--save", str(tmp_path / "no" / "e")], "cannot write"),
    ):
        assert invoke(["ensemble", *args]) == 2, args
        assert said in capsys.readouterr().err
