"""Trials per second with an objective that does nothing, beside Optuna's storages, in one run.

    python tests/benchmarks/throughput.py [--quick]

What is measured is everything around the objective: proposal, journal, exchange, evaluation, result. Rates are
per second of CPU for one process ("CPU") and per second of wall clock where several processes run ("wall"); they
only mean something beside each other. Workers write their journals to a memory file system if there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aiohpo import Float, Space, Study

SPACE = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0), z=Float(0.0, 1.0))
FILE = Path(__file__).resolve()


async def nothing(trial):
    return trial["x"]


def nothing_sync(trial):
    return trial["x"]


study = Study(nothing, SPACE, searcher="random")
study_sync = Study(nothing_sync, SPACE, searcher="random")


def in_process(trials: int, workers: int, directory: Path) -> float:
    began = time.process_time()
    asyncio.run(Study(nothing, SPACE, searcher="random", directory=directory).arun(trials, slots=workers))
    return trials / (time.process_time() - began)


def subprocess_evaluator(trials: int, directory: Path) -> float:
    began = time.perf_counter()
    asyncio.run(Study(nothing_sync, SPACE, searcher="random", directory=directory).arun(trials))
    return trials / (time.perf_counter() - began)


def processes(trials: int, workers: int, directory: Path) -> float:
    """From the first proposal to the last result, as the journals say: start-up of Python is not counted."""
    command = [sys.executable, "-m", "aiohpo", "run", f"{FILE}:study", "--trials", str(trials)]
    command += ["--workers", str(workers), "--dir", str(directory)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    shown = subprocess.run(
        [sys.executable, "-m", "aiohpo", "show", str(directory), "--json"], check=True, capture_output=True, timeout=600
    )
    done = [t for t in json.loads(shown.stdout)["trials"] if t["seconds"] is not None]
    began = min(t["started"] for t in done)
    ended = max(t["started"] + t["seconds"] for t in done)
    assert sum(t["status"] == "finished" for t in done) == trials
    return trials / (ended - began)


OPTUNA = """
import sys, time, optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
optuna.logging.set_verbosity(optuna.logging.ERROR)
path, trials = sys.argv[1], int(sys.argv[2])
storage = JournalStorage(JournalFileBackend(path)) if path != "memory" else None
study = optuna.create_study(
    study_name="s", storage=storage, sampler=optuna.samplers.RandomSampler(), load_if_exists=True
)
def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    trial.suggest_float("y", 0, 1)
    trial.suggest_float("z", 0, 1)
    return x
print("ready", flush=True)
sys.stdin.readline()
study.optimize(objective, n_trials=trials)
"""


def optuna(trials: int, workers: int, path: str) -> float:
    """Optuna's rate, from the moment at which all of its processes are ready."""
    command = [sys.executable, "-c", OPTUNA, path, str(trials // workers)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(workers)
    ]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    began = time.perf_counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    for child in children:
        child.wait(timeout=600)
    return trials / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    scale = 1 if parser.parse_args().quick else 5
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="aiohpo-bench-", dir=memory if os.access(memory, os.W_OK) else None))
    rows: list[tuple[str, float, str]] = []

    def row(name: str, rate: float, unit: str) -> None:
        rows.append((name, rate, unit))
        print(f"{name:<58}{rate:>10,.0f} trials/s {unit}", flush=True)

    try:
        for workers in (1, 4, 16):
            rate = in_process(4000 * scale, workers, root / f"in-process-{workers}")
            row(f"aiohpo in one process, coroutines, {workers} worker(s)", rate, "CPU")
        row("aiohpo, one worker with a subprocess evaluator", subprocess_evaluator(2000 * scale, root / "sub"), "wall")
        for workers in (1, 4, 16):
            rate = processes(6000 * scale, workers, root / f"processes-{workers}")
            row(f"aiohpo over ZeroMQ, {workers} worker process(es)", rate, "wall")
        try:
            import optuna as _  # noqa: F401
        except ImportError:
            print("Optuna is not installed: no comparison (pip install 'aiohpo[bench]')")
            return
        row("Optuna in memory, random sampler", optuna(1000 * scale, 1, "memory"), "wall")
        row("Optuna journal file, 1 process", optuna(400 * scale, 1, str(root / "j1")), "wall")
        row("Optuna journal file, 16 processes", optuna(320 * scale, 16, str(root / "j16")), "wall")
        ours = next(rate for name, rate, _ in rows if name.startswith("aiohpo over ZeroMQ, 16"))
        print(f"16 processes: {ours / rows[-1][1]:.1f} times Optuna's journal file")
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
