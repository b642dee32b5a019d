"""What a slot gets of its machine: a part of the cores, and the GPU that is its own.

Numerical libraries start a thread for every core in every process; four workers on four cores would then run
sixteen and get less done than four.

A slot's number is its place among all slots that were launched together; where several GPUs are visible they are dealt
out round robin by these numbers. Processes see that in their environment from their start, before any library looks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...plugin import Assignment

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SLOT = "AIOHPO_SLOT"
VISIBLE = "CUDA_VISIBLE_DEVICES"
_NVIDIA_DEVICE = re.compile(r"nvidia\d+")


def threads_for(slots: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that share the cores among so many ``slots``, but for those that the user has set."""
    each = str(max(1, available_cores() // slots))
    return {name: each for name in THREADS if name not in environment}


def available_cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def installed_devices() -> list[str]:
    """Return the numbers of the NVIDIA GPUs of this machine, as far as its driver shows them."""
    try:
        names = [path.name for path in Path("/dev").iterdir()]
    except OSError:
        return []
    return sorted((name[6:] for name in names if _NVIDIA_DEVICE.fullmatch(name)), key=int)


def visible_devices(
    environment: Mapping[str, str], installed: Callable[[], list[str]] = installed_devices
) -> list[str]:
    """Return the GPUs that programs may use, as ``CUDA_VISIBLE_DEVICES`` names them: those that it lists, if it is set,
    else all that are ``installed``."""
    given = environment.get(VISIBLE)
    if given is None:
        return installed()
    names = []
    for name in map(str.strip, given.split(",")):
        if not name or name == "-1" or name == "NoDevFiles":
            break  # as CUDA does: what follows an invalid name is not visible
        names.append(name)
    return names


def slot_environment(slot: int, devices: list[str]) -> dict[str, str]:
    """Return the variables that tell a process which slot it runs in, and which of the visible ``devices`` it uses."""
    added = {SLOT: str(slot)}
    if len(devices) > 1:
        added[VISIBLE] = devices[slot % len(devices)]
    return added


def auto_slots(environment: Mapping[str, str]) -> int:
    """Return how many trials this machine can evaluate at a time: one for each visible GPU, else for each core."""
    return len(visible_devices(environment)) or available_cores()


def trial_environment(assignment: Assignment, checkpoint: Path) -> dict[str, str]:
    """What a program finds in its environment about the trial that it runs; see :mod:`aiohpo.evaluate.command`."""
    values = {
        "TRIAL": assignment.trial,
        "NUMBER": assignment.number,
        "START_STEP": assignment.start,
        "TO_STEP": assignment.to_step,
        "MAX_STEPS": assignment.max_steps,
        "CHECKPOINT_DIR": checkpoint,
    }
    return {f"AIOHPO_{name}": str(value) for name, value in values.items() if value is not None}
