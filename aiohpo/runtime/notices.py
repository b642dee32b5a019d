"""What aiohpo has to say to people while it works: the one place through which every such line goes.

A line is for two readers. People see it where they started the search: above the progress bar, on stderr, in
:attr:`aiohpo.Study.notices` or in what they gave as ``notice``. Programs find it in the log under ``aiohpo``, which has
a handler that does nothing, so that nothing is printed twice unless an application asks for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

logging.getLogger("aiohpo").addHandler(logging.NullHandler())
_logger = logging.getLogger(__name__)


class Notify(Protocol):
    """Says one line. ``level`` is that of the log record: a notice tells what goes wrong, if it says nothing else."""

    def __call__(self, text: str, /, *, level: int = logging.WARNING) -> None: ...


class Logged:
    """Says a line to ``listener`` and logs it."""

    __slots__ = ("_listener",)

    def __init__(self, listener: Callable[[str], None]) -> None:
        self._listener = listener

    def __call__(self, text: str, /, *, level: int = logging.WARNING) -> None:
        _logger.log(level, "%s", text)
        self._listener(text)

    def __repr__(self) -> str:
        return f"<Logged for {self._listener!r}>"
