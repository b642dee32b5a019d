"""How checkpoints and predictions become bytes, and which bytes are believed.

A checkpoint is a blob that begins with a line of text, its *seal*::

    aiohpo-checkpoint KIND CODE

What follows the line depends on the kind:

``bytes``   what the user saved, as it was
``dumped``  what the study's ``dump=`` returned
``files``   a tar of a file or a directory, deterministic (sorted, without times and owners)
``plain``   plain data and arrays, see :mod:`aiohpo.evaluate.plain`
``pickle``  everything else

The code is an HMAC-SHA256 of kind and content under a secret that is derived from the study's key. It is verified
before anything else looks at the content. So a checkpoint comes from a process that has the key: not from a user
who can merely write into the run directory, nor from a peer that was let in without one. That matters most for a
pickle, which runs code when it is loaded. But ``torch.load`` and ``joblib.load`` unpickle too, and a ``load=`` that
parses may have its own weaknesses, so no kind of checkpoint goes without a seal.

The seal is a part of the blob, rather than a file beside it or a field of its event: what ships, keeps or deletes
the blob has the seal with it, and the blob's name, the SHA-256 of all of it, covers both. Equal content under one key
still is one blob. The price is that a file in the blob store is not exactly the file that a framework wrote: that is
what ``tail -n +2`` prints of it. The code takes 55 ms for 100 MB, as computing the blob's name does.

A worker verifies the seal before it starts a segment (:func:`find_fault`), so that a trial whose checkpoint is forged
or damaged starts over instead of failing. :func:`decode` verifies it again, in the process that loads the content.
"""

from __future__ import annotations

import hmac
import io
import os
import pickle
import re
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..events.schema import FILE_NAME, MAX_FILE
from ..files import read_regular
from ..plugin import BlobStore
from . import plain
from .metrics import describe_briefly

_BYTES, _DUMPED, _FILES, _PLAIN, _PICKLE = KINDS = ("bytes", "dumped", "files", "plain", "pickle")
_SEAL = re.compile(rb"aiohpo-checkpoint ([a-z]{1,20}) ([0-9a-f]{64})\n")
_LONGEST_SEAL = 128
_FILE_NAME = re.compile(FILE_NAME)


class BadCheckpoint(UsageError):
    """A checkpoint that must not or cannot be restored. ``reason`` continues a sentence: "the checkpoint …"."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the checkpoint {reason}")
        self.reason = reason


# --------------------------------------------------------------------------------------------- the seal
def seal_checkpoint(kind: str, content: Iterable[Any], secret: bytes) -> bytes:
    """Return the blob of a checkpoint whose ``content`` is given as buffers to join."""
    parts = list(content)
    return b"".join([f"aiohpo-checkpoint {kind} {_code(kind, parts, secret)}\n".encode(), *parts])


def unseal(blob: bytes, secret: bytes) -> tuple[str, memoryview]:
    """Return kind and content of a checkpoint. Raises :class:`BadCheckpoint` if ``secret`` did not seal it."""
    found = _SEAL.match(blob[:_LONGEST_SEAL])
    if found is None:
        raise BadCheckpoint("was not written under this study's key: it has no seal")
    kind, code = found[1].decode(), found[2].decode()
    content = memoryview(blob)[found.end() :]
    if not hmac.compare_digest(code, _code(kind, [content], secret)):
        raise BadCheckpoint("was not written under this study's key: it was changed or forged, or the key differs")
    if kind not in KINDS:
        raise BadCheckpoint(f"is of an unknown kind {kind!r}: a newer aiohpo wrote it")
    return kind, content


def _code(kind: str, parts: Iterable[Any], secret: bytes) -> str:
    if not secret:
        raise ValueError("checkpoints need a secret: Objective(…, secret=…)")
    code = hmac.new(secret, f"{kind}\n".encode(), "sha256")
    for part in parts:
        code.update(part)
    return code.hexdigest()


def find_fault(blobs: BlobStore, digest: str, secret: bytes) -> str | None:
    """Say why a checkpoint cannot be resumed from, as :attr:`BadCheckpoint.reason` does; None if it can.

    A blob that does not match its name is deleted: as long as it is there, the right one is not written again.
    """
    blob = blobs.get(digest)
    if blob is None:
        blobs.delete(digest, 0.0)
        return "is damaged"
    try:
        unseal(blob, secret)
    except BadCheckpoint as error:
        return error.reason
    return None


# ------------------------------------------------------------------------------------------------- files
def read_file(name: Any, path: Any) -> bytes:
    """Return the bytes of a file that is to be kept as ``name``: as they are, without a seal, since nothing here reads
    them. Raises UsageError that says what is wrong with the name or the file."""
    if not isinstance(name, str) or not _FILE_NAME.match(name):
        raise UsageError(
            f"cannot attach a file as {describe_briefly(name)}: its name must be 1 to 128 letters, digits, blanks and "
            "_ . + = -, and begin with a letter, a digit or _; it is not a path"
        )
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"cannot attach {name!r}: the path of a file is needed, not {describe_briefly(path)}")
    try:
        return read_regular(os.fspath(path), MAX_FILE)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = str(error) if not isinstance(error, OSError) else error.strerror or str(error)
        remedy = ": make one file of a directory first, such as a tar" if os.path.isdir(path) else ""
        raise UsageError(f"cannot attach {name!r}: {os.fspath(path)!r}: {why}{remedy}") from None


# ------------------------------------------------------------------------------------------ checkpoints
def encode(obj: Any, secret: bytes, dump: Callable[[Any], bytes] | None = None) -> bytes:
    """Return the blob for ``obj``: bytes, a Path to a file or directory, plain data, or anything that pickles.

    With the study's ``dump``, the blob for what that returns. Raises UsageError for what cannot be saved.
    """
    if dump is not None:
        dumped = dump(obj)
        if not isinstance(dumped, (bytes, bytearray, memoryview)):
            raise UsageError(f"dump returned {describe_briefly(dumped)}: it must return bytes")
        return seal_checkpoint(_DUMPED, [bytes(dumped)], secret)
    if isinstance(obj, (bytes, bytearray, memoryview)):
        return seal_checkpoint(_BYTES, [bytes(obj)], secret)
    if isinstance(obj, Path):
        return seal_checkpoint(_FILES, [pack_tree(obj)], secret)
    if isinstance(obj, str) and len(obj) < 4096 and "\0" not in obj and os.path.exists(obj):
        raise UsageError(f"cannot tell whether {obj!r} is text or a path: save(Path({obj!r})) saves its content")
    content = plain.encode(obj)
    if content is not None:
        return seal_checkpoint(_PLAIN, content, secret)
    try:
        pickled = pickle.dumps(obj, protocol=5)
    except Exception as error:
        raise UsageError(
            f"checkpoint {describe_briefly(obj)} does not pickle ({type(error).__name__}: {error}): "
            "save bytes or a Path, or give the study dump= and load="
        ) from error
    return seal_checkpoint(_PICKLE, [pickled], secret)


def decode(blob: bytes, secret: bytes, scratch: Callable[[], Path], load: Callable[[bytes], Any] | None = None) -> Any:
    """Undo :func:`encode`. Files are unpacked below the directory that ``scratch`` makes; their path is returned.

    Raises :class:`BadCheckpoint`, before anything is unpickled or loaded, for what ``secret`` did not seal.
    """
    kind, content = unseal(blob, secret)
    if load is not None:
        if kind != _DUMPED:
            raise BadCheckpoint("was saved without dump=, so load= cannot read it: leave out load= and dump=")
        return load(bytes(content))
    if kind == _DUMPED:
        raise BadCheckpoint("was saved with dump=: give the study its load= as well")
    if kind == _BYTES:
        return bytes(content)
    if kind == _FILES:
        return unpack_tree(content, scratch())
    if kind == _PLAIN:
        return plain.decode(content)
    return pickle.loads(content)


def decode_directory(blob: bytes, secret: bytes, scratch: Callable[[], Path]) -> Path:
    """Undo :func:`encode` of a directory, and of nothing else: no other kind is looked into."""
    kind, content = unseal(blob, secret)
    path = unpack_tree(content, scratch()) if kind == _FILES else None
    if path is None or not path.is_dir():
        raise BadCheckpoint(f"is not a directory but {'a file' if path else kind}: another evaluator wrote it")
    return path


# ------------------------------------------------------------------------------------------------ files
class _Members:
    """Checks the members of a tar one by one: all must stay below ``top``, the first, wherever it is unpacked.

    :mod:`tarfile` has a filter for that. But which links get past it depends on the version of Python, so it comes
    second here, after rules that need no look at the disk: nothing lies behind a link, no name comes twice, and a link
    goes up first and then only down, and not above ``top``. So by induction every link leads to a place below ``top``.
    """

    def __init__(self, top: str) -> None:
        self.top = top
        self._names: set[str] = set()
        self._links: set[str] = set()

    def find_fault(self, member: tarfile.TarInfo) -> str:
        """Say what is wrong with the next member; empty if nothing is."""
        name, parts = member.name, member.name.split("/")
        if parts[0] != self.top or any(part in ("", ".", "..") for part in parts):
            return f"{name!r}, which is not in {self.top!r}"
        here_and_above = ("/".join(parts[:i]).casefold() for i in range(1, len(parts) + 1))
        if name in self._names or not self._links.isdisjoint(here_and_above):
            return f"{name!r} twice, or behind a link"
        if member.issym():
            if not _stays_inside(member.linkname, depth=len(parts) - 2):
                return f"{name!r}, a link to {member.linkname!r}, outside of {self.top!r}"
            self._links.add(name.casefold())
        elif member.islnk():
            if member.linkname not in self._names or member.linkname.casefold() in self._links:
                return f"{name!r}, a link to {member.linkname!r}, which does not exist"
        elif not (member.isdir() or member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)) or member.issparse():
            return f"{name!r}, which is neither a file nor a directory nor a link"
        self._names.add(name)
        return ""


def _stays_inside(target: str, depth: int) -> bool:
    """Whether a symbolic link in a directory ``depth`` levels below the top leads to a place at or below the top."""
    parts = target.split("/")
    up = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    return bool(target) and not target.startswith("/") and up <= depth and ".." not in parts[up:]


def pack_tree(path: Path) -> memoryview:
    """Return a deterministic tar of a file or a directory, under its own name. Raises UsageError for what could not be
    unpacked elsewhere: links out of the directory, devices and FIFOs."""
    if not path.exists():
        raise UsageError(f"checkpoint path {str(path)!r} does not exist")
    buffer = io.BytesIO()
    path = path.resolve()
    members = _Members(path.name or "root")

    def check(info: tarfile.TarInfo) -> tarfile.TarInfo:
        if fault := members.find_fault(info):
            raise UsageError(f"the checkpoint {str(path)!r} holds {fault}: it could not be restored elsewhere")
        info.mtime = 0
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return info

    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        # tarfile walks directories in sorted order, which is what makes equal trees equal blobs.
        tar.add(path, arcname=members.top, filter=check)
    return buffer.getbuffer()


def unpack_tree(data: bytes | memoryview, directory: Path) -> Path:
    """Unpack :func:`pack_tree` below ``directory`` and return the path of the file or directory in it."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            top = tar.next()
            if top is None:
                raise BadCheckpoint("holds no files: it is damaged")
            if top.name in ("", ".", "..") or "/" in top.name or not (top.isfile() or top.isdir()):
                raise BadCheckpoint(
                    f"begins with {top.name!r}, which is not the name of a file or directory: it is damaged"
                )
            members = _Members(top.name)
            for member in tar:
                if fault := members.find_fault(member):
                    raise BadCheckpoint(f"holds {fault}: it is damaged")
                member.mtime = 0  # as packed; there are numbers that are no time
            tar.extractall(directory, filter="data")
    except BadCheckpoint:
        raise
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise BadCheckpoint(f"cannot be unpacked ({error}): it is damaged") from None
    return directory / top.name


# ------------------------------------------------------------------------------------------ predictions
# Rounding by so much of a column's range does not matter. Numbers around 1e9 that differ by 1 are not rounded.
_NEGLIGIBLE = 1e-5


def encode_array(name: str, values: Any, *, single: bool = False) -> bytes:
    """Return ``values`` (any array-like of numbers, text or booleans) as the bytes of a ``.npy`` file; floating-point
    numbers in ``single`` precision if so wished, where that hardly changes by how much they differ."""
    import numpy as np

    try:
        array = np.asarray(values)
        if single and array.dtype.kind == "f" and array.size and array.ndim:
            with np.errstate(over="ignore", invalid="ignore"):
                rounded = array.astype(np.float32)
                spread = np.ptp(array, axis=0) if len(array) > 1 else np.abs(array)
                moved = np.abs(rounded - array) > _NEGLIGIBLE * spread
            if not (np.isfinite(array) & (moved | ~np.isfinite(rounded))).any():
                array = rounded
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
    except Exception as error:
        raise UsageError(
            f"predictions {name!r} are {describe_briefly(values)}, which is not an array of numbers ({error}): "
            "give an array with one row per example"
        ) from error
    return buffer.getvalue()
