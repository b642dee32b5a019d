"""Views with a fixed content."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Categorical, Float, Space
from aiohpo.testing import StaticView

SPACE = Space(x=Float(0, 2), kind=Categorical(["a", "b"]), y=Float(0, 1, when={"kind": "a"}))


def test_arrays_and_configurations_are_the_same() -> None:
    """Configurations may be given as dicts or as unit rows."""
    rows = SPACE.sample(np.random.default_rng(0), 4)
    of_rows = StaticView(SPACE, rows, range(4)).observations()
    of_dicts = StaticView(SPACE, SPACE.decode(rows), range(4)).observations()
    np.testing.assert_allclose(of_rows.X, of_dicts.X)
    assert of_rows.y.tolist() == [0, 1, 2, 3]


def test_counts_and_content() -> None:
    """Trials are what was observed, failed or is pending; observed is what has a result."""
    rows = SPACE.sample(np.random.default_rng(1), 6)
    view = StaticView(SPACE, rows[:3], [1, 2, 3], failed=rows[3:4], pending=rows[4:])
    assert (view.n_trials, view.n_observed) == (6, 4)
    content = view.observations()
    assert [len(a) for a in (content.X, content.y, content.failed, content.pending)] == [3, 3, 1, 2]
    assert content is view.observations()
    assert repr(view) == "<StaticView 3 observed, 1 failed, 2 pending>"


def test_seen() -> None:
    """Seen is what is observed, failed or pending, inactive parameters included in the comparison."""
    rows = SPACE.sample(np.random.default_rng(2), 40)
    view = StaticView(SPACE, rows[:10], range(10), failed=rows[10:20], pending=rows[20:30])
    assert view.seen(rows).tolist() == [True] * 30 + [False] * 10
    assert view.seen(rows[:0]).tolist() == []


def test_empty_view() -> None:
    """Without content there are empty arrays of the right shape."""
    content = StaticView(SPACE).observations()
    assert content.X.shape == content.failed.shape == content.pending.shape == (0, 3)


def test_views_differ_in_version() -> None:
    """Two views never share a version, so that nobody's cache confuses them."""
    assert StaticView(SPACE).observations().version != StaticView(SPACE).observations().version


def test_content_is_read_only() -> None:
    """A searcher that writes to what it was shown gets an error."""
    view = StaticView(SPACE, [[0.5, 0.25, 0.5]], [1.0])
    with pytest.raises(ValueError, match="read-only"):
        view.observations().X[0, 0] = 1


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[0.5]], [1.0], r"X has shape \(1, 1\); the space needs \(k, 3\)"),
        ([[0.5, 0.25, 0.5]], [1.0, 2.0], r"y has shape \(2,\); X has 1 rows"),
        ([[0.5, 0.25, 0.5]], [float("nan")], "y must be finite"),
    ],
)
def test_wrong_shapes(X: object, y: object, message: str) -> None:
    """Content that does not fit the space or itself is refused with the reason."""
    with pytest.raises(ValueError, match=message):
        StaticView(SPACE, X, y)


def test_pending_rows_can_be_read_by_themselves() -> None:
    """The latest of them too; what was proposed is everything, at any moment."""
    rows = SPACE.sample(np.random.default_rng(0), 5)
    view = StaticView(SPACE, rows[:2], [1.0, 2.0], pending=rows[2:])
    assert view.pending() is view.observations().pending
    assert np.array_equal(view.pending(2), view.pending()[1:], equal_nan=True)
    assert len(view.pending(9)) == 3
    rows, running, _ = view.proposed(view.observations().moment)
    assert len(rows) == 5
    assert running.tolist() == [False, False, True, True, True]
