"""The process that ends a program and its descendants; what takes a worker is tested with ProcessGroup."""

from __future__ import annotations

import ast
import inspect
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from aiohpo.evaluate.process import supervisor
from aiohpo.evaluate.process.supervisor import MARK, _tree, find_marked
from aiohpo.storage import scratch
from tests.smoke.processes import until
from tests.support.evaluate_objectives import gone


def test_descendants_are_found_at_any_depth() -> None:
    """Children and their children, and nobody else's."""
    assert _tree(1, {2: 1, 3: 2, 4: 3, 5: 9, 9: 0}) == {2, 3, 4}
    assert _tree(7, {2: 1}) == set()


def test_marked_processes_are_found_in_what_ps_says() -> None:
    """By a word of its own; headings, other values of the variable and words that contain it do not count."""
    listing = f"  PID COMMAND\n   12 sh -c x A=1 {MARK}=ab B=2\n 13 sh {MARK}=abc\n 14 sh X{MARK}=ab\n\n 15 {MARK}=ab\n"
    assert find_marked(f"{MARK}=ab", listing) == {12, 15}


@pytest.mark.smoke
def test_without_a_subreaper_descendants_are_known_by_their_environment() -> None:
    """One in a session of its own, whose parent has ended, goes with the program all the same."""
    ours, theirs = socket.socketpair()
    code = (
        "import sys; from aiohpo.evaluate.process import supervisor as s; "
        "s._prctl = lambda option, argument: False; s.main(sys.argv[1:])"
    )
    program = ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!; sleep 600"]
    with ours, theirs:
        with subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno()), "", "", *program],
            pass_fds=(theirs.fileno(),),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: os.urandom(8).hex()},
        ) as process:
            theirs.close()
            assert process.stdout is not None
            descendant = int(process.stdout.readline())
            ours.sendall(b"end\n")
            assert process.wait(600) == 0
        assert gone(descendant)
        assert ours.makefile().read().endswith("ended -9\n")


@pytest.mark.smoke
def test_the_scratch_directory_of_a_killed_worker_is_removed(tmp_path: Path) -> None:
    """By the supervisor that it leaves behind, after the program."""
    worker = (
        "import os, socket, subprocess, sys; from aiohpo.storage.scratch import Scratch; Scratch(); "
        "ours, theirs = socket.socketpair(); number = theirs.fileno(); "
        "words = [sys.executable, '-I', '-S', sys.argv[1], str(number), '', '', 'sleep', '600']; "
        "subprocess.Popen(words, pass_fds=(number,)); "
        "theirs.close(); ours.recv(100); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", worker, supervisor.__file__],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=600,
        check=False,
    )
    assert done.returncode == -9
    (place,) = tmp_path.iterdir()
    until(lambda: not list(place.iterdir()))


@pytest.mark.parametrize("module", [supervisor, scratch])
def test_it_runs_by_itself(module: ModuleType) -> None:
    """It imports nothing but the standard library, as the interpreter that runs it has no packages."""
    found = ast.walk(ast.parse(inspect.getsource(module)))
    assert {
        name.name for node in found if isinstance(node, ast.Import) for name in node.names
    } <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(ast.parse(inspect.getsource(supervisor))))
