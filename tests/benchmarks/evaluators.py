"""Trials per second through each evaluator, with an objective that does nothing.

Run: python tests/benchmarks/evaluators.py

What is measured is the evaluator alone: no searcher, no log, no exchange. A trial of ten parameters, one worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohpo.evaluate.command import CommandEvaluator
from aiohpo.evaluate.coroutine import CoroutineEvaluator
from aiohpo.evaluate.process.evaluator import ProcessEvaluator
from aiohpo.evaluate.program import Program
from aiohpo.evaluate.thread import ThreadEvaluator
from aiohpo.evaluate.trial import Trial
from aiohpo.plugin import Assignment, Decision
from aiohpo.storage.blob_store import DirectoryBlobs

REPORTS = 10


def ordinary(trial: Trial) -> float:
    return 0.5


async def coroutine(trial: Trial) -> float:
    return 0.5


def reporting(trial: Trial) -> float:
    for _ in trial.steps():
        trial.report(0.5)
    return 0.5


async def async_reporting(trial: Trial) -> float:
    return reporting(trial)


class Channel:
    """Hears nothing and lets everything go on."""

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        return Decision.CONTINUE

    def save(self, step: int, digest: str, size: int) -> None: ...

    def predictions(self, digests: Mapping[str, str]) -> None: ...

    def note(self, notes: Mapping[str, str]) -> None: ...

    def attach(self, name: str, digest: str, size: int) -> None: ...

    def log(self, text: str) -> None: ...

    def untimed(self) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()

    def notice(self, text: str) -> None: ...


async def rate(evaluator: Any, program: Program, directory: str, trials: int) -> tuple[float, float]:
    began = time.perf_counter()
    await evaluator.start(program, DirectoryBlobs(Path(directory)))
    started = time.perf_counter() - began
    assignment, channel = Assignment("w.1", 1, {f"p{i}": i / 10 for i in range(10)}, max_steps=REPORTS), Channel()
    for _ in range(3):
        assert (await evaluator.run(assignment, channel)).kind == "finished"
    began = time.perf_counter()
    for _ in range(trials):
        await evaluator.run(assignment, channel)
    spent = time.perf_counter() - began
    await evaluator.aclose()
    return trials / spent, started


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        print(f"{'evaluator':<12}{'trials/s':>12}{f'with {REPORTS} reports':>18}{'start':>10}")
        for make, plain, steps, trials in (
            (CoroutineEvaluator, coroutine, async_reporting, 20_000),
            (ThreadEvaluator, ordinary, reporting, 5_000),
            (ProcessEvaluator, ordinary, reporting, 5_000),
        ):
            silent, started = await rate(make(), Program(plain), directory, trials)
            talking, _ = await rate(make(), Program(steps), directory, trials // 5)
            name = make.__name__.removesuffix("Evaluator").lower()
            print(f"{name:<12}{silent:>12,.0f}{talking:>18,.0f}{started:>8.2f} s")
        command = CommandEvaluator(["sh", "-c", "echo '{\"loss\": 0.5}'"])
        silent, started = await rate(command, Program(None), directory, 100)
        print(f"{'command':<12}{silent:>12,.0f}{'':>18}{started:>8.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
