"""Synthetic objectives for the searcher benchmarks, all to be minimised.

A function that has its optimum in the centre of the box flatters searchers that start or average there. So the
optimum is *shifted*: to a place that depends on the seed, in every coordinate 10 to 40 % of the range away from
the centre.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Function = Callable[[Vector], float]


def ackley(x: Vector) -> float:
    """A funnel covered by ripples, flat far away from the optimum at 0."""
    d = len(x)
    ripple = np.exp(np.cos(2 * np.pi * x).mean())
    return float(20 + np.e - 20 * np.exp(-0.2 * np.sqrt(x @ x / d)) - ripple)


def levy(x: Vector) -> float:
    """A bowl with ridges; optimum 0 at (1, …, 1)."""
    w = 1 + (x - 1) / 4
    head, tail = w[:-1] - 1, w[-1] - 1
    ridges = (head**2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)).sum()
    return float(np.sin(np.pi * w[0]) ** 2 + ridges + tail**2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2))


def rosenbrock(x: Vector) -> float:
    """A narrow curved valley; optimum 0 at (1, …, 1)."""
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rastrigin(x: Vector) -> float:
    """A bowl full of deep regular holes; optimum 0 at 0."""
    return float((x**2 - 10 * np.cos(2 * np.pi * x) + 10).sum())


def ellipsoid(x: Vector) -> float:
    """A bowl with axes of very different length, ratio 1000; optimum 0 at 0."""
    return float((10 ** np.linspace(0, 3, len(x)) * x**2).sum())


_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(x: Vector) -> float:
    """Six dimensions, four basins; optimum -3.3224."""
    return float(-(np.array([1, 1.2, 3, 3.2]) * np.exp(-(_A * (x - _P) ** 2).sum(axis=1))).sum())


def _shifted_to(rng: np.random.Generator, d: int) -> Vector:
    away = rng.uniform(0.1, 0.4, d)
    return np.asarray(0.5 + np.where(rng.random(d) < 0.5, -away, away))


def optimum(name: str, seed: int) -> Vector:
    """Return where in [0, 1]^d the optimum of ``unit(name, seed)`` is, which must be a shifted one."""
    _, d = unit(name, seed)
    return _shifted_to(np.random.default_rng([seed, d]), d)


def unit(name: str, seed: int) -> tuple[Function, int]:
    """Return a function on [0, 1]^d and d.

    ``name`` is like ``ackley5``: shifted, dimension 5. Prefixes: ``rot-`` also rotated, ``noisy-`` with noise of
    a tenth of what the function varies near its optimum, ``plain-`` not shifted.
    """
    *prefixes, base = name.split("-")
    stem, d = base.rstrip("0123456789"), int(base[len(base.rstrip("0123456789")) :])
    function, low, high, optimum = {
        "ackley": (ackley, -32.768, 32.768, 0.0),
        "levy": (levy, -10.0, 10.0, 1.0),
        "rosenbrock": (rosenbrock, -5.0, 10.0, 1.0),
        "rastrigin": (rastrigin, -5.12, 5.12, 0.0),
        "ellipsoid": (ellipsoid, -5.0, 5.0, 0.0),
        "hartmann": (hartmann, 0.0, 1.0, None),
    }[stem]
    rng = np.random.default_rng([seed, d])
    span = high - low
    if optimum is None or "plain" in prefixes:
        return (lambda u: function(low + span * u)), d
    place = _shifted_to(rng, d)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0] if "rot" in prefixes else np.eye(d)

    def shifted(u: Vector) -> float:
        return function(span * (turn @ (u - place)) + optimum)

    if "noisy" not in prefixes:
        return shifted, d
    noise = np.random.default_rng([seed, d, 1])
    scale = 0.1 * float(np.std([shifted(place + 0.3 * noise.normal(size=d)) for _ in range(50)]))
    return (lambda u: shifted(u) + scale * noise.normal()), d
