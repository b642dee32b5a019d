"""What a search costs that has run for long: while it runs, when it goes on, and when somebody looks at it.

    python tests/benchmarks/long_runs.py [--quick]

One worker with 16 slots, a run directory and ASHA runs an objective that takes no time: it reports at each step, 4.7
reports a trial on the mean, saves a checkpoint of its own wherever it pauses or ends, and one trial in a hundred leaves
predictions. The search goes on from 1,000 trials to 10,000 and from there to 100,000, each time in a process of its
own. Beside it Optuna, with its journal in a file and a random sampler: one trial at a time, as many reports, neither
checkpoints nor predictions. Sizes that would take it more than ten minutes are left out.

  trials/s, CPU ms   a second by the clock, and for each trial, over the last fifth of the trials that a process adds
  RSS MiB, B/trial   that process's memory at the last trial, and what has come since its imports, for each trial
  end s              from the last trial until ``arun`` returns
  open s, CPU        in a new process, from where the study is made until its next trial runs
  best, show, export s, CPU   the commands ``aiohpo best``, ``show`` and ``export --to csv``, by the clock and CPU, the
                     interpreter's start included; for Optuna ``optuna best-trial``, ``optuna trials`` and a program
                     that writes its data frame
  disk MB, files     of the run directory, whole blocks counted

The share of the machine that others take shows in the first line: by the clock, figures are those of the machine only
where it is small.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import aiohpo

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent))

from slots import child, others_share  # noqa: E402

SLOTS = 16
R_MIN, MAX_STEPS = 2, 18
NAMES = ["x", "y", "z"]
PREDICTING = 100  # one trial in so many leaves predictions
PATIENCE = 600.0  # seconds that Optuna may take
COLUMNS = [  # heading, key, format
    ("trials/s", "rate", "9,.0f"),
    ("CPU ms", "cpu", "7.2f"),
    ("RSS MiB", "rss", "8.0f"),
    ("B/trial", "bytes", "8,.0f"),
    ("end s", "end", "6.1f"),
    ("open s", "open", "7.2f"),
    ("CPU", "open cpu", "6.2f"),
    ("best s", "best", "7.2f"),
    ("CPU", "best cpu", "6.2f"),
    ("show s", "show", "7.2f"),
    ("CPU", "show cpu", "6.2f"),
    ("export s", "export", "9.2f"),
    ("CPU", "export cpu", "6.2f"),
    ("disk MB", "disk", "8.1f"),
    ("files", "files", "8,.0f"),
]


def loss_at(values: Sequence[float], step: int) -> float:
    return sum((value - 0.3) ** 2 for value in values) + 1.0 / step


def resident() -> int:
    """Return this process's resident memory in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Measures a process that adds trials to a study, over the last fifth of them."""

    def __init__(self, known: int, trials: int) -> None:
        self._empty = resident()
        self._trials = trials
        self._left = trials - known
        self._measured = max(self._left // 5, 1)
        self._made = self._start = self._last = _now()
        self._opened: tuple[float, float] | None = None
        self._held = self._empty

    def begin(self) -> None:
        """A trial begins."""
        if self._opened is None:
            self._opened = _now()
        self._left -= 1
        if self._left == self._measured - 1:
            self._start = _now()
        if self._left % 100 == 0:
            self._held = resident()

    def note(self) -> None:
        """A trial has done something."""
        self._last = _now()

    def summary(self) -> dict[str, float]:
        """Return what came of it, now that the search has returned."""
        assert self._opened is not None, "nothing was run"
        assert self._left == 0, f"{self._left} trials were not run"
        return {
            "rate": self._measured / (self._last[0] - self._start[0]),
            "cpu": 1e3 * (self._last[1] - self._start[1]) / self._measured,
            "rss": self._held / 2**20,
            "bytes": (self._held - self._empty) / self._trials,
            "end": _now()[0] - self._last[0],
            "open": self._opened[0] - self._made[0],
            "open cpu": self._opened[1] - self._made[1],
        }


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


# ------------------------------------------------------------------------------------------- what a child measures
def search(directory: str, known: int, trials: int) -> dict[str, float]:
    """Go on from so many trials to so many."""
    rng = np.random.default_rng(known)

    async def objective(trial: aiohpo.Trial) -> None:
        if not trial.start:
            meter.begin()
        for step in trial.steps():
            trial.report(loss_at([trial[name] for name in NAMES], step))
        trial.save(f"{trial.id} after {trial.step} steps\n".encode() * 4)
        if not trial.start and trial.number % PREDICTING == 0:
            trial.predictions(valid=rng.dirichlet(np.ones(3), size=50))
        meter.note()

    space = aiohpo.Space({name: aiohpo.Float(0.0, 1.0) for name in NAMES})
    aiohpo.Study(objective, space, searcher="random").ask()  # imports
    meter = Meter(known, trials)
    study = aiohpo.Study(
        objective,
        space,
        max_steps=MAX_STEPS,
        searcher="random",
        scheduler=f"asha:r_min={R_MIN}",
        directory=directory,
    )
    asyncio.run(study.arun(trials, slots=SLOTS))
    return meter.summary()


def search_optuna(directory: str, known: int, trials: int) -> dict[str, float]:
    """Do as much with Optuna."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(known)
    lengths = [R_MIN * 3**rung for rung in range(3)]

    def objective(trial: optuna.Trial) -> float:
        meter.begin()
        values = [trial.suggest_float(name, 0.0, 1.0) for name in NAMES]
        loss = np.inf
        for step in range(1, rng.choice(lengths, p=[6 / 9, 2 / 9, 1 / 9]) + 1):
            loss = loss_at(values, step)
            trial.report(loss, step)
        meter.note()
        return loss

    meter = Meter(known, trials)
    storage = JournalStorage(JournalFileBackend(f"{directory}/journal"))
    sampler = optuna.samplers.RandomSampler()
    study = optuna.create_study(study_name="study", storage=storage, sampler=sampler, load_if_exists=True)
    study.optimize(objective, n_trials=trials - known)
    return meter.summary()


# --------------------------------------------------------------------------------------------- what is measured how
def commands(directory: str) -> dict[str, list[str]]:
    aiohpo_command = [sys.executable, "-m", "aiohpo"]
    return {
        "best": [*aiohpo_command, "best", directory],
        "show": [*aiohpo_command, "show", directory],
        "export": [*aiohpo_command, "export", directory, f"{directory}.csv", "--to", "csv"],
    }


EXPORT = """
import sys, optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
storage = JournalStorage(JournalFileBackend(sys.argv[1]))
optuna.load_study(study_name="study", storage=storage).trials_dataframe().to_csv(sys.argv[2])
"""


def optuna_commands(directory: str) -> dict[str, list[str]]:
    journal = f"{directory}/journal"
    main = "import sys; from optuna.cli import main; sys.exit(main())"
    where = ["--storage", journal, "--storage-class", "JournalFileBackend", "--study-name", "study"]
    return {
        "best": [sys.executable, "-c", main, "best-trial", *where],
        "show": [sys.executable, "-c", main, "trials", *where],
        "export": [sys.executable, "-c", EXPORT, journal, f"{directory}.csv"],
    }


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Run a command; return seconds by the clock and of CPU."""
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - began
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            errors.seek(0)
            raise RuntimeError(f"{list(command)} failed:\n{errors.read().decode()[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime


def on_disk(directory: Path) -> dict[str, float]:
    files = [path.lstat() for path in directory.rglob("*") if not path.is_dir()]
    return {"disk": sum(file.st_blocks for file in files) * 512 / 1e6, "files": len(files)}


def adding(name: str, directory: Path, known: int, trials: int) -> dict[str, float]:
    """Let a process add trials to those that are known."""
    command = [sys.executable, str(HERE), "--child", name, str(directory), str(known), str(trials)]
    return child(command, 3600.0)


def measure(name: str, looking: Callable[[str], dict[str, list[str]]], directory: Path, sizes: Sequence[int]) -> None:
    """Let a study grow from size to size, and print a line for each."""
    known, rate = 0, np.inf
    for trials in sizes:
        if name == "Optuna" and (trials - known) / rate > PATIENCE:
            print(f"{name:7}{trials:>9,} would take more than {PATIENCE / 60:.0f} minutes", flush=True)
            return
        row: dict[str, Any] = adding(name, directory, known, trials)
        row |= on_disk(directory)
        for command, words in looking(str(directory)).items():
            row[command], row[f"{command} cpu"] = timed(words)
        again = adding(name, directory, trials, trials + 1)
        row |= {key: again[key] for key in ("open", "open cpu")}
        known, rate = trials + 1, row["rate"]
        print(f"{name:7}{trials:>9,}" + "".join(format(row[key], form) for _, key, form in COLUMNS), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 trials only")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, directory, known, trials = options.child
        run = search_optuna if name == "Optuna" else search
        print(json.dumps(run(directory, int(known), int(trials))))
        return
    sizes = [1000] if options.quick else [1000, 10_000, 100_000]
    print(f"other processes use {others_share():.0%} of {os.cpu_count()} cores")
    widths = (int(form.split(".")[0].rstrip(",")) for _, _, form in COLUMNS)
    print(f"{'':7}{'trials':>9}" + "".join(f"{title:>{w}}" for (title, *_), w in zip(COLUMNS, widths, strict=True)))
    with tempfile.TemporaryDirectory(prefix="aiohpo-bench-") as scratch:
        measure("aiohpo", commands, Path(scratch) / "aiohpo", sizes)
        if importlib.util.find_spec("optuna") is None:
            print("Optuna is not installed: no comparison (pip install 'aiohpo[bench]')")
            return
        (Path(scratch) / "optuna").mkdir()
        measure("Optuna", optuna_commands, Path(scratch) / "optuna", sizes)


if __name__ == "__main__":
    main()
