"""Checkpoints and predictions as bytes."""

from __future__ import annotations

import collections
import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiohpo.errors import UsageError
from aiohpo.evaluate import checkpoint as module
from aiohpo.evaluate.checkpoint import (
    BadCheckpoint,
    decode,
    decode_directory,
    encode,
    encode_array,
    find_fault,
    pack_tree,
    read_file,
    seal_checkpoint,
    unpack_tree,
    unseal,
)
from aiohpo.storage.blob_store import DirectoryBlobs
from aiohpo.testing import MemoryBlobs
from tests.support.evaluate_objectives import SECRET, Alarm

OTHER = bytes(reversed(SECRET))
NOT_OURS = "was not written under this study's key"


def no_scratch() -> Path:
    raise AssertionError("no files in it")


def there_and_back(obj: Any) -> Any:
    return decode(encode(obj, SECRET), SECRET, no_scratch)


# --------------------------------------------------------------------------------------------- the seal
@settings(derandomize=True, deadline=None)
@given(st.binary() | st.binary().map(lambda tail: seal_checkpoint("pickle", [tail], SECRET)))
def test_bytes_come_back_as_they_were(data: bytes) -> None:
    """Bytes survive whatever they are, a sealed pickle included: none of them is ever unpickled."""
    assert there_and_back(data) == data


def test_the_content_follows_the_first_line() -> None:
    """A framework's own file is the blob without its first line, which says what it is."""
    line, _, rest = encode(b"\x80\x05torch\n", SECRET).partition(b"\n")
    assert line.startswith(b"aiohpo-checkpoint bytes ")
    assert rest == b"\x80\x05torch\n"


def test_equal_content_under_one_key_is_one_blob() -> None:
    """So that saving the same again costs no space; under another key it is another blob."""
    assert encode({"a": 1}, SECRET) == encode({"a": 1}, SECRET)
    assert encode({"a": 1}, SECRET) != encode({"a": 1}, OTHER)


def forgeries(content: bytes) -> list[bytes]:
    """What somebody without the key could write to make us unpickle ``content``, earlier formats included."""
    line = b"aiohpo-checkpoint pickle "
    plain, raw = encode([1, 2], SECRET), encode(content, SECRET)
    return [
        content,
        b"",
        b"aiohpo checkpoint: pickle\n" + content,
        b"aiohpo checkpoint: files\n" + content,
        line,
        line + b"\n" + content,
        line + 64 * b"0" + b"\n" + content,
        line + hashlib.sha256(content).hexdigest().encode() + b"\n" + content,
        seal_checkpoint("pickle", [content], OTHER),
        # The code of something that was really saved, over other content or as another kind.
        line + plain.split(b"\n")[0].split(b" ")[2] + b"\n" + content,
        raw.replace(b" bytes ", b" pickle ", 1),
        raw.replace(b" bytes ", b" plain ", 1),
        raw[:-1],
        raw + b"0",
    ]


@pytest.mark.parametrize("which", range(len(forgeries(b"x"))))
def test_what_is_not_sealed_under_the_key_is_not_loaded(which: int) -> None:
    """No pickle of a stranger is loaded, whatever its first line claims, and load= is not called either."""
    alarm = Alarm()
    blob = forgeries(pickle.dumps(alarm))[which]
    with pytest.raises(BadCheckpoint, match=NOT_OURS):
        decode(blob, SECRET, no_scratch)
    with pytest.raises(BadCheckpoint, match=NOT_OURS):
        decode(blob, SECRET, no_scratch, load=pickle.loads)
    with pytest.raises(BadCheckpoint, match=NOT_OURS):
        decode_directory(blob, SECRET, no_scratch)
    assert not alarm.rang()
    assert decode(encode(alarm, SECRET), SECRET, no_scratch) == Alarm.RANG
    assert alarm.rang(), "the alarm must work for this test to say anything"


@settings(derandomize=True, deadline=None)
@given(st.data())
def test_no_changed_bit_goes_unnoticed(data: st.DataObject) -> None:
    """Neither in the content nor in the seal itself."""
    blob = encode(np.arange(5), SECRET)
    at = data.draw(st.integers(0, len(blob) - 1))
    changed = bytearray(blob)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadCheckpoint):
        unseal(bytes(changed), SECRET)


def test_codes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is the standard library's: how long it takes says nothing about the right code."""
    asked: list[Any] = []
    monkeypatch.setattr(module.hmac, "compare_digest", lambda a, b: bool(asked.append((a, b))) or a == b)
    unseal(encode(b"x", SECRET), SECRET)
    assert len(asked) == 1


def test_without_a_secret_nothing_is_sealed_or_trusted() -> None:
    """An objective that was given no secret must not fall back to one that everybody knows."""
    with pytest.raises(ValueError, match="secret"):
        encode(b"x", b"")
    with pytest.raises(ValueError, match="secret"):
        decode(encode(b"x", SECRET), b"", no_scratch)


def test_an_unknown_kind_is_an_error() -> None:
    """A kind of a later version is named, not guessed at."""
    with pytest.raises(BadCheckpoint, match="unknown kind 'zip'"):
        decode(seal_checkpoint("zip", [b""], SECRET), SECRET, no_scratch)


def test_a_fault_is_found_before_a_trial_starts(tmp_path: Path) -> None:
    """It is said in words that continue "the checkpoint"; nothing is loaded for that."""
    alarm = Alarm()
    for blobs in (MemoryBlobs(), DirectoryBlobs(tmp_path)):
        assert find_fault(blobs, blobs.put(encode(alarm, SECRET)), SECRET) is None
        fault = find_fault(blobs, blobs.put(encode(alarm, OTHER)), SECRET)
        assert fault is not None
        assert fault.startswith(NOT_OURS)
    assert not alarm.rang()


def test_a_damaged_blob_makes_room_for_the_right_one(tmp_path: Path) -> None:
    """As long as a file stood under its name, the same checkpoint could not be saved again."""
    blobs, blob = DirectoryBlobs(tmp_path), encode([1], SECRET)
    digest = blobs.put(blob)
    blobs.path(digest).write_bytes(blob[:-1])
    assert find_fault(blobs, digest, SECRET) == "is damaged"
    assert digest not in blobs
    assert blobs.get(blobs.put(blob)) == blob


# ------------------------------------------------------------------------------------------ kinds
@pytest.mark.parametrize(
    ("obj", "kind"),
    [
        (b"x", "bytes"),
        (bytearray(b"x"), "bytes"),
        pytest.param(memoryview(b"xyz")[::2], "bytes", id="a view"),
        ({"weights": [1.0, 2.0], "epoch": 3, "shape": (2, 3)}, "plain"),
        ({"w": np.arange(6.0).reshape(2, 3)}, "plain"),
        (np.float32(0.1), "plain"),
        (None, "plain"),
        ("text", "plain"),
        (collections.Counter("aab"), "pickle"),
        (collections.OrderedDict(b=1, a=2), "pickle"),
        ([complex(1, 2), range(3)], "pickle"),
        (2 * [[1]], "pickle"),
    ],
)
def test_pickle_is_only_for_what_needs_it(obj: Any, kind: str) -> None:
    """Bytes and plain data hold no code; everything else is pickled, and comes back equal too."""
    assert unseal(encode(obj, SECRET), SECRET)[0] == kind
    assert repr(there_and_back(obj)) == repr(bytes(obj) if kind == "bytes" else obj)


def test_shared_and_own_references_survive() -> None:
    """By pickle, since plain data has no references."""
    shared: list[Any] = [1]
    shared.append(shared)
    a, b = there_and_back((shared, {"again": shared}))
    assert a is b["again"] is a[1]


def test_dump_and_load_replace_the_encoding() -> None:
    """load gets just what dump returned, after the seal was verified."""
    blob = encode("state", SECRET, dump=lambda obj: memoryview(obj.encode()))
    assert decode(blob, SECRET, no_scratch, load=lambda data: (type(data), data)) == (bytes, b"state")


def test_a_study_that_lost_or_gained_its_load_says_so() -> None:
    """Another format is named with the remedy, not handed to a function that cannot read it."""
    with pytest.raises(BadCheckpoint, match="give the study its load="):
        decode(encode("state", SECRET, dump=str.encode), SECRET, no_scratch)
    with pytest.raises(BadCheckpoint, match="was saved without dump="):
        decode(encode(b"state", SECRET), SECRET, no_scratch, load=bytes.decode)


def test_a_dump_that_returns_no_bytes_is_an_error() -> None:
    """The message names what came back."""
    with pytest.raises(UsageError, match="dump returned str"):
        encode(1, SECRET, dump=lambda obj: "text")  # type: ignore[arg-type, return-value]


def test_a_path_as_text_is_questioned(tmp_path: Path) -> None:
    """Text that names a file would be saved as text, which nobody wants: it is an error with the remedy."""
    with pytest.raises(UsageError, match=r"save\(Path"):
        encode(str(tmp_path), SECRET)


def test_what_does_not_pickle_is_an_error_with_the_remedy() -> None:
    """A lambda does not pickle; the message says what does."""
    with pytest.raises(UsageError, match=r"does not pickle.*dump= and load="):
        encode(lambda: None, SECRET)


# ------------------------------------------------------------------------------------------------ files
def test_a_directory_comes_back_with_its_files(tmp_path: Path) -> None:
    """A directory tree is restored below the scratch directory, contents and modes."""
    tree = tmp_path / "model"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "weights.bin").write_bytes(b"123")
    (tree / "run.sh").write_text("#!/bin/sh\n")
    (tree / "run.sh").chmod(0o755)
    for name, read in (("restore", decode), ("only directories", decode_directory)):
        (tmp_path / name).mkdir()
        back = read(encode(tree, SECRET), SECRET, lambda out=tmp_path / name: out)
        assert back == tmp_path / name / "model"
        assert (back / "deep" / "weights.bin").read_bytes() == b"123"
        assert os.access(back / "run.sh", os.X_OK)


def test_a_file_comes_back_under_its_name(tmp_path: Path) -> None:
    """A single file is restored as a file."""
    (tmp_path / "w.pt").write_bytes(b"w")
    (tmp_path / "out").mkdir()
    back = decode(encode(tmp_path / "w.pt", SECRET), SECRET, lambda: tmp_path / "out")
    assert back.name == "w.pt"
    assert back.read_bytes() == b"w"


def test_only_directories_are_opened_where_only_they_make_sense(tmp_path: Path) -> None:
    """Neither a pickle nor anything else that other evaluators write is looked into."""
    alarm = Alarm()
    (tmp_path / "w.pt").write_bytes(b"w")
    for obj, name in ((alarm, "pickle"), (b"x", "bytes"), ([1], "plain"), (tmp_path / "w.pt", "a file")):
        (tmp_path / name).mkdir()
        with pytest.raises(BadCheckpoint, match=f"is not a directory but {name}: another evaluator wrote it"):
            decode_directory(encode(obj, SECRET), SECRET, lambda name=name: tmp_path / name)
    assert not alarm.rang()


def test_equal_trees_are_equal_bytes(tmp_path: Path) -> None:
    """Neither the time nor the order of creation shows, so equal content is one blob."""
    blobs = []
    for place, names in (("a", ["x", "y"]), ("b", ["y", "x"])):
        tree = tmp_path / place / "model"
        tree.mkdir(parents=True)
        for name in names:
            (tree / name).write_text(name)
        os.utime(tree / "x", (1, len(blobs)))
        blobs.append(encode(tree, SECRET))
    assert blobs[0] == blobs[1]


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    """A path that is not there is named."""
    with pytest.raises(UsageError, match="does not exist"):
        encode(tmp_path / "nowhere", SECRET)


FILE, DIRECTORY, LINK, HARD_LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.mark.parametrize(
    "members",
    [
        [],
        [("/tmp/aiohpo-evil", FILE, "")],
        [("/", DIRECTORY, "")],
        [("..", DIRECTORY, "")],
        [(".", DIRECTORY, "")],
        [("../evil", FILE, "")],
        [("a/b", FILE, "")],
        [("a", LINK, "/etc")],
        [("a", tarfile.CHRTYPE, "")],
        [("a", DIRECTORY, ""), ("../../evil", FILE, "")],
        [("a", DIRECTORY, ""), ("a/../../evil", FILE, "")],
        [("a", DIRECTORY, ""), ("/tmp/aiohpo-evil", FILE, "")],
        [("a", DIRECTORY, ""), ("b", FILE, "")],
        [("a", DIRECTORY, ""), ("ab", FILE, "")],
        [("a", DIRECTORY, ""), ("a/link", LINK, "/etc/passwd")],
        [("a", DIRECTORY, ""), ("a/link", LINK, "../../..")],
        [("a", DIRECTORY, ""), ("a/link", LINK, "/"), ("a/link/evil", FILE, "")],
        [("a", DIRECTORY, ""), ("a/d", DIRECTORY, ""), ("a/d/up", LINK, ".."), ("a/link", LINK, "d/up/..")],
        [("a", DIRECTORY, ""), ("a/link", LINK, "b"), ("a/link", FILE, "")],
        [("a", DIRECTORY, ""), ("a/Link", LINK, "b"), ("a/link/evil", FILE, "")],
        [("a", DIRECTORY, ""), ("a/b", FILE, ""), ("a/b", FILE, "")],
        [("a", DIRECTORY, ""), ("a/link", LINK, "")],
        [("a", DIRECTORY, ""), ("a/hard", HARD_LINK, "/etc/passwd")],
        [("a", DIRECTORY, ""), ("a/hard", HARD_LINK, "a/later"), ("a/later", FILE, "")],
        [("a", DIRECTORY, ""), ("a/link", LINK, "b"), ("a/hard", HARD_LINK, "a/link")],
        [("a", DIRECTORY, ""), ("a/pipe", tarfile.FIFOTYPE, "")],
        [("a", DIRECTORY, ""), ("a/device", tarfile.BLKTYPE, "")],
        [("a", DIRECTORY, ""), ("a/sparse", tarfile.GNUTYPE_SPARSE, "")],
    ],
    ids=str,
)
def test_a_tar_cannot_reach_outside(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    """Whatever its names and links say, nothing is written or returned that is not below the scratch directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    scratch = tmp_path / "some" / "scratch"
    scratch.mkdir(parents=True)
    with pytest.raises(BadCheckpoint, match="it is damaged"):
        unpack_tree(buffer.getvalue(), scratch)
    assert {path.name for path in tmp_path.rglob("*")} <= {"some", "scratch", "a"}
    assert not Path("/tmp/aiohpo-evil").exists()


@pytest.mark.parametrize(
    "data", [b"", b"x" * 2000, bytes(10240), b"a" * 512, pack_tree(Path(__file__))[:2000]], ids=len
)
def test_what_is_no_tar_is_a_bad_checkpoint(tmp_path: Path, data: bytes) -> None:
    """Whatever tarfile has to say about it."""
    with pytest.raises(BadCheckpoint, match="it is damaged"):
        unpack_tree(data, tmp_path)


def test_times_that_are_none_do_no_harm(tmp_path: Path) -> None:
    """What is restored is as old as it was packed, whatever the archive says."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.mtime = 1e300
        tar.addfile(info)
    assert unpack_tree(buffer.getvalue(), tmp_path).stat().st_mtime == 0


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a link to '/etc/passwd', outside of 'model'"),
        (lambda path: path.symlink_to("../elsewhere"), "a link to '../elsewhere', outside of 'model'"),
        (os.mkfifo, "neither a file nor a directory nor a link"),
    ],
)
def test_what_could_not_be_restored_is_not_saved(tmp_path: Path, make: Callable[[Path], None], fault: str) -> None:
    """Links out of a directory and pipes in it are an error when it is saved, which names them."""
    (tmp_path / "model").mkdir()
    make(tmp_path / "model" / "x")
    with pytest.raises(UsageError, match=f"holds 'model/x', .*{fault}.*could not be restored"):
        encode(tmp_path / "model", SECRET)


def test_links_within_a_tree_are_kept(tmp_path: Path) -> None:
    """Frameworks link "latest" to the newest of their files."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "3.pt").write_text("3")
    (tmp_path / "model" / "latest.pt").symlink_to("3.pt")
    (tmp_path / "model" / "parts").mkdir()
    (tmp_path / "model" / "parts" / "whole.pt").symlink_to("../3.pt")
    (tmp_path / "model" / "same.pt").hardlink_to(tmp_path / "model" / "3.pt")
    (tmp_path / "out").mkdir()
    back = decode(encode(tmp_path / "model", SECRET), SECRET, lambda: tmp_path / "out")
    assert (back / "latest.pt").is_symlink()
    assert {(back / name).read_text() for name in ("latest.pt", "parts/whole.pt", "same.pt")} == {"3"}


# ------------------------------------------------------------------------------------------ predictions
def test_predictions_are_npy_files() -> None:
    """Predictions are stored in single precision, so that numpy alone reads them; targets as they are."""
    stored = np.load(io.BytesIO(encode_array("valid", [[0.1, 0.9]], single=True)))
    assert stored.dtype == np.float32
    assert stored.tolist() == [[np.float32(0.1), np.float32(0.9)]]
    assert np.load(io.BytesIO(encode_array("valid", ["cat", "dog"]))).tolist() == ["cat", "dog"]
    assert np.load(io.BytesIO(encode_array("valid", [0.1]))).tolist() == [0.1]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.linspace(0, 1, 5), np.float32),
        (np.linspace(-3e25, 5e25, 5), np.float32),
        (np.linspace(1, 2, 5) * 1e-25, np.float32),
        (np.float16([0.1, 0.9]), np.float32),
        ([0.5, np.nan, np.inf], np.float32),
        (1e9 + np.linspace(0, 1, 5), np.float64),
        (np.linspace(1, 2, 5) * 1e-44, np.float64),
        (np.linspace(-1, 1, 5) * 1e300, np.float64),
        (np.linspace(-1, 1, 5) * 1e308, np.float64),
        (np.stack([np.linspace(0, 1, 5), 1e6 + np.linspace(0, 1e-3, 5)], axis=1), np.float64),
        ([0.1, 0.1], np.float64),
        (0.5, np.float64),
        ([], np.float64),
    ],
)
def test_single_precision_is_for_what_hardly_changes(values: object, dtype: type) -> None:
    """Predictions that differ by little beside their size, or that single precision cannot hold, keep their digits."""
    stored = np.load(io.BytesIO(encode_array("valid", values, single=True)))
    assert stored.dtype == dtype
    assert stored == pytest.approx(np.asarray(values, dtype=np.float64), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("values", [[object()], [[1.0], [1.0, 2.0]], None])
def test_what_is_no_array_is_named(values: object) -> None:
    """Ragged lists and objects are refused with the name they were given under."""
    with pytest.raises(UsageError, match="predictions 'valid'"):
        encode_array("valid", values)


# ------------------------------------------------------------------------------------------------- files
@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a\n", "-x", "x" * 129, 3, "a\\b", "C:"])
def test_a_file_has_a_plain_name(name: Any, tmp_path: Path) -> None:
    """Nothing in it leads elsewhere or hides it, on any system."""
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(UsageError, match="cannot attach a file as"):
        read_file(name, tmp_path / "f")
    assert read_file("model v1.2_best+x=3.pt", str(tmp_path / "f")) == b"x"


def test_what_is_no_file_is_not_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory, a FIFO, nothing at all, what is too large and what is no path; none is waited for."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"12345")
    monkeypatch.setattr(module, "MAX_FILE", 4)
    for path, why in (
        (tmp_path, "make one file of a directory"),
        (tmp_path / "fifo", "not a regular file"),
        (tmp_path / "gone", "No such file"),
        (tmp_path / "large", "larger than 4 bytes"),
        ("a\0b", "null byte"),
        (None, "the path of a file is needed"),
    ):
        with pytest.raises(UsageError, match=why):
            read_file("name", path)
