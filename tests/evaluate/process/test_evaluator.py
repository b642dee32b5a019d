"""Objectives in a persistent process: real ones, with bounded waits."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest

from aiohpo.errors import Unavailable, UsageError
from aiohpo.evaluate.checkpoint import encode
from aiohpo.evaluate.process import child_process
from aiohpo.evaluate.process import evaluator as module
from aiohpo.evaluate.process.evaluator import ProcessEvaluator
from aiohpo.evaluate.program import Program
from aiohpo.plugin import Decision, Evaluator, GracefulEvaluator, Outcome
from aiohpo.storage.blob_store import DirectoryBlobs
from tests.support import evaluate_objectives
from tests.support.evaluate_objectives import (
    SECRET,
    Alarm,
    Recorder,
    assignment,
    async_double,
    behave,
    behave_async,
    double,
    environment,
    gone,
    restoring,
    showing,
    stepping,
    stop_at,
    until_told,
    whoami,
)

pytestmark = pytest.mark.smoke
T = TypeVar("T")
Start = Callable[..., Awaitable[ProcessEvaluator]]


async def within(awaitable: Awaitable[T], seconds: float = 120.0) -> T:
    return await asyncio.wait_for(awaitable, seconds)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for objectives that are known not to listen."""
    monkeypatch.setattr(child_process, "_LISTEN_AT_MOST", 0.0)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start evaluators of given functions; close them afterwards and see that nothing stays open."""
    evaluators: list[ProcessEvaluator] = []
    before = descriptors()

    async def start(function: Callable[..., Any], **options: Any) -> ProcessEvaluator:
        evaluators.append(ProcessEvaluator())
        await within(
            evaluators[-1].start(Program(function, secret=SECRET, **options), DirectoryBlobs(tmp_path / "blobs"))
        )
        return evaluators[-1]

    yield start
    for evaluator in evaluators:
        await within(evaluator.aclose())
    assert descriptors() == before


def import_from(directory: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ModuleType]:
    """Make a module that defines ``objective``, and import it until the test's end."""
    file = directory / f"{name}.py"
    file.write_text("def objective(trial): return 1\n")
    monkeypatch.syspath_prepend(str(directory))
    module = __import__(name)
    monkeypatch.setitem(sys.modules, name, module)
    return file, module


async def cancel_when_heard(evaluator: ProcessEvaluator, channel: Recorder, **options: Any) -> None:
    run = asyncio.ensure_future(evaluator.run(assignment(**options), channel))
    await within(channel.heard.wait())
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(run)


# ------------------------------------------------------------------------------------------- as it should be
async def test_it_runs_many_segments_in_one_process(start: Start) -> None:
    """The child is not ours, is persistent, and leads its own session, away from the terminal's Ctrl-C."""
    evaluator = await start(whoami)
    assert isinstance(evaluator, Evaluator)
    outcomes = [await within(evaluator.run(assignment(), Recorder())) for _ in range(3)]
    metrics = [outcome.metrics for outcome in outcomes]
    assert metrics[0] == metrics[1] == metrics[2]
    assert metrics[0]["pid"] == metrics[0]["group"] == metrics[0]["session"] != os.getpid()


async def test_a_segment_goes_from_checkpoint_to_pause(start: Start, tmp_path: Path) -> None:
    """Reports, decisions, checkpoints and predictions cross the pipe; blobs are written by the child."""
    evaluator, first, second = await start(stepping), Recorder(), Recorder()
    assert await within(evaluator.run(assignment(to_step=2, max_steps=4), first)) == Outcome("paused")
    step, digest, size = first.saves[-1]
    assert DirectoryBlobs(tmp_path / "blobs").path(digest).stat().st_size == size
    outcome = await within(evaluator.run(assignment(start=step, checkpoint=digest, max_steps=4), second))
    assert outcome == Outcome("finished", {"loss": 10.0})
    assert [at for at, _ in first.reports + second.reports] == [1, 2, 3, 4]
    assert set(second.stored) == {"valid"}


async def test_the_child_unpickles_nothing_that_was_not_sealed(start: Start, tmp_path: Path) -> None:
    """A checkpoint that somebody else put into the blob store fails its segment; the child serves on."""
    evaluator, blobs, alarm = await start(restoring), DirectoryBlobs(tmp_path / "blobs"), Alarm()
    forged, good = blobs.put(encode(alarm, b"another")), blobs.put(encode(alarm, SECRET))
    outcome = await within(evaluator.run(assignment(start=1, checkpoint=forged), Recorder()))
    assert outcome.kind == "failed"
    assert "not written under this study's key" in (outcome.error or "")
    assert not alarm.rang()
    outcome = await within(evaluator.run(assignment(start=1, checkpoint=good), Recorder()))
    assert outcome == Outcome("finished", {"loss": 1.0})
    assert alarm.rang()


async def test_the_secret_reaches_the_child_unseen(start: Start) -> None:
    """It is in neither the environment nor the arguments, which others can read, nor in a repr."""
    evaluator, channel = await start(showing), Recorder()
    await within(evaluator.run(assignment(), channel))
    assert "PATH" in channel.text
    for form in (repr(SECRET), SECRET.hex(), repr(SECRET)[2:-1]):
        assert form not in channel.text + repr(evaluator)


@pytest.mark.parametrize(("decision", "kind"), [(Decision.STOP, "stopped"), (Decision.PAUSE, "paused")])
async def test_decisions_reach_the_objective(start: Start, decision: Decision, kind: str) -> None:
    """A STOP or PAUSE ends the steps."""
    channel = Recorder(stop_at(3, decision))
    assert await within((await start(stepping)).run(assignment(max_steps=9), channel)) == Outcome(kind)
    assert len(channel.reports) == 3


async def test_an_objective_hears_that_its_worker_ends(start: Start) -> None:
    """A last checkpoint counts, and the segment is released without an error."""
    channel = Recorder()
    evaluator = await start(until_told)
    assert isinstance(evaluator, GracefulEvaluator)
    running = asyncio.create_task(evaluator.run(assignment(), channel))
    await within(channel.heard.wait())
    assert channel.saves == []
    evaluator.wind_down()
    assert await within(running) == Outcome("released")
    assert [step for step, *_ in channel.saves] == [1]


async def test_it_runs_async_objectives_too(start: Start) -> None:
    """They get an event loop of their own in the child."""
    evaluator = await start(async_double)
    for x in range(3):
        assert (await within(evaluator.run(assignment(x=x), Recorder()))).metrics == {"loss": 2.0 * x}


async def test_what_it_prints_is_its_trials_log(start: Start) -> None:
    """stdout and stderr, print and raw writes, all before the outcome is known, and of this trial only."""
    evaluator = await start(behave)
    texts = {"print": "hello from w.1\nand stderr\n", "print raw": "raw \ufffd bytes\n", "fine": ""}
    for behaviour, text in texts.items():
        channel = Recorder()
        assert (await within(evaluator.run(assignment(do=behaviour), channel))).kind == "finished"
        assert channel.text == text


async def test_each_slot_has_a_process_of_its_own(start: Start) -> None:
    """Cancelling what runs in one leaves the other alone, and its process is used again."""
    evaluator = await start(behave)
    first, second = Recorder(), Recorder()
    cancelled = asyncio.ensure_future(evaluator.run(assignment(do="busy"), first))
    await within(first.heard.wait())
    kept = (await within(evaluator.run(assignment(2, slot=1, do="pid"), second))).metrics["pid"]
    cancelled.cancel()
    await asyncio.wait({cancelled}, timeout=600)
    assert cancelled.cancelled()
    again = [evaluator.run(assignment(slot, slot=slot, do="pid"), Recorder()) for slot in (0, 1)]
    pids = [outcome.metrics["pid"] for outcome in await within(asyncio.gather(*again))]
    assert pids[1] == kept != pids[0]
    assert len(evaluator._lanes) == 2


async def test_a_slot_and_its_gpu_are_in_the_environment(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots are counted over the whole launch, and the visible devices dealt out by that number."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-8f,2")
    evaluator = await start(environment, first_slot=3)
    runs = [evaluator.run(assignment(slot, slot=slot), Recorder()) for slot in (0, 1, 4)]
    found = [outcome.metrics for outcome in await within(asyncio.gather(*runs))]
    assert [int(metrics["slot"]) for metrics in found] == [3, 4, 7]
    assert [int(metrics["device"]) for metrics in found] == [0, 1, 1]


# ------------------------------------------------------------------------------------------------- starting
async def test_what_cannot_be_imported_is_refused(start: Start) -> None:
    """What does not pickle, and a study without objective, are usage errors that name the remedy."""
    lock = threading.Lock()
    with pytest.raises(UsageError, match=r"'lock'.*thread"):
        await start(lambda trial: lock)
    with pytest.raises(UsageError, match="needs an objective"):
        await ProcessEvaluator().start(Program(None), DirectoryBlobs(Path()))
    with pytest.raises(UsageError, match="blobs on disk"):
        await ProcessEvaluator().start(Program(double), {})


async def test_a_closure_runs_in_another_process(start: Start) -> None:
    """It is sent there with what it refers to, however large that is."""
    here, large = os.getpid(), bytes(5 << 20)
    evaluator = await start(lambda trial: len(large) if os.getpid() != here else -1)
    outcome = await within(evaluator.run(assignment(), Recorder()))
    assert outcome.metrics == {"loss": 5 << 20}


async def test_a_process_that_is_killed_during_its_import_is_replaced(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is nobody's fault, unless it happens again and again."""
    file, module = import_from(tmp_path, "aiohpo_dies_early", monkeypatch)
    deaths = tmp_path / "deaths"
    for most, dies in ((2, False), (99, True)):
        deaths.write_text("")
        file.write_text(
            "import os, pathlib\n"
            f"deaths = pathlib.Path({str(deaths)!r})\n"
            f"if len(deaths.read_text()) < {most}:\n"
            "    deaths.write_text(deaths.read_text() + 'x')\n"
            "    os.kill(os.getpid(), 9)\n"
            "def objective(trial): return 1\n"
        )
        if dies:
            with pytest.raises(UsageError, match=r"SIGKILL .*while importing"):
                await start(module.objective)
            assert deaths.read_text() == "xxx"
        else:
            evaluator = await start(module.objective)
            assert (await within(evaluator.run(assignment(), Recorder()))).kind == "finished"


async def test_an_import_that_fails_in_the_child_is_a_usage_error(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user's file raised there is shown, with the traceback."""
    file, module = import_from(tmp_path, "aiohpo_only_here", monkeypatch)
    for text, message in (
        ("x = 1\n", "does not define 'objective'"),
        ("1/0\n", r"ZeroDivisionError(.|\n)*line 1"),
        ("import os; os._exit(4)\n", "exited with code 4 while importing"),
        ("raise SystemExit('argument missing')\n", "argument missing"),
        ("print('loading'); import os, signal; os.kill(os.getpid(), 9)\n", r"SIGKILL(.|\n)*loading"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=message):
            await start(module.objective)


async def test_the_child_sees_our_arguments_and_path(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that reads sys.argv or imports from a path that was added at run time works there as here."""
    (tmp_path / "aiohpo_reads_argv.py").write_text(
        "import sys, os\nARGV = list(sys.argv)\n"
        "def objective(trial): return {'loss': len(ARGV), 'leaked': 'AIOHPO_SYS_PATH' in os.environ}\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "argv", ["train.py", "--a", "--b"])
    module = __import__("aiohpo_reads_argv")
    monkeypatch.setitem(sys.modules, "aiohpo_reads_argv", module)
    evaluator = await start(module.objective)
    assert (await within(evaluator.run(assignment(), Recorder()))).metrics == {"loss": 3.0, "leaked": 0.0}


# ------------------------------------------------------------------------------------------------ behaving badly
async def test_signals_to_all_processes_of_a_job_are_for_the_worker(start: Start) -> None:
    """They end no trial; a process that the objective forks is ended by them as usual."""
    evaluator = await start(behave)
    outcome = await within(evaluator.run(assignment(do="signals"), Recorder()))
    assert outcome == Outcome("finished", {"loss": -signal.SIGTERM})


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("raise", "ValueError: bad luck"),
        ("raise huge", "ValueError: xxx"),
        ("raise unprintable", "cannot be printed"),
        ("raise surrogate", "file"),
        ("raise interrupt", "KeyboardInterrupt"),
        ("recursion", "RecursionError"),
        ("exit", "sys.exit(3)"),
        ("nan", "is nan"),
        ("none", "returned None"),
        ("string", "returned str '0.5'"),
        ("dict of strings", "metric 'loss' is str 'low'"),
        ("coroutine", "async def"),
        ("report nan", "reported loss=nan"),
        ("report string", "metric 'loss' is str"),
    ],
)
async def test_a_failing_objective_keeps_its_process(start: Start, behaviour: str, error: str) -> None:
    """What Python can catch fails the trial; the process serves the next."""
    evaluator = await start(behave)
    before = (await within(evaluator.run(assignment(do="pid"), Recorder()))).metrics["pid"]
    outcome = await within(evaluator.run(assignment(do=behaviour, x=1), Recorder()))
    assert outcome.kind == "failed"
    assert error in (outcome.error or "")
    assert len(outcome.error or "") <= 2_000
    assert len(outcome.detail or "") <= 8_000
    assert (await within(evaluator.run(assignment(do="pid"), Recorder()))).metrics["pid"] == before


@pytest.mark.parametrize(
    ("behaviour", "error", "detail"),
    [
        ("os exit", "exited with code 3", ""),
        ("os exit 0", "exited with code 0", ""),
        ("segfault", "killed by SIGSEGV", "evaluate_objectives.py"),
        ("abort", "killed by SIGABRT", "evaluate_objectives.py"),
        ("kill", "killed by SIGKILL", ""),
        ("spam and crash", "exited with code 1", "spam spam"),
        ("close everything", "closed its connection", ""),
        ("junk", "closed its connection to the worker, or wrote to it", ""),
        ("leave grandchild", "exited with code 7", ""),
    ],
)
async def test_a_crashing_objective_gets_a_new_process(start: Start, behaviour: str, error: str, detail: str) -> None:
    """The failure says how it ended and the last that it printed; the next trial runs as if nothing happened."""
    evaluator, channel = await start(behave), Recorder()
    before = (await within(evaluator.run(assignment(do="pid"), Recorder()))).metrics["pid"]
    outcome = await within(evaluator.run(assignment(do=behaviour), channel))
    assert outcome.kind == "failed"
    assert error in (outcome.error or "")
    assert detail in (outcome.detail or "")
    assert outcome.crashed == ("connection" not in error)
    assert len(outcome.detail or "") <= 8_192
    assert await asyncio.to_thread(gone, int(before))
    for _, metrics in channel.reports:
        assert gone(int(metrics["pid"])), "its grandchild is still there"
    after = await within(evaluator.run(assignment(do="pid"), Recorder()))
    assert after.kind == "finished"
    assert after.metrics["pid"] != before


@pytest.mark.parametrize(
    ("behaviour", "loss"),
    [("stdin", 0.0), ("close stdout", 1.0), ("close sys.stdout", 1.0), ("fork", 1.0), ("fork report", 42.0)],
)
async def test_odd_but_harmless_behaviour_does_no_harm(start: Start, behaviour: str, loss: float) -> None:
    """Reading stdin, closing stdout and forking leave the evaluator intact, trial after trial."""
    evaluator, channel = await start(behave), Recorder()
    for _ in range(2):
        assert await within(evaluator.run(assignment(do=behaviour), channel)) == Outcome("finished", {"loss": loss})
        behaviour = "fine" if "close" in behaviour else behaviour
    assert not channel.reports


async def test_megabytes_of_output_neither_block_nor_pile_up(start: Start) -> None:
    """50 MB on stderr: the trial finishes, what is passed on is bounded, and the next trial's log is its own."""
    evaluator, channel = await start(behave), Recorder()
    assert (await within(evaluator.run(assignment(do="spam"), channel))).kind == "finished"
    assert 1_000_000 < len(channel.text) < 1_200_000
    assert "dropped" in channel.logged[-1]
    channel = Recorder()
    await within(evaluator.run(assignment(do="print"), channel))
    assert channel.text == "hello from w.1\nand stderr\n"


async def test_a_trial_used_after_its_end_is_not_heard(start: Start) -> None:
    """A thread that the objective left behind cannot talk into the next trial."""
    evaluator = await start(behave)
    for _ in range(20):
        first, second = Recorder(), Recorder()
        assert (await within(evaluator.run(assignment(do="late report"), first))).metrics == {"loss": 1.0}
        outcome = await within(evaluator.run(assignment(2, do="pid"), second))
        assert outcome.kind == "finished"
        assert not second.reports


async def test_a_process_that_dies_between_trials_costs_none(start: Start) -> None:
    """A child that was killed while idle is replaced before the next segment."""
    evaluator = await start(behave)
    for _ in range(5):
        pid = (await within(evaluator.run(assignment(do="pid"), Recorder()))).metrics["pid"]
        os.kill(int(pid), signal.SIGKILL)
        child = evaluator._lanes[0].child
        assert child is not None
        assert await child.group.wait(600)
        assert (await within(evaluator.run(assignment(do="fine"), Recorder()))).kind == "finished"


async def test_async_objectives_behave_badly_as_well(start: Start) -> None:
    """Exits, interrupts and crashes inside the child's event loop are failures like any."""
    evaluator = await start(behave_async)
    for behaviour in ("raise", "raise interrupt", "exit", "none", "os exit", "report nan"):
        assert (await within(evaluator.run(assignment(do=behaviour), Recorder()))).kind == "failed"
        assert (await within(evaluator.run(assignment(do="fine"), Recorder()))).kind == "finished"


async def test_a_worker_that_cannot_start_processes_says_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no descriptors: the trial is released with the reason, and the next may succeed again."""
    evaluator = await start(behave)
    await within(evaluator.run(assignment(do="os exit"), Recorder()))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        outcome = await within(evaluator.run(assignment(do="fine"), Recorder()))
    assert outcome == Outcome("released", error="cannot start a process for the objective: No such file or directory")
    assert (await within(evaluator.run(assignment(do="fine"), Recorder()))).kind == "finished"


async def test_a_first_process_that_cannot_be_started_is_said(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to wait for yet: the search has not begun."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Unavailable, match="cannot start a process for the objective: No such file"):
        await start(behave)


async def test_a_process_that_ends_before_the_objective_begins_costs_no_trial(start: Start) -> None:
    """Killed with the assignment on its way, it has not run a line of the objective."""
    evaluator = await start(behave)
    child = evaluator._lanes[0].child
    assert child is not None
    os.kill(child.group.pid, signal.SIGSTOP)  # so that it cannot begin
    run = asyncio.ensure_future(evaluator.run(assignment(do="fine"), Recorder()))
    while child._begun is None:
        await asyncio.sleep(0)
    os.kill(child.group.pid, signal.SIGKILL)
    outcome = await within(run)
    assert outcome.kind == "released"
    assert "before the objective began" in (outcome.error or "")
    assert (await within(evaluator.run(assignment(do="fine"), Recorder()))).kind == "finished"


async def test_a_store_that_cannot_be_written_releases_the_trial_and_renews_the_process(
    start: Start, tmp_path: Path
) -> None:
    """The child says that it is not the objective's fault; whatever it has run out of, the next one has not."""
    evaluator = await start(stepping)
    child = evaluator._lanes[0].child
    (tmp_path / "blobs").write_text("not a directory")
    outcome = await within(evaluator.run(assignment(max_steps=2), Recorder()))
    assert outcome.kind == "released"
    assert "cannot write a checkpoint to" in (outcome.error or "")
    (tmp_path / "blobs").unlink()
    assert (await within(evaluator.run(assignment(max_steps=2), Recorder()))).kind == "finished"
    assert evaluator._lanes[0].child is not child


def user_module(directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> Path:
    """Write a module and import it here, as a user's program has."""
    file = directory / f"{name}.py"
    file.write_text(text)
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.setitem(sys.modules, name, None)
    del sys.modules[name]  # until the test is over
    __import__(name)
    return file


@pytest.mark.parametrize("edit", ["def objective(tri", "def objective(trial): return 9.0\n", None])
async def test_an_edit_does_not_reach_a_search_that_runs(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: str | None
) -> None:
    """Half an edit, a new version and a deleted file: new processes go on with what was read, and it is said once."""
    helper = user_module(tmp_path, monkeypatch, "aiohpo_edited_helper", "VALUE = 1.0\n")
    file = user_module(
        tmp_path,
        monkeypatch,
        "aiohpo_edited",
        "import os, aiohpo_edited_helper\n"
        "def objective(trial):\n"
        "    if trial['crash']: os._exit(1)\n"
        "    return aiohpo_edited_helper.VALUE\n",
    )
    evaluator, channel = await start(sys.modules["aiohpo_edited"].objective), Recorder()
    monkeypatch.setattr(module, "_LOOK", 0.0)
    for path, text in ((file, edit), (helper, edit)):
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    for _ in range(2):
        assert (await within(evaluator.run(assignment(crash=True), channel))).kind == "failed"
        assert await within(evaluator.run(assignment(crash=False), channel)) == Outcome("finished", {"loss": 1.0})
    assert sorted(notice.partition(" has changed since")[0].rpartition("/")[2] for notice in channel.noticed) == [
        "aiohpo_edited.py",
        "aiohpo_edited_helper.py",
    ]


async def test_an_import_that_fails_later_releases_the_trial(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could be imported when the worker began and cannot now is not the next trial's fault."""
    lock = tmp_path / "lock"
    user_module(
        tmp_path,
        monkeypatch,
        "aiohpo_needs_a_device",
        f"import os\nif os.path.exists({str(lock)!r}): raise RuntimeError('the device is in use')\n"
        "def objective(trial): os._exit(1) if trial['crash'] else None; return 1.0\n",
    )
    evaluator = await start(sys.modules["aiohpo_needs_a_device"].objective)
    await within(evaluator.run(assignment(crash=True), Recorder()))
    lock.touch()
    outcome = await within(evaluator.run(assignment(crash=False), Recorder()))
    assert outcome.kind == "released"
    assert "can no longer import the objective: RuntimeError: the device is in use" in (outcome.error or "")
    lock.unlink()
    assert (await within(evaluator.run(assignment(crash=False), Recorder()))).kind == "finished"


async def test_an_import_that_hangs_later_releases_the_trial(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker does not wait for ever for a process that never becomes ready."""
    lock = tmp_path / "lock"
    user_module(
        tmp_path,
        monkeypatch,
        "aiohpo_may_hang",
        f"import os, time\nif os.path.exists({str(lock)!r}): time.sleep(600)\ndef objective(trial): os._exit(1)\n",
    )
    evaluator = await start(sys.modules["aiohpo_may_hang"].objective)
    await within(evaluator.run(assignment(), Recorder()))
    lock.touch()
    evaluator._start_within = 0.2
    outcome = await within(evaluator.run(assignment(), Recorder()))
    assert outcome.kind == "released"
    assert "had not imported the objective" in (outcome.error or "")


async def test_a_new_process_starts_off_the_clock(start: Start) -> None:
    """The trial after a crash does not pay for it: its clock stands until the objective begins."""
    evaluator = await start(behave)
    await within(evaluator.run(assignment(do="os exit"), Recorder()))
    channel, timed = Recorder(), []
    ready = evaluator._lanes[0].ready

    async def watched() -> Any:
        timed.append(channel.timed)
        return await ready()

    evaluator._lanes[0].ready = watched  # type: ignore[method-assign]
    run = asyncio.ensure_future(evaluator.run(assignment(do="sleep"), channel))
    await within(channel.heard.wait())
    while not channel.timed:
        await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait({run})
    assert timed == [False]


async def test_a_fault_of_the_workers_is_not_the_objectives(start: Start) -> None:
    """What the channel raises surfaces from run(), and the child that waits for its answer is replaced."""

    def broken(step: int) -> Decision:
        raise RuntimeError("broken channel")

    evaluator = await start(stepping)
    with pytest.raises(RuntimeError, match="broken channel"):
        await within(evaluator.run(assignment(max_steps=2), Recorder(broken)))
    assert (await within(evaluator.run(assignment(max_steps=2), Recorder()))).kind == "finished"


# --------------------------------------------------------------------------------------------------- cancelling
@pytest.mark.parametrize("behaviour", ["busy", "regex", "sleep", "wait"])
async def test_cancelling_ends_anything_at_once(start: Start, behaviour: str) -> None:
    """Loops, C code that holds the GIL, sleeps and reads are killed."""
    evaluator = await start(behave)
    pid = (await within(evaluator.run(assignment(do="pid"), Recorder()))).metrics["pid"]
    await cancel_when_heard(evaluator, Recorder(), do=behaviour)
    assert await asyncio.to_thread(gone, int(pid))
    assert (await within(evaluator.run(assignment(do="fine"), Recorder()))).metrics == {"loss": 1.0}


@pytest.mark.parametrize("where", ["steps", "reports", "saves", "ended"])
async def test_an_objective_that_listens_keeps_its_process(
    start: Start, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it hears that nobody waits for it any more, it ends, and the next segment runs in the same process."""
    monkeypatch.setattr(child_process, "_LISTEN", 600.0)
    monkeypatch.setattr(child_process, "_LISTEN_AT_MOST", 600.0)
    evaluator = await start(behave)
    pid = (await within(evaluator.run(assignment(do="pid"), Recorder()))).metrics["pid"]
    channel = Recorder()
    await cancel_when_heard(evaluator, channel, do=f"listen at {where}")
    heard = len(channel.reports), len(channel.saves)
    assert (await within(evaluator.run(assignment(do="pid"), Recorder()))).metrics == {"loss": 0.0, "pid": pid}
    assert (len(channel.reports), len(channel.saves)) == heard


async def test_a_killed_supervisor_costs_no_trial(start: Start) -> None:
    """The process between worker and objective is no part of the objective: the trial is released."""
    evaluator = await start(behave)
    outcome = await within(evaluator.run(assignment(do="kill supervisor"), Recorder()))
    assert outcome.kind == "released"
    assert "watches over" in (outcome.error or "")
    assert (await within(evaluator.run(assignment(do="fine"), Recorder()))).kind == "finished"


async def test_a_configuration_arrives_as_it_is(start: Start) -> None:
    """Every scalar has the type and value that it has in the worker, those that msgpack has no room for as well."""
    config = {"a": True, "b": None, "c": 1, "d": 1.0, "e": 2**70, "f": "\udcff", "g": 5e-324, "h": "", "do": "config"}
    evaluator, channel = await start(behave), Recorder()
    await within(evaluator.run(assignment(**config), channel))
    assert channel.text == f"{config!r}\n"


async def test_cancelling_ends_grandchildren(start: Start) -> None:
    """What the objective started goes with it."""
    evaluator, channel = await start(behave), Recorder()
    await cancel_when_heard(evaluator, channel, do="grandchild")
    assert await asyncio.to_thread(gone, int(channel.reports[0][1]["pid"]))


async def test_a_timeout_cancels(start: Start) -> None:
    """The caller's asyncio.timeout is all that a trial timeout needs."""
    evaluator = await start(behave)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await evaluator.run(assignment(do="busy"), Recorder())
    assert (await within(evaluator.run(assignment(do="fine"), Recorder()))).kind == "finished"


async def test_cancelling_at_any_moment_mixes_nothing_up(start: Start) -> None:
    """Before, during and after the answer, and while the child starts: the next outcome is its own trial's."""
    evaluator, rng = await start(double), random.Random(0)
    for x in range(36):
        run = asyncio.ensure_future(evaluator.run(assignment(1, x=-1), Recorder()))
        if x % 3 == 0:
            for _ in range(rng.randrange(8)):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(rng.choice([0.0001, 0.0003, 0.001, 0.03]) * rng.random())
        run.cancel()
        await asyncio.wait({run}, timeout=600)
        assert run.done()
        if x % 4 == 0:
            outcome = await within(evaluator.run(assignment(2, x=x), Recorder()))
            assert outcome == Outcome("finished", {"loss": 2.0 * x})


async def test_cancelling_while_the_child_starts_keeps_the_child(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short trial timeout and a slow import must not restart the import for ever."""
    evaluator = await start(behave)
    await within(evaluator.run(assignment(do="os exit"), Recorder()))
    made: list[Any] = []
    original = module.ChildProcess
    monkeypatch.setattr(module, "ChildProcess", lambda *arguments: made.append(original(*arguments)) or made[-1])
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await evaluator.run(assignment(do="fine"), Recorder())
    assert (await within(evaluator.run(assignment(do="fine"), Recorder()))).kind == "finished"
    assert len(made) == 1


async def test_start_can_be_cancelled(tmp_path: Path) -> None:
    """Nothing is left of a child whose start was cancelled."""
    before = descriptors()
    evaluator = ProcessEvaluator()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.005):
            await evaluator.start(Program(double), DirectoryBlobs(tmp_path))
    await within(evaluator.aclose())
    assert descriptors() == before


# ------------------------------------------------------------------------------------------------------ closing
async def test_closing_lets_the_child_leave_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its atexit handlers run; afterwards it is gone. Closing twice does nothing."""
    (tmp_path / "aiohpo_at_exit.py").write_text(
        "import atexit, os, pathlib\n"
        "from aiohpo.evaluate.program import in_child\n"
        "if in_child(): atexit.register(lambda: pathlib.Path(__file__).with_name('left').write_text('x'))\n"
        "def objective(trial): return {'loss': 0, 'pid': os.getpid()}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__("aiohpo_at_exit")
    monkeypatch.setitem(sys.modules, "aiohpo_at_exit", module)
    evaluator = ProcessEvaluator()
    await within(evaluator.start(Program(module.objective), DirectoryBlobs(tmp_path)))
    pid = (await within(evaluator.run(assignment(), Recorder()))).metrics["pid"]
    await within(evaluator.aclose())
    await within(evaluator.aclose())
    assert await asyncio.to_thread(gone, int(pid))
    assert (tmp_path / "left").exists()


async def test_closing_is_bounded(start: Start) -> None:
    """A child that is busy when it is told to leave is killed after a second."""
    evaluator, channel = await start(behave), Recorder()
    run = asyncio.ensure_future(evaluator.run(assignment(do="busy"), channel))
    await within(channel.heard.wait())
    await within(evaluator.aclose())
    assert (await within(run)).kind == "failed"


WORKER = """
import asyncio, pathlib, sys
sys.path.insert(0, sys.argv[1])
from tests.support.evaluate_objectives import Recorder, assignment, behave
from aiohpo.storage.blob_store import DirectoryBlobs
from aiohpo.evaluate.program import Program
from aiohpo.evaluate.process.evaluator import ProcessEvaluator

class Channel(Recorder):
    def report(self, step, metrics):
        print(f"{evaluator._lanes[0].child.group.pid} {int(metrics.get('pid', 0))}\\n", end="", flush=True)
        return super().report(step, metrics)

async def main():
    global evaluator
    evaluator = ProcessEvaluator()
    await evaluator.start(Program(behave), DirectoryBlobs(pathlib.Path(sys.argv[2])))
    await evaluator.run(assignment(do=sys.argv[3]), Channel())

asyncio.run(main())
"""


@pytest.mark.parametrize("behaviour", ["busy", "regex", "grandchild"])
def test_a_killed_worker_takes_its_child_along(tmp_path: Path, behaviour: str) -> None:
    """kill -9 of the worker ends a child that holds the GIL, and grandchildren."""
    here = str(Path(evaluate_objectives.__file__).parents[2])
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, here, str(tmp_path), behaviour], stdout=subprocess.PIPE, text=True
    )
    with worker:
        assert worker.stdout is not None
        pids = [int(pid) for pid in worker.stdout.readline().split()]
        worker.kill()
        assert all(gone(pid) for pid in pids if pid)


async def test_its_state_shows(start: Start) -> None:
    """The repr names the process and how it is."""
    assert repr(ProcessEvaluator()) == "<ProcessEvaluator: no process>"
    evaluator = await start(behave)
    assert repr(evaluator).endswith(": running>>")
    await within(evaluator.run(assignment(do="os exit"), Recorder()))
    assert repr(evaluator).endswith(": exited with code 3>>")
