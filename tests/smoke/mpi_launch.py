"""Finding an mpirun that works here, for the tests that need real ranks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

# Tests run as root in containers, and on machines with fewer cores than ranks.
ENVIRONMENT = {
    **os.environ,
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_mpi_yield_when_idle": "1",  # rather than spin: there are fewer cores than ranks
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


def mpirun() -> str | None:
    """The mpirun that belongs to this Python's MPI, else any."""
    beside = Path(sys.executable).with_name("mpirun")
    return str(beside) if beside.exists() else shutil.which("mpirun")


@cache
def why_not() -> str:
    """Why no ranks can be launched here; empty if they can."""
    if importlib.util.find_spec("mpi4py") is None:
        return "mpi4py is not installed"
    program = mpirun()
    if program is None:
        return "there is no mpirun"
    look = "import sys; from mpi4py import MPI; sys.exit(MPI.COMM_WORLD.size != 2 or MPI.get_vendor()[0] != 'Open MPI')"
    try:
        trial = subprocess.run(
            [program, "-n", "2", sys.executable, "-c", look], env=ENVIRONMENT, capture_output=True, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"mpirun does not work here: {error}"
    return "" if trial.returncode == 0 else "mpirun does not launch two ranks of Open MPI here"


def launch(ranks: int, *command: str, flags: tuple[str, ...] = (), log: Path) -> subprocess.Popen[bytes]:
    """Start ranks that write to ``log``."""
    program = mpirun()
    assert program is not None
    with log.open("wb") as output:
        return subprocess.Popen(
            [program, *flags, "-n", str(ranks), *command],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
