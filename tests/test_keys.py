"""Study keys: how they are written, read and kept secret; and the command that makes them."""

from __future__ import annotations

import copy
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from aiohpo.cli.run import RunOptions
from aiohpo.errors import UsageError
from aiohpo.files import make_directory
from aiohpo.keys import (
    FILE,
    StudyKey,
    _may_be_member,
    find_key,
    is_key_text,
    keep_key,
    kept_key,
    parse_key,
    read_key,
    settle_key,
    without_key,
    write_key,
)

KEY = StudyKey(bytes(range(32)))


def mode(path: Path) -> int:
    """The permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_round_trip(tmp_path: Path) -> None:
    """What is written is read again, and only its owner can read it, whatever the umask."""
    before = os.umask(0)
    try:
        write_key(tmp_path / "k", KEY)
    finally:
        os.umask(before)
    assert mode(tmp_path / "k") == 0o600
    assert read_key(tmp_path / "k") == KEY
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_derived_secrets() -> None:
    """Each purpose has a secret of its own, the same for the same key, and none of them is the key."""
    one, two = KEY.derive("checkpoints"), KEY.derive("transport")
    assert len(one) == len(two) == 32
    assert len({one, two, KEY.secret}) == 3
    assert StudyKey(KEY.secret).derive("checkpoints") == one
    assert StudyKey.generate().derive("checkpoints") != one


def test_every_key_is_new() -> None:
    """Two keys differ, in 256 bits and in their fingerprints."""
    one, two = StudyKey.generate(), StudyKey.generate()
    assert len(one.secret) == 32
    assert one != two
    assert one.fingerprint != two.fingerprint


def test_repr_is_no_secret() -> None:
    """The repr, also of a copy, tells keys apart without telling the key."""
    for key in (KEY, copy.deepcopy(KEY)):
        assert repr(key) == str(key) == f"<StudyKey {key.fingerprint}>"
        assert key.fingerprint not in key.text
        assert key.secret.hex() not in repr(key)


def test_existing_file_is_kept(tmp_path: Path) -> None:
    """A file that is there is replaced only on demand; then it is as private as any."""
    path = tmp_path / "k"
    path.write_text("precious")
    path.chmod(0o644)
    with pytest.raises(UsageError, match=r"k exists already; choose another file, or replace it with --force"):
        write_key(path, KEY)
    assert path.read_text() == "precious"
    write_key(path, KEY, force=True)
    assert mode(path) == 0o600
    assert read_key(path) == KEY


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A directory that does not exist is an error that names the file."""
    with pytest.raises(UsageError, match=r"cannot write the key file .*nowhere/k: No such file"):
        write_key(tmp_path / "nowhere" / "k", KEY)
    with pytest.raises(UsageError, match="cannot write the key file"):
        write_key(tmp_path, KEY, force=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("permissions", [0o604, 0o640, 0o602, 0o666])
def test_file_open_to_others_is_refused(tmp_path: Path, permissions: int) -> None:
    """A key that others can read, or could have replaced, is refused with the command that helps."""
    write_key(tmp_path / "k", KEY)
    (tmp_path / "k").chmod(permissions)
    with pytest.raises(UsageError, match=rf"open to others \(mode {permissions:04o}\).*: chmod 600 .*/k"):
        read_key(tmp_path / "k")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no key in the file"),
        ("hello", "no key in the file"),
        (KEY.text[:-1], "damaged: 42 characters"),
        (KEY.text + "A", "damaged: 44 characters"),
        (f"{KEY.text}\n{KEY.text}", "more than one key in the file"),
    ],
)
def test_damaged_keys(text: str, complaint: str) -> None:
    """What is no key is an error that says where and how, and never shows the text."""
    with pytest.raises(UsageError, match=complaint) as error:
        parse_key(text, "the file")
    assert KEY.text[-20:-2] not in str(error.value)


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is an error with the command that makes one."""
    with pytest.raises(UsageError, match=r"No such file or directory; make one with: aiohpo keygen .*/k"):
        read_key(tmp_path / "k")


def test_where_a_key_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given comes before the environment; both name a file."""
    write_key(tmp_path / "k", KEY)
    write_key(tmp_path / "other", StudyKey(bytes(32)))
    path = str(tmp_path / "k")
    assert find_key(None, {}) is None
    assert find_key(None, {"AIOHPO_KEY": ""}) is None
    assert find_key(None, {"AIOHPO_KEY": path}) == KEY
    for given in (KEY, path, tmp_path / "k"):
        assert find_key(given, {"AIOHPO_KEY": str(tmp_path / "other")}) == KEY
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_key("~/k", {}) == KEY


def test_a_key_itself_is_no_name_of_a_file() -> None:
    """A key in place of its file's name, also in the environment, is refused with the reason, and not repeated."""
    for given, environment, where in ((None, {"AIOHPO_KEY": KEY.text}, "AIOHPO_KEY"), (KEY.text, {}, "key=")):
        with pytest.raises(UsageError, match=rf"{where} holds a key itself .* passed on to every program") as error:
            find_key(given, environment)
        assert KEY.text not in str(error.value)
    with pytest.raises(UsageError, match="AIOHPO_KEY holds a key itself"):
        find_key(KEY, {"AIOHPO_KEY": KEY.text})  # which objectives of this process would see
    for text in (KEY.text, Path(KEY.text), KEY.text.removeprefix("aiohpo-key-1:"), f"# mine\n{KEY.text}\n"):
        assert is_key_text(text)
    for text in ("study.key", "", None, KEY, str(Path(__file__))):
        assert not is_key_text(text)


def test_the_environment_of_other_programs() -> None:
    """What is started for the user gets the environment without the name of the key's file."""
    assert without_key({"AIOHPO_KEY": "k", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_a_key_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key counts only if it is its reader's own, or root's, whatever its mode."""
    write_key(tmp_path / FILE, KEY)
    owner = os.stat(tmp_path / FILE).st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 7)
    if owner == 0:
        assert read_key(tmp_path / FILE) == KEY
        os.chown(tmp_path / FILE, owner + 1, -1)
    for read in (lambda: read_key(tmp_path / FILE), lambda: kept_key(tmp_path), lambda: keep_key(tmp_path, KEY)):
        with pytest.raises(UsageError, match=r"study.key belongs to another user \(uid \d+\), so it is not used"):
            read()


# -------------------------------------------------------------------------------------------- in directories
def test_the_first_process_makes_the_key_of_a_directory(tmp_path: Path) -> None:
    """The directory is made for its owner only, and holds one private file; who comes later gets that key."""
    place = tmp_path / "runs" / "r"
    before = os.umask(0)
    try:
        made = settle_key(None, [place])
    finally:
        os.umask(before)
    assert made is not None
    assert (mode(place), mode(place / FILE)) == (0o700, 0o600)
    assert [path.name for path in place.iterdir()] == [FILE]
    assert settle_key(None, [place]) == kept_key(place) == keep_key(place, KEY) == made


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """However many processes make the key of a directory at the same time, all get the same one."""
    program = (
        "import sys, pathlib; from aiohpo.keys import settle_key; sys.stdin.read(); "
        "print(settle_key(None, [pathlib.Path(sys.argv[1])]).fingerprint)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "r")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()  # they wait for this
        process.stdin = None
    found = {process.communicate(timeout=600)[0] for process in started}
    assert len(found) == 1
    assert [path.name for path in (tmp_path / "r").iterdir()] == [FILE]


def test_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is made all the same, by one process only; an empty file is waited for, a bounded time."""

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    assert keep_key(tmp_path, KEY) == KEY == kept_key(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    slept: list[float] = []

    def write(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (tmp_path / FILE).write_text(KEY.text)

    monkeypatch.setattr("time.sleep", write)
    (tmp_path / FILE).write_text("")
    assert kept_key(tmp_path) == KEY
    (tmp_path / FILE).write_text("")
    slept += [0.0, 0.0]
    with pytest.raises(UsageError, match="no key in"):
        kept_key(tmp_path)
    assert sum(slept) < 5


@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo", "directory", "open to others"])
def test_what_others_may_have_put_there_is_not_used(tmp_path: Path, kind: str) -> None:
    """A link, a pipe, a directory or a file that others can write in the key's place is a clear error at once."""
    write_key(tmp_path / "elsewhere", KEY)
    place = tmp_path / "r"
    place.mkdir()
    path = place / FILE
    if kind.endswith("link"):
        path.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "directory":
        path.mkdir()
    else:
        write_key(path, KEY)
        path.chmod(0o606)
    for use in (lambda: kept_key(place), lambda: keep_key(place, KEY), lambda: settle_key(None, [place])):
        with pytest.raises(UsageError, match=r"study.key.* (symbolic link|not a regular file|open to others)"):
            use()
    assert settle_key(KEY, [place]) == KEY  # whoever was given one needs none of this


def test_a_given_key_is_kept_for_those_who_come_later(tmp_path: Path) -> None:
    """It is left in each place that has none; a place with another one is an error that tells both apart."""
    one, two, other = tmp_path / "one", tmp_path / "two", StudyKey(bytes(32))
    assert settle_key(KEY, [one]) == KEY == kept_key(one)
    assert settle_key(None, [two, one]) == KEY == kept_key(two)
    with pytest.raises(UsageError, match=rf"holds the key {KEY.fingerprint}, but {other.fingerprint} was given"):
        settle_key(other, [one])
    three = tmp_path / "three"
    keep_key(three, other)
    with pytest.raises(UsageError, match=rf"{other.fingerprint}, but {KEY.fingerprint} is kept in .*one"):
        settle_key(None, [one, three])
    assert settle_key(None, []) is None
    assert settle_key(KEY, []) == KEY


def test_a_place_where_no_key_can_be_kept(tmp_path: Path) -> None:
    """Where none can be made the error says what to do, and a key that was given does without."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot make .*r to keep the study's key in: .*--key FILE"):
        settle_key(None, [tmp_path / "file" / "r"])
    assert settle_key(KEY, [tmp_path / "file" / "r"]) == KEY


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory that is shared with its group, and holds the key of another member."""
    make_directory(tmp_path / "run", shared=True)
    assert keep_key(tmp_path / "run", KEY, share=True) == KEY
    return tmp_path / "run"


def test_a_group_may_read_the_key_of_a_directory_that_it_shares(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot replace it, nobody else can read it, and a member uses it who says that they trust the group."""
    assert stat.S_IMODE((shared / FILE).stat().st_mode) == 0o640
    assert kept_key(shared) == KEY  # its owner needs to say nothing
    owner = os.stat(shared).st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 7)
    if owner == 0:
        os.chown(shared / FILE, owner + 1, -1)
    monkeypatch.setattr("aiohpo.keys._may_be_member", lambda user, group: True)
    with pytest.raises(UsageError, match=r"trust every member of the group .* completely: --share group"):
        kept_key(shared)
    assert kept_key(shared, share=True) == settle_key(None, [shared], share=True) == KEY
    monkeypatch.setattr("aiohpo.keys._may_be_member", lambda user, group: False)
    with pytest.raises(UsageError, match="belongs to another user"):
        kept_key(shared, share=True)


@pytest.mark.parametrize("where", ["file", "directory"])
def test_a_key_that_more_than_the_group_may_use_is_refused(shared: Path, where: str) -> None:
    """Also in a shared directory."""
    if where == "file":
        (shared / FILE).chmod(0o660)
    else:
        shared.chmod(0o2775)
    with pytest.raises(UsageError, match="open to others"):
        kept_key(shared, share=True)


def test_who_is_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """Primary groups count as others do; of a user who is not known here the directory's mode decides."""
    me = pwd.getpwuid(os.geteuid())
    assert _may_be_member(me.pw_uid, me.pw_gid)
    monkeypatch.setattr("os.getgrouplist", lambda name, group: [group])
    assert not _may_be_member(me.pw_uid, me.pw_gid + 1)
    assert _may_be_member(3_999_999_999, 1)


# ---------------------------------------------------------------------------------------------- the commands
def test_keygen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes a file and prints its fingerprint, not the key; a second time it needs --force."""
    path = tmp_path / "study.key"
    assert invoke(["keygen", str(path)]) == 0
    first = read_key(path)
    printed = capsys.readouterr()
    assert first.fingerprint in printed.out
    assert invoke(["keygen", str(path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert read_key(path) == first
    assert invoke(["keygen", str(path), "--force", "--json"]) == 0
    assert read_key(path) != first
    assert first.text not in printed.out + capsys.readouterr().out


def test_key_on_the_command_line_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key in place of a file's name is refused, and not repeated."""
    for name in ("worker", "run"):
        assert invoke([name, "train.py", "--key", KEY.text]) == 2
        said = capsys.readouterr().err
        assert "make a new one" in said
        assert KEY.text not in said


def test_the_environment_names_a_file_and_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands take AIOHPO_KEY out of their environment before they run anything of the user's; a key in it is
    refused, and not repeated."""
    (tmp_path / "train.py").write_text("import os; raise SystemExit('sees ' + os.environ.get('AIOHPO_KEY', 'nothing'))")
    for name in ("worker", "run"):
        monkeypatch.setenv("AIOHPO_KEY", str(tmp_path / "k"))
        assert invoke([name, str(tmp_path / "train.py")]) == 2
        assert "sees nothing" in capsys.readouterr().err
        monkeypatch.setenv("AIOHPO_KEY", KEY.text)
        assert invoke([name, str(tmp_path / "train.py")]) == 2
        said = capsys.readouterr().err
        assert "AIOHPO_KEY holds a key itself" in said
        assert KEY.text not in said


def test_workers_get_the_name_of_the_file(tmp_path: Path) -> None:
    """The commands that run starts name the key's file by its full path, and never hold the key."""
    write_key(tmp_path / "k", KEY)
    words = RunOptions("train.py", 2, {}, None, None, None, tmp_path / "k").command(tmp_path, 0)
    assert words[words.index("--key") + 1] == str(tmp_path / "k")
    assert not any(is_key_text(word) for word in words)
