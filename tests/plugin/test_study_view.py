"""What algorithms read."""

from __future__ import annotations

from aiohpo.plugin import Identity


def test_a_slot_has_the_identity_of_a_worker_of_its_own() -> None:
    """Its rank follows from the first slot's; a worker of one slot is its slot."""
    worker = Identity("ada", 4, 12, slots=4)
    assert worker.of_slot(0) == Identity("ada", 4, 12)
    assert worker.of_slot(3) == Identity("ada/3", 7, 12)
    assert Identity("ada", slots=2).of_slot(1) == Identity("ada/1")
    assert Identity("ada", 1, 3).of_slot(0) == Identity("ada", 1, 3)
