"""Notes: what JSON can hold goes in and comes out as it was, everything else is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.events.notes import MAX_NOTES, decode_note, encode_notes
from aiohpo.events.schema import MAX_EVENT, MAX_NOTE_BYTES, Noted


def test_what_json_can_hold_comes_back() -> None:
    """Nested values, big whole numbers and any text; tuples come back as lists, numpy's values as plain ones."""
    notes = {"a b": {"k": [1, 2.5, None, True, "é\n"]}, "big": 10**30, "self": (1, 2), "n": np.float32(0.5)}
    read = {name: decode_note(text) for name, text in encode_notes({**notes, "array": np.eye(2)}).items()}
    assert read == {**notes, "self": [1, 2], "array": [[1.0, 0.0], [0.0, 1.0]]}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "cannot note 'x' (float): JSON has no NaN and no infinity"),
        ([float("inf")], "cannot note 'x' (list): JSON has no NaN"),
        (object(), "cannot note 'x' (object): JSON has no object: give numbers, text"),
        ({(1, 2): 3}, "cannot note 'x' (dict): keys must be"),
        ("\ud800", "half a character"),
        ("y" * MAX_NOTE_BYTES, "give it to trial.attach"),
    ],
)
def test_what_cannot_be_noted_is_refused_with_its_name(value: Any, why: str) -> None:
    """The error names the note, and what to do instead."""
    with pytest.raises(UsageError) as raised:
        encode_notes({"ok": 1, "x": value})
    assert why in str(raised.value)


def test_a_note_that_contains_itself_is_refused() -> None:
    """So is one that is nested more deeply than JSON is read."""
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = 0
    for _ in range(100_000):
        deep = [deep]
    for value in (loop, deep):
        with pytest.raises(UsageError, match="cannot note 'x'"):
            encode_notes({"x": value})
    while deep:  # or taking it apart would be too deep for the interpreter
        deep = deep.pop()


@pytest.mark.parametrize(
    "notes", [{}, {"": 1}, {"n" * 129: 1}, {"\ud800": 1}, dict.fromkeys(map(str, range(MAX_NOTES + 1)))]
)
def test_names_and_number_are_bounded(notes: dict[str, Any]) -> None:
    """No note at all, a name that is empty, too long or no text, and too many notes are errors."""
    with pytest.raises(UsageError):
        encode_notes(notes)


def test_a_peer_s_text_that_is_not_json_is_shown_as_it_is() -> None:
    """Reading a run does not fail for it."""
    assert [decode_note(text) for text in ("{", "NaN", "[" * 100_000)] == ["{", "NaN", "[" * 100_000]
    assert MAX_NOTE_BYTES < MAX_EVENT
    assert Noted(1, 1, {"a": "1"}).notes == {"a": "1"}
