"""Checking the options of a plugin: one way and one style of error for the built-ins and for everyone's.

The options of a plugin are the keyword arguments of its constructor, and what a user types arrives there as it is:
``--searcher nearby:scale=big`` gives ``scale="big"``. A constructor that checks each option with :class:`Options`
answers a wrong one like the built-ins do, and holds afterwards what it declares: a plain ``int``, ``float``, ``bool``
or ``str``, also where it was given a numpy scalar. ::

    class Nearby:
        def __init__(self, scale: float = 0.1, neighbours: int = 5, metric: str = "l2") -> None:
            options = Options("nearby")
            self.scale = options.number("scale", scale, above=0)
            self.neighbours = options.whole("neighbours", neighbours, least=1)
            self.metric = options.choice("metric", metric, ("l1", "l2"))

    Nearby(neighbours=1.5)  # UsageError: nearby: neighbours must be a whole number of at least 1, not 1.5

Options that a plugin does not have never reach its constructor: :func:`aiohpo.plugin.registry.create` refuses them
and lists those that there are.

A *whole number* is any integer but no bool; ``2.0`` is none. A *number* is real, finite and no bool.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, NoReturn

from ..errors import UsageError


class Options:
    """Checks one plugin's options, each by a method that returns the value or raises ``UsageError``.

    Args:
        plugin: the name with which every error begins, as it is registered. Empty for arguments that are no plugin's.
    """

    def __init__(self, plugin: str = "") -> None:
        self._prefix = f"{plugin}: " if plugin else ""

    def whole(self, name: str, value: Any, *, least: int, most: int | None = None) -> int:
        """Return ``value`` as an ``int`` if it is a whole number from ``least`` to ``most``, both included."""
        whole = _whole(value)
        if whole is None or whole < least or (most is not None and whole > most):
            self._refuse(name, f"a whole number {_bounds(least, None, most, None)}", value)
        return whole

    def whole_or_none(self, name: str, value: Any, *, least: int, most: int | None = None) -> int | None:
        """Return None for None, and anything else as :meth:`whole` does."""
        return None if value is None else self.whole(name, value, least=least, most=most)

    def number(
        self,
        name: str,
        value: Any,
        *,
        least: float | None = None,
        above: float | None = None,
        most: float | None = None,
        below: float | None = None,
        unit: str = "",
    ) -> float:
        """Return ``value`` as a ``float`` if it is finite and within the bounds.

        ``least`` and ``most`` are allowed themselves, ``above`` and ``below`` are not. ``unit`` is for the error, a
        plural such as "seconds".
        """
        number = _number(value)
        if (
            number is None
            or (least is not None and number < least)
            or (above is not None and number <= above)
            or (most is not None and number > most)
            or (below is not None and number >= below)
        ):
            infinite = isinstance(value, float) and not math.isfinite(value)
            kind = f"a {'finite ' if infinite else ''}number{f' of {unit}' if unit else ''}"
            self._refuse(name, f"{kind} {_bounds(least, above, most, below)}".rstrip(), value)
        return number

    def flag(self, name: str, value: Any) -> bool:
        """Return ``value`` if it is true or false; 0 and 1 are neither."""
        if not isinstance(value, bool):
            self._refuse(name, "true or false", value)
        return value

    def choice(self, name: str, value: Any, choices: Collection[str]) -> str:
        """Return ``value`` if it is one of ``choices``."""
        if not isinstance(value, str) or value not in choices:
            self._refuse(name, f"one of {', '.join(choices)}", value)
        return value

    def text(self, name: str, value: Any) -> str:
        """Return ``value`` if it is text that is not empty."""
        if not isinstance(value, str) or not value:
            self._refuse(name, "text that is not empty", value)
        return value

    def path(self, name: str, value: Any) -> str:
        """Return the path ``value``, text or a :class:`pathlib.Path`, as text."""
        if not isinstance(value, str | PurePath) or not str(value):
            self._refuse(name, "a path", value)
        return str(value)

    def names(self, name: str, value: Any) -> tuple[str, ...]:
        """Return one or more names: text that joins them by ``+``, as a command line can have it, or a sequence."""
        given = value.split("+") if isinstance(value, str) else value
        if isinstance(given, list | tuple | set | frozenset) and all(isinstance(each, str) for each in given):
            stripped = tuple(each.strip() for each in given)
            if stripped and all(stripped):
                return stripped
        return self._refuse(name, 'one or more names, as a list or joined by "+"', value)

    def refuse(self, why: str) -> NoReturn:
        """Raise ``UsageError`` for anything else; ``why`` names the options, their values and the remedy."""
        raise UsageError(f"{self._prefix}{why}")

    def _refuse(self, name: str, allowed: str, value: Any) -> NoReturn:
        text = repr(value)
        self.refuse(f"{name} must be {allowed}, not {text if len(text) <= 80 else text[:77] + '...'}")

    def __repr__(self) -> str:
        return f"Options({self._prefix.removesuffix(': ')!r})"


def _whole(value: Any) -> int | None:
    return None if isinstance(value, bool) or not isinstance(value, Integral) else int(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _bounds(least: float | None, above: float | None, most: float | None, below: float | None) -> str:
    """Say in words which numbers are allowed."""
    if least is not None and most is not None:
        return f"from {_short(least)} to {_short(most)}"
    bounds = ((least, "at least"), (above, "above"), (most, "at most"), (below, "below"))
    words = " and ".join(f"{how} {_short(bound)}" for bound, how in bounds if bound is not None)
    return f"of {words}" if words.startswith("at ") else words


def _short(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"
