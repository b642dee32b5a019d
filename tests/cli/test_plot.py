"""``aiohpo plot``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from tests.support.run_directories import make_run


def test_a_plot_is_saved_in_the_run_directory_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path is printed; --out chooses file and format, --json prints an object."""
    directory = make_run(tmp_path / "r", [3.0, 1.0])
    assert invoke(["plot", str(directory), "--kind", "history"]) == 0
    assert capsys.readouterr().out == f"{directory / 'plot-history.png'}\n"
    out = tmp_path / "a.svg"
    assert invoke(["plot", str(directory), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"plot": str(out), "kind": "overview"}
    assert out.read_text().startswith("<?xml")


def test_what_cannot_be_drawn_or_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No success, an unknown suffix and an unwritable place are each one clear line."""
    empty, directory = make_run(tmp_path / "e", ["boom"]), make_run(tmp_path / "r", [1.0])
    for args, said in (
        ([str(empty)], "no successful trial to plot"),
        ([str(directory), "--out", "x.docx"], "its suffix must be one of"),
        ([str(directory), "--out", str(tmp_path / "no" / "x.png")], "No such file or directory; name another file"),
        ([str(directory), "--kind", "rank", "--parameter", "lr"], "give from 2 to 5 different parameters, not 'lr'"),
        (
            [str(directory), str(directory)],
            "a plot of kind 'overview' shows one run; several are compared by kind 'edf'",
        ),
    ):
        assert invoke(["plot", *args]) == 2
        assert said in capsys.readouterr().err


def test_several_runs_are_compared_in_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The suffix html asks for Plotly; the default is a file in the first directory."""
    runs = [str(make_run(tmp_path / name, [3.0, 1.0])) for name in ("a", "b")]
    assert invoke(["plot", *runs, "--kind", "edf", "--out", str(tmp_path / "edf.html")]) == 0
    assert "b (2)" in (tmp_path / "edf.html").read_text()
    assert invoke(["plot", *runs, "--kind", "edf"]) == 0
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'a' / 'plot-edf.png'}\n")
