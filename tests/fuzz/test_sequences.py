"""Sequences of hostile frames, a few of them; `make soak` plays many more."""

from __future__ import annotations

import pytest

from tests.fuzz.sequences import play


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_no_sequence_of_frames_breaks_a_peer(seed: int) -> None:
    """Whatever admitted peers say, nothing leaves the state, and what it says and shows stays readable."""
    assert sum(play(each) for each in range(seed, seed + 40)) > 400


def test_a_long_sequence_does_not_break_a_peer_either() -> None:
    """The same holds after hundreds of frames."""
    play(1, frames=400)
