"""How rungs and brackets are laid out: the arithmetic of successive halving and Hyperband.

R is the steps of a complete trial, r_min the fewest that tell anything, eta the factor between rungs.

successive halving  n trials run to r steps, the best n/eta of them to r·eta steps, … (Jamieson & Talwalkar,
                    arXiv 1502.07943). Generous r with few n, or many n with little r: it is not known beforehand.
Hyperband           tries all: bracket s, for s = s_max … 0 with s_max = floor(log_eta(R/r_min)), begins with
                    n = ceil((s_max+1)/(s+1)·eta^s) trials of r = R·eta^-s steps and has rungs i = 0 … s, of
                    n_i = floor(n·eta^-i) trials at r_i = r·eta^i (Li et al., arXiv 1603.06560, Algorithm 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# log_eta(R/r_min) of exact powers must not fall below a whole number by rounding.
_TOLERANCE = 1e-9


# The first steps say little about the last: on LCBench's tasks the rank correlation of step 1 of 50 with the end is
# about zero (-0.57 to 0.07 on four of five), of step 3 it is 0.44 to 0.92; a searcher that learns is led astray
# there, and half the best 5 % are gone at the first rung. With three rungs below the end, at R/27, R/9 and R/3, the
# regret of a Gaussian process under ASHA fell from .175 to .126 on those tasks, of random search it hardly changed.
_LOWEST = 27
LOWER_RUNGS = 2  # below it, at which trials begin only where they are seen to tell


def fewest_steps(r_min: int | None, steps: int) -> float:
    """Return ``r_min``, or if there is none a 27th of ``steps``, at least 1."""
    return max(1.0, steps / _LOWEST) if r_min is None else r_min


def lowest_rung(r_min: int | None, steps: int) -> int:
    """Return :func:`fewest_steps`, rounded: where the rungs of ASHA begin."""
    return round(fewest_steps(r_min, steps))


def geometric_levels(eta: float, r_min: int, r_max: int | None, steps: int) -> tuple[int, ...]:
    """Return the rungs of ASHA: round(r_min·eta^k) below ``steps`` and not above ``r_max``."""
    top = steps - 1 if r_max is None else min(r_max, steps - 1)
    levels: list[int] = []
    level = float(r_min)
    while round(level) <= top:
        levels.append(round(level))
        level *= eta
    return tuple(levels)


def rungs_below(eta: float, r_min: int | None, steps: int, levels: tuple[int, ...]) -> tuple[int, ...]:
    """Return the rungs below the lowest of ``levels`` down to step 1, ascending; none where ``r_min`` says which is the
    lowest."""
    below: list[int] = []
    if r_min is None and levels:
        level = fewest_steps(None, steps) / eta
        while round(level) >= 1 and len(below) < LOWER_RUNGS:
            if round(level) < (below or levels)[0]:
                below.insert(0, round(level))
            level /= eta
    return tuple(below)


def bracket_shares(rungs: int, eta: float) -> list[float]:
    """Return P(s) for s = 0 … K, K = ``rungs``: the shares of trials that begin at rung s; K: they run to the end.

    P(s) ~ (K+1)/(K-s+1)·eta^(K-s) (Tiao et al., arXiv 2003.10865): Hyperband's bracket K - s begins with so many.
    """
    weights = [(rungs + 1) / (rungs - s + 1) * eta ** (rungs - s) for s in range(rungs + 1)]
    return [weight / sum(weights) for weight in weights]


@dataclass(frozen=True, slots=True)
class Plan:
    """One bracket: ``sizes[i]`` trials run to ``levels[i]`` steps; the last level is the end of a trial."""

    sizes: tuple[int, ...]
    levels: tuple[int, ...]


def halvings(eta: float, r_min: float, steps: int) -> int:
    """Return s_max, how often r_min fits into ``steps`` when multiplied by eta.

    ``r_min`` is not to be rounded up: from 2 instead of 50/27 steps there are two halvings to 50 instead of three.
    """
    return math.floor(math.log(steps / r_min, eta) + _TOLERANCE)


def plan(eta: float, r_min: float, steps: int, s: int, n: int | None = None) -> Plan:
    """Return Hyperband's bracket ``s``; with ``n`` trials in its first rung if that is given."""
    s_max = halvings(eta, r_min, steps)
    if n is None:
        n = math.ceil((s_max + 1) / (s + 1) * eta**s - _TOLERANCE)
    sizes = tuple(max(1, math.floor(n / eta**i + _TOLERANCE)) for i in range(s + 1))
    levels = tuple(max(round(r_min), round(steps / eta ** (s - i))) for i in range(s + 1))
    return Plan(sizes, levels)


def hyperband_plans(eta: float, r_min: float, steps: int) -> tuple[Plan, ...]:
    """Return all brackets of one round of Hyperband, s = s_max … 0."""
    return tuple(plan(eta, r_min, steps, s) for s in reversed(range(halvings(eta, r_min, steps) + 1)))


def shrunk(bracket: Plan, n: int) -> tuple[int, ...]:
    """Return the sizes of a bracket that has only ``n`` trials to begin with."""
    first = bracket.sizes[0]
    return tuple(min(size, max(1, size * n // first)) for size in bracket.sizes) if n < first else bracket.sizes
