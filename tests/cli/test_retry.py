"""``aiohpo retry`` on directories with known contents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import aiohpo
from aiohpo.cli.main import invoke
from aiohpo.storage.run import open_run
from tests.support.run_directories import SPACE, config, make_run


async def objective(trial: aiohpo.Trial) -> float:
    return float(trial["layers"])


async def test_failed_trials_are_run_again_within_the_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next run begins with the same configurations, meets the same budget, and shows what became of what."""
    directory = make_run(tmp_path / "r", ["boom", 1.0, "bang"], goal=3)
    failed = [record.id for record in open_run(directory).records() if record.status == "failed"]
    assert invoke(["retry", str(directory)]) == 0
    out = capsys.readouterr().out
    assert "trial 0 is tried again as trial 3\ntrial 2 is tried again as trial 4\n" in out
    assert f"aiohpo run FILE --dir {directory}" in out
    assert open_run(directory).summary.ended == 1
    study = aiohpo.Study(objective, SPACE, searcher="random", directory=directory)
    result = await study.arun(trials=3)
    assert result.counts == {"failed": 2, "finished": 3}
    retries = result.trials[3:]
    assert [trial.retry_of for trial in retries] == failed
    assert [trial.config for trial in retries] == [config(0), config(2)]
    run = open_run(directory)
    assert run.summary.ended == 3
    assert set(run.loaded.states.values()) == {"left"}
    assert invoke(["show", str(directory)]) == 0
    assert "3 of 3 trials done (3 finished, 2 retried)" in capsys.readouterr().out
    assert invoke(["show", str(directory), "--json"]) == 0
    assert [t["retry_of"] for t in json.loads(capsys.readouterr().out)["trials"]] == [None, None, None, *failed]


def test_some_may_be_named_and_json_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By number or id; the new trials' ids are those that show --json will have."""
    directory = make_run(tmp_path / "r", ["boom", 1.0, "bang"])
    assert invoke(["retry", str(directory), "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    [new] = found["retried"]
    assert (new["number"], new["config"]) == (3, config(2))
    assert new["retry_of"] == list(open_run(directory).records())[2].id


@pytest.mark.parametrize("named", [["7"], ["1"], ["0", "1"]])
def test_a_mistake_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], named: list[str]) -> None:
    """Exit code 2, a line that names the trial, and no new file in the directory."""
    directory = make_run(tmp_path / "r", ["boom", 1.0])
    before = sorted(directory.rglob("*"))
    assert invoke(["retry", str(directory), *named]) == 2
    assert f"trial {named[-1]}" in capsys.readouterr().err.replace("'", "")
    assert sorted(directory.rglob("*")) == before


def test_a_directory_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As by every command that reads one."""
    assert invoke(["retry", str(tmp_path / "nowhere")]) == 2
    assert "there is no directory" in capsys.readouterr().err
