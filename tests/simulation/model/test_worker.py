"""The workers of the model."""

from __future__ import annotations

import aiohpo
from aiohpo.events.log import Log
from aiohpo.plugin.objective import Objective
from aiohpo.simulation.model.worker import SharedRecorder
from aiohpo.view.view import View


def test_what_one_records_all_know_at_once() -> None:
    """In the one order of the clock, with the size that the event has on the wire."""
    view, log, sizes = View(aiohpo.Space(x=aiohpo.Float(0, 1)), Objective("loss", "min")), Log(), list[int]()
    ann, bob = (SharedRecorder(name, view, log, sizes.append) for name in ("ann", "bob"))
    first = ann.propose(0.0, (0.5,))
    second = bob.propose(0.0, (0.25,))
    ann.end(first, "finished", step=0, seconds=60.0, value=1.0)
    bob.end(second, "finished", step=0, seconds=60.0, value=2.0)
    assert [(record.id, record.value) for record in view.records()] == [("ann-1", 1.0), ("bob-1", 2.0)]
    assert log.clock == len(sizes) == 4
    assert all(10 < size < 80 for size in sizes)
