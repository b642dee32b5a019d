"""Tests of the journal: what was written comes back, whatever happened to the rest of the file."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiohpo.errors import Unavailable, UsageError
from aiohpo.events.schema import Batch
from aiohpo.storage.journal import (
    HEADER,
    Damage,
    Journal,
    JournalGone,
    JournalReader,
    cut_torn_end,
    pack_record,
    read_record,
)
from tests.support.histories import batch_of, events_of, split

BATCHES = split(batch_of("ann", events_of(6)), 2)
RECORDS = [pack_record(batch) for batch in BATCHES]
WHOLE = HEADER + b"".join(RECORDS)
STARTS = [len(HEADER) + sum(map(len, RECORDS[:i])) for i in range(len(RECORDS) + 1)]


def read(path, data: bytes | None = None) -> tuple[dict[int, bytes], list[Damage]]:
    """Events by number, and the damage."""
    if data is not None:
        path.write_bytes(data)
    damage: list[Damage] = []
    events: dict[int, bytes] = {}
    for batch in JournalReader(path, damage):
        assert batch.origin == "ann"
        events.update(enumerate(batch.raws, batch.first))
    return events, damage


def numbers(*batches: Batch) -> dict[int, bytes]:
    return {n: raw for batch in batches for n, raw in enumerate(batch.raws, batch.first)}


def test_what_is_appended_comes_back(tmp_path):
    """Batches are read in order, consecutive ones of one origin joined, across reopening."""
    path = tmp_path / "ann.log"
    journal = Journal(path)
    journal.append(BATCHES[:2])
    journal.append([])
    journal.sync()
    journal.close()
    journal.close()
    again = Journal(path)
    other = batch_of("bob", events_of(1))
    again.append([*BATCHES[2:], other])
    assert repr(again) == f"<Journal ann.log {path.stat().st_size} bytes>"
    again.close()
    damage: list[Damage] = []
    assert list(JournalReader(path, damage)) == [batch_of("ann", events_of(6)), other]
    assert damage == []


def test_what_is_written_is_in_the_file_at_once(tmp_path):
    """A kill -9 after append loses nothing: no buffer of this process holds it back."""
    journal = Journal(tmp_path / "ann.log")
    journal.append(BATCHES)
    assert (tmp_path / "ann.log").read_bytes() == WHOLE
    journal.close()


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 7))
def test_a_torn_end_is_cut_off(tmp_path, cut):
    """A file cut anywhere gives all records before the cut, and one damage that says where it tore."""
    path = tmp_path / "ann.log"
    events, damage = read(path, WHOLE[:cut])
    intact = [b for b, end in zip(BATCHES, STARTS[1:], strict=True) if end <= cut]
    assert events == numbers(*intact)
    if cut <= len(HEADER) or cut in STARTS:
        assert damage == []
        return
    assert [(d.torn, d.offset) for d in damage] == [(True, STARTS[len(intact)])]
    assert str(damage[0]) == f"{path} at byte {damage[0].offset}: an interrupted write at the end was cut off"
    assert cut_torn_end(damage[0])
    assert path.read_bytes() == WHOLE[: damage[0].offset]
    assert read(path) == (events, [])


def test_a_corrupt_middle_is_reported_and_the_rest_loads(tmp_path):
    """One bad record is named by file and offset; everything before and after it is read."""
    path = tmp_path / "ann.log"
    data = bytearray(WHOLE)
    data[STARTS[2] + 20] ^= 0xFF
    events, [damage] = read(path, bytes(data))
    assert events == numbers(*BATCHES[:2], *BATCHES[3:])
    assert (damage.offset, damage.torn) == (STARTS[2], False)
    assert str(damage) == f"{path} at byte {STARTS[2]}: a corrupt record was skipped"


def test_a_damaged_header_costs_nothing_but_a_warning(tmp_path):
    """The records of a file with a bad first byte are all read."""
    events, [damage] = read(tmp_path / "ann.log", b"X" + WHOLE[1:])
    assert events == numbers(*BATCHES)
    assert (damage.offset, damage.torn) == (0, False)


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_to_a_file_its_intact_records_are_read(tmp_path, data):
    """Flipped bits, junk put in, bytes cut out and a torn end lose no record that they did not touch."""
    records = list(RECORDS)
    touched: set[int] = set()
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(records) - 1))
        raw = bytearray(records[i])
        at = data.draw(st.integers(0, len(raw)))
        match data.draw(st.sampled_from(["flip", "cut", "junk", "zeros"])):
            case "flip":
                at = min(at, len(raw) - 1) if raw else 0
                if raw:
                    raw[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del raw[at : at + data.draw(st.integers(1, 30))]
            case "junk":
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=30))
            case "zeros":
                raw[at:] = bytes(len(raw) - at)
        if bytes(raw) != records[i]:
            touched.add(i)
        records[i] = bytes(raw)
    events, damage = read(tmp_path / "ann.log", HEADER + b"".join(records))
    expected = numbers(*(b for i, b in enumerate(BATCHES) if i not in touched))
    assert expected.items() <= events.items()
    assert events.items() <= numbers(*BATCHES).items()
    if len(events) < len(numbers(*BATCHES)) and any(records[i] for i in touched):
        assert damage


@given(st.binary(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_no_journal_is_damage_or_empty(tmp_path, data):
    """Any other file is skipped and named, or, if it ends within the header, empty."""
    (tmp_path / "x.log").write_bytes(data)
    events, damage = read(tmp_path / "x.log")
    assert events == {}
    if HEADER.startswith(data):
        assert damage == []
    else:
        assert re.search(r"x\.log: it (is not an aiohpo journal|holds only zeros).*remove it", str(damage[0]))


@given(st.binary(max_size=80), st.integers(0, 80))
def test_records_are_read_from_any_bytes_without_raising(data, at):
    """Whatever stands at an offset is a record or None."""
    batch, end = read_record(data, at)
    assert batch is None
    assert end == at


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "No such file"),
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to(path), "not a regular file"),
    ],
)
def test_what_cannot_be_read_is_damage(tmp_path, make, why):
    """Whatever stands in the place of a journal is named, neither waited for nor read without end."""
    make(tmp_path / "ann.log")
    events, [damage] = read(tmp_path / "ann.log")
    assert events == {}
    assert str(damage).startswith(f"{tmp_path / 'ann.log'}: it was skipped, as it cannot be read: ")
    assert why in str(damage)


@pytest.mark.parametrize("damaged", [None, *range(0, len(WHOLE), 5)])
def test_a_journal_is_read_a_window_at_a_time(tmp_path, monkeypatch, damaged):
    """What does not fit into memory at once gives the same records and the same damage."""
    data = bytearray(WHOLE + RECORDS[0])
    if damaged is not None:
        data[damaged] ^= 0xFF
    whole = read(tmp_path / "ann.log", bytes(data))
    for longest in (max(map(len, RECORDS)), 150):
        monkeypatch.setattr("aiohpo.storage.journal._LONGEST", longest)
        monkeypatch.setattr("aiohpo.storage.journal.WINDOW", 2 * longest)
        assert read(tmp_path / "ann.log") == whole


def test_a_file_that_is_all_holes_is_not_read_to_its_end(tmp_path, monkeypatch):
    """Its length costs whoever made it nothing, and would cost every reader minutes."""
    monkeypatch.setattr("aiohpo.storage.journal.WINDOW", 1 << 20)
    path = tmp_path / "ann.log"
    path.write_bytes(WHOLE)
    os.truncate(path, 1 << 42)
    events, [damage] = read(path)
    assert events == numbers(*BATCHES)
    assert (damage.offset, damage.torn) == (len(WHOLE), True)


def test_a_file_system_without_locks_is_no_other_process(tmp_path, monkeypatch):
    """Where a file cannot be locked it is written all the same, and a torn end is cut off."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    path = tmp_path / "ann.log"
    journal = Journal(path)
    assert journal.without_lock == "No locks available"
    journal.append(BATCHES)
    journal.close()
    path.write_bytes(WHOLE[:-1])
    _, [damage] = read(path)
    assert cut_torn_end(damage)
    assert path.read_bytes() == WHOLE[: STARTS[-2]]


def test_a_journal_does_not_go_through_a_link(tmp_path):
    """Somebody who may write to the directory cannot make a worker write elsewhere."""
    (tmp_path / "precious").touch()
    (tmp_path / "ann.log").symlink_to(tmp_path / "precious")
    with pytest.raises(UsageError, match="cannot write"):
        Journal(tmp_path / "ann.log")
    assert (tmp_path / "precious").read_bytes() == b""


@pytest.mark.parametrize("partial", [0, 10])
def test_a_full_disk_leaves_the_journal_whole(tmp_path, monkeypatch, partial):
    """When a write fails, also half way, nothing of it stays, the error has a remedy, and writing can go on."""
    path = tmp_path / "ann.log"
    journal = Journal(path)
    journal.append(BATCHES[:1])
    real = os.write
    calls: list[int] = []

    def full(fd: int, data: bytes) -> int:
        calls.append(len(data))
        if partial and len(calls) == 1:
            return real(fd, data[:partial])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Unavailable, match=r"cannot write .*No space left on device.*make room"):
        journal.append(BATCHES[1:])
    monkeypatch.setattr(os, "write", real)
    assert path.read_bytes() == HEADER + RECORDS[0]
    journal.append(BATCHES[1:])
    journal.close()
    assert path.read_bytes() == WHOLE


def test_a_short_write_is_completed(tmp_path, monkeypatch):
    """A system call that takes only a part is followed by another for the rest."""
    real = os.write
    monkeypatch.setattr(
        os, "write", lambda fd, data: real(fd, data[: max(1, len(data) // 2)]) if len(data) > 40 else real(fd, data)
    )
    journal = Journal(tmp_path / "ann.log")
    with pytest.raises(Unavailable):
        journal.append(BATCHES)  # half and a quarter are not all
    monkeypatch.setattr(os, "write", real)
    assert (tmp_path / "ann.log").read_bytes() == HEADER
    journal.close()


def test_an_unwritable_place_is_a_usage_error(tmp_path):
    """Where no file can be made the error names it."""
    with pytest.raises(UsageError, match="cannot write"):
        Journal(tmp_path / "nowhere" / "ann.log")


def test_a_header_that_cannot_be_written_is_a_usage_error(tmp_path, monkeypatch):
    """A disk that is full from the beginning is bad input: nothing has been searched yet."""

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UsageError, match="No space left on device"):
        Journal(tmp_path / "ann.log")


@pytest.mark.parametrize("moved", [False, True])
def test_a_journal_whose_directory_is_gone_says_so(tmp_path, moved):
    """What is written to a file that has no name any more would be found by nobody."""
    (tmp_path / "run" / "journal").mkdir(parents=True)
    journal = Journal(tmp_path / "run" / "journal" / "ann.log")
    journal.sync()
    if moved:
        (tmp_path / "run").rename(tmp_path / "elsewhere")
    else:
        shutil.rmtree(tmp_path / "run")
    with pytest.raises(JournalGone, match=r"run was deleted or moved while the search ran"):
        journal.sync()


def test_a_sync_that_fails_says_so_each_time(tmp_path, monkeypatch):
    """An error that the disk reports late is told like one at once, and is not forgotten."""
    journal = Journal(tmp_path / "ann.log")

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"cannot write .*Input/output error"):
            journal.sync()
    monkeypatch.undo()
    journal.close()


def test_one_writer_at_a_time(tmp_path):
    """A journal that another process writes is refused and not cut off until that process dies."""
    path = tmp_path / "ann.log"
    code = (
        "import pathlib, sys; from aiohpo.storage.journal import Journal; "
        "journal = Journal(pathlib.Path(sys.argv[1])); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"up\n"
        with pytest.raises(UsageError, match=r"ann.log is being written by another process"):
            Journal(path)
        assert not cut_torn_end(Damage(path, 0, torn=True))
        writer.kill()
        writer.wait(120)
    Journal(path).close()
