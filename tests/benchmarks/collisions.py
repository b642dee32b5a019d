"""What does masterless ASHA waste? Workers that race for promotions, and how good the search is without a master.

    python tests/benchmarks/collisions.py [--quick] [--workers N …] [--seconds S] [--seeds N] [--json]

Production workers in virtual time, frames travelling 5 to 50 ms a hop, run ASHA (eta 3, 27 steps) on a synthetic
learning curve whose steps take 5 to 20 seconds, depending on the configuration. Beside them a *single asker*: the same
scheduler and searcher on one recorder, which decides for as many workers at once and without delay.

wasted   seconds in which two workers ran the same trial at the same time, in percent of all seconds of training
aborted  segments that ended because another worker's claim had won
repeated steps that had been done before, in percent: a trial that started over, or a race
idle     seconds in which a worker trained nothing, in percent; that includes up to a second at the start in which
         it gets acquainted with the others
loss     the best loss found, median over seeds, and of complete trainings; promoted: segments that were resumed
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from support import peers, virtual
from support.anytime import Trace
from support.curves import Curve, CurveTask, Scale

from aiohpo.events.log import Log
from aiohpo.events.schema import parse_trial, trial_name
from aiohpo.mesh.timing import Pace
from aiohpo.peer.eligibility import Eligibility
from aiohpo.peer.recorder import Recorder
from aiohpo.peer.running_segments import Segment
from aiohpo.plugin import Config, Identity, Resume
from aiohpo.plugin.objective import Objective
from aiohpo.plugin.registry import create
from aiohpo.space.space import Float, Space
from aiohpo.view.view import View

STEPS = 27
SPACE = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0), z=Float(0.0, 1.0))


def curve(config: Config) -> Curve:
    """A bowl that shows only slowly: what is best in the end starts no better than the rest."""
    x, y, z = config["x"], config["y"], config["z"]
    final = (x - 0.3) ** 2 + (y - 0.7) ** 2 + 0.1 * abs(np.sin(17 * x + 11 * y))
    rate = 0.05 + 0.4 * z
    steps = np.arange(1, STEPS + 1)
    loss = final + np.exp(-rate * steps) + 0.02 * np.cos(29 * z + steps)
    return Curve(loss, (5.0 + 15.0 * ((7 * x + 3 * y) % 1.0)) * steps)


TASK = CurveTask("synthetic", SPACE, STEPS, lambda: curve, lambda: Scale(0.0, 1.0, 12.5 * STEPS))


class SingleAsker:
    """A master: one recorder and one scheduler, asked for all workers in turn, with every result known at once."""

    def __init__(self, seed: int, scheduler: str) -> None:
        self.view = View(SPACE, Objective("loss", "min"), STEPS)
        self.recorder = Recorder("master", self.view, Log())
        self.claims = Eligibility(self.view, None, lambda digest: True)
        self.searcher, self.scheduler = create("searchers", "random"), create("schedulers", scheduler)
        self.searcher.setup(SPACE, seed, Identity("master"))
        self.scheduler.setup(STEPS, seed, Identity("master"))
        self.rng = np.random.default_rng(seed)
        self.recorder.begin(0.0, "", 0, None)
        self._jobs: dict[str, peers.Job] = {}

    def next(self, now: float) -> peers.Job:
        choice = self.scheduler.next(self.view, self.claims, self.rng)
        if isinstance(choice, Resume):
            row = self.view.row(parse_trial(choice.trial))
            assert row is not None, "the scheduler resumes what it saw"
            segment = self.recorder.record_claim(now, row, choice.to_step)
        else:
            config = self.searcher.ask(self.view, self.rng, (0,))[0]
            segment = self.recorder.propose(now, SPACE.pack(config), choice.to_step, choice.bracket)
            name = trial_name(segment.trial)
            self._jobs[name] = peers.Job(name, config, None)
        job = self._jobs[trial_name(segment.trial)]
        job.handle = segment
        self.recorder.drain()
        return job

    def report(self, job: peers.Job, step: int, loss: float) -> bool:
        segment: Segment = job.handle
        self.recorder.report(segment, step, loss, {})
        if segment.to_step is None or step < segment.to_step:
            return True
        self.recorder.record_checkpoint(segment, step, "0" * 64, 1)
        self.recorder.end(segment, "paused", step=step, seconds=0.0, value=loss)
        return False

    def complete(self, job: peers.Job, loss: float) -> None:
        self.recorder.end(job.handle, "finished", step=job.done, seconds=0.0, value=loss)

    def fail(self, job: peers.Job) -> None:
        raise AssertionError("nothing fails here")


def overlap(segments: list[tuple[str, int, float, float, int, int]]) -> float:
    """Return the seconds in which a trial ran on more than one worker, counting all but one of them."""
    by_trial: dict[str, list[tuple[float, float]]] = {}
    for trial, _, begin, end, _, _ in segments:
        by_trial.setdefault(trial, []).append((begin, end))
    twice = 0.0
    for spans in by_trial.values():
        until = -np.inf
        for begin, end in sorted(spans):
            twice += max(0.0, min(end, until) - begin)
            until = max(until, end)
    return twice


def masterless(workers: int, seconds: float, seed: int, scheduler: str) -> tuple[dict[str, float], Trace]:
    """Run a swarm and count what it wasted."""
    bench = virtual.Bench(TASK, "random", scheduler, workers, seconds, seed, interval=Pace().interval)
    trace = bench.play()
    figures = {
        "wasted": 100.0 * overlap(bench.segments) / max(trace.busy, 1e-9),
        "aborted": float(sum(1 for s in bench.segments if s[3] - s[2] < 1.0 and s[3] < seconds - 1.0)),
        "repeated": 100.0 * trace.repeated / max(trace.steps, 1),
        "idle": 100.0 * (1.0 - trace.used),
    }
    return figures, trace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", help="default: 8 64 512")
    parser.add_argument("--seconds", type=float, help="virtual; default 600, with over 100 workers 40")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scheduler", default="asha")
    parser.add_argument("--quick", action="store_true", help="8 and 64 workers, 1 seed")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    lines: list[dict[str, Any]] = []
    for workers in args.workers or ([8, 64] if args.quick else [8, 64, 512]):
        seconds = args.seconds or (600.0 if workers <= 100 else 40.0)
        for who in ("masterless", "single asker"):
            began, runs = time.process_time(), []
            for seed in range(1 if args.quick or workers > 100 else args.seeds):
                if who == "masterless":
                    figures, trace = masterless(workers, seconds, seed, args.scheduler)
                else:
                    trace = peers.drive(TASK, SingleAsker(seed, args.scheduler), workers, seconds)
                    figures = {}
                best = {"loss": trace.at(seconds), "complete": trace.at(seconds, complete=True)}
                runs.append({**figures, **best, "trials": trace.trials, "promoted": trace.resumed})
            line: dict[str, Any] = {"workers": workers, "who": who, "seconds": seconds, "seeds": len(runs)}
            line.update({key: float(np.median([run[key] for run in runs])) for key in runs[0]})
            line["cpu"] = time.process_time() - began
            lines.append(line)
            if not args.json:
                show(line)
    if args.json:
        print(json.dumps(lines))


def show(line: dict[str, Any]) -> None:
    costs = ""
    if "wasted" in line:
        costs = (
            f"wasted {line['wasted']:.3f} %  aborted {line['aborted']:.0f}  repeated {line['repeated']:.3f} %  "
            f"idle {line['idle']:.3f} %"
        )
    print(
        f"{line['workers']:4} workers {line['who']:13} {line['seconds']:.0f} s: loss {line['loss']:.4f}, complete "
        f"{line['complete']:.4f}, {line['trials']:.0f} trials, {line['promoted']:.0f} promoted; {costs}  "
        f"({line['cpu']:.0f} s CPU)",
        flush=True,
    )


if __name__ == "__main__":
    main()
