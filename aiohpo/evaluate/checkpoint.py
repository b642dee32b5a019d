"""How checkpoints and predictions become bytes.

A checkpoint is a blob. ``bytes`` are stored as they are, so that a file in the blob store is the file that
the user's framework wrote. A file or directory becomes a deterministic tar (sorted, no times, no owners: the
same content is the same blob), anything else a pickle. The last two start with a line that says so; bytes
that happen to start with that line are marked too, so what comes back is always what went in. A pickle is
only ever loaded by the user's own code, in the user's own process; peers ship it as bytes.
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..interfaces import UsageError
from .metrics import brief

MAGIC = b"aiohpo checkpoint: "
_RAW, _TREE, _PICKLE = (MAGIC + kind + b"\n" for kind in (b"bytes", b"files", b"pickle"))


def encode(obj: Any) -> bytes:
    """Return the blob for ``obj``: bytes, a Path to a file or directory, or anything that pickles."""
    if isinstance(obj, (bytes, bytearray, memoryview)):
        data = bytes(obj)
        return _RAW + data if data.startswith(MAGIC) else data
    if isinstance(obj, Path):
        return _TREE + pack_tree(obj)
    if isinstance(obj, str) and len(obj) < 4096 and "\0" not in obj and os.path.exists(obj):
        raise UsageError(f"cannot tell whether {obj!r} is text or a path: save(Path({obj!r})) saves its content")
    try:
        return _PICKLE + pickle.dumps(obj, protocol=5)
    except Exception as error:
        raise UsageError(
            f"checkpoint {brief(obj)} does not pickle ({type(error).__name__}: {error}): "
            "save bytes or a Path, or give the study dump= and load="
        ) from error


def decode(data: bytes, scratch: Callable[[], Path]) -> Any:
    """Undo :func:`encode`. Files are unpacked below the directory that ``scratch`` makes; their path is returned."""
    if not data.startswith(MAGIC):
        return data
    head, _, body = data.partition(b"\n")
    head += b"\n"
    if head == _RAW:
        return body
    if head == _TREE:
        return unpack_tree(body, scratch())
    if head == _PICKLE:
        return pickle.loads(body)
    raise UsageError(f"checkpoint is of an unknown kind {head!r}: a newer aiohpo wrote it")


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 0
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def pack_tree(path: Path) -> bytes:
    """Return a deterministic tar of a file or a directory, under its own name."""
    if not path.exists():
        raise UsageError(f"checkpoint path {str(path)!r} does not exist")
    buffer = io.BytesIO()
    path = path.resolve()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        # tarfile walks directories in sorted order, which is what makes equal trees equal blobs.
        tar.add(path, arcname=path.name or "root", filter=_plain)
    return buffer.getvalue()


def unpack_tree(data: bytes, directory: Path) -> Path:
    """Unpack :func:`pack_tree` below ``directory`` and return the path of the file or directory in it."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        top = tar.next()
        if top is None:
            raise UsageError("checkpoint holds no files: it is damaged")
        # "data" refuses absolute names, links and devices that would reach outside.
        tar.extractall(directory, filter="data")
    return directory / top.name


def encode_array(name: str, values: Any, *, single: bool = False) -> bytes:
    """Return ``values`` (any array-like of numbers, text or booleans) as the bytes of a ``.npy`` file; floating-point
    numbers in ``single`` precision if so wished, which is more than any model's predictions deserve."""
    import numpy as np

    try:
        array = np.asarray(values)
        if single and array.dtype.kind == "f":
            array = array.astype(np.float32)
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
    except Exception as error:
        raise UsageError(
            f"predictions {name!r} are {brief(values)}, which is no array of numbers ({error}): "
            "give an array with one row per example"
        ) from error
    return buffer.getvalue()
