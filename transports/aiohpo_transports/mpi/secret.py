"""The study's key on its way from rank 0 to the other ranks of its launch.

They need no key to reach each other, which the launcher has seen to, but one that they have in common, because
checkpoints are authenticated under it. Rank 0 sends it to each rank and waits for none; each rank waits for rank 0, in
the thread of its event loop, as MPI's own initialisation does shortly before. These messages have a tag of their own,
so that the endpoints' do not get between, and MPI delivers them in order: where one search follows another in the same
processes, each gets its own.
"""

from __future__ import annotations

import time
from typing import Any

from aiohpo.errors import UsageError

from .process import TAG

SECRET_TAG = TAG + 1
WITHIN = 120.0  # seconds: rank 0 may have a large program to import first
_LONGEST_PAUSE = 0.02

_under_way: list[tuple[Any, bytes]] = []  # MPI may read these buffers until their requests complete


def hand_out(mpi: Any, comm: Any, secret: bytes) -> None:
    """Send ``secret`` to all other ranks; those that are dead go without."""
    _under_way[:] = [(request, data) for request, data in _under_way if not _completed(mpi, request)]
    for rank in range(1, comm.size):
        try:
            _under_way.append((comm.Isend(secret, rank, SECRET_TAG), secret))
        except mpi.Exception:
            continue


def receive(mpi: Any, comm: Any, within: float = WITHIN) -> bytes:
    """Wait for rank 0's secret. Raises ``UsageError`` if it does not come, or if rank 0 has none."""
    end = time.monotonic() + within
    pause = 0.0005
    status = mpi.Status()
    request: Any = None
    buffer = bytearray()
    try:
        while time.monotonic() < end:
            if request is None:
                message = comm.Improbe(0, SECRET_TAG, status)
                if message is not None:
                    buffer = bytearray(status.Get_count(mpi.BYTE))
                    request = message.Irecv(buffer)
            if request is not None and request.Test():
                break
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            raise UsageError(f"rank 0 has not handed out the study's key within {within:g} s; did it start?")
    except mpi.Exception as error:
        raise UsageError(f"rank 0 died before it handed out the study's key ({error})") from None
    if not buffer:
        raise UsageError("rank 0 could not start, so this rank stops too; see the error of rank 0")
    return bytes(buffer)


def _completed(mpi: Any, request: Any) -> bool:
    try:
        return bool(request.Test())
    except mpi.Exception:
        return True
