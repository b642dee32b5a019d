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
