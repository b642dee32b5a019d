"""A run directory: everything about one study, readable by people and by the next process.

study.key         the study's key, for its owner only: see aiohpo.keys
study.json        what is searched: space, metric, mode, and the directory's identity
journal/*.log     one append-only file per worker process
blobs/            checkpoints and predictions, content-addressed
peers/            addresses of running workers, for those who join by directory
turn.lock         is locked while a process asks for a configuration by hand, so that each knows of the other's
output/           what trials and workers printed, a file for each worker
replica-UID.cache what a user's processes read of the journals, for the next time; may be deleted at any time
ensemble.json     how the ensemble does that is kept while the search runs (derived, like plot.png)
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..events.log import Log
from ..files import (
    is_shared,
    make_directory,
    read_regular,
    replace_file,
    share_with_group,
    sync_directory,
    write_file,
)
from ..keys import FILE as KEY_FILE
from ..space.space import Space
from ..view.view import View
from .blob_store import DirectoryBlobs
from .journal import Journal
from .liveness import signs_in
from .loading import Loaded, load_journals
from .printed import OutputFile
from .turns import turn

_FORMAT = 1
# What study.json and ensemble.json may have at most: bytes, and levels of nested lists and objects.
_LARGEST, _DEEPEST = 1 << 26, 64
PARTS = ("journal", "blobs", "peers", "output")


class RunDirectory:
    """Opens (and if need be makes) a run directory.

    Args:
        path: the directory.
        definition: what the study must agree with.
        extend: raises ``ValueError`` if this study cannot go on with one of fewer ``max_steps``, which it is given.
        share: it is, or becomes, one that is shared with its group (:mod:`aiohpo.files`).
    """

    def __init__(
        self,
        path: Path,
        definition: dict[str, Any],
        *,
        extend: Callable[[int], None] | None = None,
        share: bool = False,
    ) -> None:
        self.path = path
        self._extend = extend
        self.blobs = DirectoryBlobs(path / "blobs")
        self.concerns: list[str] = []
        try:
            make_directory(path, shared=share, parents=True)
            for part in PARTS:
                make_directory(path / part, shared=share)
            if share:
                self._share()
            elif not is_shared(path / "journal"):
                self._look_who_may_write()
            self.study = self._agree(definition)
        except OSError as error:
            if isinstance(error, PermissionError):
                _check_owner(path)
            where = "" if error.filename is None or Path(error.filename) == path else f" ({error.filename})"
            raise UsageError(
                f"cannot use {path} as a run directory: {error.strerror or error}{where}. "
                "Name a writable directory with --dir (or Study(directory=...))."
            ) from None

    @property
    def id(self) -> str:
        """Identifies the directory, also across machines that share it."""
        return str(self.study["directory"])

    def _share(self) -> None:
        """See to it that the directory is shared with its group. Raises ``UsageError`` or ``OSError``."""
        if all(is_shared(part) for part in (self.path, *(self.path / name for name in PARTS))):
            return
        _check_owner(self.path)
        share_with_group(self.path, unchangeable=KEY_FILE)

    def _look_who_may_write(self) -> None:
        """Say who else may write here. It is no error: what would run code is authenticated under the study's key."""
        found = self.path.stat()
        who = "every user" if found.st_mode & 0o002 else "its group" if found.st_mode & 0o020 else ""
        if who:
            self.concerns.append(
                f"{who} can write to {self.path} (mode {stat.S_IMODE(found.st_mode):04o}), and so add, change and "
                f"delete its trials: chmod 700 {self.path}, or share it with its group (--share group)"
            )

    def tell_ensemble(self, state: Mapping[str, Any]) -> None:
        """Write the search's present ensemble to a file, for those who watch. A full disk must not end the search."""
        try:
            replace_file(self.path / "ensemble.json", f"{json.dumps(state)}\n".encode())
        except OSError:
            pass

    def _agree(self, definition: dict[str, Any]) -> dict[str, Any]:
        file = self.path / "study.json"
        fresh = {"format": _FORMAT, "directory": secrets.token_hex(8), **definition}
        temporary = self.path / f"study.json.{secrets.token_hex(4)}"
        if not os.path.lexists(file):
            write_file(temporary, f"{json.dumps(fresh, indent=2)}\n".encode(), durable=True)
            try:
                os.link(temporary, file)  # only the first of several processes succeeds
            except FileExistsError:
                pass
            except OSError:  # a file system without hard links
                if not os.path.lexists(file):
                    os.replace(temporary, file)
            finally:
                temporary.unlink(missing_ok=True)
            sync_directory(self.path)
        found = read_study(self.path)
        if found["study"] != definition["study"]:
            raise UsageError(f"{self.path} holds another study: {_difference(found, definition)}. {_REMEDY}")
        if found.get("max_steps") != definition.get("max_steps"):
            found = self._take_steps(found, definition.get("max_steps"))
        return found

    def _take_steps(self, found: dict[str, Any], wanted: int | None) -> dict[str, Any]:
        """Go on with a study whose trials were to have fewer steps. Raises ``UsageError`` where that is impossible."""
        before = found.get("max_steps")
        why = ""
        if wanted is None or not isinstance(before, int):
            why = "trials that are counted in steps and trials that are not cannot be compared"
        elif wanted < before:
            why = f"with fewer steps than before, trials that ran {before} steps would be compared with shorter ones"
        elif self._extend is not None:
            try:
                self._extend(before)
            except ValueError as error:
                why = str(error)
        if not why and any(sign.held for sign in signs_in(self.path).values()):
            found = read_study(self.path)  # by the first of several workers that begin with the new number
            if found.get("max_steps") == wanted:
                return found
            why = "workers that use that number are running there: stop them first"
        if why:
            raise UsageError(
                f"{self.path} holds a study with max_steps={before}, and this one has max_steps={wanted}: {why}. "
                f"Continue with max_steps={before}, or use another directory"
            )
        found = {**found, "max_steps": wanted}
        replace_file(self.path / "study.json", f"{json.dumps(found, indent=2)}\n".encode())
        self.concerns.append(
            f"max_steps is {wanted} from now on; it was {before}. Complete trials continue if they are promoted: the "
            "best ones (Study(keep=…) says how many) from their last checkpoint, others from the start"
        )
        return found

    def turn(self) -> AbstractContextManager[None]:
        """What is asked for in such a block, no other process asks for at the same time; see :mod:`.turns`."""
        return turn(self.path / "turn.lock")

    def journal(self, worker: str) -> Journal:
        """The journal that ``worker`` appends to."""
        return Journal(self.path / "journal" / f"{worker}.log")

    def output(self, worker: str, notice: Callable[[str], None]) -> OutputFile:
        """The file for what the trials of ``worker``, a rank or an id, print."""
        return OutputFile(self.path / "output" / f"worker-{worker}.log", notice)

    def load(self, log: Log, view: View) -> Loaded:
        """Read all journals into ``log`` and ``view``; cut off torn ends of files whose writer has certainly ended."""
        return load_journals(self.path, log, view, mend=True)

    def __repr__(self) -> str:
        return f"<RunDirectory {self.path}>"


def _check_owner(path: Path) -> None:
    """Raise ``UsageError`` if a directory that is not shared is another user's."""
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return
    if owner != os.geteuid():
        raise UsageError(
            f"{path} belongs to another user (uid {owner}) and is not shared with its group: its owner must first "
            "start a worker in it with --share group (share='group'). Or use another directory (--dir)"
        )


_REMEDY = "Use another directory, or remove this one if you no longer need it."


def read_study(path: Path) -> dict[str, Any]:
    """The contents of ``study.json``. Raises ``UsageError`` if there is none."""
    file = path / "study.json"
    try:
        found = _read_json(file)
    except FileNotFoundError:
        raise UsageError(f"{path} is not a run directory: it has no study.json") from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(f"cannot read {file}: {error}. {_REMEDY}") from None
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise UsageError(
            f"{file} has format {found.get('format') if isinstance(found, dict) else None!r}; "
            f"this version of aiohpo reads format {_FORMAT}"
        )
    for key in ("study", "directory", "space", "metric", "mode"):
        if key not in found:
            raise UsageError(f"{file} lacks {key!r}: {_CHANGED}")
    _check_study(file, found)
    return found


_CHANGED = "it was not written by aiohpo, or was changed since"


def _check_study(file: Path, found: dict[str, Any]) -> None:
    """Raise ``UsageError`` where ``study.json`` holds what no study can have."""
    steps = found.get("max_steps")
    good = {
        **{key: isinstance(found[key], str) for key in ("study", "directory", "metric")},
        "mode": found["mode"] in ("min", "max"),
        "max_steps": steps is None or (type(steps) is int and steps > 0),
    }
    for key, is_good in good.items():
        if not is_good:
            raise UsageError(f"{file} holds {found.get(key)!r:.80} as {key!r}: {_CHANGED}")
    try:
        Space.from_dict(found["space"])
    except (UsageError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{file} holds no search space: {error} Perhaps {_CHANGED}") from None


def _read_json(file: Path, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """What a JSON file of unknown origin holds; ``parse_constant`` is :func:`json.loads`'. Raises
    ``OSError``, or ``ValueError`` for what is no JSON."""
    try:
        found = json.loads(read_regular(file, _LARGEST), parse_constant=parse_constant)
    except RecursionError:
        too_deep = True
    else:
        too_deep = _is_deep(found)
    if too_deep:
        raise ValueError(f"it has more than {_DEEPEST} levels of nested lists and objects")
    return found


def _is_deep(found: Any) -> bool:
    level = [found]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for value in level
            if isinstance(value, list | dict)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    for key in ("metric", "mode"):
        if found.get(key) != wanted.get(key):
            return f"its {key} is {found.get(key)!r}, this study's is {wanted.get(key)!r}"
    theirs, ours = found.get("space", {}), wanted.get("space", {})
    for name in sorted({*_parameters(theirs), *_parameters(ours)}):
        a, b = _parameters(theirs).get(name), _parameters(ours).get(name)
        if a != b:
            return f"its parameter {name!r} is {_short(a)}, this study's is {_short(b)}"
    return "its space differs"


def _parameters(space: dict[str, Any]) -> dict[str, Any]:
    inner = space.get("parameters", space)
    if isinstance(inner, list):
        return {str(p.get("name", i)): p for i, p in enumerate(inner) if isinstance(p, dict)}
    return inner if isinstance(inner, dict) else {}


def _short(value: Any) -> str:
    return "not there" if value is None else json.dumps(value)[:200]


def read_ensemble(path: Path) -> dict[str, Any] | None:
    """What was left word of the search's present ensemble; None if there is none, or it cannot be read.

    The file may be from anyone: it is only certain that it is a JSON object. A number that is none becomes None.
    """
    try:
        found = _read_json(path / "ensemble.json", parse_constant=lambda _: None)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
