"""Both stores of blobs keep the same promises."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from aiohpo.plugin import BlobStore
from aiohpo.storage.blob_store import DirectoryBlobs
from aiohpo.testing import MemoryBlobs


@pytest.mark.parametrize("make", [DirectoryBlobs, lambda path: MemoryBlobs()], ids=["directory", "memory"])
def test_a_store_keeps_what_it_was_given(make: Callable[[Path], BlobStore], tmp_path: Path) -> None:
    """Whole or piece by piece, under its digest; parts that do not make up the blob are not taken."""
    store = make(tmp_path / "blobs")
    assert isinstance(store, BlobStore)
    digest = store.put(b"weights")
    assert digest == hashlib.sha256(b"weights").hexdigest()
    assert digest in store
    assert store.get(digest) == b"weights"
    assert store.read_part(digest, 2, 3) == (7, b"igh")
    other = hashlib.sha256(b"more weights").hexdigest()
    assert store.get(other) is None
    assert store.read_part(other, 0, 3) is None
    store.write_part(other, 0, b"more ")
    assert other not in store
    assert not store.finish(other)
    store.write_part(other, 0, b"more ")
    store.write_part(other, 5, b"weights")
    assert store.finish(other)
    assert store.get(other) == b"more weights"
    store.delete(digest, 0.0)
    assert digest not in store
