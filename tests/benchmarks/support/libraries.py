"""Predictions for the ensemble benchmarks: real ones of ``../shared/data``, and made ones of any size."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .tasks import _loaders


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """Predictions (m, n, k) of models for rows with known classes; the first ``valid`` rows are for validation."""

    name: str
    predictions: Any
    y: Any
    valid: int

    def split(self, seed: int | None) -> tuple[Any, Any]:
        """Validation and test rows: as given, or at random in the same proportion."""
        rows = np.arange(len(self.y)) if seed is None else np.random.default_rng(seed).permutation(len(self.y))
        return rows[: self.valid], rows[self.valid :]


def soft() -> Iterator[Library]:
    """The libraries with class probabilities."""
    for name in ("phoneme", "segment", "electricity"):
        z = _loaders().load(f"ens_{name}")
        p = np.concatenate([z["val_proba"], z["test_proba"]], axis=1).astype(np.float32)
        p /= p.sum(axis=2, keepdims=True)
        yield Library(name, p, np.concatenate([z["y_val"], z["y_test"]]).astype(np.int64), len(z["y_val"]))


def hard() -> Iterator[Library]:
    """The libraries with predicted classes only, one for each fold."""
    for name in ("RSSCN7", "RSDataset"):
        z = _loaders().load(f"enshard_{name}")
        k = len(z["classes"])
        for fold in range(len(z["val_y"])):
            parts = [
                (
                    z[f"{part}_pred"][fold][z[f"{part}_y"][fold] != 255],
                    z[f"{part}_y"][fold][z[f"{part}_y"][fold] != 255],
                )
                for part in ("val", "test")
            ]
            classes = np.concatenate([p for p, _ in parts]).T
            y = np.concatenate([y for _, y in parts]).astype(np.int64)
            yield Library(f"{name}/{fold}", np.eye(k, dtype=np.float32)[classes], y, len(parts[0][1]))


def made(m: int, n: int, k: int, seed: int = 0) -> tuple[Any, Any]:
    """Return predictions of models that each know a part of the truth, and the truth."""
    y = np.random.default_rng([seed, n, k]).integers(0, k, n)
    return np.stack(list(_models(m, y, k, seed))), y


def made_file(path: Path, m: int, n: int, k: int, seed: int = 0) -> Any:
    """Write the like of :func:`made` to a ``.npy`` file, model by model; return the truth."""
    y = np.random.default_rng([seed, n, k]).integers(0, k, n)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(m, n, k))
    for i, model in enumerate(_models(m, y, k, seed)):
        out[i] = model
    out.flush()
    return y


def _models(m: int, y: Any, k: int, seed: int) -> Iterator[Any]:
    truth = np.eye(k, dtype=np.float32)[y]
    for i in range(m):
        rng = np.random.default_rng([seed, i])
        z = rng.standard_normal((len(y), k), dtype=np.float32) + np.float32(rng.uniform(0.3, 2.0)) * truth
        p = np.exp(z)
        yield p / p.sum(axis=1, keepdims=True)


# ------------------------------------------------------------------------------------------------ others
AUTO_SKLEARN = "auto-sklearn: needs scikit-learn below 0.25, which does not build for Python 3.11"

_AUTOGLUON = """
import json, sys, time
import numpy as np
from autogluon.core.metrics import log_loss
from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection
z = np.load(sys.argv[1])
p, y, size = z["p"], z["y"], int(z["size"])
kind = "binary" if p.shape[2] == 2 else "multiclass"
models = [np.ascontiguousarray(m[:, 1] if kind == "binary" else m) for m in p]
start = time.process_time()
fitted = EnsembleSelection(size, kind, log_loss).fit(models, y)
print(json.dumps({"seconds": time.process_time() - start, "weights": [float(w) for w in fitted.weights_]}))
"""


@cache
def autogluon_missing(python: str | None) -> str | None:
    """Say why AutoGluon cannot be compared with; None if it can."""
    if python is None:
        return "AutoGluon: name a Python that has it with --autogluon (pip install autogluon.core)"
    check = subprocess.run([python, "-c", "import autogluon.core"], capture_output=True, text=True, timeout=120)
    return None if check.returncode == 0 else f"AutoGluon: {python} cannot import it"


def autogluon(python: str, p: Any, y: Any, size: int) -> tuple[float, Any]:
    """Return the CPU seconds and the weights (m,) of AutoGluon's selection by log-loss."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "library.npz"
        np.savez(file, p=p, y=y, size=size)
        done = subprocess.run(
            [python, "-W", "ignore", "-c", _AUTOGLUON, str(file)],
            capture_output=True,
            text=True,
            timeout=900,
            check=True,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"], np.array(found["weights"])


def textbook(p: Any, y: Any, size: int) -> Any:
    """Return weights (m,) of greedy selection by log-loss as one would first write it down."""
    total, counts = np.zeros(p.shape[1:]), np.zeros(len(p))
    for step in range(1, size + 1):
        losses = []
        for model in p:
            mean = (total + model) / step
            losses.append(-np.log(np.maximum(mean[np.arange(len(y)), y], 1e-7)).mean())
        best = int(np.argmin(losses))
        total += p[best]
        counts[best] += 1
    return counts / counts.sum()
