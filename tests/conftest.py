"""Settings for all tests: property tests draw the same examples every time, and no test fails for a busy machine."""

from __future__ import annotations

import os
from importlib.util import find_spec

# The suite runs one test process per core: numerical libraries that start a thread per core in each of them, and in
# each process that a test starts, only take turns. The variables are read when the libraries load.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile("reproducible", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("reproducible")


# `make browser` installs what drives the browser.
collect_ignore = [] if find_spec("playwright") else ["browser"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--swarm-seeds", type=int, default=90, metavar="N", help="simulated swarms to play (90)")
