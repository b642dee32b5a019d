"""Meeting inside a Slurm job, from what Slurm puts into the environment.

All tasks of a job (all jobs of a job array) leave their addresses in ``slurm-<job>.peers`` in the directory that the
job was submitted from, beside Slurm's own ``slurm-<job>.out``. Clusters share that directory between their nodes.
Deriving addresses from the node list instead would need a fixed port per task, which another job may hold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError

WORD = "slurm"  # as an address to join by


@dataclass(frozen=True, slots=True)
class Slurm:
    """Where the workers of this job meet. ``rank`` of ``size`` is this task's place in the job's first step, None in
    later steps and in job arrays, where several tasks have the same; ``many_nodes`` says whether loopback is enough.
    """

    directory: Path
    rank: int | None
    size: int | None
    many_nodes: bool


def slurm_job(environment: Mapping[str, str] = os.environ) -> Slurm:
    """Read the environment. Raises ``UsageError`` outside of a Slurm job."""
    array = environment.get("SLURM_ARRAY_JOB_ID")
    job = array or environment.get("SLURM_JOB_ID")
    if not job:
        raise UsageError("joining by 'slurm' is for Slurm jobs, but SLURM_JOB_ID is not set here; use sbatch or srun")
    directory = Path(environment.get("SLURM_SUBMIT_DIR") or Path.cwd()) / f"slurm-{job}.peers"
    rank = size = None
    if array is None and environment.get("SLURM_STEP_ID") == "0":
        rank = _number(environment, "SLURM_PROCID")
        size = _number(environment, "SLURM_STEP_NUM_TASKS")
        if rank is None or size is None or rank >= size:
            rank = size = None
    nodes = _number(environment, "SLURM_JOB_NUM_NODES") or _number(environment, "SLURM_NNODES") or 1
    return Slurm(directory, rank, size, many_nodes=array is not None or nodes > 1)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else None
