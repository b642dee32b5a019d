"""Tests of what is kept of trials beside the columns: packed or not, it is the same."""

from __future__ import annotations

import random

from aiohpo.view import details
from aiohpo.view.details import DetailStore
from tests.view.test_view import draw_history, interleave, state, view_of


def test_most_are_kept_as_bytes(monkeypatch):
    """However many trials are changed, few of them are objects, and each is what it was made."""
    monkeypatch.setattr(details, "MOST_OBJECTS", 4)
    store = DetailStore()
    rows = random.Random(0).sample(range(50), 30)
    for row in rows:
        store.edit(row).curve[row] = row
        store.edit(row).extra = {"row": float(row)}
    for row in range(60):
        assert (row in store) == (row in rows)
        found = store.get(row)
        assert (found is not None) == (row in rows)
        if found is not None:
            assert found.curve == {row: row}
            assert found.extra == {"row": row}
    assert len(store._objects) <= 4


def test_what_was_packed_can_be_changed_again(monkeypatch):
    """A change after reading is there at the next reading, and the trials in between cost nothing of it."""
    monkeypatch.setattr(details, "MOST_OBJECTS", 2)
    store = DetailStore()
    for _ in range(3):
        for row in range(5):
            before = store.get(row)
            n = 0 if before is None else len(before.curve)
            store.edit(row).curve[n] = n
    assert [list(store.get(row).curve) for row in range(5)] == [[0, 1, 2]] * 5


def test_a_view_is_the_same_whatever_is_packed(monkeypatch):
    """What can be read from a view does not depend on how many trials are kept as objects."""
    for seed in range(40):
        rng = random.Random(seed)
        history = interleave(rng, draw_history(rng, 60))
        plain = state(view_of(history, max_steps=3))
        with monkeypatch.context() as patched:
            patched.setattr(details, "MOST_OBJECTS", 2)
            assert state(view_of(history, max_steps=3)) == plain
