"""``aiohpo show --trial`` and ``--output``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from aiohpo import Study, Trial
from aiohpo.cli.main import invoke
from aiohpo.storage.printed import OutputFile
from tests.support.run_directories import HOSTILE, SPACE, config


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a noted trial that printed twelve lines and a failed one that printed one."""
    study = Study(None, SPACE, searcher="random", directory=tmp_path / "r")
    for i in range(2):
        study.enqueue(config(i))
    asked = study.ask()
    asked.note(layers=[64, 32], text=HOSTILE.encode("utf-8", "replace").decode())
    study.tell(asked, {"loss": 0.5, "size": 3})
    failed = study.ask()
    study.tell(failed, error="ValueError: no")
    file = OutputFile(tmp_path / "r" / "output" / "worker-0.log", pytest.fail)
    file.write(asked.id, 0, "".join(f"line {i}\n" for i in range(12)))
    file.write(failed.id, 1, f"{HOSTILE}\n")
    return tmp_path / "r"


def test_a_trial_has_a_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it was, what it was worth, what was noted, and the last lines that it printed; or its record as JSON."""
    assert invoke(["show", str(run), "--trial", "0"]) == 0
    page = capsys.readouterr().out
    assert "finished, loss 0.5" in page
    assert "\n  layers  [64, 32]\n" in page
    assert "\x1b" not in page
    assert "  | line 11\n" in page
    assert "line 1\n" not in page
    assert invoke(["show", str(run), "--trial", "0", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["notes"]["layers"], record["metrics"]) == ([64, 32], {"size": 3.0, "loss": 0.5})


def test_what_a_trial_printed_is_shown_in_full(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By number or id, as text or as JSON; nothing on stdout where there is nothing."""
    assert invoke(["show", str(run), "--output", "0"]) == 0
    assert capsys.readouterr().out == "".join(f"line {i}\n" for i in range(12))
    assert invoke(["show", str(run), "--output", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["number"], len(found["output"])) == (0, 12)
    (run / "output" / "worker-0.log").unlink()
    assert invoke(["show", str(run), "--output", found["id"]]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "nothing that trial 0 printed is kept" in captured.err


def test_failures_come_with_what_they_printed_last(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without what would act on a terminal."""
    assert invoke(["show", str(run), "--failed"]) == 0
    text = capsys.readouterr().out
    assert "ValueError: no\n" in text
    assert "last output (all of it: --output 1):\n  | red" in text
    assert "\x1b" not in text


def test_the_table_has_notes_where_there_are_any(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a column of their own."""
    assert invoke(["show", str(run)]) == 0
    assert "layers=[64, 32]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "why"),
    [(["--trial", "7"], "there is no trial '7'"), (["--trial", "0", "--output", "0"], "give one of --output, --trial")],
)
def test_a_mistake_is_told(run: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str) -> None:
    """A trial that is not there, and two views at once."""
    assert invoke(["show", str(run), *options]) == 2
    assert why in capsys.readouterr().err


def test_a_file_of_a_trial_is_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To where it is wanted, else to its name here, unless that is taken; the trial's page lists it."""

    async def objective(trial: Trial) -> float:
        (tmp_path / "source").write_bytes(b"the model")
        trial.attach("model.bin", tmp_path / "source")
        return 0.5

    asyncio.run(Study(objective, SPACE, searcher="random", directory=tmp_path / "r").arun(1))
    monkeypatch.chdir(tmp_path)
    assert invoke(["show", "r", "--trial", "0"]) == 0
    assert "model.bin  9 B  (copy it: --file 0 model.bin -o FILE)" in capsys.readouterr().out
    for options, written in (([], "model.bin"), (["-o", "copy"], "copy"), (["-o", "r"], "r/model.bin")):
        assert invoke(["show", "r", "--file", "0", "model.bin", *options]) == 0
        assert (tmp_path / written).read_bytes() == b"the model"
    capsys.readouterr()
    for options, why in (
        (["--file", "0", "model.bin"], "is a file 'model.bin' here already"),
        (["--file", "0", "other"], "no file 'other': it has model.bin"),
        (["-o", "x"], "--file TRIAL NAME"),
        (["--file", "0", "model.bin", "-o", "no/where"], "cannot write no/where: No such file"),
    ):
        assert invoke(["show", "r", *options]) == 2
        assert why in capsys.readouterr().err
    for blob in (tmp_path / "r" / "blobs").glob("??/*"):
        blob.write_bytes(b"forged !!")
    assert invoke(["show", "r", "--file", "0", "model.bin", "-o", "copy"]) == 2
    assert "is not here" in capsys.readouterr().err
