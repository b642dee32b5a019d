"""Tests of what is kept of a run directory for the next time it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import aiohpo
from aiohpo.events.schema import Batch
from aiohpo.storage import loading, replica_cache
from aiohpo.storage.journal import Journal
from aiohpo.storage.run import Run, open_run
from tests.support.histories import with_remarks
from tests.support.run_directories import make_run


@pytest.fixture(autouse=True)
def small_runs_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "WORTH_KEEPING", 1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A run directory that was read once."""
    directory = make_run(tmp_path / "r", [3.0, "boom", 1.0, None], goal=9)
    open_run(directory)
    return directory


def cache_of(directory: Path) -> Path:
    (file,) = directory.glob("replica-*.cache")
    return file


def told(run: Run) -> tuple[object, ...]:
    """All that a run says."""
    records = [record.as_dict() for record in run.records()]
    events = [list(run.log.events(origin)) for origin in run.log.origins]
    return records, events, run.log.vector(), run.log.hash(), run.log.clock, run.view.goal, run.loaded


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """The batches that were taken from journals since the last look."""
    found: list[Batch] = []
    merge = loading.merge_batch
    monkeypatch.setattr(loading, "merge_batch", lambda batch, *to: (found.append(batch), merge(batch, *to))[1])
    return found


def read_anew(directory: Path) -> Run:
    """The run without its cache."""
    file = cache_of(directory)
    kept = file.read_bytes()
    file.unlink()
    run = open_run(directory)
    file.write_bytes(kept)
    os.chmod(file, 0o600)
    return run


def test_the_second_time_nothing_is_read_again(directory: Path, merged: list[Batch]) -> None:
    """What was read once comes from the cache, and is the same."""
    run = open_run(directory)
    assert merged == []
    assert told(run) == told(read_anew(directory))


def test_what_was_written_since_is_read_and_kept(directory: Path, merged: list[Batch]) -> None:
    """A journal is read on from where it was left, a new one from its beginning, and then both are in the cache."""
    make_run(directory, [0.5], goal=9)
    run = open_run(directory)
    new = sum(len(batch.raws) for batch in merged)
    assert 0 < new < run.log.size
    assert told(run) == told(read_anew(directory))
    merged.clear()
    open_run(directory)
    assert merged == []


@pytest.mark.parametrize("change", ["changed", "cut", "gone"])
def test_the_cache_is_of_no_use_once_a_journal_is_another(directory: Path, merged: list[Batch], change: str) -> None:
    """Where a byte that it stands for is not there any more, everything is read from the journals."""
    (journal,) = (directory / "journal").glob("*.log")
    data = journal.read_bytes()
    match change:
        case "changed":
            journal.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "cut":
            journal.write_bytes(data[:-5])
        case "gone":
            journal.unlink()
    run = open_run(directory)
    assert run.log.size == sum(len(batch.raws) for batch in merged)
    assert told(run) == told(read_anew(directory))


def test_whatever_is_in_its_place_the_cache_costs_nothing(directory: Path, merged: list[Batch]) -> None:
    """A damaged file, or something that is no file, is passed over without a word."""
    file = cache_of(directory)
    whole = file.read_bytes()
    plain = told(open_run(directory))
    for at in range(0, len(whole), max(len(whole) // 50, 1)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert told(open_run(directory)) == plain
        file.write_bytes(whole[:at])
        assert told(open_run(directory)) == plain
    file.unlink()
    file.mkdir()
    assert told(open_run(directory)) == plain


@pytest.mark.parametrize("other", ["code", "study", "owner", "writable", "link"])
def test_only_what_the_same_code_and_user_kept_of_the_study_is_used(
    directory: Path, merged: list[Batch], monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """Another version's cache, another study's, and one that somebody else may have written are left alone."""
    file = cache_of(directory)
    match other:
        case "code":
            monkeypatch.setattr(replica_cache, "_code", lambda: b"later")
        case "study":
            monkeypatch.setattr(replica_cache, "_study", lambda view: "other")
        case "owner":
            monkeypatch.setattr(os, "geteuid", lambda: 4321)
            file.rename(directory / "replica-4321.cache")
        case "writable":
            os.chmod(file, 0o660)
        case "link":
            file.rename(directory / "elsewhere")
            file.symlink_to(directory / "elsewhere")
    run = open_run(directory)
    assert run.log.size == sum(len(batch.raws) for batch in merged) > 0


def test_what_has_to_be_said_every_time_is_read_every_time(tmp_path: Path) -> None:
    """Where there is damage nothing is kept, so that it is told again; events of an unknown kind are no damage."""
    damaged = make_run(tmp_path / "damaged", [3.0, 2.0, 1.0])
    (journal,) = (damaged / "journal").glob("*.log")
    data = journal.read_bytes()
    journal.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    for _ in range(2):
        assert len(open_run(damaged).loaded.damage) == 1
    assert not list(damaged.glob("replica-*"))

    unknown = make_run(tmp_path / "unknown", [1.0])
    with_unknown = Journal(unknown / "journal" / "ann.log")
    with_unknown.append([Batch("ann", 1, with_remarks())])
    with_unknown.close()
    assert open_run(unknown).loaded.skipped == open_run(unknown).loaded.skipped != ""
    assert cache_of(unknown)


def test_a_directory_that_cannot_be_written_to_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeping what was read is no duty."""

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    directory = make_run(tmp_path / "r", [1.0])
    monkeypatch.setattr(replica_cache, "replace_file", full)
    assert open_run(directory).view.n_ended == 1
    assert not list(directory.glob("replica-*"))


def test_what_a_worker_knew_in_the_end_is_kept(tmp_path: Path, merged: list[Batch]) -> None:
    """Who reads the directory after a search need not read what the search recorded."""
    study = aiohpo.Study(lambda trial: trial["x"], aiohpo.Space(x=aiohpo.Float(0.0, 1.0)), directory=tmp_path / "r")
    for total in (5, 9):
        result = study.run(total)
        assert cache_of(tmp_path / "r")
        merged.clear()
        run = open_run(tmp_path / "r")
        assert merged == []
        assert [record.id for record in run.records()] == [record.id for record in result.trials]
        assert told(run) == told(read_anew(tmp_path / "r"))


def test_what_a_killed_process_had_begun_to_write_goes(directory: Path) -> None:
    """A part of a cache that nobody goes on with does not stay for good; one that is being written is left alone."""
    parts = [directory / f"{cache_of(directory).name}.{name}.new" for name in ("old", "new")]
    for part in parts:
        part.write_bytes(b"begun")
    os.utime(parts[0], (1.0, 1.0))
    make_run(directory, [0.5], goal=9)
    open_run(directory)
    assert [part.exists() for part in parts] == [False, True]
