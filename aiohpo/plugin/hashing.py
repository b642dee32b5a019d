"""A hash of text that is the same in every process and on every machine.

Python's own ``hash`` is salted anew in every process; peers that must reach the same decision, and studies that must
be repeatable, need one that is not.
"""

from __future__ import annotations

import hashlib


def text_hash(text: str) -> int:
    """Return 64 bits that depend on ``text`` only and look random (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
