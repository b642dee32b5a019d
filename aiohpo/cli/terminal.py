"""Where the commands' words go: standard output and standard error, whatever they can encode."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from ..text import SIGNS, printable

if TYPE_CHECKING:
    from rich.console import Console


def prepare() -> None:
    """Let no character end a command: those that a stream cannot encode are written as others."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SIGNS)


def say(text: str = "", *, err: bool = False) -> None:
    """Print lines of text to stdout or stderr."""
    # Not click.echo, which on a stream of ASCII writes UTF-8 where rich writes ASCII.
    print(printable(text, lines=True), file=sys.stderr if err else sys.stdout, flush=True)


def plain_console(width: int | None = None) -> Console:
    """A console on stdout that takes text for text: no markup, no emoji codes, no highlighting."""
    from rich.console import Console

    return Console(width=width, markup=False, emoji=False, highlight=False)
