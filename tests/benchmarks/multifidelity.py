"""Multi-fidelity search on real learning curves with real runtimes, in virtual time, beside other optimisers.

    python tests/benchmarks/multifidelity.py [--quick] [--tasks T …] [--contenders C …] [--workers N] [--seeds N]

Contenders of ours are production workers on a simulated network (see ``support/virtual.py``); their names below, a
recipe's name, or any ``SEARCHER+SCHEDULER``. Those of others are driven on the same curves with the same runtimes
(``support/peers.py``). Whoever is not installed is skipped, and it is said.

The budget is time: as long as ``workers * rounds`` complete trainings of random configurations take on ``workers``
workers. Reported is the anytime incumbent, the best validation loss that was reported so far at whatever step, and
for the end also that of complete trainings.

Every search is kept in a file of ``--cache`` (a temporary directory unless given), by task, contender, workers,
budget and seed: an interrupted run goes on where it was, and parts made by different interpreters (Syne Tune wants one
of its own) are combined. ``--fresh`` does them again, which is needed when the code has changed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from support import curves, peers, standings, tasks, virtual
from support.anytime import Trace

from aiohpo.errors import UsageError

Found = dict[str, dict[standings.Pair, Trace]]  # by contender, then by task and seed

OURS = {
    "random": "random+fifo",
    "asha": "random+asha",
    "asha-stop": "random+asha:type=stopping",
    "asha-brackets": "random+asha:brackets=3",
    "hyperband": "random+hyperband",
    "median": "random+median",
    "adbo": "adbo+fifo",
    "adbo-asha": "adbo+asha",
    "gp": "gp+fifo",
    "abohb": "gp+asha",
    "abohb-stop": "gp+asha:type=stopping",
    "abohb-brackets": "gp+asha:brackets=3",
    "kde-asha": "kde+asha",
    "bohb": "kde+hyperband",
    "tpe-asha": "tpe+asha",
}
ROUNDS = {1: 16.0, 8: 4.0, 64: 1.5}
REFERENCE = "asha"
QUICK = ["lcbench:167168", "alexnet", "taskset:3"]
QUICK_CONTENDERS = ["random", "asha", "asha-stop", "hyperband", "adbo-asha", "bohb", "optuna-tpe-sha", "syne-asha"]


def why_not(name: str) -> str | None:
    """Return None if this interpreter can run the contender, else the reason why not."""
    if name in peers.POLICIES:
        return peers.missing(name)
    searcher, _, scheduler = OURS.get(name, name).partition("+")
    try:
        virtual.create("searchers", searcher)
        virtual.create("schedulers", scheduler or "fifo")
    except UsageError as error:
        return str(error)
    return None


def search(task: curves.CurveTask, name: str, workers: int, horizon: float, seed: int) -> Trace:
    """Run one search."""
    if name in peers.POLICIES:
        return peers.play(task, name, workers, horizon, seed)
    searcher, _, scheduler = OURS.get(name, name).partition("+")
    return virtual.Bench(task, searcher, scheduler or "fifo", workers, horizon, seed).play()


class Cache:
    """Searches by what they were, one file each."""

    def __init__(self, directory: Path, fresh: bool) -> None:
        self.directory = directory
        self.fresh = fresh
        directory.mkdir(parents=True, exist_ok=True)

    def _path(self, task: str, name: str, workers: int, rounds: float, seed: int) -> Path:
        text = f"{task}~{name}~{workers}~{rounds:g}~{seed}"
        return self.directory / f"{text.replace('/', '_').replace(':', '=')}.json"

    def get(self, *key: object) -> Trace | None:
        path = self._path(*key)  # type: ignore[arg-type]  # the key is what put() takes
        return None if self.fresh or not path.exists() else Trace.from_dict(json.loads(path.read_text()))

    def put(self, trace: Trace, *key: object) -> None:
        path = self._path(*key)  # type: ignore[arg-type]
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(trace.to_dict()))
        part.replace(path)


def play(args: argparse.Namespace, cache: Cache, workers: int, rounds: float) -> Found:
    """Run, or look up, every search that was asked for."""
    results: Found = {}
    reasons = {name: why_not(name) for name in args.contenders}
    for name, seed, task in wanted(args):
        key = (task.name, name, workers, rounds, seed)
        trace = cache.get(*key)
        if trace is None:
            if reasons[name] is not None:
                continue
            began = time.process_time()
            trace = search(task, name, workers, rounds * task.measure().seconds, seed)
            cache.put(trace, *key)
            if args.verbose:
                scale = task.measure()
                found = " ".join(f"{standings.regret(trace, scale, f):.4f}" for f in standings.FRACTIONS)
                print(
                    f"{task.name:16} {name:22} {seed:3} {found}  {time.process_time() - began:6.1f} s CPU", flush=True
                )
        results.setdefault(name, {})[task.name, seed] = trace
    for name in args.contenders:
        if reasons[name] is not None:
            print(f"skipped{' what is not in the cache' if name in results else ''}: {name}, as {reasons[name]}")
    return results


def wanted(args: argparse.Namespace) -> Iterator[tuple[str, int, curves.CurveTask]]:
    for seed in range(args.seeds):
        for task in args.tasks:
            for name in args.contenders:
                yield name, seed, curves.make(task)


def report(
    args: argparse.Namespace, results: dict[str, dict[standings.Pair, Trace]], workers: int, rounds: float
) -> None:
    """Print the tables: of those who did everything, and, if some did not, of everybody where all were."""
    scales = {task: curves.make(task).measure() for task in args.tasks}
    most = max((len(done) for done in results.values()), default=0)
    groups = [[name for name, done in results.items() if len(done) == most]]
    if len(groups[0]) < len(results):
        groups.append(list(results))
    out = []
    for names in groups:
        pairs = standings.pairs_of_all(results, names)
        if not pairs:
            continue
        lines = standings.standings(results, names, scales, REFERENCE)
        n_tasks = len({task for task, _ in pairs})
        title = f"{workers} workers, {rounds:g} rounds: {n_tasks} tasks, {len(pairs)} searches each"
        out.append({"title": title, "pairs": len(pairs), "lines": [line.to_dict() for line in lines]})
        if not args.json:
            standings.show(lines, title, REFERENCE)
            standings.show_tasks(results, [line.name for line in lines], scales)
    if args.json:
        print(json.dumps({"workers": workers, "rounds": rounds, "tables": out}))


def expand(patterns: list[str], known: list[str]) -> list[str]:
    """Return the names meant: ``lcbench`` means all of its tasks, ``lcbench/4`` four of them, evenly spaced."""
    out: list[str] = []
    for pattern in patterns:
        family, _, number = pattern.partition("/")
        found = [name for name in known if family in ("all", name, name.partition(":")[0])]
        if not found:
            raise SystemExit(f"there is no task {pattern!r}; there are: {', '.join(known)}")
        out += tasks.spread(found, int(number)) if number else found
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 tasks, 1 seed, fast contenders: a minute or two")
    parser.add_argument("--tasks", nargs="+", metavar="T", help="names, families, FAMILY/N or all (default: all)")
    parser.add_argument(
        "--contenders", nargs="+", metavar="C", help=f"of {', '.join([*OURS, *peers.POLICIES])}, or S+S"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[8])
    parser.add_argument("--rounds", type=float, help=f"budget; default by workers: {ROUNDS}, else 4")
    parser.add_argument("--seeds", type=int, default=None, help="default 3")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "aiohpo-multifidelity")
    parser.add_argument("--fresh", action="store_true", help="do not read the cache")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="a line for each search as it is done")
    args = parser.parse_args()
    if reason := tasks.available():
        print(f"skipped, as {reason}")
        return
    known = curves.names()
    args.tasks = expand(args.tasks or (QUICK if args.quick else ["all"]), known)
    args.contenders = args.contenders or (QUICK_CONTENDERS if args.quick else [*OURS, *peers.POLICIES])
    args.seeds = args.seeds or (1 if args.quick else 3)
    cache = Cache(args.cache, args.fresh)
    for workers in args.workers:
        rounds = args.rounds or ROUNDS.get(workers, 4.0)
        report(args, play(args, cache, workers, rounds), workers, rounds)


if __name__ == "__main__":
    main()
