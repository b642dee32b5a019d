"""What does greedy selection cost? CPU time beside AutoGluon's and a textbook loop, in one run.

    python tests/benchmarks/speed_greedy.py [--quick] [--autogluon PYTHON]

--autogluon names a Python interpreter in whose environment autogluon.core is installed. Checks of the predictions are
part of the time. The last part reads 5,000 models of 10,000 rows from a memory map, in a process of its own, whose
peak memory includes those pages of the map that happen to be resident.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from support import libraries

from aiohpo_plugins.ensembles.greedy import GreedyBuilder

SIZE = 25


def cpu(function: Callable[[], Any], repetitions: int) -> float:
    """Return the median CPU seconds of a call."""
    seconds = []
    for _ in range(repetitions):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds))


def line(what: str, seconds: float, limit: float | None = None) -> None:
    verdict = "" if limit is None else f"   limit {limit * 1e3:g} ms: {'met' if seconds < limit else 'NOT MET'}"
    print(f"  {what:58}{seconds * 1e3:10.1f} ms{verdict}", flush=True)


def selection(repetitions: int, python: str | None) -> None:
    p, y = libraries.made(202, 4000, 10)
    first = p[:200]
    print("200 models, 4,000 rows, 10 classes, 25 rounds")
    line("log_loss", cpu(lambda: GreedyBuilder(size=SIZE).fit(first, y, "log_loss"), repetitions), 0.1)
    for metric in ("balanced_cross_entropy", "brier", "accuracy"):
        line(metric, cpu(lambda metric=metric: GreedyBuilder(size=SIZE).fit(first, y, metric), 1))
    line("textbook loop, log_loss", cpu(lambda: libraries.textbook(first, y, SIZE), 1))
    if why := libraries.autogluon_missing(python):
        print(f"  skipped: {why}")
    else:
        line("AutoGluon's EnsembleSelection, log_loss", libraries.autogluon(str(python), first, y, SIZE)[0])
    print(f"  skipped: {libraries.AUTO_SKLEARN}")

    live = GreedyBuilder(size=SIZE).live(y, "log_loss")
    for row in range(200):
        live.add(row, p[row])
    live.fit()

    def one_more(key: int, model: Any) -> float:
        start = time.process_time()
        live.add(key, model)
        live.fit()
        seconds = time.process_time() - start
        live.discard(key)
        live.fit()
        return seconds

    line("adding the 201st", float(np.median([one_more(200, p[200]) for _ in range(repetitions)])), 0.02)
    best = 0.7 * p[201] + 0.3 * np.eye(10, dtype=np.float32)[y]
    line(
        "adding one that changes every step", float(np.median([one_more(201, best) for _ in range(repetitions)])), 0.02
    )


def large(models: int, rows: int) -> None:
    print(f"{models:,} models, {rows:,} rows, 2 classes, from a memory map")
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "predictions.npy"
        np.save(Path(directory) / "y.npy", libraries.made_file(file, models, rows, 2))
        subprocess.run([sys.executable, __file__, "--child", directory], check=True, timeout=600)


def child(directory: Path) -> None:
    y = np.load(directory / "y.npy")
    p = np.load(directory / "predictions.npy", mmap_mode="r")
    before = peak()
    line("log_loss", cpu(lambda: GreedyBuilder(size=SIZE).fit(p, y, "log_loss"), 1), 30.0)
    if before is not None:
        print(
            f"  peak memory: {peak() - before:.0f} MB above the {before:.0f} MB of imports; {p.size * 2e-6:.0f} MB "
            f"are what is kept of the models, and up to {p.nbytes * 1e-6:.0f} MB are pages of the map"
        )


def peak() -> float | None:
    """The largest resident size so far, in MB; None where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return int(status.split("VmHWM:")[1].split()[0]) * 1.024e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 repetitions, 1,000 models in the memory map")
    parser.add_argument("--autogluon", metavar="PYTHON")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    selection(3 if args.quick else 9, args.autogluon)
    large(1000 if args.quick else 5000, 10_000)


if __name__ == "__main__":
    main()
