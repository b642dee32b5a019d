"""Meeting by directory: each worker drops its address in a file, and reads the others'.

``file:///shared/run`` as an address to join by means: the workers that left an address in that directory; for a
run directory, in its ``peers``. Files of workers that died stay behind; greeting them is harmless and bounded by the
newest :data:`MOST` files. Other users may be able to write to the directory, so what lies in it is read with care, and
the user's own cards come first.
"""

from __future__ import annotations

import heapq
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..errors import UsageError
from ..files import make_directory, open_regular, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 64
_LONGEST = 255  # characters of an address


def directory_of(address: str) -> Path | None:
    """The directory of a ``file://`` address, None for any other address."""
    if not address.startswith("file:"):
        return None
    parts = urlsplit(address)
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise UsageError(f"{address!r} is not a directory address; write file:///absolute/path")
    return path


def cards_of(directory: Path) -> Path:
    """Where the workers that meet in ``directory`` leave their addresses."""
    return directory / "peers" if os.path.exists(directory / "study.json") else directory


def keeps_key(directory: Path) -> Path:
    """Where the workers that meet in ``directory`` keep their key: in the run directory, if it is the peers of one."""
    return directory.parent if directory.name == "peers" else directory


class Card:
    """One worker's card in a directory of addresses."""

    def __init__(self, directory: Path, worker: str) -> None:
        self.directory = directory
        self._card = directory / f"{worker}.address"

    def announce(self, address: str) -> None:
        """Leave this worker's address for others."""
        try:
            make_directory(self.directory, parents=True)
            # Who can look into the directory may read the card; what it takes to join is the key.
            readers = os.stat(self.directory).st_mode & 0o044
            replace_file(self._card, address.encode(), mode=0o600 | readers)
        except OSError as error:
            raise UsageError(f"cannot leave an address in {self.directory}: {error.strerror}") from None

    def others(self) -> list[str]:
        """The addresses that others left, newest first."""
        newest = heapq.nlargest(MOST, self._dated())
        return [address for *_, path in newest if (address := _read_card(path))]

    def _dated(self) -> Iterator[tuple[bool, float, str]]:
        """(whether it is this user's, when it was written, path) of each card but the own one."""
        try:
            with os.scandir(self.directory) as entries:
                for entry in entries:
                    if not entry.name.endswith(".address") or entry.name == self._card.name:
                        continue
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue  # it vanished while we looked: its worker left
                    if stat.S_ISREG(found.st_mode):
                        yield found.st_uid == os.geteuid(), found.st_mtime, entry.path
        except OSError:
            return  # there is no such directory (yet)

    def withdraw(self) -> None:
        """Take this worker's address away again."""
        try:
            self._card.unlink()
        except OSError:
            pass  # the directory is gone: so is the address


def _read_card(path: str) -> str | None:
    """The address on a card; None if it is no card after all. Opening must not wait, nor reading take for ever."""
    try:
        descriptor = open_regular(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        text = os.read(descriptor, _LONGEST + 2).decode("ascii").strip()
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)
    return text if text.isprintable() and len(text) <= _LONGEST else None
