"""Tests of BOHB's sampler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Identity
from aiohpo.space.space import Float, Space
from aiohpo.testing import StaticView, check_searcher
from aiohpo_plugins.searchers.density.kde import KDESearcher
from aiohpo_plugins.searchers.quasirandom import QuasiRandomSearcher

PLANE = Space(x=Float(0, 1), y=Float(0, 1))


@pytest.mark.parametrize("pending", [False, True])
def test_conforms(pending: bool) -> None:
    """KDE keeps every promise of a searcher."""
    check_searcher(lambda: KDESearcher(pending=pending))


def fitted(n: int, failed: int = 0) -> Any:
    X = PLANE.sample(np.random.default_rng(0), n + failed)
    searcher = KDESearcher()
    searcher.setup(PLANE, 0, Identity("w", 0, 1))
    return searcher.fit(StaticView(PLANE, X[:n], np.arange(n), failed=X[n:]).observations())


def test_needs_good_and_bad_ones() -> None:
    """The densities are used from d + 1 good and d + 1 bad trials on; failures are bad ones."""
    assert fitted(5) is None
    assert fitted(2, failed=20) is None
    assert fitted(3, failed=3) is not None
    model = fitted(6)
    assert (len(model.good), len(model.bad)) == (3, 3)


def test_the_best_fifteen_percent_are_good() -> None:
    """Of many trials, the best 15 % are good and all others bad."""
    model = fitted(100)
    assert (len(model.good), len(model.bad)) == (15, 85)


def test_a_third_is_random() -> None:
    """A third of the suggestions is drawn from the whole space, the others from around the good ones."""
    X = np.concatenate([PLANE.sample(np.random.default_rng(0), 50), [[0.9, 0.9], [0.91, 0.9], [0.9, 0.91]]])
    view = StaticView(PLANE, X, -X.min(axis=1) // 0.89)
    searcher = KDESearcher(good=0.01)
    searcher.setup(PLANE, 0, Identity("w", 0, 1))
    searcher.adopt(searcher.fit(view.observations()))
    rng = np.random.default_rng(0)
    rows = PLANE.encode([searcher.ask(view, rng, (0,))[0] for _ in range(500)])
    assert np.mean(np.abs(rows - 0.9).max(axis=1) > 0.1) == pytest.approx(1 / 3, abs=0.07)


def test_starts_with_the_defaults_and_a_sobol_sequence() -> None:
    """Until there are enough trials, suggestions are the defaults and those of the quasi-random searcher."""
    view = StaticView(PLANE, [[0.1, 0.2]], [1.0])
    answers = []
    for searcher in (KDESearcher(), QuasiRandomSearcher()):
        searcher.setup(PLANE, 0, Identity("w", 0, 1))
        answers.append(searcher.ask(view, np.random.default_rng(0), [0] * 3))
    assert answers[0] == [PLANE.default(), *answers[1][:2]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"good": 1}, "kde: good must be a number above 0 and below 1, not 1"),
        ({"candidates": 0}, "kde: candidates must be a whole number of at least 1, not 0"),
        ({"factor": "wide"}, "kde: factor must be a number above 0 and below 100, not 'wide'"),
        ({"random": 1.5}, "kde: random must be a number from 0 to 1, not 1.5"),
        ({"min_bandwidth": 0}, "kde: min_bandwidth must be a number above 0"),
        ({"pending": "bad"}, "kde: pending must be true or false, not 'bad'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    """The error names the option, the value and what is allowed."""
    with pytest.raises(UsageError, match=message):
        KDESearcher(**options)


def test_repr_is_a_status_line() -> None:
    """The repr tells how many kernels there are."""
    searcher = KDESearcher()
    assert repr(searcher) == "<KDESearcher no model yet>"
    searcher.adopt(fitted(6))
    assert repr(searcher) == "<KDESearcher 3 good and 3 bad kernels>"
