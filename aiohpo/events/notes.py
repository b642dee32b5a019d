"""Notes: what an objective, or a person, has to say of a trial in words of their own.

A note is a name and a value that JSON can hold. The log and the view keep the value as its JSON text: they have no use
for it, and its reader gets what was given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import UsageError
from .schema import MAX_NOTE_BYTES

MAX_NOTES = 256
MAX_NAME = 128
_OVERHEAD = 8  # bytes that a note takes beside its name and value


def encode_notes(notes: Mapping[str, Any]) -> dict[str, str]:
    """Return ``{name: JSON}``. Raises ``UsageError`` that names the note which cannot be recorded, or says that they
    are too large together."""
    if not notes:
        raise UsageError("a note has a name and a value: trial.note(layers=[64, 32])")
    if len(notes) > MAX_NOTES:
        raise UsageError(f"{len(notes)} notes at once are too many: give at most {MAX_NOTES}")
    encoded = {_checked_name(name): _encode(name, value) for name, value in notes.items()}
    sizes = {name: len(name.encode()) + len(text.encode()) + _OVERHEAD for name, text in encoded.items()}
    if (size := sum(sizes.values())) > MAX_NOTE_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise UsageError(
            f"{_count(len(notes))} of {size} bytes (the largest is {largest!r}, {sizes[largest]}): at most "
            f"{MAX_NOTE_BYTES} are recorded at once; write larger data to a file and give it to trial.attach"
        )
    return encoded


def decode_note(text: str) -> Any:
    """Return the value of a note; the text itself if it is not JSON, as only a broken peer's can be."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise UsageError(f"a note's name is {name!r:.80}: names are text of 1 to {MAX_NAME} characters")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the name {name!a} of a note holds half a character (a lone surrogate)") from None
    return name


def _encode(name: str, value: Any) -> str:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_as_plain)
        text.encode()
        json.loads(text)
    except UnicodeEncodeError:
        why = "its text holds half a character (a lone surrogate)"
    except RecursionError:
        why = "it contains itself, or is nested too deeply"
    except ValueError as error:
        nan = "not JSON compliant" in str(error)
        why = "JSON has no NaN and no infinity: note None or text instead" if nan else str(error)
    except TypeError as error:
        why = f"{error}: give numbers, text, booleans, None, and lists and dicts of them"
    else:
        return text
    raise UsageError(f"cannot note {name!r} ({type(value).__name__}): {why}")


def _as_plain(value: Any) -> Any:
    """What numpy's and torch's numbers and arrays are in plain Python."""
    convert = getattr(value, "tolist", None)
    if callable(convert):
        return convert()
    raise TypeError(f"JSON has no {type(value).__name__}")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _count(n: int) -> str:
    return "a note" if n == 1 else f"{n} notes"
