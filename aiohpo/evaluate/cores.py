"""Sharing the machine's cores among workers.

Numerical libraries start a thread for every core in every process; four workers on four cores would then run
sixteen and get less done than four.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def threads_for(workers: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that share the cores among ``workers``, but for those that the user has set."""
    each = str(max(1, available_cores() // workers))
    return {name: each for name in THREADS if name not in environment}


def available_cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
