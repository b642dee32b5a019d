"""The child's end of the process evaluator; what needs a worker is tested with that."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.process import child as module
from aiohpo.evaluate.process.child import PipeLink
from aiohpo.evaluate.process.wire import PREDICTIONS, REPORT, SAVE, BlockingWire
from aiohpo.evaluate.trial import TrialEnded
from aiohpo.plugin import Decision
from tests.support.evaluate_objectives import gone


@pytest.fixture
def ends() -> Iterator[tuple[PipeLink, BlockingWire]]:
    """A link, and the worker at the other end of its socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(600)
        yield PipeLink(BlockingWire(ours)), BlockingWire(theirs)


def test_words_are_messages_and_reports_wait_for_the_decision(ends: tuple[PipeLink, BlockingWire]) -> None:
    """Reports are answered; checkpoints and predictions are not waited for."""
    link, worker = ends
    link.save(1, "digest", 3)
    link.predictions({"valid": "digest"})
    worker.send("stop")
    assert link.report(1, {"loss": 0.5}) is Decision.STOP
    assert [worker.receive() for _ in range(3)] == [
        [SAVE, 1, "digest", 3],
        [PREDICTIONS, {"valid": "digest"}],
        [REPORT, 1, {"loss": 0.5}],
    ]


def test_threads_get_their_own_answers(ends: tuple[PipeLink, BlockingWire]) -> None:
    """Reports from several threads of an objective take turns."""
    link, worker = ends
    got: list[tuple[int, Decision]] = []

    def speak(step: int) -> None:
        for _ in range(50):
            got.append((step, link.report(step, {})))

    threads = [threading.Thread(target=speak, args=(step,)) for step in (1, 2)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        _, step, _ = worker.receive()
        worker.send("stop" if step == 1 else "pause")
    for thread in threads:
        thread.join(10)
    assert set(got) == {(1, Decision.STOP), (2, Decision.PAUSE)}
    assert len(got) == 100


def test_a_closed_link_says_nothing(ends: tuple[PipeLink, BlockingWire]) -> None:
    """After the segment whoever still holds it is unwound."""
    link, _ = ends
    link.close()
    for word in (lambda: link.report(1, {}), lambda: link.save(1, "", 0), lambda: link.predictions({})):
        with pytest.raises(TrialEnded):
            word()


def test_a_forked_process_may_not_speak(ends: tuple[PipeLink, BlockingWire], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on one socket would read each other's answers."""
    link, _ = ends
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(UsageError, match="forked"):
        link.report(1, {})


@pytest.mark.smoke
def test_where_the_kernel_does_not_a_thread_watches_the_worker() -> None:
    """The portable way: when the worker's end of the lifeline is closed, the whole group ends."""
    line, ours = os.pipe()
    code = (
        "import subprocess, sys, time; from aiohpo.evaluate.process import child; "
        "p = subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL); print(p.pid, flush=True); "
        "child._watch(int(sys.argv[1]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(line)],
        pass_fds=(line,),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        os.close(line)
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        os.close(ours)
        assert process.wait(120) == -9
        assert gone(grandchild)


@pytest.mark.smoke
def test_a_child_whose_worker_is_gone_already_ends() -> None:
    """A worker that dies before the child has set itself up does not leave it behind."""
    code = "from aiohpo.evaluate.process import child; child._die_with(1 << 22, 0)"
    done = subprocess.run([sys.executable, "-c", code], timeout=600, start_new_session=True, check=False)
    assert done.returncode == -9


def test_odd_streams_are_flushed_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """An objective may have replaced sys.stdout by anything."""
    monkeypatch.setattr(sys, "stdout", None)
    module._flush()
