"""What a worker sends, in formulas."""

from __future__ import annotations

from aiohpo.mesh.timing import Timing
from aiohpo.simulation.model.traffic import traffic_of


def frames(workers: int, batches: float) -> float:
    return traffic_of(workers, batches, 100.0 * batches, 0.0005, Timing())["frames_per_worker_second"]


def size(workers: int, batches: float) -> float:
    return traffic_of(workers, batches, 100.0 * batches, 0.0005, Timing())["bytes_per_worker_second"]


def test_a_worker_alone_sends_nothing() -> None:
    """There is nobody to send it to."""
    assert frames(1, 5.0) == 0.0


def test_an_idle_swarm_pings() -> None:
    """A ping and an answer a second on each link, and a digest every two seconds."""
    assert frames(64, 0.0) == 6 * 2 + 0.5


def test_frames_are_bounded_and_bytes_are_not() -> None:
    """At most a batch every interval leaves on each link; the version vectors grow with the swarm."""
    assert frames(256, 1000.0) <= 6 * 50 + 0.5 * 3
    assert size(4096, 70.0) > 1.5 * size(256, 70.0)
