"""What 100,000 finished trials cost a worker: bytes, seconds to load; and what ``import aiohpo`` costs.

    python tests/benchmarks/memory.py [--quick]

Optuna's in-memory storage is measured beside it where it is installed.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from aiohpo import Float, Space
from aiohpo.events.codec import encode_event
from aiohpo.events.log import Log
from aiohpo.events.schema import Batch, Ended, Proposed
from aiohpo.plugin.objective import Objective
from aiohpo.storage.journal import Journal
from aiohpo.storage.loading import load_journals
from aiohpo.view.view import View

SPACE = Space(**{f"x{i}": Float(0.0, 1.0) for i in range(10)})
WRITERS = 4


def write_history(directory: Path, trials: int) -> None:
    """One record per event, as a worker with slow trials writes them."""
    (directory / "journal").mkdir()
    rng = np.random.default_rng(0)
    for w in range(WRITERS):
        origin = f"{w:012x}"
        journal = Journal(directory / "journal" / f"{origin}.log")
        for seq, n in enumerate(range(w, trials, WRITERS)):
            values = tuple(rng.random(10).tolist())
            proposed = encode_event(Proposed(2 * n + 1, 1e9 + n, values))
            ended = encode_event(Ended(2 * n + 2, 2 * seq + 1, 0, "finished", 0, values[0], 1.0))
            journal.append([Batch(origin, 2 * seq + 1, (proposed,))])
            journal.append([Batch(origin, 2 * seq + 2, (ended,))])
        journal.close()


def load(directory: Path) -> tuple[Log, View]:
    log, view = Log(), View(SPACE, Objective("loss", "min"))
    load_journals(directory, log, view)
    return log, view


def optuna_bytes(trials: int) -> float | None:
    """Bytes a trial of the same shape takes in Optuna's in-memory storage; None if it is not installed."""
    try:
        import optuna
    except ImportError:
        return None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study()
    distributions = {f"x{i}": optuna.distributions.FloatDistribution(0.0, 1.0) for i in range(10)}
    rng = np.random.default_rng(0)
    tracemalloc.start()
    for _ in range(trials):
        params = dict(zip(distributions, rng.random(10).tolist(), strict=True))
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=params["x0"]))
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / trials


def import_seconds(module: str) -> float:
    """Median CPU seconds of importing a module in a fresh interpreter, the interpreter's own start left out."""
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True) for _ in range(7)]
    return float(np.median([float(run.stdout) for run in runs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    trials = 10_000 if parser.parse_args().quick else 100_000
    with tempfile.TemporaryDirectory() as name:
        write_history(Path(name), trials)
        began = time.process_time()
        log, view = load(Path(name))
        seconds = time.process_time() - began
        assert view.n_observed == trials
        print(f"{trials:,} trials of 10 parameters loaded from {WRITERS} journals in {seconds:.2f} s CPU")
        del log, view
        gc.collect()
        tracemalloc.start()
        held = load(Path(name))
        gc.collect()
        print(f"aiohpo holds {tracemalloc.get_traced_memory()[0] / trials:.0f} bytes a trial, the whole log included")
        tracemalloc.stop()
        del held
    optuna = optuna_bytes(trials // 10)
    print("Optuna is not installed" if optuna is None else f"Optuna in memory holds {optuna:.0f} bytes a trial")
    for module in ("aiohpo", "aiohpo.study", *(["optuna"] if optuna is not None else [])):
        print(f"import {module}: {import_seconds(module) * 1e3:.0f} ms CPU")


if __name__ == "__main__":
    main()
