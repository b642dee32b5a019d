"""Tests of the blob store."""

from __future__ import annotations

import errno
import hashlib
import os

import pytest

from aiohpo.errors import Unavailable
from aiohpo.storage.blob_store import DirectoryBlobs


def test_blobs_are_named_by_their_contents(tmp_path):
    """What is put comes back by its SHA-256, from any store on the same directory."""
    store = DirectoryBlobs(tmp_path / "blobs")
    for data in (b"", b"x", bytes(100_000)):
        digest = store.put(data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert digest in store
        assert DirectoryBlobs(tmp_path / "blobs").get(digest) == data
    assert repr(store) == f"<DirectoryBlobs {tmp_path / 'blobs'}>"


def test_the_same_blob_twice_is_one_file(tmp_path):
    """Putting again changes nothing and leaves no other files."""
    store = DirectoryBlobs(tmp_path)
    assert store.put(b"same") == store.put(b"same")
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 1


def test_missing_and_damaged_blobs_are_none(tmp_path):
    """A blob that is not there or does not match its name is not given out."""
    store = DirectoryBlobs(tmp_path)
    digest = store.put(b"precious")
    store.path(digest).write_bytes(b"damaged")
    assert store.get(digest) is None
    assert store.get("0" * 64) is None
    assert "0" * 64 not in store


def test_a_blob_that_cannot_be_read_now_is_not_taken_for_damaged(tmp_path, monkeypatch):
    """Out of descriptors, or with a disk that fails, there is no telling what it holds: it must not be replaced."""
    store = DirectoryBlobs(tmp_path)
    digest = store.put(b"weights")

    def refuse(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unavailable, match="Too many open files"):
        store.get(digest)
    assert digest in store


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    """On a full disk neither the blob nor half of it is there, and the error says so."""
    store = DirectoryBlobs(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        store.put(b"data")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)]
)
def test_what_is_no_file_is_no_blob(tmp_path, make):
    """A FIFO or a device in the place of a blob is neither waited for nor read; the blob can be put there."""
    store = DirectoryBlobs(tmp_path)
    digest = hashlib.sha256(b"weights").hexdigest()
    store.path(digest).parent.mkdir()
    make(store.path(digest))
    assert store.get(digest) is None
    assert store.read_part(digest, 0, 10) is None
    assert digest not in store
    assert store.put(b"weights") == digest
    assert store.get(digest) == b"weights"


def test_a_large_file_of_another_content_is_not_read_into_memory(tmp_path, monkeypatch):
    """Its name is a claim, which is checked piece by piece first."""
    monkeypatch.setattr("aiohpo.storage.blob_store._LARGE", 3)
    store = DirectoryBlobs(tmp_path)
    digest = store.put(b"weights")
    assert store.get(digest) == b"weights"
    os.truncate(store.path(digest), 10)
    monkeypatch.setattr("aiohpo.storage.blob_store.read_at", None)
    assert store.get(digest) is None


def test_a_blob_that_is_cut_short_is_written_anew(tmp_path):
    """As after a power cut; while a whole one is left as it is."""
    store = DirectoryBlobs(tmp_path)
    digest = store.put(b"weights")
    os.truncate(store.path(digest), 3)
    assert store.put(b"weights") == digest
    assert store.get(digest) == b"weights"


def test_another_users_blob_is_replaced_by_an_own_one(tmp_path, monkeypatch):
    """Where it cannot be touched, so that it might be deleted at any time, or cannot even be read."""
    store = DirectoryBlobs(tmp_path)
    digest = store.put(b"weights")
    before = store.path(digest).stat().st_ino

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "utime", refuse)
    assert store.put(b"weights") == digest
    assert store.path(digest).stat().st_ino != before


def test_what_was_never_finished_goes_after_a_time(tmp_path):
    """Processes that were killed leave parts; those of living ones are young."""
    store = DirectoryBlobs(tmp_path)
    digest = store.put(b"weights")
    store.write_part("ab" * 32, 0, b"xy")
    (young,) = (tmp_path / "ab").iterdir()
    for name in ("old.part", "old.new"):
        (tmp_path / "ab" / name).touch()
        os.utime(tmp_path / "ab" / name, (0, 0))
    os.utime(store.path(digest), (0, 0))
    store.remove_unfinished()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {young, store.path(digest)}
