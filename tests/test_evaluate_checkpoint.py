"""Checkpoints and predictions as bytes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiohpo.evaluate.checkpoint import MAGIC, decode, encode, encode_array
from aiohpo.interfaces import UsageError


def no_scratch() -> Path:
    raise AssertionError("no files in it")


@settings(derandomize=True, deadline=None)
@given(st.binary() | st.binary().map(lambda tail: MAGIC + b"pickle\n" + tail))
def test_bytes_come_back_as_they_were(data: bytes) -> None:
    """Bytes survive whatever they start with, also our own mark: none of them is ever unpickled."""
    assert decode(encode(data), no_scratch) == data


def test_ordinary_bytes_are_stored_as_they_are() -> None:
    """A framework's own checkpoint file can be taken straight from the blob store."""
    assert encode(b"\x80\x05torch") == b"\x80\x05torch"


def test_objects_are_pickled() -> None:
    """Anything else goes through pickle."""
    value = {"weights": [1.0, 2.0], "epoch": 3}
    assert decode(encode(value), no_scratch) == value


def test_a_directory_comes_back_with_its_files(tmp_path: Path) -> None:
    """A directory tree is restored below the scratch directory, contents and modes."""
    tree = tmp_path / "model"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "weights.bin").write_bytes(b"123")
    (tree / "run.sh").write_text("#!/bin/sh\n")
    (tree / "run.sh").chmod(0o755)
    (tmp_path / "out").mkdir()
    back = decode(encode(tree), lambda: tmp_path / "out")
    assert back == tmp_path / "out" / "model"
    assert (back / "deep" / "weights.bin").read_bytes() == b"123"
    assert os.access(back / "run.sh", os.X_OK)


def test_a_file_comes_back_under_its_name(tmp_path: Path) -> None:
    """A single file is restored as a file."""
    (tmp_path / "w.pt").write_bytes(b"w")
    (tmp_path / "out").mkdir()
    back = decode(encode(tmp_path / "w.pt"), lambda: tmp_path / "out")
    assert back.name == "w.pt"
    assert back.read_bytes() == b"w"


def test_equal_trees_are_equal_bytes(tmp_path: Path) -> None:
    """Neither the time nor the order of creation shows, so equal content is one blob."""
    blobs = []
    for place, names in (("a", ["x", "y"]), ("b", ["y", "x"])):
        tree = tmp_path / place / "model"
        tree.mkdir(parents=True)
        for name in names:
            (tree / name).write_text(name)
        os.utime(tree / "x", (1, len(blobs)))
        blobs.append(encode(tree))
    assert blobs[0] == blobs[1]


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    """A path that is not there is named."""
    with pytest.raises(UsageError, match="does not exist"):
        encode(tmp_path / "nowhere")


def test_a_path_as_text_is_questioned(tmp_path: Path) -> None:
    """Text that names a file would be saved as text, which nobody wants: it is an error with the remedy."""
    with pytest.raises(UsageError, match=r"save\(Path"):
        encode(str(tmp_path))


def test_what_does_not_pickle_is_an_error_with_the_remedy() -> None:
    """A lambda does not pickle; the message says what does."""
    with pytest.raises(UsageError, match=r"does not pickle.*dump= and load="):
        encode(lambda: None)


def test_an_unknown_kind_is_an_error() -> None:
    """A mark of a later version is named, not guessed at."""
    with pytest.raises(UsageError, match="unknown kind"):
        decode(MAGIC + b"zip\n", no_scratch)


def test_a_tar_cannot_reach_outside(tmp_path: Path) -> None:
    """A link to somewhere else in a checkpoint is refused when it is restored."""
    tree = tmp_path / "model"
    tree.mkdir()
    (tree / "link").symlink_to("/etc/passwd")
    blob = encode(tree)
    (tmp_path / "out").mkdir()
    with pytest.raises(Exception, match="link"):
        decode(blob, lambda: tmp_path / "out")


def test_predictions_are_npy_files() -> None:
    """Predictions are stored in single precision, so that numpy alone reads them; targets as they are."""
    stored = np.load(io.BytesIO(encode_array("valid", [[0.1, 0.9]], single=True)))
    assert stored.dtype == np.float32
    assert stored.tolist() == [[np.float32(0.1), np.float32(0.9)]]
    assert np.load(io.BytesIO(encode_array("valid", ["cat", "dog"]))).tolist() == ["cat", "dog"]
    assert np.load(io.BytesIO(encode_array("valid", [0.1]))).tolist() == [0.1]


@pytest.mark.parametrize("values", [[object()], [[1.0], [1.0, 2.0]], None])
def test_what_is_no_array_is_named(values: object) -> None:
    """Ragged lists and objects are refused with the name they were given under."""
    with pytest.raises(UsageError, match="predictions 'valid'"):
        encode_array("valid", values)
