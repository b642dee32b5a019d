"""``aiohpo importance``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aiohpo import Float, Result, Space
from aiohpo.cli.importance import _METHODS
from aiohpo.cli.main import invoke
from aiohpo.importance.importances import METHODS
from aiohpo.storage.run import open_run
from tests.support.run_directories import make_named_run, make_run


def test_the_table_and_the_json_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The most important parameter stands first; what a Result says of the same run is equal."""
    space = Space(junk=Float(0, 1), x=Float(0, 1))
    configs = space.decode(space.sample(np.random.default_rng(0), 40))  # as make_named_run draws them
    directory = str(make_named_run(tmp_path / "r", space, "loss", [config["x"] + 1.0 for config in configs]))
    assert invoke(["importance", directory]) == 0
    heading, columns, first, second = capsys.readouterr().out.splitlines()
    assert heading == "loss: fanova on 40 trials"
    assert columns.split("  ")[0].strip() == "parameter"
    assert first.startswith("x          0.")
    assert second.startswith("junk       0.")
    assert invoke(["importance", directory, "--json", "--method", "ped-anova", "--among-best"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == Result(open_run(Path(directory)).view).importance("ped-anova").as_dict(among_best=True)


def test_what_cannot_be_said_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Too few trials, no such directory, no such method."""
    directory = str(make_run(tmp_path / "r", [3.0, "boom"]))
    for args, said in (
        ([directory], "at least 20 trials that can be compared, and 1 of 2 are complete with a finite loss: run more"),
        ([str(tmp_path / "s")], "there is no directory"),
        ([directory, "--method", "shap"], "'shap' is not one of 'fanova', 'ped-anova'"),
    ):
        assert invoke(["importance", *args]) == 2
        assert said in capsys.readouterr().err
    assert _METHODS == METHODS
