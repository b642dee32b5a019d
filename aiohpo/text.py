"""Text that comes from elsewhere, made fit to be shown.

Names, choices, error messages, hosts and notices are written by users, their objectives and other peers. They may hold
what moves a terminal's cursor, sets its title or reverses the reading order, what is markup to rich or matplotlib or a
formula to a spreadsheet, and what cannot be encoded. :func:`printable` is the one way from such a text to anything that
people look at; :func:`plot_text` and :func:`spreadsheet_cell` add what a picture and a CSV file need. JSON stays exact.
"""

from __future__ import annotations

import codecs
import re

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# What a spreadsheet takes for the beginning of a formula, in both widths in which East Asian keyboards type it.
_FORMULA = tuple("=+-@＝＋－＠")
# The signs of our own output, for streams that have no others; each has one character, so that columns stay aligned.
_SIGNS = str.maketrans("…–→·─━│└├▁▂▃▄▅▆▇█", "~->.--|`|_.,-~+*#")
SIGNS = "aiohpo.signs"  # the error handler of streams that write what people read


def printable(text: str, most: int | None = None, *, lines: bool = False) -> str:
    r"""Return ``text`` as what it looks like, with nothing in it that acts on a terminal.

    Colours are dropped, each white space becomes a space, and every other character that is not printable (control
    characters, changes of direction, half of a surrogate pair) becomes its escape, such as ``\x1b`` or ``\u202e``.
    With ``lines`` line ends are kept. More than ``most`` characters are cut, which ``…`` shows.
    """
    if lines:
        return "\n".join(printable(line.expandtabs(4), most) for line in _LINE_END.split(text))
    if not text.isprintable():
        text = "".join(map(_visible, _COLOUR.sub("", text)))
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else ascii(character)[1:-1]


def plot_text(text: str, most: int = 40) -> str:
    """Return ``text`` for a picture: printable, short, and with no formula for matplotlib to typeset."""
    return printable(text, most).replace("$", r"\$")


def spreadsheet_cell(text: str) -> str:
    """Return ``text`` for a CSV file: in one line, and behind an apostrophe where it would be taken for a formula.

    A text that is just a number, such as "-1", stays as it is.
    """
    text = printable(text)
    begin = text.lstrip()
    return f"'{text}" if begin.startswith(_FORMULA) and not _NUMBER.fullmatch(begin) else text


def _substitute(error: UnicodeError) -> tuple[str, int]:
    """Write what a stream cannot encode as a similar sign, or as its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_SIGNS)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(SIGNS, _substitute)
