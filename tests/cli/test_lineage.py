"""``aiohpo show --lineage``, ``plot --kind schedule`` and ``replay`` on a small real search."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from aiohpo.cli.target import load_study
from aiohpo.storage.run import open_run
from tests.support.pictures import draw
from tests.support.run_directories import make_run

PROGRAM = """
import aiohpo

def train(trial):
    error = trial.restore() or 1.0
    for _ in trial.steps():
        error = (1 - trial["lr"]) * error + trial["lr"] ** 2
        trial.report(error=error)
    if trial.ended and SAVES:
        trial.save(error)

space = aiohpo.Space(
    lr=aiohpo.Float(1e-3, 1.0, log=True), kind=aiohpo.Categorical(["a", "b"]), fixed=aiohpo.Constant(7)
)
SAVES = True
study = aiohpo.Study(
    train, space, metric="error", max_steps=20, searcher="random",
    scheduler="pbt:population=5,interval=2,vary=lr", evaluator="thread",
)
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A program with a study, and the directory in which it was searched."""
    root = tmp_path_factory.mktemp("pbt")
    program, directory = root / "program.py", root / "run"
    program.write_text(PROGRAM, encoding="utf-8")
    study = load_study(str(program))
    study.directory = directory
    study.run(progress=False)
    return program, directory


def test_lineage_is_a_tree_with_the_best_line_marked(
    searched: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Roots show their configuration, heirs their steps and what changed; below stands the best one's schedule."""
    assert invoke(["show", str(searched[1]), "--lineage"]) == 0
    tree, _, schedule = capsys.readouterr().out.partition("\nschedule of trial ")
    lines = tree.splitlines()
    assert len(lines) == len(list(open_run(searched[1]).records()))
    assert "steps 1-" in lines[0]
    assert "lr=" in lines[0]
    assert "kind=" in lines[0]
    assert "fixed" not in tree
    assert any("─ " in line and "lr " in line and " → " in line for line in lines)
    assert sum(" *  " in line for line in lines) == 1
    stretches = schedule.splitlines()[1:]
    assert stretches[0].startswith("  steps 1-")
    assert "-20: lr=" in stretches[-1]


def test_lineage_as_json(searched: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """All trials with parents and changes, and a schedule without gaps."""
    assert invoke(["show", str(searched[1]), "--lineage", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [stretch["from"] for stretch in shown["schedule"][1:]] == [s["to"] + 1 for s in shown["schedule"][:-1]]
    heirs = [trial for trial in shown["trials"] if trial["parent"]]
    assert heirs
    assert all(set(trial["changed"]) <= {"lr"} for trial in heirs)
    assert shown["best"] in {trial["id"] for trial in shown["trials"]}


def test_lineage_of_independent_trials_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without inheritance each trial is a line of its own."""
    directory = str(make_run(tmp_path / "r", [3.0, "boom", 1.0]))
    assert invoke(["show", directory, "--lineage"]) == 0
    out = capsys.readouterr().out
    assert "2 *  no steps  finished 1  lr=" in out
    assert "no trial inherited from another" in out
    assert invoke(["show", directory, "--lineage", "--failed"]) == 2
    assert "give one of --failed, --lineage" in capsys.readouterr().err


def test_schedule_is_drawn_where_it_was_trained(searched: tuple[Path, Path]) -> None:
    """The strong line of the parameter's panel has the configurations of the best line, on a logarithmic axis."""
    run = open_run(searched[1])
    top, panel = draw(run, "schedule").axes
    assert (panel.get_ylabel(), panel.get_yscale(), panel.get_xlabel()) == ("lr", "log", "step")
    (line,) = [line for line in panel.get_lines() if line.get_linewidth() == 2]
    x, y = line.get_xdata(), line.get_ydata()
    assert (x[0], x[-1]) == (0, 20)
    best = run.view.leader()
    assert best is not None
    assert y[-1] == run.view.record(best).config["lr"]
    assert "a line of" in top.get_title(loc="left")


def test_replay_trains_with_the_schedule(searched: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The result is the one that was found, because the toy's training is exact; the schedule is kept as a file."""
    program, directory = searched
    assert invoke(["replay", str(directory), str(program), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["replayed"]["value"] == pytest.approx(shown["found"]["value"], rel=1e-12)
    assert shown["replayed"]["step"] == 20
    assert json.loads(Path(shown["path"]).read_text())["schedule"] == shown["schedule"]
    assert invoke(["replay", str(directory), str(program)]) == 0
    assert "after 20 steps in" in capsys.readouterr().out


def test_replay_keeps_a_run_directory_if_asked(
    searched: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its trials are there afterwards; an existing run directory is not added to."""
    program, directory = searched
    again = tmp_path / "again"
    assert invoke(["replay", str(directory), str(program), "--dir", str(again)]) == 0
    statuses = [record.status for record in open_run(again).records()]
    assert statuses[-1] == "finished"
    assert set(statuses[:-1]) <= {"paused"}
    assert invoke(["replay", str(directory), str(program), "--dir", str(again)]) == 2
    assert "is a run directory already" in capsys.readouterr().err


def test_replay_of_another_study_is_refused(
    searched: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program must be the one that was searched."""
    other = tmp_path / "other.py"
    other.write_text(PROGRAM.replace('metric="error"', 'metric="wrong"'), encoding="utf-8")
    assert invoke(["replay", str(searched[1]), str(other)]) == 2
    assert "a different study from the one in" in capsys.readouterr().err


def test_replay_without_a_result_says_why(
    searched: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is trained where nothing was found."""
    empty = tmp_path / "empty"
    shutil.copytree(searched[1], empty, ignore=shutil.ignore_patterns("*.log"))
    assert invoke(["replay", str(empty), str(searched[0])]) == 1
    assert "no successful trial" in capsys.readouterr().err


def test_replay_without_checkpoints_is_an_error(
    searched: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An objective that saves nothing cannot change its configuration under way."""
    other = tmp_path / "other.py"
    other.write_text(PROGRAM.replace("SAVES = True", "SAVES = False"), encoding="utf-8")
    assert invoke(["replay", str(searched[1]), str(other)]) == 2
    assert "call trial.save" in capsys.readouterr().err
