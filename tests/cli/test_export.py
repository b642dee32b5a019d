"""``aiohpo export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from tests.support.run_directories import make_run


def test_without_a_file_it_goes_to_stdout(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """CSV and JSON are text on stdout, and nothing else is."""
    directory = str(make_run(tmp_path / "r", [3.0, 1.0]))
    assert invoke(["export", directory, "--to", "csv"]) == 0
    assert capfdbinary.readouterr().out.count(b"\n") == 3
    assert invoke(["export", directory, "--to", "json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["study"]["ended"] == 2


def test_with_a_file_it_says_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file holds the trials, stdout stays empty; a place that cannot be written is a clear error."""
    directory, out = str(make_run(tmp_path / "r", [3.0, 1.0])), tmp_path / "x.parquet"
    assert invoke(["export", directory, str(out), "--to", "parquet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"wrote 2 trials to {out}\n")
    assert out.read_bytes().startswith(b"PAR1")
    assert invoke(["export", directory, str(tmp_path / "no" / "x.csv"), "--to", "csv"]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_optuna_is_a_storage_and_not_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The trials go to the named study of the storage; a file beside it makes no sense."""
    directory, url = str(make_run(tmp_path / "r", [3.0, 1.0])), f"optuna://sqlite:///{tmp_path / 'x.db'}"
    assert invoke(["export", directory, "--to", url, "--name", "mine"]) == 0
    assert "added 2 trials to the Optuna study 'mine'" in capsys.readouterr().err
    assert invoke(["export", directory, "x.csv", "--to", url]) == 2
    assert "is not a file" in capsys.readouterr().err
