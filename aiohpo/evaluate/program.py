"""What to run, and whether this process imports the user's file only to find it.

A worker that evaluates in another process cannot hand over a function: that process imports the user's file
again and takes the function from there (see :mod:`aiohpo.evaluate.reimport`). Many files end in a bare
``study.run()``. Running a second search from within the first would be a fork bomb, so while a file is being
re-imported ``Study.run`` raises :class:`ImportedInChild`: the import ends there, and what the file had
defined by then is used.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ..errors import UsageError
from ..plugin import Options


class ImportedInChild(BaseException):
    """Ends the re-import of a user's file at the point where it would run a study.

    A ``BaseException``, so that an ``except Exception`` around ``study.run()`` does not swallow it.
    """


_reimports = 0


def in_child() -> bool:
    """Say whether a user's file is being imported right now only to find what it defines."""
    return _reimports > 0


def started_by_multiprocessing() -> bool:
    """Say whether this is a process that multiprocessing has just started and that imports its parent's main file."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and bool(getattr(module.current_process(), "_inheriting", False))


def refuse_in_child() -> None:
    """Raise what ends the import of a user's file where it would begin a search, in a process that only imports it."""
    if in_child():
        raise ImportedInChild
    if started_by_multiprocessing():
        raise UsageError(
            "a process that multiprocessing started imports this file and would begin a search of its own: "
            'put study.run() under if __name__ == "__main__":'
        )


@contextmanager
def reimporting() -> Iterator[None]:
    """Make :func:`in_child` true within the block."""
    global _reimports
    _reimports += 1
    try:
        yield
    finally:
        _reimports -= 1


@dataclass(frozen=True, slots=True)
class StudyFile:
    """The file and the name in it that hold the study (or a bare objective), as given on the command line."""

    path: str
    name: str = "study"


class FunctionElsewhere:
    """Stands for a function that only other processes have: this one has let go of the file that defines it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__qualname__ = getattr(function, "__qualname__", type(function).__name__)

    def __call__(self, trial: object) -> NoReturn:
        raise RuntimeError(f"{self.__qualname__!r} runs in other processes only")


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, what it is judged by, and how to find it again from another process.

    function   called with a :class:`~aiohpo.evaluate.trial.Trial`; None where the evaluator brings its own
               program (``command``)
    metric     name of the metric that the search optimises
    max_steps  steps of a whole trial; None: the objective decides
    dump, load ``dump(obj) -> bytes`` and ``load(bytes) -> obj`` for checkpoints; None: bytes, directories
               and whatever pickle can do
    source     where another process finds it; None: derived from the function's own module
    secret     what checkpoints are sealed with (:mod:`aiohpo.evaluate.checkpoint`), derived from the study's key;
               empty: nothing can be saved or restored
    first_slot  the number of the worker's first slot among all slots that were launched together
    """

    function: Callable[[Any], Any] | None
    metric: str = "loss"
    max_steps: int | None = None
    dump: Callable[[Any], bytes] | None = None
    load: Callable[[bytes], Any] | None = None
    source: StudyFile | None = None
    secret: bytes = field(default=b"", repr=False)
    first_slot: int = 0

    def __post_init__(self) -> None:
        if self.function is not None and not callable(self.function):
            raise UsageError(f"objective must be a function that takes a trial, not {type(self.function).__name__}")
        Options().whole_or_none("max_steps", self.max_steps, least=1)
        if (self.dump is None) != (self.load is None):
            raise UsageError("dump and load go together: give both or neither")

    @property
    def is_async(self) -> bool:
        """Whether the function is ``async def`` (or an object whose ``__call__`` is)."""
        function = self.function
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - the method itself is wanted
        )

    @property
    def title(self) -> str:
        """What to call it in messages."""
        return str(getattr(self.function, "__qualname__", None) or type(self.function).__name__)
