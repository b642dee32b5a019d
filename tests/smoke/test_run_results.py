"""What runs leave behind, and what is said when they cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiohpo.keys import StudyKey, write_key
from tests.smoke.processes import GATED, STUDY, Gate, call, finish, shown, start, statuses

pytestmark = pytest.mark.smoke

FAILING = STUDY.replace('return (trial["x"] - 0.3) ** 2', 'raise RuntimeError("out of luck")')
THREADED = """
import os
import aiohpo

def objective(trial):
    print("threads:", os.environ["OMP_NUM_THREADS"])
    return trial["x"]

study = aiohpo.Study(lambda trial: objective(trial), aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random")
"""


def test_a_run_ends_with_a_summary_a_plot_and_the_default_directory(tmp_path: Path) -> None:
    """Without --dir it says where it writes; the summary names the plot and commands that work."""
    (tmp_path / "train.py").write_text(STUDY.format(seconds=0.02))
    code, out, err = call(tmp_path, "run", "train.py", "--trials", "20", "--workers", "2", plots=True)
    assert code == 0, err
    assert "no directory was given: using runs/train" in err
    assert out.startswith("20 trials in ")
    assert "plot: runs/train/plot.png" in out
    assert (tmp_path / "runs" / "train" / "plot.png").exists()
    for command in ("show runs/train --sort value", "plot runs/train --kind parallel"):
        assert f"  aiohpo {command}\n" in out
        assert call(tmp_path, *command.split())[0] == 0
    assert statuses(shown(tmp_path, "runs/train"))["finished"] == 20


def test_progress_lines_are_plain_without_a_terminal(tmp_path: Path) -> None:
    """A run of more than five seconds says how far it is, without control characters."""
    (tmp_path / "train.py").write_text(GATED)
    gate = Gate(tmp_path, 1)
    running = start(tmp_path, "run", "train.py", "--trials", "4", "--workers", "2", "--dir", "r")
    gate.gather(2)
    assert running.stderr is not None
    lines = (running.stderr.readline() for _ in range(100))  # they come every few seconds, on a slow machine too early
    line = next(line for line in lines if line.startswith("2/4"))
    gate.open()
    code, _, rest = finish(running)
    assert code == 0, rest
    assert line.startswith("2/4 trials, best loss ")
    assert "2 of 2 workers" in line
    assert "\x1b" not in line + rest


def test_json_is_all_that_goes_to_stdout(tmp_path: Path) -> None:
    """``run --json`` prints one object."""
    (tmp_path / "train.py").write_text(STUDY.format(seconds=0.01))
    code, out, err = call(tmp_path, "run", "train.py", "--trials", "5", "--workers", "1", "--dir", "r", "--json")
    assert code == 0, err
    assert json.loads(out)["ended"] == 5


def test_a_target_ends_all_workers(tmp_path: Path) -> None:
    """When the best value is good enough everybody stops, well before any budget."""
    (tmp_path / "train.py").write_text(STUDY.format(seconds=0.02))
    code, _, err = call(tmp_path, "run", "train.py", "--target", "0.01", "--workers", "2", "--dir", "r")
    assert code == 0, err
    assert shown(tmp_path, "r")["study"]["best"]["value"] <= 0.01


def test_only_failures_exit_with_1_and_the_last_error(tmp_path: Path) -> None:
    """The search ran but has nothing to show."""
    (tmp_path / "train.py").write_text(FAILING.format(seconds=0.05))
    code, out, err = call(tmp_path, "run", "train.py", "--trials", "6", "--workers", "2", "--dir", "r")
    assert code == 1
    assert out == ""
    assert "the last error: RuntimeError: out of luck (see all: aiohpo show r --failed)" in err
    assert "Traceback" not in err
    code, out, _ = call(tmp_path, "show", "r", "--failed")
    assert code == 0
    assert 'raise RuntimeError("out of luck")' in out


def test_a_trial_timeout_fails_the_trial_only(tmp_path: Path) -> None:
    """Trials that take too long fail, and the search goes on to its end."""
    (tmp_path / "train.py").write_text(STUDY.format(seconds=30))
    args = ("run", "train.py", "--trials", "2", "--workers", "2", "--dir", "r", "--trial-timeout", "200ms")
    assert call(tmp_path, *args)[0] == 1
    assert {trial["error"] for trial in shown(tmp_path, "r")["trials"]} == {"timed out after 0.2 s (the trial timeout)"}


def test_what_users_print_goes_to_the_workers_log(tmp_path: Path) -> None:
    """Output is kept per worker, cores are shared among the workers, and what workers notice is said once."""
    (tmp_path / "train.py").write_text(THREADED)
    code, _, err = call(tmp_path, "run", "train.py", "--trials", "8", "--workers", "2", "--dir", "r")
    assert code == 0, err
    assert err.count("<lambda>") <= 1
    logs = [(tmp_path / "r" / "output" / f"worker-{rank}.log").read_text() for rank in (0, 1)]
    assert "threads: 1\n" in "".join(logs)


def test_workers_that_cannot_start_say_why_once(tmp_path: Path) -> None:
    """A study without an objective is refused by every worker; one line and exit code 2 remain."""
    (tmp_path / "train.py").write_text(
        "import aiohpo\nstudy = aiohpo.Study(None, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher='random')\n"
    )
    code, out, err = call(tmp_path, "run", "train.py", "--trials", "8", "--workers", "3", "--dir", "r")
    assert (code, out) == (2, "")
    assert err.count("this study has no objective") == 1
    assert "Traceback" not in err


def test_workers_meet_by_address_without_a_directory(tmp_path: Path) -> None:
    """Two workers in memory, joined by address, share one budget and agree on the result."""
    (tmp_path / "train.py").write_text(GATED)
    gate = Gate(tmp_path)
    address = f"ipc://{tmp_path / 'first'}"
    write_key(tmp_path / "k", StudyKey.generate())
    first = start(tmp_path, "worker", "train.py", "--bind", address, "--key", "k", "--trials", "12")
    gate.gather(1)
    second = start(tmp_path, "worker", "train.py", "--join", address, "--key", "k", "--trials", "12")
    gate.gather(2)
    gate.open()
    lines = []
    for process in (first, second):
        code, _, err = finish(process)
        assert code == 0, err
        lines.append(err.splitlines()[-1])
    assert all(line.startswith("aiohpo: done (the budget is met): <Result best loss ") for line in lines)
    assert lines[0].split(",")[0] == lines[1].split(",")[0]
