"""``aiohpo report``: the file that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from tests.support.run_directories import make_run


def test_a_report_is_written_into_the_run_directory_or_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name is printed; with --json its size, too."""
    directory = make_run(tmp_path / "r", [1.0])
    assert invoke(["report", str(directory)]) == 0
    assert capsys.readouterr().out.strip() == str(directory / "report.html")
    out = tmp_path / "other.html"
    assert invoke(["report", str(directory), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(out), "bytes": out.stat().st_size}
    assert out.read_text().startswith("<!doctype html>")


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what can be done about it; what is no run directory is an error as everywhere."""
    directory = make_run(tmp_path / "r", [1.0])
    assert invoke(["report", str(directory), "--out", str(tmp_path / "missing" / "r.html")]) == 2
    assert "name another file with --out" in capsys.readouterr().err
    assert invoke(["report", str(tmp_path / "nowhere")]) == 2
    assert "there is no directory" in capsys.readouterr().err
