"""Whether something drew from the global random generators instead of its own."""

from __future__ import annotations

import pickle
import random

import numpy as np


def global_random_state() -> tuple[object, bytes]:
    """Return the states of ``random`` and ``numpy.random``, to be compared with later ones."""
    return random.getstate(), pickle.dumps(np.random.get_state())  # its repr takes a hundred times as long
