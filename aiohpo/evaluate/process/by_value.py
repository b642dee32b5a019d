"""Functions that no other process can import, sent to one as they are.

What was typed into a notebook or at a prompt is in no file, and closures, lambdas and objects that can be called have
no name to import them by. cloudpickle writes down their code and what they refer to. The pickle goes from a worker to
a process that it has started, through the socket pair between the two, and nowhere else: it is neither kept nor read
from anything that others could have written.

A function of ``__main__`` takes along what it uses of that module: as it is when the search begins, and a copy for each
process. In the process that becomes the ``__main__``, so that pickle finds the classes of what is saved or restored.
"""

from __future__ import annotations

import functools
import inspect
import pickle
import sys
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from ...errors import UsageError
from ...text import printable

_REMEDY = 'make it inside the function, or use evaluator="thread"'
_DEEPEST = 20  # functions that call one another, between the objective and what cannot be sent
_WIDEST = 200  # characters of another library's error


def pickle_by_value(functions: Sequence[tuple[str, Any]]) -> bytes:
    """Return the pickle of a tuple of functions, each given with what it is called in messages.

    Raises:
        UsageError: one of them refers to something that cannot be pickled; the message names it.
    """
    import cloudpickle

    try:
        pickled: bytes = cloudpickle.dumps(tuple(function for _, function in functions))
    except Exception as error:  # whatever a user's __reduce__ raises
        for what, function in functions:
            if (found := _find_culprit(function, set())) is not None:
                raise UsageError(f"{what} cannot be sent to another process: {found}: {_REMEDY}") from None
        raise UsageError(
            f"{' and '.join(what for what, _ in functions)} cannot be sent to another process: {_describe(error)}: "
            f"{_REMEDY}"
        ) from None
    return pickled


def _find_culprit(function: Any, seen: set[int], owner: str = "") -> str | None:
    """Say which variable of ``function``, or of those that it calls, keeps it from being pickled; None: none does."""
    if id(function) in seen or len(seen) > _DEEPEST:
        return None
    seen.add(id(function))
    for kind, name, value in _variables(function):
        error = _why_not(value)
        if error is None:
            continue
        if isinstance(value, FunctionType | MethodType | functools.partial):
            title = printable(getattr(value, "__qualname__", name))
            if (deeper := _find_culprit(value, seen, f" of {title!r}")) is not None:
                return deeper
        made = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        return f"its {kind} {name!r}{owner}, of type {made}, does not pickle ({_describe(error)})"
    return None


def _variables(function: Any) -> Iterator[tuple[str, str, Any]]:
    """What a function takes along when it is pickled: what each is, its name and its value."""
    if isinstance(function, functools.partial):
        yield "function", "func", function.func
        for number, value in enumerate(function.args):
            yield "argument", str(number), value
        for name, value in function.keywords.items():
            yield "argument", name, value
    elif isinstance(function, MethodType):
        yield "object", "self", function.__self__
        yield from _variables(function.__func__)
    elif isinstance(function, FunctionType):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                yield "variable", name, cell.cell_contents
            except ValueError:
                continue  # it has no value yet
        for name in dict.fromkeys(_names(function.__code__)):
            if name in function.__globals__:
                yield "variable", name, function.__globals__[name]
        parameters = inspect.signature(function).parameters.values()
        for parameter in parameters:
            if parameter.default is not parameter.empty:
                yield "default", parameter.name, parameter.default
    else:
        for name, value in getattr(function, "__dict__", {}).items():
            yield "attribute", name, value
        if isinstance(called := _called(function), FunctionType):
            yield from _variables(called)


def _names(code: CodeType) -> Iterator[str]:
    """The names that code refers to, and the code that is defined within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _why_not(value: Any) -> Exception | None:
    import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception as error:
        return error
    return None


def _describe(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}", _WIDEST)


def unpickle_functions(pickled: bytes | bytearray) -> tuple[Any, ...]:
    """Undo :func:`pickle_by_value`, in the process that was started to run the functions."""
    functions: tuple[Any, ...] = pickle.loads(pickled)
    for function in functions:
        known = _globals_of(function)
        if known is not None and known.get("__name__") == "__main__":
            main = ModuleType("__main__")
            vars(main).update(known)
            sys.modules["__main__"] = main
            break  # those of all are one dict, as they were pickled together
    return functions


def _globals_of(function: Any) -> dict[str, Any] | None:
    """The variables of the module that a function, or an object that can be called, is from."""
    while not isinstance(function, FunctionType):
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        else:
            function = _called(function)
            if not isinstance(function, FunctionType):
                return None
    return function.__globals__


def _called(instance: Any) -> Any:
    """What runs when an object is called."""
    return getattr(type(instance), "__call__", None)  # noqa: B004 - the method itself is wanted
