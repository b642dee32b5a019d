"""Tests of ``python -m studies``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studies import __main__ as command
from studies.framework.results import Results
from studies.framework.study import Report, load, names


class Counting:
    """A study of three runs, the last of which is interrupted the first time."""

    title = source = "Counting"

    def __init__(self) -> None:
        self.played: list[int] = []

    def runs(self, *, reduced: bool) -> list[dict[str, Any]]:
        return [{"seed": seed} for seed in range(1 if reduced else 3)]

    def play(self, parameters: Any) -> dict[str, Any]:
        if parameters["seed"] == 2 and len(self.played) < 3:
            self.played.append(-1)
            raise KeyboardInterrupt
        self.played.append(parameters["seed"])
        return {"value": 1.0}

    def report(self, results: Results) -> Report:
        return Report("", [])

    def draw(self, results: Results) -> dict[str, Any]:
        return {}

    def faults(self, results: Results) -> list[str]:
        return []


def test_an_interrupted_study_goes_on_where_it_was(tmp_path: Path) -> None:
    """Only what had not ended is played again."""
    study, file = Counting(), tmp_path / "x.jsonl"
    with pytest.raises(KeyboardInterrupt):
        command.play_missing(study, Results(file), "x")
    command.play_missing(study, Results(file), "x")
    assert study.played == [0, 1, -1, 2]
    command.play_missing(study, Results(file), "x")
    assert study.played == [0, 1, -1, 2]


def test_an_unknown_study_is_named_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """It is a mistake in usage."""
    with pytest.raises(SystemExit) as ended:
        command.main(["abdo"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "there is no study 'abdo'; there are: " in said
    assert "adbo" in said


@pytest.mark.parametrize("name", names())
def test_every_study_writes_its_page_without_results_and_can_be_resumed(name: str, tmp_path: Path) -> None:
    """Its runs differ from one another, in the whole and in the reduced form, and a page has gaps before they are
    played."""
    study = load(name)
    for reduced in (False, True):
        runs = [str(sorted(parameters.items())) for parameters in study.runs(reduced=reduced)]
        assert runs
        assert len(set(runs)) == len(runs)
    assert study.report(Results(tmp_path / "x.jsonl")).text.startswith("# ")


def test_the_pages_are_those_of_the_results() -> None:
    """What is committed in docs/studies follows from the committed results."""
    assert command.stale_pages(command.RESULTS, command.PAGES) == []
