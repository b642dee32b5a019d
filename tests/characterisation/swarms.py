"""Fifty swarms of production workers: their logs, and every frame that they sent with its time."""

from __future__ import annotations

from harness import SCHEDULED, play

SEEDS = [*range(1, 36), *range(SCHEDULED + 1, SCHEDULED + 16)]


def observe() -> dict[str, str]:
    return {str(seed): play(seed, trace=True)[1] for seed in SEEDS}
