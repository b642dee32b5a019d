"""Tests of the file that a study is resumed from."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.framework.results import BrokenResults, Results, RunRecord


def record(workers: int, best: float = 1.0) -> RunRecord:
    return RunRecord({"workers": workers, "seed": 0}, {"best": best}, 2.5, "2026-01-31", {"python": "3.11.2"})


def test_a_run_is_known_by_its_parameters_in_any_order(tmp_path: Path) -> None:
    """What was added is found in the file by the next process."""
    results = Results(tmp_path / "there" / "x.jsonl")
    results.add(record(128))
    again = Results(results.file)
    assert {"seed": 0, "workers": 128} in again
    assert {"workers": 256, "seed": 0} not in again
    assert again.get({"workers": 128, "seed": 0}) == {"best": 1.0}
    assert again.get({"workers": 256, "seed": 0}) is None


def test_runs_are_selected_by_some_of_their_parameters(tmp_path: Path) -> None:
    """In the order in which they were played."""
    results = Results(tmp_path / "x.jsonl")
    for workers, best in ((128, 2.0), (256, 3.0), (512, 4.0)):
        results.add(record(workers, best))
    assert [outcome["best"] for outcome in results.where(seed=0)] == [2.0, 3.0, 4.0]
    assert results.where(workers=256, seed=0) == [{"best": 3.0}]
    assert results.where(workers=1) == []


def test_a_line_that_was_cut_off_is_dropped_and_its_run_played_again(tmp_path: Path) -> None:
    """The lines before and after it stay whole."""
    results = Results(tmp_path / "x.jsonl")
    results.add(record(128))
    results.file.write_text(results.file.read_text() + '{"parameters": {"workers": 256')
    again = Results(results.file)
    assert len(again) == 1
    again.add(record(512))
    assert [r.parameters["workers"] for r in Results(results.file)] == [128, 512]


def test_a_broken_line_is_named_with_the_remedy(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    file = tmp_path / "x.jsonl"
    file.write_text('{"parameters": 1}\n')
    with pytest.raises(BrokenResults, match=r"line 1 of .*x\.jsonl is no result of a run .*: delete the line"):
        Results(file)
    assert file.read_text() == '{"parameters": 1}\n'


def test_a_page_is_told_when_and_with_what_the_runs_were_played(tmp_path: Path) -> None:
    """Days, CPU time and versions of all runs together."""
    results = Results(tmp_path / "x.jsonl")
    assert results.provenance() == "Nothing has been played yet."
    results.add(record(128))
    results.add(record(256))
    assert results.provenance() == "2 runs, 2026-01-31, 5 s of CPU time in all; python 3.11.2."
