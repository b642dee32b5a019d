"""Learning hyperparameters: warm-started, and yet a function of the observations only.

Starting from the previous fit's hyperparameters saves most of the work of a fit, but makes the answer depend on
which fits there were: two workers with the same observations would disagree, and so would one that was restarted.
Here the start is what the first half of the rows (in canonical order) would have given, and so on down to
:data:`SMALLEST` rows. Each of these is learnt once and remembered (:class:`Memory`), so that a study pays for it
log n times; forgetting changes the time, not the answer.

Beyond :data:`MOST` rows the hyperparameters come from a subset: a few numbers need no more. Nor do they need the newest
observations: of n, those from the last multiple of n / :data:`LAG` on do not count, so that with 200 observations they
are learnt after every tenth, for each kind of targets. (The posterior knows all observations.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohpo.plugin import FloatArray

    from .likelihood import Likelihood, TrainingRows

SMALLEST = 12
MOST = 250
LAG = 20
FIRST_STEPS, STEPS = 40, 15  # iterations of L-BFGS from the prior's mean, and from a warm start
# Logarithms of lengthscales and noise of a second start, from which L-BFGS found the better of two explanations, all
# noise or none, wherever they differed; a start with short lengthscales and little noise finds the latter.
MIDDLE, NOISY = -0.3, -2.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Hyperparameters of sets of rows, by the kind of targets (:func:`learn`) and the rows' content."""

    known: dict[tuple[bool, bytes], FloatArray] = field(default_factory=dict)


def learn(
    likelihood: Likelihood, prefixes: Callable[[int], TrainingRows], n: int, memory: Memory, kind: bool = False
) -> tuple[FloatArray, Memory]:
    """Return hyperparameters for the first ``n`` observations, and what to remember for the next time.

    ``prefixes(k)`` gives the rows of the first ``k`` observations; of at most MOST rows. What is remembered of
    the other ``kind`` of targets is kept.
    """
    known = {key: theta for key, theta in memory.known.items() if key[0] != kind}
    sizes = []
    k = SMALLEST
    while 1.5 * k < n and k <= MOST:
        sizes.append(k)
        k *= 2
    theta = None
    for k in sizes:
        rows = prefixes(k)
        key = kind, digest(rows, theta)
        if key not in memory.known:
            known[key] = _best(likelihood, rows, theta)
        else:
            known[key] = memory.known[key]
        theta = known[key]
    rows = prefixes(n - n % max(n // LAG, 1))
    if theta is None:
        return _best(likelihood, rows, None), Memory(known)
    key = kind, digest(rows, theta)
    known[key] = memory.known[key] if key in memory.known else _climb(likelihood, rows, theta, STEPS)[1]
    return known[key], Memory(known)


def digest(rows: TrainingRows, theta: FloatArray | None) -> bytes:
    """Return a hash of everything that learning depends on."""
    state = hashlib.blake2b(digest_size=16)
    for array in (rows.features, rows.level, rows.target, rows.resources):
        state.update(np.ascontiguousarray(array))
    if theta is not None:
        state.update(theta)
    return state.digest()


def _best(likelihood: Likelihood, rows: TrainingRows, warm: FloatArray | None) -> FloatArray:
    """Return the better end of two climbs: from where one was, or from the prior, and from the middle."""
    middle = likelihood.mean.copy()
    cut = likelihood.kernels * likelihood.groups
    middle[:cut], middle[cut] = MIDDLE, NOISY
    starts = likelihood.mean if warm is None else warm, middle
    climbs = [_climb(likelihood, rows, start, FIRST_STEPS) for start in starts]
    return min(climbs, key=lambda climb: climb[0])[1]


def _climb(likelihood: Likelihood, rows: TrainingRows, start: FloatArray, steps: int) -> tuple[float, FloatArray]:
    result = minimize(
        likelihood.negative,
        start,
        args=(rows,),
        jac=True,
        method="L-BFGS-B",
        bounds=likelihood.bounds,
        options={"maxiter": steps, "maxfun": steps + 10, "ftol": 1e-6, "gtol": 1e-3},
    )
    return float(result.fun), np.asarray(result.x, dtype=np.float64)
