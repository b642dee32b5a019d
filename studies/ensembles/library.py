"""The table of predictions that :mod:`.training` made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..framework.study import HERE

TABLE = HERE / "data" / "ensembles.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """What m networks predicted for n rows on which none was trained.

    p                (m, n, 2)
    y                (n,)
    validation       of the rows, the first so many were what the search saw
    configs          of the networks
    fit_seconds      CPU time of each network's training (m,)
    predict_seconds  the same for predicting all rows
    """

    p: NDArray[np.float32]
    y: NDArray[np.int64]
    validation: int
    configs: Sequence[Mapping[str, Any]]
    fit_seconds: NDArray[np.float32]
    predict_seconds: NDArray[np.float32]


@cache
def library() -> Library:
    """Read the table."""
    with np.load(TABLE) as table:
        p = table["p"].astype(np.float32)
        return Library(
            np.stack([1 - p, p], axis=2),
            table["y"].astype(np.int64),
            int(table["validation"]),
            json.loads(str(table["configs"])),
            table["fit_seconds"],
            table["predict_seconds"],
        )
