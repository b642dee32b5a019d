"""``aiohpo simulate``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from aiohpo.cli.simulate import read_times
from aiohpo.simulation import costs
from tests.support.run_directories import make_run

FILE = """
import os
import aiohpo

print("imported")

def noisy(trial):
    print("noise")
    os.write(1, b"to the descriptor")
    os.system("echo from a child; echo and more >&2")
    return trial["x"]

study = aiohpo.Study(noisy, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random")
failing = aiohpo.Study(lambda trial: 1 / 0, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random", max_failures=2)
driven = aiohpo.Study(None, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random")
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with studies, in a directory of its own; costs are measured quickly."""
    monkeypatch.setattr(costs, "TRIALS", (10,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work.py").write_text(FILE)
    return "work.py"


def simulate(*args: str) -> int:
    return invoke(["simulate", *args])


QUICK = ["--workers", "3", "--eval-time", "normal:10,3", "--time", "30s"]


def test_the_table_says_what_happened_and_the_last_line_sums_it_up(
    file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing that the objective, the file or a program that they start prints is in the output."""
    assert simulate(file, *QUICK) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[0] == "3 workers for 30 s, random and fifo, evaluations of normal:10,3"
    assert [line.split()[0] for line in lines[1:-1]] == (
        ["utilisation", lines[2].split()[0], "evaluations", "trials", "best", "news", "traffic", "collisions"]
    )
    assert lines[-1].startswith("utilisation 9")
    assert lines[-1].endswith("(by the production code)")
    assert "noise" not in out + err
    assert "from a child" not in out + err
    assert "to the descriptor" not in out + err
    assert err.startswith("imported\n")
    assert "simulated in" in err.splitlines()[-1]


def test_the_same_seed_gives_the_same_json(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It has the figures and what was simulated, and nothing of what the simulation itself took."""
    texts = []
    for seed in ("1", "1", "2"):
        assert simulate(file, *QUICK, "--json", "--seed", seed) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    told = json.loads(texts[0])
    assert (told["workers"], told["seed"], told["eval_time"], told["way"]) == (3, 1, "normal:10,3", "production code")
    assert 0.8 < told["utilisation"] <= 1
    assert told["evaluations"] == told["endings"]["finished"]
    assert 0 <= told["best"] <= 1


def test_the_times_of_a_run_can_be_played_with_more_workers(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run directory is a distribution; the simulation writes nothing there."""
    directory = make_run(tmp_path / "runs", [1.0, 2.0])
    before = sorted(directory.rglob("*"))
    args = ["--workers", "4", "--eval-time", str(directory), "--trials", "12", "--json"]
    assert simulate(file, *args) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["evaluations"] == 12
    assert 1.5 < told["seconds"] < 4.0  # three of half a second each, and up to a second of getting acquainted
    assert sorted(directory.rglob("*")) == before


def test_very_many_workers_are_simulated_by_a_model(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Either way can be asked for, and the figures say which one made them."""
    many = ["--workers", "300", "--eval-time", "10", "--time", "15s", "--json"]
    for args, way in (
        (many, "model"),
        ([*QUICK, "--json"], "production code"),
        ([*QUICK, "--json", "--model"], "model"),
    ):
        assert simulate(file, *args) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["way"] == way
        assert told["evaluations"] > 0


def test_a_picture_is_drawn(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its path is said on stderr, where it spoils no JSON."""
    assert simulate(file, *QUICK, "--json", "--plot", "a.svg") == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert err.splitlines()[-1] == "a.svg"
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_a_search_without_a_result_is_no_success(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The last lines say why it ended."""
    assert simulate(f"{file}:failing", *QUICK) == 1
    out = capsys.readouterr().out
    assert "trials failed and none succeeded" in out
    assert "no result" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--workers", "0", "--eval-time", "60", "--time", "1m"], "'--workers': 0 is not in the range x>=1"),
        (["--workers", "2", "--time", "1m"], "Missing option '--eval-time'"),
        (["--workers", "2", "--eval-time", "60"], "--time"),
        (["--workers", "2", "--eval-time", "60", "--time", "soon"], "'soon' is not a length of time"),
        ([*QUICK, "--latency", "-1"], "'-1' must be 0 or more seconds"),
        ([*QUICK, "--crash-rate", "-1"], "'-1' must be 0 or more crashes per worker and hour"),
        ([*QUICK, "--crash-rate", "often"], "'often' is not a number"),
        ([*QUICK, "--restart", "5"], "--restart applies to crashed workers"),
        ([*QUICK, "--searcher", "adbow"], "there is no searcher named 'adbow'. Did you mean 'adbo'?"),
        ([*QUICK, "--scheduler", "asha"], "max_steps"),
        ([*QUICK, "--plot", "a.docx"], "its suffix must be one of"),
        ([*QUICK, "--plot", "no/a.png"], "there is no directory 'no'; make it first"),
        ([*QUICK, "--costs", "work.py"], "cannot read the costs of decisions in 'work.py'"),
        ([*QUICK, "--slots", "0"], "'--slots'"),
        ([*QUICK, "--max-steps", "0"], "'--max-steps'"),
        ([*QUICK, "--trials", "0"], "'--trials'"),
        ([*QUICK, "--seed", "-1"], "'--seed'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_simulated(
    args: list[str], said: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the value, the place and the remedy."""
    assert simulate(file, *args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_a_study_without_an_objective_is_refused(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to call for values."""
    assert simulate(f"{file}:driven", *QUICK) == 2
    assert "no Python objective" in capsys.readouterr().err


def test_evaluation_times_are_read(tmp_path: Path) -> None:
    """Lengths of time may have units; a length alone is a constant."""
    given = ("normal:60,20", "normal: 1m, 20s", "lognormal:1m,0.5", "constant:500ms", "1m30s")
    said = ["normal:60,20", "normal:60,20", "lognormal:60,0.5", "constant:0.5", "constant:90"]
    assert [str(read_times(text)) for text in given] == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("norml:60,20", "'norml:60,20' is neither a time nor a run directory; write normal:MEAN,SD"),
        ("normal:60", "'normal:60' should be normal:MEAN,SD"),
        ("normal:60,20,3", "should be normal:MEAN,SD"),
        ("lognormal:60,wide", "'wide' is not a number of at least 0"),
        ("normal:60,nan", "'nan' is not a length of time"),
        ("normal:-60,20", "'-60' is not a length of time"),
        ("constant:0", "'0' must be more than 0 seconds"),
        ("0", "'0' must be more than 0 seconds, and finite"),
        ("inf", "'inf' must be more than 0 seconds, and finite"),
        (".", "'.' is not a run directory: it has no study.json"),
    ],
)
def test_wrong_evaluation_times_are_refused(
    text: str, said: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with what to write instead."""
    assert simulate(file, "--workers", "2", "--time", "1m", "--eval-time", text) == 2
    assert said in capsys.readouterr().err
