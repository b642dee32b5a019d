"""The child's end of the process evaluator; what needs a worker is tested with that."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.process.child import PipeLink
from aiohpo.evaluate.process.wire import ABORT, DECIDE, END, PREDICTIONS, REPORT, SAVE, BlockingWire
from aiohpo.evaluate.trial_link import TrialEnded
from aiohpo.plugin import Decision


@pytest.fixture
def ends() -> Iterator[tuple[PipeLink, BlockingWire]]:
    """A link, and the worker at the other end of its socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(600)
        yield PipeLink(BlockingWire(ours)), BlockingWire(theirs)


@pytest.fixture
def answering(ends: tuple[PipeLink, BlockingWire]) -> Iterator[list[Any]]:
    """What the worker hears, who answers each report: the first step with STOP, others with PAUSE."""
    heard: list[Any] = []

    def answer() -> None:
        while (message := ends[1].receive()) != [END]:
            heard.append(message)
            if message[0] == REPORT:
                ends[1].send([DECIDE, "stop" if message[1] == 1 else "pause"])

    worker = threading.Thread(target=answer)
    worker.start()
    yield heard
    ends[0]._wire.send([END])
    worker.join(600)


def test_words_are_messages_and_reports_wait_for_the_decision(
    ends: tuple[PipeLink, BlockingWire], answering: list[Any]
) -> None:
    """Reports are answered; checkpoints and predictions are not waited for."""
    link, _ = ends
    link.save(1, "digest", 3)
    link.predictions({"valid": "digest"})
    assert link.report(1, {"loss": 0.5}) is Decision.STOP
    assert answering == [[SAVE, 1, "digest", 3], [PREDICTIONS, {"valid": "digest"}], [REPORT, 1, {"loss": 0.5}]]


def test_threads_get_their_own_answers(ends: tuple[PipeLink, BlockingWire], answering: list[Any]) -> None:
    """Reports from several threads of an objective take turns."""
    link, _ = ends
    got: list[tuple[int, Decision]] = []

    def speak(step: int) -> None:
        for _ in range(50):
            got.append((step, link.report(step, {})))

    threads = [threading.Thread(target=speak, args=(step,)) for step in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert set(got) == {(1, Decision.STOP), (2, Decision.PAUSE)}
    assert len(got) == len(answering) == 100


def test_an_aborted_segment_may_say_nothing_more(ends: tuple[PipeLink, BlockingWire]) -> None:
    """It sees that it is aborted, and every word unwinds it; a late ABORT of an earlier segment means nothing."""
    link, worker = ends
    link.begin(2)
    worker.send([ABORT, 1])
    assert not link.aborted
    link.save(1, "digest", 3)
    worker.send([ABORT, 2])
    for word in (lambda: link.report(1, {}), lambda: link.save(1, "", 0), lambda: link.predictions({})):
        with pytest.raises(TrialEnded):
            word()
    assert link.aborted
    link.begin(3)
    assert not link.aborted
    assert worker.receive() == [SAVE, 1, "digest", 3]


def test_an_abort_answers_a_report(ends: tuple[PipeLink, BlockingWire]) -> None:
    """The worker does not decide on what it does not wait for."""
    link, worker = ends
    link.begin(1)

    def abort() -> None:
        worker.receive()
        worker.send([ABORT, 1])

    thread = threading.Thread(target=abort)
    thread.start()
    with pytest.raises(TrialEnded):
        link.report(1, {})
    thread.join(600)


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
    with pytest.raises(UsageError, match="in a fork of that process"):
        link.report(1, {})


def test_the_process_that_evaluates_imports_nothing_that_searches() -> None:
    """A process that evaluates holds neither an event loop nor what a search consists of: there is one per slot."""
    program = (
        "import sys, aiohpo, aiohpo.evaluate.process.child\n"
        "aiohpo.Study(print, aiohpo.Space(x=aiohpo.Float(0, 1)))\n"
        "searching = ('asyncio', 'aiohpo.runtime.peer', 'aiohpo.mesh', 'aiohpo.view', 'click')\n"
        "print([name for name in searching if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
