"""Exports: nothing is lost on the way into other formats."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import optuna
import pandas
import pytest

from aiohpo import Categorical, Float, Space
from aiohpo.errors import UsageError
from aiohpo.report.export import to_optuna, write_csv, write_json, write_parquet
from aiohpo.report.tally import run_as_dict
from aiohpo.storage.run import open_run
from aiohpo.text import printable
from tests.support.run_directories import HOSTILE, config, make_named_run, make_run

OUTCOMES = [3.0, "boom", 1.0, 2.0, None]


def test_csv_has_a_line_per_trial_and_a_column_per_parameter(tmp_path: Path) -> None:
    """Columns stand in the order of the space; floats read back exactly; inactive parameters are empty."""
    out = io.StringIO()
    write_csv(open_run(make_run(tmp_path / "r", OUTCOMES)), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["status"] for row in rows] == ["finished", "failed", "finished", "finished", "lost"]
    names = [name for name in rows[0] if name.startswith("config.")]
    assert names == [f"config.{name}" for name in ("lr", "optimizer", "momentum", "layers", "mixed", "epochs")]
    assert float(rows[2]["config.lr"]) == config(2)["lr"]
    assert rows[1]["config.momentum"] == ""
    assert rows[1]["error"] == "boom"


def test_csv_is_safe_in_a_spreadsheet_and_a_terminal(tmp_path: Path) -> None:
    """Formulas are text, nothing controls a terminal, a trial stays one line; negative numbers stay numbers."""
    space = Space(
        {"=x": Float(-2, -1), HOSTILE: Categorical(["=1+1"]), "c": Categorical([HOSTILE]), "n": Categorical(["-1"])}
    )
    out = io.StringIO()
    write_csv(open_run(make_named_run(tmp_path / "r", space, "=m", [-3.0, "=HYPERLINK(1)\n=2"])), out)
    assert out.getvalue().replace("\n", "").isprintable()
    assert out.getvalue().count("\n") == 3
    header, good, failed = csv.reader(io.StringIO(out.getvalue()))
    row = dict(zip(header, good, strict=True))
    assert (row["value"], row["config.n"], row[f"config.{printable(HOSTILE)}"]) == ("-3.0", "-1", "'=1+1")
    assert -2 <= float(row["config.=x"]) <= -1
    assert failed[header.index("error")] == "'=HYPERLINK(1) =2"


def test_an_empty_run_exports_its_columns(tmp_path: Path) -> None:
    """Without trials there is a header of the parameters, and no line."""
    out = io.StringIO()
    write_csv(open_run(make_run(tmp_path / "r", [])), out)
    assert out.getvalue().startswith("config.lr,config.optimizer")
    assert out.getvalue().count("\n") == 1


def test_json_is_what_show_prints(tmp_path: Path) -> None:
    """The exported document is the one of ``show --json``."""
    run = open_run(make_run(tmp_path / "r", OUTCOMES))
    out = io.StringIO()
    write_json(run, out)
    assert json.loads(out.getvalue()) == json.loads(json.dumps(run_as_dict(run)))


def test_parquet_keeps_types(tmp_path: Path) -> None:
    """Numbers stay numbers; choices of several types become text."""
    out = io.BytesIO()
    write_parquet(open_run(make_run(tmp_path / "r", OUTCOMES)), out)
    frame = pandas.read_parquet(io.BytesIO(out.getvalue()))
    assert len(frame) == len(OUTCOMES)
    assert frame["config.lr"].dtype == float
    assert frame["config.layers"].dtype == int
    assert list(frame["config.mixed"][:3]) == ["1", "one", "True"]


def test_optuna_gets_values_states_and_parameters(tmp_path: Path) -> None:
    """Finished trials are COMPLETE, failed ones FAIL, unfinished ones stay out; the best one is the same."""
    run = open_run(make_run(tmp_path / "r", OUTCOMES, mode="max"))
    url = f"sqlite:///{tmp_path / 'x.db'}"
    assert to_optuna(run, f"optuna://{url}") == ("r", 4, 0)
    study = optuna.load_study(study_name="r", storage=url)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert study.best_value == 3.0
    assert study.best_trial.params == {k: v for k, v in config(0).items() if k != "epochs"}
    assert study.best_trial.user_attrs["constants"] == {"epochs": 10}
    assert study.trials[1].user_attrs["error"] == "boom"


def test_exporting_to_optuna_again_adds_nothing(tmp_path: Path) -> None:
    """A second export knows what is there."""
    run = open_run(make_run(tmp_path / "r", OUTCOMES))
    url = f"optuna://sqlite:///{tmp_path / 'x.db'}"
    to_optuna(run, url, "mine")
    assert to_optuna(run, url, "mine") == ("mine", 0, 4)


def test_a_study_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """Another direction, another kind of parameter and an impossible storage are clear errors."""
    url = f"optuna://sqlite:///{tmp_path / 'x.db'}"
    to_optuna(open_run(make_run(tmp_path / "r", OUTCOMES)), url)
    with pytest.raises(UsageError, match="give another name with --name"):
        to_optuna(open_run(make_run(tmp_path / "s" / "r", OUTCOMES, mode="max")), url)
    with pytest.raises(UsageError, match="names no storage"):
        to_optuna(open_run(tmp_path / "r"), "optuna://x.db")
    with pytest.raises(UsageError, match="Optuna cannot open the storage"):
        to_optuna(open_run(tmp_path / "r"), f"optuna://sqlite:///{tmp_path / 'no' / 'x.db'}")
