"""Following journals while they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.events.log import Log
from aiohpo.events.schema import Batch, Seen
from aiohpo.storage.follower import Follower
from aiohpo.storage.journal import HEADER, Journal
from aiohpo.storage.run import open_run
from tests.support.histories import with_remarks
from tests.support.run_directories import make_run


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Path, bytes]:
    """A run directory, its only journal and the journal's bytes."""
    directory = make_run(tmp_path / "r", [3.0, "boom", 1.0, None], goal=9)
    (journal,) = (directory / "journal").glob("*.log")
    return directory, journal, journal.read_bytes()


def events_in(log: Log) -> list[Seen]:
    return [seen for origin in log.origins for seen in log.events(origin)]


def test_whatever_was_written_so_far_the_follower_ends_up_with_the_whole(written: tuple[Path, Path, bytes]) -> None:
    """Cut the file wherever, look, write the rest, look again: nothing is lost and nothing comes twice."""
    directory, journal, data = written
    whole = events_in(open_run(directory).log)
    for cut in range(0, len(data) + 1, 3):
        journal.write_bytes(data[:cut])
        follower = Follower(directory)
        first = follower.poll()
        assert follower.poll() == 0
        journal.write_bytes(data)
        assert first + follower.poll() == len(whole)
        assert events_in(follower.log) == whole
        assert follower.view.n_ended == 3


def test_a_damaged_record_is_passed_over(written: tuple[Path, Path, bytes]) -> None:
    """What follows a corrupt record arrives, and a record that is merely incomplete is waited for."""
    directory, journal, data = written
    middle = len(data) // 2
    journal.write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 : -3])
    follower = Follower(directory)
    before = follower.poll()
    journal.write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
    assert follower.poll() > 0
    assert before > 0
    assert follower.poll() == 0


@pytest.mark.parametrize("damaged", [None, 40, 200, 300])
def test_a_journal_is_followed_a_window_at_a_time(
    written: tuple[Path, Path, bytes], monkeypatch: pytest.MonkeyPatch, damaged: int | None
) -> None:
    """What does not fit into memory at once gives the same events, and a damaged window is passed over."""
    directory, journal, data = written
    if damaged is not None:
        journal.write_bytes(data[:damaged] + bytes([data[damaged] ^ 0xFF]) + data[damaged + 1 :])
    whole = Follower(directory)
    events = whole.poll()
    monkeypatch.setattr("aiohpo.storage.follower.WINDOW", len(data) - 20)
    monkeypatch.setattr("aiohpo.storage.follower.readable_size", lambda found: found.st_size)
    follower = Follower(directory)
    assert follower.poll() == events
    assert list(follower.view.records()) == list(whole.view.records())
    assert [str(place) for place in follower.damage()] == [str(place) for place in whole.damage()]


def test_a_window_without_records_is_passed_over(
    written: tuple[Path, Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the damage is, what follows it arrives."""
    directory, journal, data = written
    events = Follower(directory).poll()
    journal.write_bytes(data[: len(HEADER)] + bytes(3 * len(data)) + data[len(HEADER) :])
    monkeypatch.setattr("aiohpo.storage.follower.WINDOW", 2 * len(data))
    follower = Follower(directory)
    assert follower.poll() == events
    assert follower.damage()


def test_events_of_an_unknown_kind_are_passed_over(tmp_path: Path) -> None:
    """What a later version of aiohpo recorded is in the log, and no event of it is returned."""
    directory = make_run(tmp_path / "r", [1.0])
    raws = with_remarks()
    journal = Journal(directory / "journal" / "ann.log")
    journal.append([Batch("ann", 1, raws)])
    journal.close()
    follower = Follower(directory)
    follower.poll()
    assert [seen.seq for seen in follower.log.events("ann")] == [2, 3, 5, 6, 8]
    assert follower.log.batch_from("ann", 1).raws == raws
    assert "events of kind 99" in follower.log.skipped


def test_new_workers_are_found(tmp_path: Path) -> None:
    """The journal of a worker that starts later is read from its beginning."""
    directory = make_run(tmp_path / "r", [3.0])
    follower = Follower(directory)
    follower.poll()
    make_run(directory, [1.0])
    assert follower.poll() > 0
    assert len(follower.view.workers) == 2
    assert set(follower.states().values()) == {"left"}
