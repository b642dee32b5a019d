"""Study keys: how they are written, read and kept secret; and the command that makes them."""

from __future__ import annotations

import copy
import os
import stat
from pathlib import Path

import pytest

from aiohpo.cli import invoke
from aiohpo.cli.run import Options
from aiohpo.interfaces import UsageError
from aiohpo.keys import StudyKey, find_key, is_key_text, parse_key, read_key, write_key

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
    """What is given comes before the environment; both may be a file or the key itself, with its comments."""
    other = StudyKey(bytes(32))
    write_key(tmp_path / "k", KEY)
    path = str(tmp_path / "k")
    assert find_key(None, {}) is None
    assert find_key(None, {"AIOHPO_KEY": ""}) is None
    assert find_key(None, {"AIOHPO_KEY": path}) == KEY
    assert find_key(None, {"AIOHPO_KEY": (tmp_path / "k").read_text()}) == KEY
    for given in (KEY, KEY.text, path, tmp_path / "k"):
        assert find_key(given, {"AIOHPO_KEY": other.text}) == KEY
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_key("~/k", {}) == KEY
    assert is_key_text(KEY.text)
    assert not is_key_text(path)


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


def test_workers_get_the_name_of_the_file(tmp_path: Path) -> None:
    """The commands that run starts name the key's file by its full path, and never hold the key."""
    write_key(tmp_path / "k", KEY)
    words = Options("train.py", 2, {}, None, None, None, tmp_path / "k").command(tmp_path, 0)
    assert words[words.index("--key") + 1] == str(tmp_path / "k")
    assert not any(is_key_text(word) for word in words)
