"""Exports: nothing is lost on the way into other formats."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import optuna
import pandas
import pytest

from aiohpo import Categorical, Float, Space, Study, Trial
from aiohpo.errors import UsageError
from aiohpo.report.export import OptunaExport, _look_alike, to_optuna, write_csv, write_json, write_parquet
from aiohpo.report.tally import run_as_dict
from aiohpo.space.parameter import Parameter
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
    assert list(frame["config.mixed"][:3]) == ["1", '"one"', "true"]


CHOICES = [1, "1", None, "None", True, "True", 0.5, "a"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_choices_that_look_alike_are_told_apart(tmp_path: Path, kind: str) -> None:
    """Where 1 and "1", or None and "None", are choices, every value of the parameter is written as JSON."""
    space = Space(c=Categorical(CHOICES))
    run = open_run(make_named_run(tmp_path / "r", space, "m", [1.0] * 30))
    if kind == "csv":
        text = io.StringIO()
        write_csv(run, text)
        cells = [row["config.c"] for row in csv.DictReader(io.StringIO(text.getvalue()))]
    else:
        out = io.BytesIO()
        write_parquet(run, out)
        cells = list(pandas.read_parquet(io.BytesIO(out.getvalue()))["config.c"])
    values = [record.config["c"] for record in run.records()]
    assert len({json.dumps(value) for value in values}) > 4
    assert [(type(v), v) for v in map(json.loads, cells)] == [(type(v), v) for v in values]


@pytest.mark.parametrize(
    ("parameter", "alike"),
    [
        (Categorical([1, "1"]), True),
        (Categorical([1, True]), True),
        (Categorical([None, "none"]), True),
        (Categorical([None, "a"], when={"d": 1}), True),
        (Categorical([None, "a"]), False),
        (Categorical([None, 5, 0.5]), False),
        (Categorical(["1", "2"]), False),
        (Float(0, 1), False),
    ],
)
def test_ordinary_choices_stay_what_they_are(parameter: Parameter, alike: bool) -> None:
    """JSON is only for choices that a table would merge, with each other or with an empty cell."""
    assert _look_alike(parameter) is alike


def test_parquet_takes_whole_numbers_of_any_size(tmp_path: Path) -> None:
    """What 64 bits cannot hold is text."""
    run = open_run(make_named_run(tmp_path / "r", Space(c=Categorical([2**70, 1])), "m", [1.0] * 8))
    out = io.BytesIO()
    write_parquet(run, out)
    assert set(pandas.read_parquet(io.BytesIO(out.getvalue()))["config.c"]) == {str(2**70), "1"}


def test_optuna_gets_values_states_and_parameters(tmp_path: Path) -> None:
    """Finished trials are COMPLETE, failed ones FAIL, lost ones are left out, which is said; the best is the same."""
    run = open_run(make_run(tmp_path / "r", OUTCOMES, mode="max"))
    url = f"sqlite:///{tmp_path / 'x.db'}"
    assert to_optuna(run, f"optuna://{url}") == OptunaExport(
        "r",
        4,
        0,
        (
            "mixed: to Optuna True is 1 and False is 0, so its choices were exported as text: "
            "'1', \"'one'\", 'True', 'None'",
            "trials that have not ended were left out: 1",
        ),
    )
    study = optuna.load_study(study_name="r", storage=url)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert study.best_value == 3.0
    assert study.best_trial.params == {k: v for k, v in config(0).items() if k != "epochs"} | {"mixed": "1"}
    assert study.best_trial.user_attrs["constants"] == {"epochs": 10}
    assert study.trials[1].user_attrs["error"] == "boom"


def test_optuna_is_told_how_a_trial_beyond_the_budget_ended(tmp_path: Path) -> None:
    """A surplus trial that failed is no complete one."""
    run = open_run(make_run(tmp_path / "r", [1.0, 2.0, "boom"], goal=1))
    url = f"sqlite:///{tmp_path / 'x.db'}"
    to_optuna(run, f"optuna://{url}")
    trials = optuna.load_study(study_name="r", storage=url).trials
    assert [(trial.state.name, trial.value) for trial in trials] == [
        ("COMPLETE", 1.0),
        ("COMPLETE", 2.0),
        ("FAIL", None),
    ]


def test_exporting_to_optuna_again_adds_nothing(tmp_path: Path) -> None:
    """A second export knows what is there."""
    run = open_run(make_run(tmp_path / "r", OUTCOMES))
    url = f"optuna://sqlite:///{tmp_path / 'x.db'}"
    to_optuna(run, url, "mine")
    again = to_optuna(run, url, "mine")
    assert (again.study, again.added, again.known) == ("mine", 0, 4)


def test_paused_trials_are_pruned_in_optuna_until_they_went_on(tmp_path: Path) -> None:
    """They have their intermediate values; Optuna cannot change one that was finished since, which is said."""
    path, url = tmp_path / "r", f"sqlite:///{tmp_path / 'x.db'}"
    s = Study(_climb, Space(x=Float(0, 1)), scheduler="asha", searcher="random", max_steps=9, directory=path)
    s.run(trials=6, progress=False)
    records = {record.id: record for record in open_run(path).records()}
    assert "paused" in {record.status for record in records.values()}
    assert to_optuna(open_run(path), f"optuna://{url}").notes == ()
    for trial in optuna.load_study(study_name="r", storage=url).trials:
        record = records[trial.user_attrs["aiohpo_id"]]
        assert trial.state.name == ("COMPLETE" if record.status == "finished" else "PRUNED")
        assert trial.intermediate_values == record.curve
    s.run(trials=40, progress=False)
    (note,) = to_optuna(open_run(path), f"optuna://{url}").notes
    assert note.startswith("trials that continued after they were exported: ")


async def _climb(trial: Trial) -> None:
    for step in trial.steps():
        trial.report(trial["x"] + 1 / step)
        trial.save(step)


@pytest.mark.parametrize("step", [0.25, 1 / 7])
def test_every_level_of_a_step_reaches_optuna(tmp_path: Path, step: float) -> None:
    """A step whose levels Optuna would cut off is left out of its distribution, which is said."""
    space = Space(q=Float(0, 1, step=step))
    run = open_run(make_named_run(tmp_path / "r", space, "m", [1.0] * 6))
    url = f"sqlite:///{tmp_path / 'x.db'}"
    notes = to_optuna(run, f"optuna://{url}").notes
    trials = optuna.load_study(study_name="r", storage=url).trials
    assert [trial.params["q"] for trial in trials] == [record.config["q"] for record in run.records()]
    assert bool(notes) == (trials[0].distributions["q"].step is None) == (step == 1 / 7)
    assert trials[0].distributions["q"].high == 1.0


def test_a_study_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """Another direction, another kind of parameter and an impossible storage are clear errors."""
    url = f"optuna://sqlite:///{tmp_path / 'x.db'}"
    to_optuna(open_run(make_run(tmp_path / "r", OUTCOMES)), url)
    with pytest.raises(UsageError, match="give another name with --name"):
        to_optuna(open_run(make_run(tmp_path / "s" / "r", OUTCOMES, mode="max")), url)
    with pytest.raises(UsageError, match="is not a storage"):
        to_optuna(open_run(tmp_path / "r"), "optuna://x.db")
    with pytest.raises(UsageError, match="Optuna cannot open the storage"):
        to_optuna(open_run(tmp_path / "r"), f"optuna://sqlite:///{tmp_path / 'no' / 'x.db'}")
