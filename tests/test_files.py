"""Files that other users may have put there, and the modes of what is made."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from aiohpo.files import (
    NotRegular,
    create_file,
    is_shared,
    make_directory,
    open_regular,
    open_to_write,
    read_at,
    read_regular,
    replace_file,
    share_with_group,
    write_file,
)


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(path))


STRANGE: list[Callable[[Path], object]] = [
    os.mkfifo,
    os.mkdir,
    listen,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to(path),
]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("make", STRANGE)
def test_only_regular_files_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object]
) -> None:
    """For reading and for writing, anything else is an error at once: nothing is waited for."""
    monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
    make(tmp_path / "x")
    for flags in (os.O_RDONLY, os.O_WRONLY):
        with pytest.raises(NotRegular, match="not a regular file"):
            open_regular(tmp_path / "x", flags)
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(tmp_path / "x", 10)


def test_no_more_is_read_than_expected(tmp_path: Path) -> None:
    """A file that is larger is an error, and is not read; so is one that only grows as it is read."""
    (tmp_path / "x").write_bytes(b"12345")
    assert read_regular(tmp_path / "x", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(tmp_path / "x", 4)
    os.truncate(tmp_path / "x", 1 << 42)
    with pytest.raises(OSError, match="larger than 5 bytes"):
        read_regular(tmp_path / "x", 5)
    if Path("/proc/self/status").exists():
        with pytest.raises(OSError, match="larger than 5 bytes"):
            read_regular("/proc/self/status", 5)


def test_reading_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read is whole however little the system gives at a time."""
    monkeypatch.setattr("aiohpo.files._CHUNK", 3)
    (tmp_path / "x").write_bytes(b"0123456789")
    descriptor = open_regular(tmp_path / "x")
    assert [read_at(descriptor, *where) for where in ((0, 99), (2, 5), (9, 3), (10, 3), (0, 0))] == [
        b"0123456789",
        b"23456",
        b"9",
        b"",
        b"",
    ]
    os.close(descriptor)


@pytest.mark.parametrize("umask", [0, 0o777])
@pytest.mark.parametrize("shared", [False, True])
def test_what_is_made_has_one_of_two_policies(tmp_path: Path, umask: int, shared: bool) -> None:
    """A directory is its owner's or its group's, and what is made in it follows, whatever the umask says."""
    before = os.umask(umask)
    try:
        make_directory(tmp_path / "a", shared=shared)
        make_directory(tmp_path / "a" / "b")
        os.close(create_file(tmp_path / "a" / "b" / "c"))
        os.close(open_to_write(tmp_path / "a" / "b" / "d"))
        write_file(tmp_path / "a" / "b" / "e", b"", mode=0o644)
    finally:
        os.umask(before)
    assert is_shared(tmp_path / "a") == is_shared(tmp_path / "a" / "b") == shared
    assert [mode(tmp_path / "a" / name) for name in (".", "b", "b/c", "b/d", "b/e")] == (
        [0o2770, 0o2770, 0o660, 0o660, 0o644] if shared else [0o700, 0o700, 0o600, 0o600, 0o644]
    )


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """It is somebody's decision; what is no directory is an error."""
    tmp_path.chmod(0o751)
    make_directory(tmp_path, shared=True)
    assert mode(tmp_path) == 0o751
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_directory(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        make_directory(tmp_path / "no" / "where")
    make_directory(tmp_path / "some" / "where", parents=True)


@pytest.mark.parametrize("dangling", [False, True])
def test_nothing_is_written_through_a_link(tmp_path: Path, dangling: bool) -> None:
    """Whoever may put a link into a directory must not make others change a file elsewhere."""
    target = tmp_path / "precious"
    if not dangling:
        target.write_bytes(b"mine")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(NotRegular):
        open_to_write(tmp_path / "link")
    with pytest.raises(FileExistsError):
        write_file(tmp_path / "link", b"theirs")
    replace_file(tmp_path / "link", b"new")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"new"
    assert target.exists() is not dangling
    assert dangling or target.read_bytes() == b"mine"


def test_an_existing_file_is_opened_as_it_is(tmp_path: Path) -> None:
    """What is in it stays."""
    (tmp_path / "x").write_bytes(b"ab")
    descriptor = open_to_write(tmp_path / "x", os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"c")
    os.close(descriptor)
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half a file nor one under another name stays, and what was there before does."""
    (tmp_path / "x").write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(tmp_path / "y", b"new", durable=True)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "x", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old"}


def test_a_directory_is_shared_with_what_is_in_it(tmp_path: Path) -> None:
    """Files and folders get the shared policy; links out of it and what the group must not change do not."""
    make_directory(tmp_path / "run")
    make_directory(tmp_path / "run" / "blobs")
    for name in ("run/blobs/x", "run/key", "outside"):
        write_file(tmp_path / name, b"")
    (tmp_path / "run" / "link").symlink_to(tmp_path / "outside")
    share_with_group(tmp_path / "run", unchangeable="key")
    assert [mode(tmp_path / name) for name in ("run", "run/blobs", "run/blobs/x", "run/key", "outside")] == [
        0o2770,
        0o2770,
        0o660,
        0o640,
        0o600,
    ]


def test_a_directory_whose_mode_does_not_stick_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its owner is no member of its group: the system then drops a part of the mode without a word."""
    monkeypatch.setattr(os, "chmod", lambda *_: None)
    with pytest.raises(PermissionError, match="only a member of its group"):
        share_with_group(tmp_path, unchangeable="key")
