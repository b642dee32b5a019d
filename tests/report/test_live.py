"""A search in this process: its display, and what its trials print."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import signal
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import aiohpo
from aiohpo.evaluate.trial import Trial
from aiohpo.report.live import choose_progress

SPACE = aiohpo.Space(x=aiohpo.Int(0, 2))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def talk(trial: Trial) -> float:
    print(f"x={trial['x']} \x1b[31mred\x1b[0m")
    print("\r50%\r100%", end="", file=sys.stderr)
    return 1.0


def complain(trial: Trial) -> float:
    """In its own process."""
    warnings.warn(f"x={trial['x']}", stacklevel=1)
    logging.getLogger("complaints").warning("x=%s", trial["x"])
    return 1.0


def fail(trial: Trial) -> float:
    raise ValueError(f"[/red] {trial['x']} is bad")


@pytest.mark.parametrize(
    ("progress", "term", "shown", "told"),
    [
        (True, "xterm", "bar", 0),
        ("bar", "xterm", "bar", 0),
        ("lines", "xterm", "lines", 0),
        (False, "xterm", None, 0),
        (None, "xterm", None, 0),
        (True, "dumb", "lines", 0),
        ("bar", "dumb", "lines", 1),
    ],
)
def test_progress_is_what_was_asked_for_or_suits_the_place(
    progress: bool | str | None, term: str, shown: str | None, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar that cannot be shown becomes lines, with a notice if it was asked for by name."""
    monkeypatch.setenv("TERM", term)
    notices: list[str] = []
    with redirect_stderr(Terminal()):
        assert choose_progress(progress, notices.append) == shown
    assert len(notices) == told


def test_another_progress_is_an_error() -> None:
    """It names the value and what there is."""
    with pytest.raises(aiohpo.UsageError, match="True, False, 'bar' or 'lines', not 'none'"):
        choose_progress("none", print)


async def test_a_search_within_a_running_loop_can_be_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """As in a notebook: the result says so, as does the last line, and running again goes on."""
    to_interrupt = [1]

    async def objective(trial: Trial) -> float:
        if trial.number in to_interrupt:
            to_interrupt.clear()
            os.kill(os.getpid(), signal.SIGINT)
            while not trial.ended:
                await asyncio.sleep(0.01)
        return 1.0

    study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random")
    result = study.run(trials=3)
    assert repr(result) == "<Result best loss 1, 1 finished, 1 lost, interrupted>"
    first, last = capsys.readouterr().err.splitlines()[-2:]
    assert first == "interrupted: best loss 1 (trial 0); 1 finished, 1 lost"
    assert last.endswith("run the interrupted search again to continue in this process (no directory was given)")
    assert study.best == result.best
    assert repr(study.run(trials=3, progress=False)) == "<Result best loss 1, 3 finished>"


async def test_arun_shows_progress_only_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """It runs in somebody's application, to whom stderr and the terminal belong."""

    async def objective(trial: Trial) -> float:
        return trial["x"]

    study = aiohpo.Study(objective, SPACE, searcher="grid")
    await study.arun(trials=2)
    assert capsys.readouterr() == ("", "")
    await study.arun(trials=3, progress="lines")
    assert re.search(
        r"\ntrial 2: loss 2 in [\d.]+ \S+; x=2\ndone: best loss 0 \(trial 0\); 3 finished\n$", capsys.readouterr().err
    )


def numbers(text: str, pattern: str = r"x=(\d)") -> dict[int, set[int]]:
    """{number of a trial: values of x that its lines tell}"""
    told: dict[int, set[int]] = {}
    for number, x in re.findall(r"^\[(\d+)[^\]]*\] .*?" + pattern, text, re.MULTILINE):
        told.setdefault(int(number), set()).add(int(x))
    return told


@pytest.mark.parametrize("progress", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_without_a_terminal_lines_go_to_stdout(
    progress: bool, workers: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each behind its trial's number, which is that of the result, also where several workers number at a time; the
    same lines are in the directory with the trial's id."""
    study = aiohpo.Study(talk, SPACE, searcher="grid", evaluator="thread", directory=tmp_path / "r")
    before = sys.stdout, sys.stderr
    result = study.run(slots=workers, progress=progress)
    assert (sys.stdout, sys.stderr) == before
    captured = capsys.readouterr()
    expected = {trial.number: {trial.config["x"]} for trial in result.trials}
    told = numbers(captured.out)  # trials that repeated another one and were withdrawn for that may have spoken, too
    assert {number: told[number] for number in expected} == expected
    assert captured.out.count("] 100%\n") == len(told)
    assert "\x1b" not in captured.out
    said = captured.err.splitlines()
    assert said[-1:] == ([f"done: best loss 1 (trial {result.best.number}); {result._summary()}"] if progress else [])
    assert {line.partition(":")[0] for line in said[:-1]} == (
        {f"trial {number}" for number in expected} if progress else set()
    )
    kept = "".join(file.read_text() for file in (tmp_path / "r" / "output").iterdir())
    ids = dict(re.findall(r"^\[\d+ (\S+)\] x=(\d) red$", kept, re.MULTILINE))
    assert len(ids) == len(told)
    assert ids.items() >= {trial.id: str(trial.config["x"]) for trial in result.trials}.items()


def test_a_process_warns_and_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By Python's own rules: warnings, and log records of at least WARNING, without any configuration."""
    study = aiohpo.Study(complain, SPACE, searcher="grid", directory=tmp_path / "r")
    result = study.run(progress=False)
    out = capsys.readouterr().out
    expected = {trial.number: {trial.config["x"]} for trial in result.trials}
    assert numbers(out, r"UserWarning: x=(\d)") == expected
    assert numbers(out, r"x=(\d)$") == expected
    assert numbers((tmp_path / "r" / "output" / "worker-0.log").read_text()) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_on_a_terminal_lines_stand_above_the_bar(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole and apart from it, as what the rest of the program prints meanwhile."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    study = aiohpo.Study(
        talk, SPACE, searcher="grid", evaluator="thread", callbacks=[lambda record: print("a callback", record.value)]
    )
    with redirect_stdout(Terminal()) as terminal, redirect_stderr(terminal):
        result = study.run(slots=workers)
    lines = [
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip("\r").rpartition("\r")[2]
        for line in terminal.getvalue().split("\n")
    ]
    shown = "\n".join(lines)
    told = numbers(shown)  # of withdrawn trials, too
    assert {trial.number: told[trial.number] for trial in result.trials} == {
        trial.number: {trial.config["x"]} for trial in result.trials
    }
    assert lines.count("a callback 1.0") == len(result.trials)
    assert f"done: best loss 1 (trial {result.best.number}); {result._summary()}" in lines
    assert re.search(r"[0-3]/", shown)


def test_where_stdout_goes_elsewhere_lines_go_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 'python search.py > log' the bar is on the terminal and the trials' lines are in the file."""
    monkeypatch.setenv("TERM", "xterm")
    study = aiohpo.Study(talk, SPACE, searcher="grid", evaluator="thread")
    with redirect_stdout(io.StringIO()) as file, redirect_stderr(Terminal()) as terminal:
        study.run()
    assert file.getvalue().count(" red\n") == 3
    assert " red" not in terminal.getvalue()
    assert "done: best" in terminal.getvalue()


@pytest.mark.parametrize("progress", [True, False])
def test_a_search_of_failures_says_why(progress: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last error as it is, how many there are, and where all are to be seen; also without progress."""
    study = aiohpo.Study(fail, SPACE, searcher="grid", evaluator="thread")
    result = study.run(progress=progress)
    lines, done, said = capsys.readouterr().err.partition("done: ")
    assert ("trial 2: failed in " in lines) == progress
    assert done
    assert said.startswith("no successful trial; 3 failed; the last error: ValueError: [/red] 2 is bad (see all: ")
    assert "result.trials" in said
    with pytest.raises(aiohpo.UsageError, match=r"3 failed.*the last error: ValueError: .* is bad"):
        _ = result.best_config
    study = aiohpo.Study(fail, SPACE, searcher="grid", evaluator="thread", directory=tmp_path / "r")
    study.run(progress=progress)
    assert f"(see all: aiohpo show {tmp_path / 'r'} --failed)" in capsys.readouterr().err.replace("\n", "")
