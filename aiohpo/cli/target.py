"""``FILE[:OBJECT]``: the study that a command is about."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..evaluate.program import FunctionElsewhere
from ..plugin import Identity
from ..plugin.registry import available, create

if TYPE_CHECKING:
    from ..study import Study


def split_target(target: str) -> tuple[str, str]:
    """Split ``FILE[:OBJECT]`` into path and name (``study`` by default)."""
    path, colon, name = target.rpartition(":")
    if colon and path and name.isidentifier() and not os.path.exists(target):
        return path, name
    return target, "study"


def load_study(target: str) -> Study:
    """Import the file and return the study that it defines, ready to be found again by other processes.

    A ``study.run()`` at the end of the file does not run. Raises ``UsageError`` for whatever is wrong.
    """
    from ..evaluate.program import StudyFile
    from ..evaluate.reimport import MAIN, import_source
    from ..study import Study

    sys.modules.pop(MAIN, None)

    path, name = split_target(target)
    if not os.path.isfile(path):
        raise UsageError(f"there is no file {path!r}{_similar(path)}")
    try:
        found = import_source(StudyFile(path, name))
    except SystemExit as error:
        if isinstance(error.code, str):  # it says itself what is wrong
            raise UsageError(f"{path}: {error.code}") from error
        raise UsageError(
            f"{path} ended the program when it was imported (exit status {error.code}): "
            'move the code that does so under if __name__ == "__main__":'
        ) from error
    except Exception as error:
        if MAIN in sys.modules:  # the file is fine; it is the name that is not there
            raise UsageError(_no_such_study(path, name)) from error
        raise UsageError(_in_short(error, path)) from error
    if not isinstance(found, Study):
        raise UsageError(f"{name!r} in {path} is not an aiohpo.Study but {_kind(found)}")
    found._source = StudyFile(os.path.abspath(path), name)
    return found


def configure(
    study: Study,
    *,
    directory: Path | None,
    searcher: str | None,
    scheduler: str | None,
    ensemble: str | None = None,
    seed: int | None,
    max_failures: int | None = None,
    retries: int | None = None,
    share: str | None = None,
) -> None:
    """Let what was given on the command line override what the file says.

    Raises ``UsageError`` for a searcher or a scheduler that is not there or cannot serve this study: said here it is
    one line, said by a worker it would be many.
    """
    if directory is not None and directory != study.directory:
        study.directory = directory
    if searcher is not None:
        study.searcher = searcher
    if scheduler is not None:
        study.scheduler = scheduler
    if ensemble is not None:
        study.ensemble = ensemble
    if seed is not None:
        study.seed = seed
    if max_failures is not None:
        study.max_failures = max_failures
    if retries is not None:
        study.retries = retries
    if share is not None:
        study.share = share
    me = Identity("check", 0, 1)
    _try("searchers", study.searcher, lambda made: made.setup(study.space, study.seed, me))
    _try("schedulers", study.scheduler, lambda made: made.setup(study.max_steps, study.seed, me))
    if study.ensemble is not None:
        create("ensembles", study.ensemble)


def _try(kind: str, spec: Any, set_up: Callable[[Any], None]) -> None:
    """Make a plugin and set it up, only to hear what it has to say against it."""
    name = spec.partition(":")[0] if isinstance(spec, str) else ""
    if name in available("algorithms") and name not in available(kind):
        raise UsageError(f"{name!r} is a recipe for a searcher and a scheduler, not a {kind[:-1]}: --algorithm {name}")
    try:
        set_up(copy.deepcopy(create(kind, spec)))
    except UsageError:
        raise
    except ValueError as error:  # how a plugin says that it cannot serve a study
        raise UsageError(f"{kind[:-1]} {spec if isinstance(spec, str) else repr(spec)}: {error}") from error


def let_go(study: Study, *, evaluates: bool) -> Callable[[], None]:
    """Keep no copy here of the data that the study's file has loaded, unless this process runs code of the file.

    Processes that evaluate import the file again; what it holds is often large, and would be there once more for each
    worker and for what starts them. To be called before anything is made of the study. The modules themselves go when
    the function is called that this returns, once it is no longer asked which files were imported. ``evaluates``:
    whether this process has the study's evaluator.
    """
    function, source = study.objective, study._source
    parts = (study.searcher, study.scheduler, study.ensemble, study.ensemble_metric)
    if function is None or source is None or study.callbacks or not all(isinstance(p, str | None) for p in parts):
        return lambda: None
    if evaluates:
        evaluator = study.evaluator
        if evaluator is None and study._task().is_async:
            return lambda: None
        if evaluator is not None and not (isinstance(evaluator, str) and evaluator.partition(":")[0] == "process"):
            return lambda: None
    study.objective = FunctionElsewhere(function)
    study._dump = study._load = None
    return partial(_forget_modules, os.path.dirname(source.path) + os.sep)


def _forget_modules(directory: str) -> None:
    """Let go of what was imported from files in and below a directory. What is still in use stays in memory."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or name.partition(".")[0].startswith("aiohpo"):
            continue
        below = os.path.abspath(file).removeprefix(directory)
        if below != os.path.abspath(file) and not {"site-packages", "dist-packages"} & set(below.split(os.sep)):
            del sys.modules[name]
    sys.modules.setdefault("__main__", ModuleType("__main__"))  # which there is always one of
    gc.collect()  # a module and its functions hold each other
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass  # not the GNU C library: it decides by itself what it returns to the system


def default_directory(target: str) -> Path:
    """Where a run goes without a directory of its own: ``runs/<file stem>``."""
    path, name = split_target(target)
    stem = Path(path).stem
    return Path("runs") / (stem if name == "study" else f"{stem}-{name}")


def _no_such_study(path: str, name: str) -> str:
    from ..evaluate.reimport import MAIN
    from ..study import Study

    names = [n for n, value in vars(sys.modules[MAIN]).items() if isinstance(value, Study)]
    if not names:
        return f"{path} defines no study: add 'study = aiohpo.Study(objective, space, ...)'"
    return f"{path} defines no {name!r}; write {' or '.join(f'{path}:{n}' for n in names)}"


def _kind(found: Any) -> str:
    return f"a {type(found).__name__}" if not callable(found) else f"{getattr(found, '__name__', found)!r}, a callable"


def _similar(path: str) -> str:
    if os.path.isdir(path):
        return ": it is a directory"
    if os.path.isfile(path + ".py"):
        return f"; there is {path + '.py'!r}"
    return ""


def _in_short(error: Exception, path: str) -> str:
    """The error in one line, with the line of the user's file where it happened."""
    here = os.path.abspath(path)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == here]
    if isinstance(error, SyntaxError):
        lines, text = [error.lineno], f"{type(error).__name__}: {error.msg}"
    elif isinstance(error, UsageError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{path}, line {lines[-1]}: {text}" if lines else f"{path}: {text}"
