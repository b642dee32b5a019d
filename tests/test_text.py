"""Text from elsewhere, made fit to be shown."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiohpo.text import SIGNS, plot_text, printable, spreadsheet_cell
from tests.support.run_directories import HOSTILE


@given(st.text(st.characters()))
def test_whatever_it_is_it_becomes_printable(text: str) -> None:
    """Nothing in it controls a terminal, and it can be encoded; doing it again changes nothing."""
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such file: [/data/x.csv]", "no such file: [/data/x.csv]"),
        ("dict[str, int] :smile: naïve 漢字 😀", "dict[str, int] :smile: naïve 漢字 😀"),
        ("a\tb\r\nc\u00a0d", "a b  c d"),
        ("\x1b[1;31mred\x1b[0m \x1b[2J", r"red \x1b[2J"),
        ("\x07\x9b\x7f\u202e\u200b\ud800\x00", r"\x07\x9b\x7f\u202e\u200b\ud800\x00"),
        (r"C:\x1b", r"C:\x1b"),
    ],
)
def test_what_is_not_printable_becomes_its_escape(text: str, shown: str) -> None:
    """White space becomes spaces, colours go, everything else stays as it is."""
    assert printable(text) == shown


def test_lines_are_kept_where_they_are_wanted() -> None:
    """Whatever ends them; tabs are expanded, and none of the lines is longer than asked."""
    assert printable("a\r\nb\u2028\tc\x1b\rd", lines=True) == "a\nb\n    c\\x1b\nd"
    assert printable("abcdef\nabc", 4, lines=True) == "abc…\nabc"


def test_a_long_text_is_cut() -> None:
    """To so many characters, the last of which says so."""
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 11, 10) == "x" * 9 + "…"


def test_a_text_in_a_picture_has_no_formula() -> None:
    """Each dollar is one to be shown."""
    assert plot_text("$x_{$\n") == r"\$x_{\$ "
    assert len(plot_text("n" * 300)) == 40


@pytest.mark.parametrize(
    "text", ["=1+1", "+a", "-a", "@sum(1)", "\t=1", "\r\n=1", "＝1", "=cmd|' /C calc'!A0", "-1+cmd", "--1"]
)
def test_a_formula_in_a_cell_is_text(text: str) -> None:
    """It begins with an apostrophe, also where white space comes before the sign."""
    assert spreadsheet_cell(text) == f"'{printable(text)}"


@pytest.mark.parametrize("text", ["-1", "+1.5e-3", "-.5", "1=1", "a-b", "", " ", "adam"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    """Numbers among them, whatever their sign."""
    assert spreadsheet_cell(text) == text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_a_stream_that_cannot_encode_a_character_gets_another(encoding: str) -> None:
    """Our own signs become similar ones of the same width, other characters their escapes."""
    binary = io.BytesIO()
    with io.TextIOWrapper(binary, encoding=encoding, errors=SIGNS) as stream:
        stream.write("→ ━├─ █ 漢" + HOSTILE)
        stream.flush()
        written = binary.getvalue().decode(encoding)
    assert written.startswith("→ ━├─ █ 漢" if encoding == "utf-8" else r"> -|- # \u6f22")
