"""The heap of happenings."""

from __future__ import annotations

from aiohpo.simulation.model.agenda import Agenda


def test_what_is_due_comes_in_order() -> None:
    """At one moment in the order in which it was added. What is added meanwhile comes too, nothing beyond the end."""
    agenda, called = Agenda(), list[str]()
    agenda.add(2.0, called.append, "second")
    agenda.add(1.0, called.append, "first")
    agenda.add(2.0, called.append, "third")
    agenda.add(9.0, called.append, "never")
    times = []
    for when, function, arguments in agenda.until(5.0):
        times.append(when)
        function(*arguments)
        if when == 1.0:
            agenda.add(3.0, called.append, "fourth")
    assert called == ["first", "second", "third", "fourth"]
    assert times == [1.0, 2.0, 2.0, 3.0]
