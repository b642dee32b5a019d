"""Find an objective again from another process.

A *reference* is ``[module, file, package, name]``: enough to import what another process has, and plain data,
so it crosses the pipe without pickle. What that process ran as ``__main__`` is imported under the name that
:mod:`multiprocessing` uses for the purpose, ``__mp_main__``. So an ``if __name__ == "__main__":`` block does
not run, pickles of classes defined in the user's file load on both sides, and an objective that itself uses
``multiprocessing`` with "spawn" finds things where that expects them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import Any

from ..interfaces import UsageError
from .objective import ImportedInChild, Objective, Source, reimporting

MAIN = "__mp_main__"
Reference = list[str]


# ------------------------------------------------------------------------------------- in the worker
def describe(objective: Objective) -> dict[str, Any]:
    """Return what :func:`rebuild` needs, as plain data; raise UsageError if it cannot be found again."""
    source = objective.source
    return {
        "metric": objective.metric,
        "max_steps": objective.max_steps,
        "source": None if source is None else [os.path.abspath(source.path), source.name],
        "function": None if source is not None else _refer("the objective", objective.function),
        "dump": None if source is not None else _refer("dump", objective.dump),
        "load": None if source is not None else _refer("load", objective.load),
    }


def _refer(what: str, function: Any) -> Reference | None:
    if function is None:
        return None
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    remedy = 'move it to the top level of a file, with def, or use evaluator="thread"'
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        where = f"{name!r} of {module!r}" if name else f"a {type(function).__name__} object"
        raise UsageError(f"{what} is {where}, which another process cannot import: {remedy}")
    found = sys.modules.get(module)
    if found is None or not _same(_lookup(found, name), function):
        raise UsageError(f"{what} {name!r} is not what that name means in {module!r}: {remedy}")
    file = getattr(found, "__file__", None) or ""
    if module != "__main__":
        return [module, file and os.path.abspath(file), "", name]
    if not os.path.isfile(file):
        raise UsageError(f"{what} {name!r} was typed into a notebook or a prompt, not read from a file: {remedy}")
    # Checkpoints pickled in the child name its module; this process must know the name as well.
    sys.modules.setdefault(MAIN, found)
    return [MAIN, os.path.abspath(file), getattr(found, "__package__", None) or "", name]


def _same(found: Any, function: Any) -> bool:
    # Bound class methods are made anew at each look-up: equal, never identical.
    return found is function or (type(found) is type(function) and bool(found == function))


def _lookup(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


# -------------------------------------------------------------------------------------- in the child
def rebuild(description: dict[str, Any]) -> Objective:
    """Find what :func:`describe` described. Raises UsageError, or whatever the user's file raises."""
    if description["source"] is not None:
        objective = find(Source(*description["source"]))
        function, dump, load = objective.function, objective.dump, objective.load
        sys.modules["__main__"] = sys.modules[MAIN]
    else:
        function = _resolve(description["function"])
        dump = _resolve(description["dump"])
        load = _resolve(description["load"])
    return Objective(function, description["metric"], description["max_steps"], dump, load)


def _resolve(reference: Reference | None) -> Any:
    if reference is None:
        return None
    name, file, package, attribute = reference
    module = sys.modules.get(name)
    if module is None:
        module = _import(name, file, package)
        if name == MAIN:
            sys.modules["__main__"] = module
    found = _lookup(module, attribute)
    if found is None:
        raise UsageError(
            f"{file or name} does not define {attribute!r} when it is imported: define it at top level, "
            'with study.run() below it or under if __name__ == "__main__":'
        )
    return found


def _import(name: str, file: str, package: str) -> ModuleType:
    spec: ModuleSpec | None = None
    if name != MAIN:
        try:
            with reimporting():
                spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        loader = spec.loader
    else:
        # Not importable by name: a script, or a test that was loaded from its path.
        loader = SourceFileLoader(name, file)
        spec = importlib.util.spec_from_file_location(name, file, loader=loader)
        if spec is None:
            raise UsageError(f"cannot import {file!r}")
        module = importlib.util.module_from_spec(spec)
        if name == MAIN:
            # Its first import binds this very name to the running program: let that happen before, not while the
            # user's file (or scikit-learn on its behalf) imports it, or pickle finds none of the file's classes.
            importlib.import_module("multiprocessing")
            if package:
                importlib.import_module(package)
            module.__package__ = package or None
            # multiprocessing would import a spec's name; with none it takes the file, which is right.
            module.__spec__ = None
    sys.modules[name] = module
    try:
        with reimporting():
            loader.exec_module(module)
    except ImportedInChild:
        pass  # the file runs its study when imported; what it defined up to there is what we came for
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


# --------------------------------------------------------------------------------------- either side
def load(source: Source) -> Any:
    """Import the file of ``source``, with its directory first on ``sys.path``, and return what it names.

    Raises UsageError if there is no such file or name; what the file itself raises passes through.
    """
    path = os.path.abspath(source.path)
    if not os.path.isfile(path):
        raise UsageError(f"no such file: {source.path!r}")
    directory = os.path.dirname(path)
    if directory not in sys.path[:1]:
        sys.path.insert(0, directory)
    module = _import(MAIN, path, "")
    found = _lookup(module, source.name)
    if found is None:
        names = ", ".join(sorted(name for name in vars(module) if not name.startswith("_"))) or "(nothing)"
        raise UsageError(f"{source.path!r} defines no {source.name!r}; it defines {names}")
    return found


def find(source: Source) -> Objective:
    """Return the objective that ``source`` names: a study's, or a function."""
    found = load(source)
    make = getattr(found, "_task", None)
    if callable(make):
        task = make()
        if isinstance(task, Objective):
            return task
    inner = getattr(found, "objective", None)
    function = inner if callable(inner) else found
    if not callable(function):
        raise UsageError(
            f"{source.name!r} in {source.path!r} is neither a study nor a function but {type(found).__name__}"
        )
    return Objective(function)
