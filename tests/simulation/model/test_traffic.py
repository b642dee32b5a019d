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
    """At most a batch every interval leaves on each link, and each of them has what is new."""
    assert frames(256, 1000.0) <= 6 * 50 + 0.5 * 3
    assert frames(4096, 1000.0) <= 8 * 10 + 2
    assert size(256, 1000.0) > 6 * 1000 * 100


def test_repair_costs_what_differs() -> None:
    """Swarms of thousands exchange hashes and a few parts of vectors, in which whole ones of 65 kB would show."""
    flood = 8 * 70.0 * (100 + 20) + 8 * 10 * 12
    assert 1_000 < size(4096, 70.0) - flood < 4_000
    assert size(257, 70.0) < size(256, 70.0)
