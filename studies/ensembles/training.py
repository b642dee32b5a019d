"""Search the networks on the data set electricity, once, and keep what every one of them predicted.

    python -m studies.ensembles.training FOLDER     FOLDER holds data_electricity.npz

Sixty configurations, suggested by ``adbo`` after the space's defaults, are trained for balanced cross-entropy on
validation rows. It takes some minutes of CPU time, and writes studies/data/ensembles.npz.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from aiohpo import Study
from aiohpo.ensembles.metrics import METRICS

from .library import TABLE
from .network import SPACE, train

TRAINING, VALIDATION, TEST = 4_000, 2_000, 4_000
TRIALS = 60
SOURCE = (
    "Predictions of the networks of studies/ensembles/network.py for rows of the data set electricity (OpenML 151, "
    "M. Harries 1999, licence: Public), made by python -m studies.ensembles.training; this table: CC BY 4.0."
)


def main(folder: Path) -> None:
    """Search, train and write the table."""
    data = np.load(folder / "data_electricity.npz")
    rows = np.random.default_rng(0).permutation(len(data["y"]))[: TRAINING + VALIDATION + TEST]
    x, y = data["X"][rows].astype(np.float32), data["y"][rows].astype(np.int64)
    x = (x - x[:TRAINING].mean(axis=0)) / (x[:TRAINING].std(axis=0) + 1e-6)
    held = y[TRAINING:]
    loss = METRICS["balanced_cross_entropy"]
    kept: list[dict[str, Any]] = []

    def objective(trial: Any) -> float:
        began = time.thread_time()
        with np.errstate(all="ignore"):
            network = train(trial.config, x[:TRAINING], y[:TRAINING], trial.number)
            trained = time.thread_time()
            p = network.probability(x[TRAINING:])
        ended = time.thread_time()
        if not np.isfinite(p).all():
            p = np.full(len(p), 0.5, np.float32)  # it diverged, and knows nothing
        both = np.stack([1 - p, p], axis=1)
        value = loss(held[:VALIDATION], both[:VALIDATION])
        kept.append({"p": p, "config": dict(trial.config), "fit": trained - began, "predict": ended - trained})
        print(f"{len(kept)}/{TRIALS} {value:.4f} {trained - began:.1f} s of CPU time", flush=True)
        return value

    study = Study(objective, SPACE, metric="loss", mode="min", searcher="adbo", seed=0, evaluator="thread")
    with threadpool_limits(1):
        study.run(trials=TRIALS, slots=1, progress=False)
    TABLE.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        TABLE,
        p=np.stack([one["p"] for one in kept]).astype(np.float16),
        y=held.astype(np.int8),
        validation=VALIDATION,
        fit_seconds=np.array([one["fit"] for one in kept], np.float32),
        predict_seconds=np.array([one["predict"] for one in kept], np.float32),
        configs=json.dumps([one["config"] for one in kept]),
        source=SOURCE,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
