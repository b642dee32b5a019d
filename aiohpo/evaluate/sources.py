"""The user's source files as they were when the worker began.

A new process for the objective imports the user's modules again, perhaps hours after the worker did. By then they may
have changed, or may be in the middle of an edit. Results of two versions must not mix in one search, and no
trial should fail for an edit. So the worker keeps the text of the modules that were in use when it began, looks now
and then whether the files still have it, and hands it to each new process, which imports it where a file has another.

What belongs to the interpreter or is installed (``site-packages``) is not the user's to edit while a search runs, and
files that only the objective itself imports are not known beforehand: those are read from the disk.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, spec_from_file_location
from types import CodeType, ModuleType

# Bytes of sources that a worker keeps at most; what is beyond is read from the disk again.
MOST_BYTES = 4 << 20
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Sources:
    """The text of files at one moment, and which of them have changed since."""

    def __init__(self, files: Sequence[str]) -> None:
        self.texts: dict[str, bytes] = {}
        self._stamps: dict[str, tuple[int, int, int] | None] = {}
        self._changed: set[str] = set()
        size = 0
        for file in files:
            stamp = _stamp(file)
            if stamp is None or size + stamp[1] > MOST_BYTES:
                continue
            text = _read(file)
            if text is not None:
                size += len(text)
                self.texts[file], self._stamps[file] = text, stamp

    def changed(self) -> list[str]:
        """The files whose content is not what it was."""
        for file, stamp in self._stamps.items():
            now = _stamp(file)
            if now != stamp:
                self._stamps[file] = now
                if _read(file) == self.texts[file]:
                    self._changed.discard(file)
                else:
                    self._changed.add(file)
        return sorted(self._changed)

    def __repr__(self) -> str:
        return f"<Sources: {len(self.texts)} files>"


def files_in_use(main: str) -> list[str]:
    """The user's source files that this process has imported, ``main`` first."""
    places = sysconfig.get_paths()
    installed = [os.path.realpath(places[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found = [main] if main else []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py"):
            continue
        file = os.path.abspath(file)
        real = os.path.realpath(file)
        ours = any(real.startswith(path + os.sep) for path in (*installed, _PACKAGE))
        if not ours and not {"site-packages", "dist-packages"} & set(real.split(os.sep)):
            found.append(file)
    return list(dict.fromkeys(found))


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(file: str) -> bytes | None:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError:
        return None


class TextLoader(InspectLoader):
    """Imports a module from a text instead of its file, under the file's name, which tracebacks then show."""

    def __init__(self, file: str, text: bytes) -> None:
        self._file = file
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        lines = self.get_source(fullname).splitlines(keepends=True)
        # Tracebacks would quote the file as it is now. An entry without a time is not checked against the disk.
        linecache.cache[self._file] = len(self._text), None, lines, self._file
        return self.source_to_code(self._text, self._file)

    def get_source(self, fullname: str) -> str:
        return decode_source(self._text)

    def get_filename(self, fullname: str) -> str:
        return self._file

    def is_package(self, fullname: str) -> bool:
        return os.path.basename(self._file) == "__init__.py"


def loader_of(file: str, texts: Mapping[str, bytes]) -> TextLoader | None:
    """What imports the text that ``file`` had; None if it still has it, or it was not kept."""
    text = texts.get(file)
    return None if text is None or _read(file) == text else TextLoader(file, text)


class KeptSources(MetaPathFinder):
    """Has modules whose file has changed imported from the text that it had, wherever Python would find that file."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        name = fullname.rpartition(".")[2]
        for entry in sys.path if path is None else path:
            for file in (os.path.join(entry, name, "__init__.py"), os.path.join(entry, f"{name}.py")):
                file = os.path.abspath(file)
                if (loader := loader_of(file, self._texts)) is not None:
                    return spec_from_file_location(fullname, file, loader=loader)
                if os.path.exists(file):
                    return None  # as it was: Python finds it, and its bytecode
        return None
