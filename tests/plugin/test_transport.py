"""Tests of the check of frames."""

from __future__ import annotations

from typing import Any

import pytest

from aiohpo.plugin.transport import check_frame


@pytest.mark.parametrize("frame", [b"", bytearray(b"x"), memoryview(b"x"), "x", None])
def test_a_frame_is_bytes(frame: Any) -> None:
    """Nothing else is carried, nor an empty frame."""
    with pytest.raises(TypeError, match="must be bytes"):
        check_frame(frame)


def test_a_frame_may_have_a_greatest_size() -> None:
    """The error names both sizes."""
    check_frame(b"x" * 10, 10)
    check_frame(b"x" * 11)
    with pytest.raises(ValueError, match="a frame of 11 bytes exceeds the 10"):
        check_frame(b"x" * 11, 10)
