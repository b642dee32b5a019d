"""The study key: 32 random bytes, and whoever has them is a peer.

A search across machines is one circle of trust: a peer may add events, and there is no lesser right to give
away. So there is one key per study and no certificates. A transport that encrypts derives what it needs from it
(ZeroMQ: a CURVE key pair, which every worker uses as server *and* as client).

The key lives in a file that only its owner can read, or in the environment. It is never an argument of a
command, which every user of the machine can list, and never in a ``repr``.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .interfaces import UsageError

ENVIRONMENT = "AIOHPO_KEY"
_MARK = "aiohpo-key-1:"
_TEXT = re.compile(re.escape(_MARK) + r"([A-Za-z0-9_-]*)")
_SIZE = 32
_MOST = 4096  # bytes of a key file that are looked at
_HEADER = "# The key of an aiohpo study: whoever has it can join. Keep it secret.\n"


@dataclass(frozen=True, slots=True)
class StudyKey:
    """The secret of a study. ``secret`` is 32 bytes."""

    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> StudyKey:
        return cls(secrets.token_bytes(_SIZE))

    def derive(self, purpose: str) -> bytes:
        """32 secret bytes for one ``purpose``: what is learned of one purpose's tells nothing of another's."""
        return hashlib.blake2b(purpose.encode(), key=self.secret, digest_size=32, person=b"aiohpo-derive").digest()

    @property
    def text(self) -> str:
        """The key as a file or the environment holds it: secret."""
        return _MARK + base64.urlsafe_b64encode(self.secret).decode().rstrip("=")

    @property
    def fingerprint(self) -> str:
        """Eight hex digits that tell keys apart and reveal nothing of them."""
        return hashlib.blake2b(self.secret, digest_size=4, person=b"aiohpo-key").hexdigest()

    def __repr__(self) -> str:
        return f"<StudyKey {self.fingerprint}>"


def parse_key(text: str, where: str) -> StudyKey:
    """Find the key in ``text``; comments around it do not matter. Errors name ``where``, never the text."""
    found = _TEXT.findall(text)
    if len(found) != 1:
        raise UsageError(
            f"there is {'no' if not found else 'more than one'} key in {where}; make one: aiohpo keygen FILE"
        )
    # 43 digits hold 32 bytes; anything else was cut off or glued to something.
    if len(found[0]) != 43:
        raise UsageError(f"the key in {where} is damaged: {len(found[0])} characters after {_MARK!r} instead of 43")
    return StudyKey(base64.urlsafe_b64decode(found[0] + "="))


def read_key(path: Path) -> StudyKey:
    """Read a key file. Raises ``UsageError`` if it is not one, or if others than its owner can read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
                raise UsageError(
                    f"the key file {path} is open to others (mode {stat.S_IMODE(mode):04o}), who may have read it: "
                    f"chmod 600 {path}, or make a new key"
                )
            text = file.read(_MOST)
    except OSError as error:
        raise UsageError(
            f"cannot read the key file {path}: {error.strerror}; make one with: aiohpo keygen {path}"
        ) from None
    return parse_key(text.decode("utf-8", "replace"), str(path))


def write_key(path: Path, key: StudyKey, *, force: bool = False) -> None:
    """Write a key file with mode 0600. Raises ``UsageError`` if there is one already, unless ``force``."""
    # What is replaced may be readable by others, and may be in use: so a new file takes its place at once.
    target = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if force else path
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists already; choose another file, or replace it with --force") from None
    except OSError as error:
        raise UsageError(f"cannot write the key file {path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                raise UsageError(f"the file system of {path} does not keep file modes; choose another place")
            file.write(f"{_HEADER}{key.text}\n")
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(target, path)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"cannot write the key file {path}: {error.strerror}") from None
        raise


def find_key(given: StudyKey | str | Path | None, environment: Mapping[str, str] = os.environ) -> StudyKey | None:
    """The key to use: ``given`` (a key, its text or a file), else that of ``AIOHPO_KEY`` (text or a file)."""
    if isinstance(given, StudyKey):
        return given
    where = "key="
    if given is None:
        given, where = environment.get(ENVIRONMENT) or None, ENVIRONMENT
    if given is None:
        return None
    if is_key_text(given):
        return parse_key(str(given), where)
    return read_key(Path(given).expanduser())


def is_key_text(given: object) -> bool:
    """Whether this is a key itself and not the name of a file."""
    return isinstance(given, str) and _MARK in given
