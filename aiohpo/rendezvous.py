"""Meeting by directory: each worker drops its address in a file, and reads the others'.

``file:///shared/run`` as an address to join by means: whoever left an address in that directory. Files of
workers that died stay behind; greeting them is harmless and bounded by the newest :data:`MOST` files.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .interfaces import UsageError

MOST = 64


def directory_of(address: str) -> Path | None:
    """The directory of a ``file://`` address, None for any other address."""
    if not address.startswith("file:"):
        return None
    parts = urlsplit(address)
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise UsageError(f"{address!r} is not a directory address; write file:///absolute/path")
    return path


class Rendezvous:
    """One worker's card in a directory of addresses."""

    def __init__(self, directory: Path, worker: str) -> None:
        self.directory = directory
        self._card = directory / f"{worker}.address"

    def announce(self, address: str) -> None:
        """Leave this worker's address for others."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            temporary = self._card.with_suffix(".new")
            temporary.write_text(address)
            os.replace(temporary, self._card)
        except OSError as error:
            raise UsageError(f"cannot leave an address in {self.directory}: {error.strerror}") from None

    def others(self) -> list[str]:
        """The addresses that others left, newest first."""
        cards: list[tuple[float, str]] = []
        for card in self.directory.glob("*.address"):
            try:
                if card != self._card:
                    cards.append((card.stat().st_mtime, card.read_text().strip()))
            except (OSError, ValueError):
                continue  # it vanished while we looked (its worker left), or is no card at all
        return [address for _, address in sorted(cards, reverse=True)[:MOST] if address]

    def withdraw(self) -> None:
        """Take this worker's address away again."""
        try:
            self._card.unlink()
        except OSError:
            pass  # the directory is gone: so is the address
