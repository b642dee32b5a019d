"""MPI's life within a process: it begins once, and must not end in a collective that others decide.

Beginning
---------
The first endpoint initialises MPI, unless the program has done so. Nothing here is collective: also not the
duplication of a communicator, so endpoints share COMM_WORLD with the program and take only messages of
:data:`TAG`.

Ending
------
MPI_Finalize waits for all ranks. Without it, launchers call an exit abnormal, and by default end everybody else.
Measured with Open MPI 5.0.11, three ranks, one of which leaves three seconds before the others:

==========================  ============================  =================================================
mpirun                      leaves without Finalize       leaves with Finalize
==========================  ============================  =================================================
(no flag)                   all are terminated            waits, idle; all end well
``--enable-recovery``       the others go on, status 0    waits, idle; returns 0.05 s after they left or died
``--with-ft ulfm``          the others go on, status 0    waits, polling with 65 % of a core
==========================  ============================  =================================================

Hence: with ulfm it is not called at all; elsewhere it is, at the exit of the process and in a thread, so that a
signal ends the waiting. Under Slurm's ``srun``, where it depends on the site what an exit means and whether Finalize
returns after a death, it gets a minute.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohpo.errors import UsageError

if TYPE_CHECKING:
    from mpi4py import MPI

TAG = 24936  # "ah"; every MPI has tags up to 32767
_SRUN_PATIENCE = 60.0
# How many processes were launched together with this one, whatever MPI it is for.
_LAUNCHED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def mpi_world() -> tuple[Any, MPI.Intracomm]:
    """Return the module ``mpi4py.MPI`` and the communicator of all ranks; initialise MPI the first time.

    Raises ``UsageError`` where there is no MPI, where it cannot be used from this thread, and where a launcher
    started several processes which do not find each other.
    """
    # Who imported it before us answers for its end, too.
    ours = "mpi4py.MPI" not in sys.modules
    try:
        import mpi4py

        if ours:
            mpi4py.rc.initialize = False
            mpi4py.rc.finalize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: no MPI library to load
        raise UsageError(
            f"the MPI transport needs mpi4py and an MPI library ({' '.join(str(error).split())}): "
            "pip install 'aiohpo[mpi]' brings both; for a cluster's own MPI load its module, then pip install mpi4py"
        ) from None
    if MPI.Is_finalized():
        raise UsageError("MPI has been finalised in this process; it cannot be started again")
    if not MPI.Is_initialized():
        MPI.Init_thread(MPI.THREAD_MULTIPLE)
        atexit.register(_leave)
    if MPI.Query_thread() < MPI.THREAD_SERIALIZED and not MPI.Is_thread_main():
        raise UsageError("this MPI works only in the thread that initialised it; run the worker in the main thread")
    comm = MPI.COMM_WORLD
    if comm.size == 1 and (told := launched_together(os.environ)) > 1:
        library = MPI.Get_library_version().split(",")[0].split("\n")[0].strip()
        raise UsageError(
            f"{told} processes were launched together, but {library} finds itself alone: the launcher belongs to "
            f"another MPI. Use the mpirun next to {sys.executable}, or the MPI of the launcher (Slurm: srun "
            "--mpi=pmix; 'srun --mpi=list' lists the choices)"
        )
    return MPI, comm


def launched_together(environment: Mapping[str, str]) -> int:
    """How many processes a launcher says that it started; 1 if there was none."""
    counts = [environment[name] for name in _LAUNCHED if environment.get(name, "").isdecimal()]
    return max(map(int, counts), default=1)


def patience(environment: Mapping[str, str]) -> float | None:
    """How many seconds MPI_Finalize gets; 0: it is not called; None: as long as it takes."""
    if environment.get("OMPI_MCA_mpi_ft_enable", "").lower() in ("1", "true", "yes", "enabled"):
        return 0.0  # mpirun --with-ft ulfm
    if "OMPI_COMM_WORLD_SIZE" not in environment and "SLURM_STEP_ID" in environment:
        return _SRUN_PATIENCE
    return None


def _leave() -> None:
    from mpi4py import MPI

    seconds = patience(os.environ)
    if seconds == 0.0 or MPI.Is_finalized():
        return
    waiting = threading.Thread(target=_finalize, daemon=True)
    waiting.start()
    try:
        waiting.join(seconds)
    except KeyboardInterrupt:
        pass  # the user does not want to wait for the other ranks


def _finalize() -> None:
    from mpi4py import MPI

    try:
        # mpi4py's own keeps the interpreter's lock for as long as it waits, so that nothing could end the waiting.
        finalize: Any = ctypes.CDLL(MPI.__file__).MPI_Finalize
    except (OSError, AttributeError):
        finalize = MPI.Finalize
    finalize()
