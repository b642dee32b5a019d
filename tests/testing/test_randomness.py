"""Whether the use of a global random generator is noticed."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from aiohpo.testing.randomness import global_random_state


@pytest.mark.parametrize(
    "draw", [random.random, lambda: random.gauss(0.0, 1.0), np.random.random_sample, np.random.standard_normal]
)
def test_every_draw_is_noticed(draw: Callable[[], float]) -> None:
    """The state is the same until a number is drawn, whichever global generator it comes from."""
    before = global_random_state()
    assert before == global_random_state()
    draw()
    assert before != global_random_state()


def test_a_generator_of_ones_own_is_not_noticed() -> None:
    """Draws from other generators leave the state as it was."""
    before = global_random_state()
    np.random.default_rng(0).random()
    random.Random(0).random()
    assert before == global_random_state()
