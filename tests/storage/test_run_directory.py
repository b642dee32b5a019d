"""Tests of the run directory: loading what any number of workers left there."""

from __future__ import annotations

import json
import os
import stat

import msgspec
import pytest

from aiohpo.errors import UsageError
from aiohpo.events.codec import encode_event
from aiohpo.events.log import FAR_AHEAD, Log
from aiohpo.events.schema import MAX_LAMPORT, Batch, Goal
from aiohpo.keys import StudyKey, keep_key, kept_key
from aiohpo.plugin.objective import Objective
from aiohpo.storage.follower import Follower
from aiohpo.storage.journal import HEADER, Journal, pack_record
from aiohpo.storage.loading import load_journals
from aiohpo.storage.run_directory import RunDirectory, read_study
from aiohpo.view.view import View
from tests.support.histories import SPACE, batch_of, events_of, split, with_remarks


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    """This machine is the one on which the workers of these tests ran, where they name no other."""
    monkeypatch.setattr("platform.node", lambda: "nowhere")


def definition(study: str = "a" * 16, **other):
    return {"study": study, "metric": "loss", "mode": "min", "max_steps": None, "space": SPACE.to_dict(), **other}


def write(path, name: str, batches: list[Batch]) -> None:
    (path / "journal").mkdir(parents=True, exist_ok=True)
    (path / "journal" / f"{name}.log").write_bytes(HEADER + b"".join(map(pack_record, batches)))


def load(path, mend: bool = False):
    log, view = Log(), View(SPACE, Objective("loss", "min"))
    return log, view, load_journals(path, log, view, mend=mend)


def test_a_new_directory_is_made_and_described(tmp_path):
    """study.json is readable by people and machines, and keeps its identity when opened again."""
    directory = RunDirectory(tmp_path / "a" / "b", definition())
    found = json.loads((tmp_path / "a" / "b" / "study.json").read_text())
    assert found["metric"] == "loss"
    assert found["directory"] == directory.id
    assert RunDirectory(tmp_path / "a" / "b", definition()).id == directory.id
    assert [p.name for p in directory.path.glob("study.json*")] == ["study.json"]
    assert repr(directory) == f"<RunDirectory {directory.path}>"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"metric": "score"}, "its metric is 'loss', this study's is 'score'"),
        ({"mode": "max"}, "its mode is 'min', this study's is 'max'"),
        ({"space": {}}, "its parameter 'x' is .*, this study's is not there"),
    ],
)
def test_another_studys_directory_names_what_differs(tmp_path, other, message):
    """Opening with another study is refused with the difference and a remedy."""
    RunDirectory(tmp_path, definition())
    with pytest.raises(UsageError, match=f"holds another study: {message}.*Use another directory"):
        RunDirectory(tmp_path, definition("b" * 16, **other))


def refuse(before: int) -> None:
    raise ValueError(f"nothing goes on from {before} steps")


@pytest.mark.parametrize(
    ("before", "now", "extend", "message"),
    [
        (9, 3, None, "fewer steps than before"),
        (9, None, None, "counted in steps and trials that are not"),
        (None, 9, None, "counted in steps and trials that are not"),
        (9, 27, refuse, "nothing goes on from 9 steps"),
    ],
)
def test_another_number_of_steps_is_refused_with_the_reason(tmp_path, before, now, extend, message):
    """Trials of different lengths are never mixed, and what was there stays as it was."""
    RunDirectory(tmp_path, definition(max_steps=before))
    with pytest.raises(UsageError, match=rf"max_steps={before}, and this one has max_steps={now}: .*{message}.* use"):
        RunDirectory(tmp_path, definition(max_steps=now), extend=extend)
    assert read_study(tmp_path)["max_steps"] == before


def test_a_raised_number_of_steps_is_noted_once_no_worker_goes_by_the_old_one(tmp_path):
    """It needs a scheduler that says so; the directory keeps its identity and everything else."""
    old, asked = RunDirectory(tmp_path, definition(max_steps=9, scheduler="asha")), []
    journal = old.journal("a")
    with pytest.raises(UsageError, match="workers that use that number are running there: stop them first"):
        RunDirectory(tmp_path, definition(max_steps=27), extend=asked.append)
    journal.close()
    new = RunDirectory(tmp_path, definition(max_steps=27), extend=asked.append)
    assert asked == [9, 9]
    assert new.study == old.study | {"max_steps": 27} == read_study(tmp_path)
    (concern,) = new.concerns
    assert concern.startswith("max_steps is 27 from now on; it was 9. ")
    assert "keep" in concern
    assert RunDirectory(tmp_path, definition(max_steps=27)).concerns == []
    with pytest.raises(UsageError, match="fewer steps than before"):
        RunDirectory(tmp_path, definition(max_steps=9), extend=asked.append)


def test_the_second_of_several_workers_finds_the_raised_number(tmp_path):
    """One that looked just before the first wrote it down is not refused because that one is running by now."""
    RunDirectory(tmp_path, definition(max_steps=9))
    running: list[Journal] = []

    def meanwhile(before: int) -> None:
        running.append(RunDirectory(tmp_path, definition(max_steps=27), extend=lambda before: None).journal("a"))

    second = RunDirectory(tmp_path, definition(max_steps=27), extend=meanwhile)
    assert second.study["max_steps"] == 27
    running[0].close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read"),
        ("{", "cannot read"),
        ("[]", "has format None"),
        ('{"format": 99}', "has format 99"),
        ('{"format": 1}', "lacks 'study'"),
    ],
)
def test_a_damaged_description_is_one_clear_error(tmp_path, text, message):
    """A study.json that cannot be used is named."""
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_study(tmp_path)


def test_no_run_directory_is_a_usage_error(tmp_path):
    """A directory without study.json is none."""
    with pytest.raises(UsageError, match="is not a run directory"):
        read_study(tmp_path)


def test_a_read_only_place_is_a_usage_error(tmp_path, monkeypatch):
    """Where nothing can be written, the error names the place and a remedy."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("aiohpo.storage.run_directory.write_file", refuse)
    with pytest.raises(UsageError, match=r"cannot use .* as a run directory: Permission denied.*writable directory"):
        RunDirectory(tmp_path / "run", definition())


def test_all_workers_journals_load(tmp_path):
    """Each worker's trials are there, and what is known of each worker that began."""
    write(tmp_path, "ann", split(batch_of("ann", events_of(3)), 2))
    write(tmp_path, "bob", [batch_of("bob", events_of(2))])
    (tmp_path / "journal" / "new.log").write_bytes(b"")
    held = Journal(tmp_path / "journal" / "cid.log")
    log, view, loaded = load(tmp_path)
    assert log.vector() == {"ann": 7, "bob": 5}
    assert view.n_ended == 5
    assert loaded.states == {"ann": "dead", "bob": "dead"}
    assert loaded.damage == ()
    held.close()


@pytest.mark.parametrize("order", [("aaa", "zzz"), ("zzz", "aaa")])
def test_copies_of_an_origin_in_several_files_make_it_whole(tmp_path, order):
    """Parts of one worker's log, spread over files in any order and overlapping, give the log."""
    whole = batch_of("ann", events_of(5))
    first, second = order
    write(tmp_path, first, [Batch("ann", 1, whole.raws[:6])])
    write(tmp_path, second, [Batch("ann", 4, whole.raws[3:])])
    log, view, loaded = load(tmp_path)
    assert log.vector() == {"ann": 11}
    assert log.batch_from("ann", 1) == whole
    assert view.n_ended == 5
    assert loaded.damage == ()


def test_behind_a_corrupt_record_everything_else_counts(tmp_path):
    """Events behind damage are read though the log has a gap; another file's copy fills it."""
    batches = split(batch_of("ann", events_of(4)), 1)
    write(tmp_path, "ann", batches)
    path = tmp_path / "journal" / "ann.log"
    data = bytearray(path.read_bytes())
    data[len(HEADER) + sum(len(pack_record(b)) for b in batches[:3]) + 14] ^= 1
    path.write_bytes(data)
    log, view, loaded = load(tmp_path, mend=True)
    assert log.vector() == {"ann": 3}
    assert view.n_ended == 3
    assert [d.torn for d in loaded.damage] == [False]
    assert path.read_bytes() == bytes(data), "what lies behind must not be cut off"
    write(tmp_path, "bob", batches[2:5])
    log, view, _ = load(tmp_path)
    assert log.vector() == {"ann": 9}
    assert view.n_ended == 4


def test_torn_ends_are_mended_only_when_asked_and_only_of_the_gone(tmp_path):
    """A reader reports a torn end; a run cuts it off; a living writer's is left in peace."""
    write(tmp_path, "ann", [batch_of("ann", events_of(1)), batch_of("ann", events_of(2)[3:], first=4)])
    path = tmp_path / "journal" / "ann.log"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    for mend, size in ((False, len(whole) - 3), (True, len(pack_record(batch_of("ann", events_of(1)))) + len(HEADER))):
        log, _, loaded = load(tmp_path, mend)
        assert log.vector() == {"ann": 3}
        assert [d.torn for d in loaded.damage] == [True]
        assert path.stat().st_size == size
    path.write_bytes(whole[:-3])
    writer = Journal(path)
    assert load(tmp_path, mend=True)[2].damage == ()
    assert path.stat().st_size == len(whole) - 3
    writer.close()


@pytest.mark.parametrize("others", ["its own file", "another file", "no file"])
def test_the_torn_end_of_a_writer_on_another_machine_is_left_alone(tmp_path, others):
    """Its lock looks free from here while it writes; nor is a writer cut off of which no machine is known."""
    events = events_of(2, host="elsewhere")
    first = {"its own file": 1, "another file": 2, "no file": 2}[others]
    write(tmp_path, "ann", [batch_of("ann", events[first - 1 : 3], first), batch_of("ann", events[3:], 4)])
    if others == "another file":
        write(tmp_path, "bob", [batch_of("ann", events[:1])])
    path = tmp_path / "journal" / "ann.log"
    torn = path.read_bytes()[:-3]
    path.write_bytes(torn)
    _, _, loaded = load(tmp_path, mend=True)
    assert path.read_bytes() == torn
    assert loaded.damage == ()
    assert loaded.states == ({} if others == "no file" else {"ann": "unknown"})


def test_what_is_no_event_does_not_spoil_a_file(tmp_path):
    """A record with a right checksum and wrong contents is passed over."""
    write(tmp_path, "ann", [Batch("bob", 1, (b"\xc1",)), batch_of("ann", events_of(1))])
    log, view, _ = load(tmp_path)
    assert log.vector() == {"ann": 3}
    assert view.n_ended == 1


def test_events_of_an_unknown_kind_are_kept_and_said_once(tmp_path):
    """A journal of a later version loads; its bytes are there for peers, and one line says what is skipped."""
    raws = with_remarks()
    write(tmp_path, "ann", split(Batch("ann", 1, raws)))
    write(tmp_path, "bob", [Batch("bob", 1, raws)])
    log, view, loaded = load(tmp_path)
    assert log.batch_from("ann", 1).raws == raws
    assert view.n_ended == 4
    assert loaded.damage == ()
    [notice] = loaded.notices
    assert notice.startswith(f"{tmp_path}: events of kind 99 are kept")


def test_malformed_events_are_damage(tmp_path):
    """An event of a known kind that is not as its kind has to be is skipped, and named as damage of its file."""
    write(tmp_path, "ann", [batch_of("ann", events_of(1)), Batch("ann", 4, (msgspec.msgpack.encode([3, -1, 5]),))])
    _, view, loaded = load(tmp_path)
    assert view.n_ended == 1
    assert loaded.notices == [f"damaged: {tmp_path / 'journal' / 'ann.log'}: malformed events were skipped"]


@pytest.mark.parametrize("stamp", [FAR_AHEAD + 9, MAX_LAMPORT])
def test_events_with_absurd_stamps_are_damage(tmp_path, stamp):
    """What is left out because of its stamp is named, with the file that has it, by whoever loads or follows it."""
    write(tmp_path, "ann", [batch_of("ann", events_of(1)), Batch("ann", 4, (encode_event(Goal(stamp, 5)),))])
    write(tmp_path, "bob", [Batch("bob", 1, (encode_event(Goal(stamp, 5)),))])
    _, view, loaded = load(tmp_path)
    assert view.n_ended == 1
    said = "events of worker {} are ignored: their stamp {} is implausibly far ahead of all others (3)"
    expected = [f"{tmp_path / 'journal' / f'{name}.log'}: {said.format(name, stamp)}" for name in ("ann", "bob")]
    assert loaded.notices == [f"damaged: {line}" for line in expected]
    (tmp_path / "study.json").write_text(json.dumps({**definition(), "format": 1, "directory": "d"}))
    follower = Follower(tmp_path)
    follower.poll()
    assert list(map(str, follower.damage())) == expected


def modes(path) -> dict[str, int]:
    """Of everything in a directory, by its path from there."""
    return {str(p.relative_to(path)): stat.S_IMODE(p.stat().st_mode) for p in [path, *path.rglob("*")]}


def fill(directory: RunDirectory) -> None:
    """Have one of everything written."""
    directory.journal("ann").close()
    directory.blobs.put(b"weights")
    directory.output("0", print).write("ann-1", 0, "hello\n")
    directory.tell_ensemble({"size": 1})


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
@pytest.mark.parametrize("share", [False, True])
def test_one_policy_holds_for_all_of_a_directory_whatever_the_umask(tmp_path, umask, share):
    """It is its owner's, or it is shared with its group."""
    path = tmp_path / "run"
    before = os.umask(umask)
    try:
        made = RunDirectory(path, definition(), share=share)
        fill(made)
    finally:
        os.umask(before)
    assert made.concerns == []
    found = modes(path)
    assert len(found) == 11
    assert {found[str(p.relative_to(path))] for p in [path, *path.rglob("*")] if p.is_dir()} == {
        0o2770 if share else 0o700
    }
    assert {found[str(p.relative_to(path))] for p in path.rglob("*") if p.is_file()} == {0o660 if share else 0o600}


def test_a_directory_that_others_may_write_to_is_said(tmp_path):
    """It is used, and what its owner can do about it is said; a shared one was meant to be."""
    made = RunDirectory(tmp_path / "run", definition())
    for mode, who in ((0o777, "every user"), (0o775, "its group")):
        made.path.chmod(mode)
        (concern,) = RunDirectory(made.path, definition()).concerns
        assert concern.startswith(f"{who} can write to {made.path} (mode 0{mode:o})")
        assert concern.endswith(f"chmod 700 {made.path}, or share it with its group (--share group)")
    assert RunDirectory(made.path, definition(), share=True).concerns == []
    assert RunDirectory(made.path, definition()).concerns == []


def test_a_private_directory_can_be_shared_later(tmp_path):
    """What is in it already gets the shared policy too, but for the key, which the group may only read."""
    made = RunDirectory(tmp_path / "run", definition())
    fill(made)
    keep_key(made.path, StudyKey.generate())
    RunDirectory(made.path, definition(), share=True)
    found = modes(made.path)
    assert found.pop("study.key") == 0o640
    assert {mode for name, mode in found.items() if (made.path / name).is_dir()} == {0o2770}
    assert {mode for name, mode in found.items() if (made.path / name).is_file()} == {0o660}
    assert kept_key(made.path) is not None


def test_only_its_owner_can_share_a_directory(tmp_path, monkeypatch):
    """Others are told who has to."""
    made = RunDirectory(tmp_path / "run", definition())
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(UsageError, match=r"belongs to another user .* is not shared .*--share group"):
        RunDirectory(made.path, definition(), share=True)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "it is not a regular file"),
        (os.mkdir, "it is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is not a regular file"),
        (lambda path: path.write_bytes(b"[" * 200_000 + b"]" * 200_000), "more than 64 levels"),
        (lambda path: path.write_bytes(b'{"x": ' * 70 + b"1" + b"}" * 70), "more than 64 levels"),
        (lambda path: path.touch() or os.truncate(path, 1 << 40), "it is larger than"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "cannot read"),
    ],
)
def test_whatever_stands_in_the_place_of_the_description_is_one_clear_error(tmp_path, make, why):
    """It is neither waited for, nor read without end, nor does it exhaust the stack."""
    make(tmp_path / "study.json")
    with pytest.raises(UsageError, match=why):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mode": "best"}, "holds 'best' as 'mode'"),
        ({"mode": ["min"]}, "as 'mode'"),
        ({"metric": 3}, "holds 3 as 'metric'"),
        ({"max_steps": "9"}, "holds '9' as 'max_steps'"),
        ({"max_steps": True}, "holds True as 'max_steps'"),
        ({"space": []}, "holds no search space"),
        ({"space": {"parameters": [{"name": "x", "type": "float", "low": [], "high": {}}]}}, "holds no search space"),
    ],
)
def test_a_description_that_no_study_can_have_is_one_clear_error(tmp_path, change, why):
    """What was changed by hand is named."""
    written = {"format": 1, "directory": "d", **definition(), **change}
    (tmp_path / "study.json").write_text(json.dumps(written))
    with pytest.raises(UsageError, match=why):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "cannot be read"),
        (os.mkdir, "cannot be read"),
        (lambda path: path.symlink_to("/dev/zero"), "cannot be read"),
        (lambda path: path.write_bytes(bytes(4096)), "holds only zeros"),
        (lambda path: path.write_text("notes of mine, long enough to tell"), "is not an aiohpo journal"),
    ],
)
def test_what_is_no_journal_does_not_cost_the_others(tmp_path, make, why):
    """All the others are read, by a loader and by a follower, and what is wrong is said; hidden files are not ours."""
    directory = RunDirectory(tmp_path, definition())
    write(tmp_path, "ann", [batch_of("ann", events_of(2))])
    make(tmp_path / "journal" / "zed.log")
    (tmp_path / "journal" / "._ann.log").write_bytes(bytes(100))
    log, view = Log(), View(SPACE, Objective("loss", "min"))
    [notice] = directory.load(log, view).notices
    follower = Follower(tmp_path)
    follower.poll()
    follower.poll()
    [damage] = follower.damage()
    for text, found in ((notice, view), (f"damaged: {damage}", follower.view)):
        assert text.startswith(f"damaged: {tmp_path / 'journal' / 'zed.log'}: it ")
        assert why in text
        assert found.n_ended == 2


def test_the_description_outlives_the_machine(tmp_path, monkeypatch):
    """Both the file and its name are synced before anything is searched."""
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd)) or real(fd))
    RunDirectory(tmp_path / "run", definition())
    assert [found.st_ino for found in synced] == [
        (tmp_path / "run" / "study.json").stat().st_ino,
        (tmp_path / "run").stat().st_ino,
    ]


def test_both_sides_of_a_fork_are_read(tmp_path):
    """Where journals hold different events under one number, all of them count, whichever file is read first."""
    one = batch_of("ann", events_of(1))
    other = Batch("ann", 1, (*one.raws[:-1], encode_event(Goal(50, 3))))
    hashes, records = set(), []
    for names in ("ab", "ba"):
        for name, batch in zip(names, (one, other), strict=True):
            write(tmp_path, name, [batch])
        log, view, loaded = load(tmp_path)
        assert loaded.damage == ()
        hashes.add(log.hash())
        records.append(list(view.records()))
    assert log.forks == {"ann": 1}
    assert len(hashes) == 1
    assert records[0] == records[1]
