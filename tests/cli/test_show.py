"""``aiohpo best`` and ``aiohpo show`` on directories with known contents."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from aiohpo.events.schema import Ended, Left, Proposed, Started
from aiohpo.storage.journal import Journal
from tests.support.histories import batch_of
from tests.support.run_directories import SPACE, config, make_climb, make_run

STATUSES = {"running", "paused", "finished", "stopped", "failed", "lost", "surplus"}


def test_best_prints_value_and_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best trial's value, number, parameters and other metrics are shown."""
    assert invoke(["best", str(make_run(tmp_path / "r", [3.0, 1.0, 2.0]))]) == 0
    out = capsys.readouterr().out
    assert out.startswith("best loss 1 (trial 1 of ")
    assert "  optimizer  'adam'\n" in out
    assert "also reported: size 1.5" in out


def test_best_of_a_maximised_metric_is_the_largest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With mode "max" the largest value wins, and is shown with its own sign."""
    assert invoke(["best", str(make_run(tmp_path / "r", [3.0, 1.0], mode="max")), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["value"], found["config"]) == (3.0, config(0))


def test_best_without_a_success_says_why_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing goes to stdout; the last error and where to see all are on stderr."""
    directory = str(make_run(tmp_path / "r", ["out of memory", None]))
    assert invoke(["best", directory]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 failed, 1 lost; the last error: out of memory" in captured.err
    assert invoke(["best", directory, "--json"]) == 1
    assert json.loads(capsys.readouterr().out) is None


def test_show_as_json_has_the_documented_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Study, workers and trials with the documented keys; a dead worker's running trial is lost."""
    monkeypatch.setattr("platform.node", lambda: "host")
    assert invoke(["show", str(make_run(tmp_path / "r", [2.0, "boom", None], goal=9, left=False)), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == {"study", "workers", "trials"}
    assert (shown["study"]["metric"], shown["study"]["trials"], shown["study"]["ended"]) == ("loss", 9, 2)
    assert shown["study"]["running"] == 0
    assert [worker["status"] for worker in shown["workers"]] == ["dead"]
    documented = {"id", "number", "status", "config", "value", "metrics", "step", "worker", "started", "seconds"}
    for trial in shown["trials"]:
        assert documented <= set(trial)
        assert trial["status"] in STATUSES
    assert [trial["status"] for trial in shown["trials"]] == ["finished", "failed", "lost"]
    assert shown["trials"][0]["config"] == config(0)


def test_slots_are_shown_where_a_worker_has_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column of the table, and a key of the JSON; what a worker runs is a list."""
    directory = str(make_run(tmp_path / "one", [2.0]))
    assert invoke(["show", directory]) == 0
    assert " slots " not in capsys.readouterr().out
    directory = str(make_run(tmp_path / "many", [2.0, 1.0], slots=16))
    assert invoke(["show", directory]) == 0
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines() if " left " in line]
    assert row[-5:] == ["left", "16", "2", "1", "s"]
    assert invoke(["show", directory, "--json"]) == 0
    (worker,) = json.loads(capsys.readouterr().out)["workers"]
    assert (worker["slots"], worker["running"]) == (16, [])


def test_show_counts_what_is_beyond_the_budget_as_surplus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Results behind the budget's line are kept, marked, and not counted as ended."""
    assert invoke(["show", str(make_run(tmp_path / "r", [2.0, 1.0, 0.5], goal=2))]) == 0
    assert "2 of 2 trials done (2 finished, 1 surplus)" in capsys.readouterr().out


def test_show_prints_a_row_for_each_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has one unwrapped line per trial, with its configuration or its error; the best is marked."""
    assert invoke(["show", str(make_run(tmp_path / "r", [2.0, "boom", 1.0]))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("2" in line and "lr=0.1, optimizer=sgd" in line for line in lines)
    assert any("failed" in line and "boom" in line for line in lines)
    assert sum("1 *" in line for line in lines) == 1


def test_brackets_in_an_error_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the table as in the list of failures they are text and not markup."""
    directory = str(make_run(tmp_path / "r", ["no such file: [/data/x.csv], dict[str, int] :smile:"]))
    for options in ([], ["--failed"]):
        assert invoke(["show", directory, *options]) == 0
        assert "no such file: [/data/x.csv], dict[str, int] :smile:" in capsys.readouterr().out


def test_show_sorts_and_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sorted by value the best come first, a limit keeps those and says what was left out."""
    directory = str(make_run(tmp_path / "r", [5.0, 3.0, 4.0, "boom"]))
    assert invoke(["show", directory, "--sort", "value", "--limit", "2"]) == 0
    out = capsys.readouterr().out
    assert "the first 2 of 4 trials" in out
    assert out.index("layers=2") < out.index("layers=3")
    assert "layers=1" not in out
    assert invoke(["show", directory, "--limit", "0"]) == 0
    assert "of 4 trials;" not in capsys.readouterr().out


def test_show_failed_prints_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--failed shows each failed trial with its configuration and error, or that there is none."""
    assert invoke(["show", str(make_run(tmp_path / "r", [1.0, "boom"])), "--failed"]) == 0
    out = capsys.readouterr().out
    assert "trial 1 (" in out
    assert "): boom" in out
    assert "optimizer='adam'" in out
    assert invoke(["show", str(make_run(tmp_path / "s", [1.0])), "--failed"]) == 0
    assert "no trial has failed" in capsys.readouterr().out


def test_show_of_an_empty_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory in which nothing ran yet is shown without a table of trials."""
    assert invoke(["show", str(make_run(tmp_path / "r", []))]) == 0
    assert "0 trials done (no trials yet)" in capsys.readouterr().out


def test_show_reports_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A corrupt record is reported with file and offset, and the rest is shown."""
    directory = make_run(tmp_path / "r", [3.0, 1.0, 2.0])
    (journal,) = (directory / "journal").glob("*.log")
    data = bytearray(journal.read_bytes())
    data[len(data) // 2] ^= 0xFF
    journal.write_bytes(data)
    assert invoke(["show", str(directory)]) == 0
    out = capsys.readouterr().out
    assert f"damaged: {journal} at byte " in out
    assert "finished" in out


@pytest.mark.parametrize("command", [["best"], ["best", "--json"], ["export", "--to", "csv"], ["show", "--lineage"]])
def test_whatever_reads_a_run_says_what_it_could_not_read(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, once, as what goes to stdout may be for programs."""
    monkeypatch.chdir(tmp_path)
    directory = make_run(tmp_path / "r", [3.0, 1.0, 2.0])
    (directory / "journal" / "ann.log").write_bytes(bytes(100))
    name, *options = command
    assert invoke([name, str(directory), *options]) == 0
    out, err = capsys.readouterr()
    assert err.count(f"damaged: {directory / 'journal' / 'ann.log'}: ") == 1
    assert "damaged: " not in out


def test_without_a_complete_trial_the_best_of_the_farthest_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the step that its value is from; the headline says how far trials got."""
    directory = str(make_climb(tmp_path / "r", [1, 3, 1]))
    assert invoke(["best", directory]) == 0
    assert capsys.readouterr().out.startswith("best accuracy 1.03 after 3 of 9 steps (trial 1 of ")
    assert invoke(["best", directory, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "paused"
    assert invoke(["show", directory]) == 0
    out = capsys.readouterr().out
    best = "best accuracy 1.03 after 3 of 9 steps (trial 1)"
    assert f"3 trials done (3 paused)\n{best}\nrungs 1:3 3:1 9:0, 1 promoted" in out
    assert "1.03 *" in out
    assert invoke(["show", directory, "--json"]) == 0
    study = json.loads(capsys.readouterr().out)["study"]
    assert (study["ended"], study["done"], study["rungs"]) == (0, 3, [[1, 3], [3, 1], [9, 0]])


def test_workers_are_shown_with_what_they_did_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trial that two of them worked on counts for both, with the time that each spent."""
    assert invoke(["show", str(make_climb(tmp_path / "r", [1, 3, 9]))]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if " left " in line]
    assert sorted(row[5:] for row in rows) == [["2", "1", "s"], ["3", "2", "s"]]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300, -1e300], ids=str)
def test_times_that_are_none_end_no_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], odd: float) -> None:
    """Whatever a journal says when something happened and how long it took, the other trials are shown."""
    make_run(tmp_path / "r", [3.0, 1.0], goal=9)
    journal = Journal(tmp_path / "r" / "journal" / "odd.log")
    strange = Proposed(2, odd, SPACE.pack(config(0))), Ended(3, 2, 0, "finished", 0, 2.0, odd)
    journal.append([batch_of("odd", [Started(1, odd, "host", 1, ""), *strange, Left(4, odd, "done")])])
    journal.close()
    for words in (["show"], ["show", "--json"], ["show", "--sort", "seconds"], ["best"], ["watch", "--once"]):
        assert invoke([words[0], str(tmp_path / "r"), *words[1:]]) == 0
        assert "Traceback" not in capsys.readouterr().err
