"""Find an objective again from another process.

A *reference* is ``[module, file, package, name]``: enough to import what another process has, and plain data,
so it crosses the pipe without pickle. What cannot be imported is sent as it is, see
:mod:`aiohpo.evaluate.process.by_value`. What that process ran as ``__main__`` is imported under the name that
:mod:`multiprocessing` uses for the purpose, ``__mp_main__``, so that an ``if __name__ == "__main__":`` block does
not run. Afterwards it takes the place of ``__main__``, see :func:`become_main`: everything that ships functions and
classes to further processes then treats it as it treats any program.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

from ..errors import UsageError
from .process.by_value import pickle_by_value, unpickle_functions
from .program import ImportedInChild, Program, StudyFile, reimporting
from .sources import KeptSources, loader_of

MAIN = "__mp_main__"
Reference = list[str]
_NONE: Mapping[str, bytes] = MappingProxyType({})


# ------------------------------------------------------------------------------------- in the worker
def describe(program: Program) -> tuple[dict[str, Any], bytes]:
    """Return what :func:`rebuild` needs: plain data, and the pickle of functions that cannot be imported, empty if all
    can. Raises UsageError for what can neither be imported nor pickled."""
    source = program.source
    functions = {"function": program.function, "dump": program.dump, "load": program.load}
    references: dict[str, Reference | None] = dict.fromkeys(functions)
    module: Reference | None = None
    pickled = b""
    if source is None:
        try:
            references = {name: _refer(function) for name, function in functions.items()}
        except _NotImportable:
            named = {"the objective": program.function, "dump": program.dump, "load": program.load}
            pickled = pickle_by_value([*named.items()])
            module = _module_of(program.function)
    return {
        "metric": program.metric,
        "max_steps": program.max_steps,
        "source": None if source is None else [os.path.abspath(source.path), source.name],
        "module": module,
        **references,
    }, pickled


def is_defined_anew(function: Any) -> bool:
    """Whether the program, or a cell of the notebook, has given the name of one of its functions to another one."""
    name = getattr(function, "__qualname__", "")
    if getattr(function, "__module__", None) != "__main__" or not isinstance(function, FunctionType) or "<" in name:
        return False
    found = _lookup(sys.modules["__main__"], name)
    return isinstance(found, FunctionType) and found is not function


def file_of(description: dict[str, Any]) -> str:
    """The file that holds what was described; empty if there is none."""
    found = description["source"] or description["function"]
    return "" if found is None else str(found[0] if description["source"] else found[1])


class _NotImportable(Exception):
    """No name leads to it in a process that imports what this one has."""


def _refer(function: Any) -> Reference | None:
    if function is None:
        return None
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        raise _NotImportable
    found = sys.modules.get(module)
    if found is None or not _same(_lookup(found, name), function):
        raise _NotImportable  # another function has the name by now
    file = getattr(found, "__file__", None) or ""
    if module != "__main__":
        return [module, file and os.path.abspath(file), "", name]
    if not os.path.isfile(file):
        raise _NotImportable  # typed into a notebook or at a prompt
    # Checkpoints pickled in the child name its module; this process must know the name as well.
    sys.modules.setdefault(MAIN, found)
    return [MAIN, os.path.abspath(file), getattr(found, "__package__", None) or "", name]


def _module_of(function: Any) -> Reference | None:
    """The module that a function is from, which names in its pickle lead to; None for ``__main__``, which they do not.

    It may be importable from its file only, as a test is that was loaded from its path.
    """
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__module__", None) or type(function).__module__
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    return None if name == "__main__" or file is None else [name, os.path.abspath(file), "", ""]


def _same(found: Any, function: Any) -> bool:
    # Bound class methods are made anew at each look-up: equal, never identical.
    return found is function or (type(found) is type(function) and bool(found == function))


def _lookup(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


# -------------------------------------------------------------------------------------- in the child
def rebuild(
    description: dict[str, Any], pickled: bytes | bytearray = b"", texts: Mapping[str, bytes] = _NONE
) -> Program:
    """Find what :func:`describe` described. Raises UsageError, or whatever the user's file raises.

    ``pickled`` is unpickled, so it must come from the process that started this one. ``texts`` are the user's files,
    each with the text to import instead if it has another by now.
    """
    if texts:
        sys.meta_path.insert(0, KeptSources(texts))
    if description["source"] is not None:
        program = find_objective(StudyFile(*description["source"]), texts)
        function, dump, load = program.function, program.dump, program.load
    elif pickled:
        if description["module"] is not None:
            _module(description["module"], texts)
        function, dump, load = unpickle_functions(pickled)
    else:
        function = _resolve(description["function"], texts)
        dump = _resolve(description["dump"], texts)
        load = _resolve(description["load"], texts)
    become_main()
    return Program(function, description["metric"], description["max_steps"], dump, load)


def _resolve(reference: Reference | None, texts: Mapping[str, bytes]) -> Any:
    if reference is None:
        return None
    name, file, _, attribute = reference
    found = _lookup(_module(reference, texts), attribute)
    if found is None:
        raise UsageError(
            f"{file or name} does not define {attribute!r} when it is imported: define it at top level, "
            'with study.run() below it or under if __name__ == "__main__":'
        )
    return found


def _module(reference: Reference, texts: Mapping[str, bytes]) -> ModuleType:
    name, file, package, _ = reference
    return sys.modules.get(name) or _import(name, file, package, texts)


def _import(name: str, file: str, package: str, texts: Mapping[str, bytes]) -> ModuleType:
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
        loader = loader_of(file, texts) or SourceFileLoader(name, file)
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
def become_main() -> None:
    """Let the user's file, imported as :data:`MAIN`, be this process' ``__main__``, and say so of what it defines.

    cloudpickle, and the copies of it in joblib, ray and others, send what belongs to ``__main__`` by value and all else
    by its module's name, which their processes cannot import here. pickle and multiprocessing look names up in
    ``__main__``. The name ``__mp_main__`` stays, for checkpoints that have it, and as the one under which
    multiprocessing's own processes import the file.
    """
    module = sys.modules.get(MAIN)
    if module is None or module is sys.modules.get("__main__"):
        return
    sys.modules["__main__"] = module
    # Functions and classes that are defined from now on take their module from this.
    module.__name__ = "__main__"
    _rename(vars(module), set())


def _rename(namespace: Mapping[str, Any], seen: set[int]) -> None:
    for value in list(namespace.values()):
        if isinstance(value, (classmethod, staticmethod)):
            value = value.__func__
        # Instances have theirs from their class; what wraps a function (lru_cache) has one of its own.
        own = isinstance(value, (FunctionType, type)) or "__module__" in getattr(value, "__dict__", ())
        if not own or id(value) in seen or getattr(value, "__module__", None) != MAIN:
            continue
        seen.add(id(value))
        try:
            value.__module__ = "__main__"
        except (AttributeError, TypeError):
            continue  # a metaclass that forbids it
        # What a class holds, and what a decorator has wrapped.
        _rename(vars(value) if isinstance(value, type) else {"": getattr(value, "__wrapped__", None)}, seen)


def import_source(source: StudyFile, texts: Mapping[str, bytes] = _NONE) -> Any:
    """Import the file of ``source``, with its directory first on ``sys.path``, and return what it names.

    Raises UsageError if there is no such file or name; what the file itself raises passes through.
    """
    path = os.path.abspath(source.path)
    if not os.path.isfile(path) and path not in texts:
        raise UsageError(f"no such file: {source.path!r}")
    directory = os.path.dirname(path)
    if directory not in sys.path[:1]:
        sys.path.insert(0, directory)
    module = _import(MAIN, path, "", texts)
    found = _lookup(module, source.name)
    if found is None:
        names = ", ".join(sorted(name for name in vars(module) if not name.startswith("_"))) or "(nothing)"
        raise UsageError(f"{source.path!r} defines no {source.name!r}; it defines {names}")
    return found


def find_objective(source: StudyFile, texts: Mapping[str, bytes] = _NONE) -> Program:
    """Return the objective that ``source`` names: a study's, or a function."""
    found = import_source(source, texts)
    make = getattr(found, "_task", None)
    if callable(make):
        task = make()
        if isinstance(task, Program):
            return task
    inner = getattr(found, "objective", None)
    function = inner if callable(inner) else found
    if not callable(function):
        raise UsageError(
            f"{source.name!r} in {source.path!r} is neither a study nor a function but {type(found).__name__}"
        )
    return Program(function)
