"""Any program as an objective."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.checkpoint import encode
from aiohpo.evaluate.command import CommandEvaluator
from aiohpo.evaluate.process.process_group import ProcessGroup
from aiohpo.evaluate.program import Program
from aiohpo.plugin import Decision, Evaluator, GracefulEvaluator, Outcome
from aiohpo.storage.blob_store import DirectoryBlobs
from tests.support.evaluate_objectives import SECRET, Alarm, Recorder, assignment, gone, stop_at

pytestmark = pytest.mark.smoke
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a program, Python text or a command line, for one segment."""

    async def run(program: str | list[str], channel: Recorder | None = None, /, **options: Any) -> Outcome:
        settings = {name: options.pop(name) for name in ("input", "grace", "directory") if name in options}
        metric = options.pop("metric", "loss")
        command = python(tmp_path, program) if isinstance(program, str) else program
        evaluator = CommandEvaluator(command, **settings)
        await evaluator.start(Program(None, metric, secret=SECRET), DirectoryBlobs(tmp_path / "blobs"))
        try:
            return await asyncio.wait_for(evaluator.run(assignment(**options), channel or Recorder()), 120)
        finally:
            await evaluator.aclose()

    return run


def python(directory: Path, text: str) -> list[str]:
    file = directory / "program.py"
    file.write_text("import json, os, signal, sys, time\n" + textwrap.dedent(text))
    return [sys.executable, "-u", str(file)]


# -------------------------------------------------------------------------------------------------- parameters
def test_parameters_are_arguments() -> None:
    """Without placeholders every active parameter is passed as --name=value, whatever its value begins with."""
    evaluator = CommandEvaluator("python train.py")
    assert isinstance(evaluator, Evaluator)
    config = {"lr": -5e-05, "width": 64, "kind": "-sgd", "flag": True, "none": None}
    assert evaluator.arguments(config) == (
        ["python", "train.py", "--lr=-5e-05", "--width=64", "--kind=-sgd", "--flag=true", "--none=null"]
    )


def test_placeholders_are_filled_where_they_stand() -> None:
    """Then nothing is added. Doubled braces are braces; a value is never split or interpreted."""
    evaluator = CommandEvaluator("train --rate={lr} '{kind} {{x}}' {kind}")
    assert evaluator.arguments({"lr": 0.5, "kind": "a b; rm -rf '*'", "more": 1}) == (
        ["train", "--rate=0.5", "a b; rm -rf '*' {x}", "a b; rm -rf '*'"]
    )


def test_json_in_an_argument_is_no_placeholder() -> None:
    """Only {name} is; other braces are left alone."""
    config = '{"a": {"b": 1}}'
    assert CommandEvaluator(["train", config], input="json").arguments({"a": 1}) == ["train", config]


def test_a_placeholder_without_a_value_is_explained() -> None:
    """An inactive conditional parameter has no value; the error says what to do instead."""
    with pytest.raises(UsageError, match=r"placeholder \{momentum\} has no value .* lr .*input=\"json\""):
        CommandEvaluator("train {momentum}").arguments({"lr": 0.1})


async def test_parameters_may_come_as_json(run: Run) -> None:
    """The configuration is one JSON object on stdin."""
    program = "c = json.load(sys.stdin); print(json.dumps({'loss': c['x'] * 2, 'n': len(c['text'])}))"
    outcome = await run(program, input="json", x=1.5, text="ü" * 100_000)
    assert outcome == Outcome("finished", {"loss": 3.0, "n": 100_000.0})


async def test_stdin_is_empty_otherwise(run: Run) -> None:
    """A program that reads stdin does not wait for the terminal."""
    assert await run("print(json.dumps({'loss': len(sys.stdin.read())}))") == Outcome("finished", {"loss": 0.0})


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("", {}, "empty"),
        ("python 'train.py", {}, "not well quoted"),
        ("python", {"input": "yaml"}, "input must be one of arguments, json"),
        ("python", {"grace": -1}, "grace"),
    ],
)
def test_wrong_options_are_named(command: str, options: dict[str, Any], message: str) -> None:
    """Each when the evaluator is made."""
    with pytest.raises(UsageError, match=message):
        CommandEvaluator(command, **options)


async def test_a_missing_program_is_a_usage_error(tmp_path: Path) -> None:
    """Not found, not executable, in a directory that is not there: said before the search starts."""
    (tmp_path / "train.sh").write_text("echo")
    for command, directory, message in (
        ("no-such-program-here", None, "no program 'no-such-program-here' on the PATH"),
        ("./nowhere.sh", tmp_path, "there is no program"),
        ("./train.sh", tmp_path, r"not executable: chmod \+x"),
        ("train.sh", tmp_path, r"write \./train\.sh"),
        ("true", tmp_path / "nowhere", "there is no directory"),
    ):
        evaluator = CommandEvaluator(command, directory=directory)
        with pytest.raises(UsageError, match=message):
            await evaluator.start(Program(None), DirectoryBlobs(tmp_path))


async def test_programs_run_side_by_side(tmp_path: Path) -> None:
    """Each waits for the other at a named pipe, in as many rounds as there are."""
    os.mkfifo(tmp_path / "pipe")
    program = """
        with open("pipe", "w" if sys.argv[1] == "--x=0" else "r") as pipe:
            pass
        print(json.dumps({"loss": float(sys.argv[1][4:])}))
    """
    evaluator = CommandEvaluator(python(tmp_path, program), directory=tmp_path)
    await evaluator.start(Program(None, secret=SECRET), DirectoryBlobs(tmp_path / "blobs"))
    for _ in range(2):
        both = asyncio.gather(*(evaluator.run(assignment(x, x=x), Recorder()) for x in range(2)))
        outcomes = await asyncio.wait_for(both, 120)
        assert outcomes == [Outcome("finished", {"loss": float(x)}) for x in range(2)]
    await evaluator.aclose()


# ----------------------------------------------------------------------------------------------------- metrics
async def test_lines_of_json_are_reports_and_the_result(run: Run) -> None:
    """With a step a report, without one the result, of which the last counts; all else is the log."""
    channel = Recorder()
    outcome = await run(
        """
        print("starting")
        print(json.dumps({"step": 1, "loss": 0.9, "phase": "train"}))
        print(json.dumps({"step": 2.0, "other": 7}))
        print(json.dumps({"loss": 0.8}))
        print(json.dumps({"loss": 0.7, "seconds": 3, "note": "done"}))
        print(json.dumps({"level": "info", "time": 3}))
        print(json.dumps({"step": 3, "message": "hm"}))
        print("{not json")
        print([1, 2])
        print("no newline at the end", end="")
        """,
        channel,
    )
    assert outcome == Outcome("finished", {"loss": 0.7, "seconds": 3.0})
    assert channel.reports == [(1, {"loss": 0.9}), (2, {"other": 7.0})]
    assert channel.text.split("\n") == [
        "starting",
        '{"level": "info", "time": 3}',
        '{"step": 3, "message": "hm"}',
        "{not json",
        "[1, 2]",
        "no newline at the end",
        "",
    ]


async def test_a_result_without_a_newline_counts(run: Run) -> None:
    """The last line is a line."""
    assert await run("print(json.dumps({'loss': 1}), end='')") == Outcome("finished", {"loss": 1.0})


async def test_reports_alone_are_enough(run: Run) -> None:
    """The last reported value is the result."""
    program = "for i in (1, 2): print(json.dumps({'step': i, 'auc': i / 4}))"
    assert await run(program, metric="auc") == Outcome("finished", {"auc": 0.5})


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("print('done')", "never reported 'loss'"),
        ("print('{\"loss\": NaN}')", "metric 'loss' is nan"),
        ('print(\'{"loss": "0.5"}\')', "metric 'loss' is str '0.5'"),
        ("print('{\"loss\": null}')", "metric 'loss' is NoneType"),
        ('print(\'{"step": 1, "loss": NaN}\'); time.sleep(600)', "reported loss=nan at step 1"),
        ('print(\'{"step": 1, "loss": "x"}\'); time.sleep(600)', "metric 'loss' is str 'x'"),
        ('print(\'{"step": 1.5, "loss": 1}\'); time.sleep(600)', "step is float 1.5"),
        ('print(\'{"step": "1", "loss": 1}\'); time.sleep(600)', "step is str '1'"),
        ('print(\'{"step": -1, "loss": 1}\'); time.sleep(600)', "in order"),
        ("print('{' * 100_000)", "never reported"),
        ("print('{\"a\":' * 100_000)", "never reported"),
    ],
)
async def test_bad_metrics_fail_the_trial(run: Run, program: str, error: str) -> None:
    """What is no number is named; a program that has failed already is not waited for."""
    outcome = await run(program)
    assert outcome.kind == "failed"
    assert error in (outcome.error or "")


async def test_files_are_attached_in_its_own_directory(run: Run, tmp_path: Path) -> None:
    """Also one that it names in its last line; one that is not there fails the trial."""
    (tmp_path / "m.txt").write_text("model")
    line = 'print(\'{"attach": {"m": "m.txt"}, "loss": 1}\')'
    channel = Recorder()
    assert (await run(line, channel, directory=tmp_path)).metrics == {"loss": 1.0}
    assert {name: size for name, (_, size) in channel.files.items()} == {"m": 5}
    outcome = await run(line.replace("m.txt", "gone.txt"), directory=tmp_path)
    assert (outcome.kind, outcome.error) == (
        "failed", f"cannot attach 'm': '{tmp_path / 'gone.txt'}': No such file or directory"
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------- endings
async def test_an_exit_code_fails_the_trial(run: Run) -> None:
    """With the end of stderr as the detail, even if a result was printed."""
    outcome = await run("print('{\"loss\": 1}'); print('x' * 9999 + 'the reason', file=sys.stderr); sys.exit(3)")
    assert outcome.kind == "failed"
    assert (outcome.error or "").endswith("exited with code 3")
    assert not outcome.crashed
    assert (outcome.detail or "").endswith("the reason")
    assert len(outcome.detail or "") <= 8_000


async def test_a_crash_names_the_signal(run: Run) -> None:
    """And the end of stdout where stderr is empty."""
    outcome = await run("print('last words'); os.kill(os.getpid(), signal.SIGSEGV)")
    assert "was killed by SIGSEGV" in (outcome.error or "")
    assert outcome.crashed
    assert outcome.detail == "last words"


async def test_what_the_configuration_makes_impossible_fails_its_trial(run: Run) -> None:
    """An argument that is too long and a program that the configuration names wrongly are the trial's own faults."""
    for command, options in ((["true"], {"x": "y" * 3_000_000}), (["{program}"], {"program": "/nowhere/program"})):
        outcome = await run(command, **options)
        assert outcome.kind == "failed"
        assert "cannot run" in (outcome.error or "")


async def test_a_program_that_cannot_be_started_releases_the_trial(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad interpreter, no process, no thread, no room in the temporary directory: no configuration is to blame."""
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)

    def refuse(error: Exception) -> Callable[..., Any]:
        def refused(*_: object, **__: object) -> Any:
            raise error

        return refused

    outcome = await run([str(script)])
    assert (outcome.kind, outcome.error) == ("released", f"cannot run {str(script)!r}: No such file or directory")
    again = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    for name, error in (
        ("subprocess.Popen", again),
        ("tempfile.mkdtemp", OSError(errno.ENOSPC, "No space left on device")),
        ("asyncio.to_thread", RuntimeError("can't start new thread")),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(name, refuse(error))
            outcome = await run(["true"])
        assert outcome.kind == "released", name
        assert str(error.args[-1]) in (outcome.error or "")


async def test_a_checkpoint_that_cannot_be_stored_releases_the_trial(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program did its part; that the disk is full is not its fault."""

    def full(self: DirectoryBlobs, data: bytes) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(DirectoryBlobs, "put", full)
    program = (
        "open(os.environ['AIOHPO_CHECKPOINT_DIR'] + '/w', 'w').close()\n"
        "print(json.dumps({'step': 1, 'loss': 1}), flush=True); time.sleep(60)"
    )
    outcome = await run(program, Recorder(stop_at(1, Decision.PAUSE)), to_step=1, max_steps=2)
    assert outcome.kind == "released"
    assert "cannot write a checkpoint" in (outcome.error or "")


async def test_a_file_of_the_command_that_changes_is_noticed_once(tmp_path: Path) -> None:
    """A program is read from the disk by each trial, so the user hears that the search now mixes two versions."""
    script = tmp_path / "train.py"
    script.write_text("print('{\"loss\": 1}')\n")
    evaluator, channel = CommandEvaluator([sys.executable, str(script)]), Recorder()
    await evaluator.start(Program(None), DirectoryBlobs(tmp_path / "blobs"))
    for text in ("print('{\"loss\": 1}')", "print('{\"loss\": 2.5}')", "print('{\"loss\": 2.75}')"):
        script.write_text(text + "\n")
        await asyncio.wait_for(evaluator.run(assignment(), channel), 30)
    await evaluator.aclose()
    (notice,) = channel.noticed
    assert "train.py has changed since the search began: trials now run the new version" in notice


@pytest.mark.parametrize(("decision", "kind"), [(Decision.STOP, "stopped"), (Decision.PAUSE, "paused")])
async def test_a_decision_terminates_the_program(run: Run, decision: Decision, kind: str) -> None:
    """SIGTERM, and its exit code does not matter then; later lines are not heard."""
    channel = Recorder(stop_at(2, decision))
    program = "for i in range(1, 100000): print(json.dumps({'step': i, 'loss': i})); time.sleep(0.001)"
    assert await run(program, channel) == Outcome(kind)
    assert len(channel.reports) == 2


@pytest.mark.parametrize("line", ['{"loss": 0.5}', '{"step": 3, "loss": 0.5}'])
async def test_a_value_printed_after_the_pause_counts_for_its_step(run: Run, line: str) -> None:
    """A program may print its metric after another one of the same step, or when SIGTERM reaches it."""
    channel = Recorder()
    program = f"""
        signal.signal(signal.SIGTERM, lambda *_: (print('{line}', flush=True), sys.exit()))
        print('{{"step": 3, "auc": 1}}')
        signal.pause()
        """
    assert (await run(program, channel, to_step=3, max_steps=9)).kind == "paused"
    assert channel.reports == [(3, {"auc": 1.0}), (3, {"loss": 0.5})]


async def test_a_program_that_ignores_it_is_killed(run: Run) -> None:
    """After the grace period."""
    channel = Recorder(stop_at(1))
    program = """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(json.dumps({"step": 1, "loss": 1, "pid": os.getpid()}))
        while True: pass
    """
    assert await run(program, channel, grace=0.05) == Outcome("stopped")
    assert gone(int(channel.reports[0][1]["pid"]))


async def test_a_program_that_closes_its_output_and_stays_is_waited_for(run: Run) -> None:
    """Its exit counts, not the end of its output; a daemon that it leaves does not hold us up."""
    assert (await run(["sh", "-c", "echo '{\"loss\": 1}'; sleep 600 & exec >&- 2>&-; exit 0"])).kind == "finished"
    assert (await run(["sh", "-c", "echo '{\"loss\": 1}'; sleep 600 & exit 0"])).kind == "finished"


@pytest.mark.parametrize("how", ["refused", "cancelled"])
async def test_a_program_that_did_not_get_going_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whether the system refused it or the trial was cancelled while it was starting, its process has ended."""
    made: list[ProcessGroup] = []

    class Noted(ProcessGroup):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr("aiohpo.evaluate.command.ProcessGroup", Noted)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    evaluator = CommandEvaluator([str(program)])
    await evaluator.start(Program(None), DirectoryBlobs(tmp_path))
    if how == "refused":
        program.unlink()
    run = asyncio.ensure_future(evaluator.run(assignment(), Recorder()))
    while not made:
        await asyncio.sleep(0)
    if how == "cancelled":
        run.cancel()
    await asyncio.wait({run}, timeout=600)
    await evaluator.aclose()
    assert [group.returncode is not None for group in made] == [True]


async def test_cancelling_kills_the_family(tmp_path: Path) -> None:
    """At once, and the evaluator is ready for the next."""
    script = """
        test "$0" = fine && echo '{"loss": 1}' && exit
        sleep 600 &
        echo "{\\"step\\": 1, \\"pid\\": $!}"
        wait
    """
    evaluator = CommandEvaluator(["sh", "-c", script, "{x}"])
    await evaluator.start(Program(None), DirectoryBlobs(tmp_path))
    channel = Recorder()
    run = asyncio.ensure_future(evaluator.run(assignment(x="busy"), channel))
    await asyncio.wait_for(channel.heard.wait(), 120)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert gone(int(channel.reports[0][1]["pid"]))
    assert (await asyncio.wait_for(evaluator.run(assignment(x="fine"), Recorder()), 120)).kind == "finished"
    await evaluator.aclose()


async def test_megabytes_of_output_are_bounded(run: Run) -> None:
    """A result behind 20 MB of chatter is found, and the log is cut."""
    channel = Recorder()
    program = """
        for stream in (sys.stdout, sys.stderr):
            for _ in range(150): stream.write("spam spam\\n" * 10_000)
        sys.stdout.write("x" * 5_000_000 + "\\n")
        print(json.dumps({"loss": 1}))
    """
    assert await run(program, channel) == Outcome("finished", {"loss": 1.0})
    assert 1_000_000 < len(channel.text) < 1_200_000


async def test_lines_of_stdout_and_stderr_are_whole(run: Run) -> None:
    """A line of one does not land in a line of the other; a result may lack its end of line."""
    channel = Recorder()
    program = """
        for text, stream in (("half ", sys.stderr), ("out\\n", sys.stdout), ("\\r50%\\r100%", sys.stderr)):
            print(text, end="", file=stream, flush=True)
        print(json.dumps({"loss": 1}), end="")
    """
    assert await run(program, channel) == Outcome("finished", {"loss": 1.0})
    assert sorted(channel.text.splitlines()) == ["100%", "out"]


async def test_a_fault_of_the_workers_is_not_the_programs(run: Run) -> None:
    """What the channel raises surfaces from run()."""

    def broken(step: int) -> Decision:
        raise RuntimeError("broken channel")

    with pytest.raises(RuntimeError, match="broken channel"):
        await run('print(\'{"step": 1, "loss": 1}\'); time.sleep(600)', Recorder(broken))


# ------------------------------------------------------------------------------------------------- environment
async def test_the_environment_says_which_segment_it_is(run: Run) -> None:
    """Trial, number and steps, the latter only where there are any."""
    program = """
        print("{", json.dumps({k: v for k, v in os.environ.items() if k.startswith("AIOHPO_") and "DIR" not in k}))
        print(json.dumps({"loss": 1}))
    """
    channel = Recorder()
    await run(program, channel, start=3, to_step=9, max_steps=27)
    assert json.loads(channel.text[1:]) == {
        "AIOHPO_TRIAL": "w.1",
        "AIOHPO_NUMBER": "1",
        "AIOHPO_SLOT": "0",
        "AIOHPO_START_STEP": "3",
        "AIOHPO_TO_STEP": "9",
        "AIOHPO_MAX_STEPS": "27",
    }
    channel = Recorder()
    await run(program, channel)
    assert set(json.loads(channel.text[1:])) == {"AIOHPO_TRIAL", "AIOHPO_NUMBER", "AIOHPO_SLOT", "AIOHPO_START_STEP"}


STEPPING = """
    state = os.path.join(os.environ["AIOHPO_CHECKPOINT_DIR"], "state.json")
    total = json.load(open(state)) if os.path.exists(state) else 0
    for step in range(int(os.environ["AIOHPO_START_STEP"]) + 1, int(os.environ["AIOHPO_MAX_STEPS"]) + 1):
        total += step
        json.dump(total, open(state, "w"))
        print(json.dumps({"step": step, "loss": total}))
        if step == int(os.environ.get("AIOHPO_TO_STEP", 0)): time.sleep(600)
"""


async def test_a_paused_program_finds_its_checkpoint_again(run: Run) -> None:
    """What its checkpoint directory holds at the pause is a blob, and the directory of the next segment."""
    first, second = Recorder(), Recorder()
    assert await run(STEPPING, first, to_step=2, max_steps=4) == Outcome("paused")
    [(step, digest, size)] = first.saves
    assert (step, size > 0) == (2, True)
    outcome = await run(STEPPING, second, start=2, checkpoint=digest, max_steps=4)
    assert outcome == Outcome("finished", {"loss": 10.0})
    assert [at for at, _ in second.reports] == [3, 4]


async def test_a_checkpoint_of_another_evaluator_is_an_error(run: Run, tmp_path: Path) -> None:
    """What a function saved is no directory; the worker does not look into it, least of all into a pickle."""
    alarm = Alarm()
    for obj in (b"bytes", {"n": 1}, alarm):
        digest = DirectoryBlobs(tmp_path / "blobs").put(encode(obj, SECRET))
        outcome = await run("", checkpoint=digest, start=1)
        assert "another evaluator wrote it" in (outcome.error or "")
    assert not alarm.rang()


async def test_a_checkpoint_that_was_not_sealed_is_not_unpacked(run: Run, tmp_path: Path) -> None:
    """The program does not even start on files that somebody else put into the blob store."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "evil.py").touch()
    digest = DirectoryBlobs(tmp_path / "blobs").put(encode(tmp_path / "files", b"another"))
    channel = Recorder()
    outcome = await run("print('started')", channel, checkpoint=digest, start=1)
    assert "not written under this study's key" in (outcome.error or "")
    assert not channel.text


async def test_it_runs_where_it_is_told_to(run: Run, tmp_path: Path) -> None:
    """directory= is the program's working directory."""
    channel = Recorder()
    await run("print(os.getcwd())", channel, directory=tmp_path)
    assert os.path.samefile(channel.text.strip(), tmp_path)


def test_its_command_shows() -> None:
    """The repr is the command line."""
    assert repr(CommandEvaluator(["a b", "{lr}"])) == "<CommandEvaluator 'a b' '{lr}'>"


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
async def test_a_value_that_no_argument_can_hold_fails_its_trial(tmp_path: Path, text: str) -> None:
    """The trial says so, and the worker goes on."""
    evaluator = CommandEvaluator(["true"])
    await evaluator.start(Program(None, secret=SECRET), DirectoryBlobs(tmp_path / "blobs"))
    outcome = await evaluator.run(assignment(x=text), Recorder())
    assert outcome.kind == "failed"
    assert "cannot run 'true'" in (outcome.error or "")
    await evaluator.aclose()


# -------------------------------------------------------------------------------------- a worker that ends
LEAVING = """
    state = os.path.join(os.environ["AIOHPO_CHECKPOINT_DIR"], "state")
    def leave(*_):
        open(state, "w").close()
        sys.exit(3)
    open(state + ".half", "w").close()
    signal.signal(signal.SIGTERM, {handler})
    print('{{"step": 1, "loss": 0.5}}')
    while True: signal.pause()
"""


@pytest.mark.parametrize(("handler", "saves"), [("leave", [1]), ("signal.SIG_DFL", [])])
async def test_a_program_hears_that_its_worker_ends(tmp_path: Path, handler: str, saves: list[int]) -> None:
    """It gets SIGTERM; what it leaves in its checkpoint directory counts if it exits by itself."""
    channel = Recorder()
    evaluator = CommandEvaluator(python(tmp_path, LEAVING.format(handler=handler)))
    assert isinstance(evaluator, GracefulEvaluator)
    await evaluator.start(Program(None, "loss", secret=SECRET), DirectoryBlobs(tmp_path / "blobs"))
    try:
        running = asyncio.create_task(evaluator.run(assignment(), channel))
        await asyncio.wait_for(channel.heard.wait(), 120)
        evaluator.wind_down()
        assert await asyncio.wait_for(running, 120) == Outcome("released")
    finally:
        await evaluator.aclose()
    assert [step for step, *_ in channel.saves] == saves
