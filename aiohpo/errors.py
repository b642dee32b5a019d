"""Errors that are meant for people."""

from __future__ import annotations

from collections.abc import Sequence


class AiohpoError(Exception):
    """Base class of errors that aiohpo raises on purpose."""


class UsageError(AiohpoError, ValueError):
    """Wrong usage or bad input. The message names the value, the place and the remedy; the command line
    prints it without a traceback and exits with 2."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: where in the user's code, and what is wrong. IPython calls this."""
        import traceback

        shown = []
        for frame, line in traceback.walk_tb(self.__traceback__):
            package = str(frame.f_globals.get("__name__")).partition(".")[0]
            if package == __package__:
                break  # what is farther down is ours
            if package != "IPython":
                shown.append((frame, line))
        lines = traceback.StackSummary.extract(iter(shown)).format()
        return [*"".join(lines).splitlines(), f"{type(self).__name__}: {self}"]


class Unavailable(AiohpoError):
    """Something that a worker needs (disk space, a process, a descriptor) was unavailable for so long that the worker
    stopped. No trial failed because of it; the same command continues once it is available again."""


def plural(n: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def listing(names: Sequence[str]) -> str:
    """Join names for an error message: ``a, b, c``; ``(none)`` if there are none."""
    return ", ".join(sorted(names)) or "(none)"
