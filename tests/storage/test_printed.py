"""What trials print, on its way to people."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from aiohpo.storage.printed import OutputFile, read_output, tagged, tails, tee, write_plainly


def test_every_line_says_which_trial_wrote_it() -> None:
    """The number, and the id where that is asked for; empty lines stay."""
    assert tagged("a\n\nb\n", 17) == "[17] a\n[17] \n[17] b\n"
    assert tagged("a\n", 17, "5c3e1f0a2b4d-3") == "[17 5c3e1f0a2b4d-3] a\n"


def test_what_would_change_the_terminal_is_left_out() -> None:
    """Colours, titles and cursor moves go without a trace, other control characters become visible."""
    line = "\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b[2Jend\t\x00\x07\x9b\u202e\udcff[/]"
    assert tagged(line, 0) == r"[0] red end \x00\x07\x9b\u202e\udcff[/]" + "\n"
    assert tagged("\x1b]0;no end\nnext\x07\n", 0) == r"[0] \x1b]0;no end" + "\n" + r"[0] next\x07" + "\n"
    assert tagged("\x1b[31", 0) == r"[0] \x1b[31" + "\n"


def test_both_sinks_hear_it() -> None:
    """In order."""
    heard: list[object] = []
    tee(lambda *words: heard.append((1, *words)), lambda *words: heard.append((2, *words)))("w-1", 3, "x\n")
    assert heard == [(1, "w-1", 3, "x\n"), (2, "w-1", 3, "x\n")]


def test_a_stream_gets_what_it_can_show() -> None:
    """An encoding without the characters, a closed stream and none at all are no error."""
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    write_plainly("é\n", ascii_only)
    assert ascii_only.buffer.getvalue() == b"\\xe9\n"  # type: ignore[attr-defined]
    closed = io.StringIO()
    closed.close()
    write_plainly("x\n", closed)
    write_plainly("x\n", None)


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """By several writers, each chunk in one piece; what was there stays."""
    path = tmp_path / "worker-0.log"
    path.write_text("before\n")
    files = [OutputFile(path, pytest.fail) for _ in range(2)]
    files[0].write("a-1", 0, "one\ntwo\n")
    files[1].write("b-1", 1, "é\n")
    assert path.read_text("utf-8") == "before\n[0 a-1] one\n[0 a-1] two\n[1 b-1] é\n"


def test_a_file_that_cannot_be_written_is_told_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing folder or a full disk costs what was printed and nothing else; it goes on when there is room again."""
    said: list[str] = []
    file = OutputFile(tmp_path / "gone" / "worker-0.log", said.append)
    file.write("a-1", 0, "x\n")
    file.write("a-1", 0, "x\n")
    assert said == [f"cannot keep what trials print in {file.path}: No such file or directory"]

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    said.clear()
    file = OutputFile(tmp_path / "worker-0.log", said.append)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        file.write("a-1", 0, "lost\n")
    file.write("a-1", 0, "kept\n")
    assert len(said) == 1
    assert "No space left" in said[0]
    assert file.path.read_text() == "[0 a-1] kept\n"


def test_what_others_put_in_its_place_is_not_written_to(tmp_path: Path) -> None:
    """Everybody knows its name: a FIFO is not waited for, a link is not followed, and a new file is its owner's."""
    told: list[str] = []
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    for name in ("pipe", "link", "file"):
        OutputFile(tmp_path / name, told.append).write("ann-1", 0, "hello\n")
    assert [text.rpartition(": ")[2] for text in told] == ["it is not a regular file"] * 2
    assert not (tmp_path / "precious").exists()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_what_a_trial_printed_is_found_again(tmp_path: Path) -> None:
    """By its id, whatever its number was when it printed; what looks like a tag within a line is no tag."""
    (tmp_path / "output").mkdir()
    paths = [tmp_path / "output" / f"worker-{rank}.log" for rank in range(2)]
    files = [OutputFile(path, pytest.fail) for path in paths]
    files[1].write("a-1", 3, "first\n\n")
    files[0].write("b-1", 4, "[3 a-1] not mine\n")
    files[0].write("a-1", 2, "then\n")
    paths[0].write_bytes(paths[0].read_bytes() + b"a notice of the worker\n\xff\n[2 a-1] no end")
    os.utime(paths[1], (1.0, 1.0))
    (tmp_path / "output" / "fifo.log").mkdir()
    read = list(read_output(tmp_path, ("a-1",)))
    assert read == [("a-1", "first"), ("a-1", ""), ("a-1", "then"), ("a-1", "no end")]
    assert tails(tmp_path, ("a-1", "b-1", "c-1"), 2) == {"a-1": ["then", "no end"], "b-1": ["[3 a-1] not mine"]}
    assert not list(read_output(tmp_path / "nowhere", ("a-1",)))
