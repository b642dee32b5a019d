"""Putting up with what is nobody's fault, for a while."""

from __future__ import annotations

import pytest

from aiohpo import Unavailable
from aiohpo.peer.patience import LEAST_ATTEMPTS, PATIENCE, Patience, in_words


def test_pauses_grow_and_stay_bounded() -> None:
    """A short trouble costs little, a longer one is not asked about all the time."""
    patience = Patience()
    pauses = [patience.suffer(0.0, "no room") for _ in range(12)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1.0 < pauses[-1] <= PATIENCE / 5


def test_it_ends_with_the_latest_trouble_in_words() -> None:
    """What is raised names the trouble, how long it lasted and the remedy."""
    patience = Patience()
    patience.suffer(100.0, "no process")
    patience.suffer(101.0, "no process")
    with pytest.raises(Unavailable, match=r"no room\. This has lasted for 30 s.*run the same command again"):
        patience.suffer(100.0 + PATIENCE, "no room")


def test_what_works_in_between_starts_it_anew() -> None:
    """Only unbroken trouble counts, and the first moment of each is told from the others."""
    patience = Patience()
    assert not patience.relieve()
    patience.suffer(0.0, "no room")
    assert patience.has_just_begun
    patience.suffer(1.0, "no room")
    assert not patience.has_just_begun
    assert patience.relieve()
    for _ in range(LEAST_ATTEMPTS):
        patience.suffer(PATIENCE, "no room")
    assert repr(patience) == "<Patience: no room>"


def test_long_trials_get_several_attempts() -> None:
    """Hours between two attempts are not hours of waiting."""
    patience = Patience()
    for hour in range(LEAST_ATTEMPTS - 1):
        patience.suffer(3600.0 * hour, "no room")
    with pytest.raises(Unavailable):
        patience.suffer(3600.0 * LEAST_ATTEMPTS, "no room")


def test_errors_are_worded_without_names() -> None:
    """The same trouble reads the same in every worker, whatever its temporary file was called."""
    assert in_words(OSError(28, "No space left on device", "/tmp/x8f3")) == "No space left on device"
    assert in_words(OSError()) == "OSError"
