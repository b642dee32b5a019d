"""Meeting inside a Slurm job, from an environment such as Slurm makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.errors import UsageError
from aiohpo.launch.slurm import Slurm, slurm_job

STEP = {
    "SLURM_JOB_ID": "812",
    "SLURM_SUBMIT_DIR": "/home/ada/search",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "3",
    "SLURM_STEP_NUM_TASKS": "16",
    "SLURM_JOB_NUM_NODES": "4",
}
PEERS = Path("/home/ada/search/slurm-812.peers")


def test_tasks_of_a_job_meet_where_it_was_submitted() -> None:
    """All tasks of a job have one directory, and a place each."""
    assert slurm_job(STEP) == Slurm(PEERS, 3, 16, many_nodes=True)


@pytest.mark.parametrize("change", [{"SLURM_STEP_ID": "1"}, {"SLURM_PROCID": "16"}, {"SLURM_PROCID": "x"}])
def test_no_place_where_it_would_not_be_unique(change: dict[str, str]) -> None:
    """Outside of the job's first step, or where the numbers make no sense, a task has no place."""
    assert slurm_job({**STEP, **change}) == Slurm(PEERS, None, None, many_nodes=True)


def test_one_node_needs_no_network() -> None:
    """In a job on one node the loopback interface is enough."""
    assert not slurm_job({**STEP, "SLURM_JOB_NUM_NODES": "1"}).many_nodes
    assert not slurm_job({"SLURM_JOB_ID": "812"}).many_nodes


def test_job_arrays_are_one_mesh() -> None:
    """The jobs of an array meet under the array's number, have no place, and may be on several nodes."""
    array = {**STEP, "SLURM_ARRAY_JOB_ID": "800", "SLURM_JOB_NUM_NODES": "1"}
    assert slurm_job(array) == Slurm(Path("/home/ada/search/slurm-800.peers"), None, None, many_nodes=True)


def test_outside_of_a_job() -> None:
    """Without a job it is an error that says how to get one."""
    with pytest.raises(UsageError, match="SLURM_JOB_ID is not set here; use sbatch or srun"):
        slurm_job({})
