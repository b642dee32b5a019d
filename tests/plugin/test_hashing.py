"""Tests of the hash of text."""

from __future__ import annotations

from aiohpo.plugin.hashing import text_hash


def test_the_hash_is_the_same_in_every_process():
    """A decision that rests on it is the same on another machine, and the next day."""
    assert text_hash("worker/1") == 0x3E8CDC86CE837924


def test_texts_are_told_apart():
    """A hundred thousand texts have as many hashes, spread evenly over 64 bits."""
    hashes = {text_hash(str(i)) for i in range(100_000)}
    assert len(hashes) == 100_000
    assert 0.49 < sum(hashes) / len(hashes) / 2**64 < 0.51
