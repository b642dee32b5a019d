"""Tests of grid search."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Config, Identity
from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo.testing import StaticView, check_searcher
from aiohpo_plugins.searchers.grid import GridSearcher

SPACE = Space(
    model=Categorical(["linear", "tree"]),
    depth=Int(1, 3, when={"model": "tree"}),
    l2=Float(0.0, 1.0, when={"model": "linear"}),
)


def walk(identities: list[Identity], resolution: int = 4, batch: int = 1) -> list[list[Config]]:
    """Let workers ask in turn, each knowing all that the others do, until none gets anything."""
    searchers = []
    for identity in identities:
        searchers.append(GridSearcher(resolution))
        searchers[-1].setup(SPACE, 0, identity)
    done: list[list[Config]] = [[] for _ in searchers]
    rng = np.random.default_rng(0)
    asked = True
    while asked:
        asked = False
        for searcher, mine in zip(searchers, done, strict=True):
            view = StaticView(SPACE, pending=[c for configs in done for c in configs])
            configs = searcher.ask(view, rng, [0] * batch)
            mine.extend(configs)
            asked |= bool(configs)
    return done


def texts(configs: list[Config]) -> list[str]:
    return sorted(json.dumps(c) for c in configs)


def test_conforms() -> None:
    """Grid search keeps every promise of a searcher."""
    check_searcher(GridSearcher)


@pytest.mark.parametrize(
    "identities",
    [
        [Identity("a", 0, 1)],
        [Identity("a", 0, 2), Identity("b", 1, 2)],
        [Identity("a"), Identity("b", 0, 3), Identity("c")],
    ],
)
def test_every_point_exactly_once_and_then_the_end(identities: list[Identity]) -> None:
    """Whoever takes part, the grid is walked completely, without repetition, and ends."""
    done = walk(identities)
    assert texts([c for configs in done for c in configs]) == texts(list(SPACE.grid(4)))
    assert all(done)


def test_ranks_take_their_own_share_without_hearing_of_each_other() -> None:
    """Two ranks that see nothing of each other do not choose the same points."""
    space, view = Space(a=Int(1, 100)), StaticView(Space(a=Int(1, 100)))
    taken = []
    for rank in range(2):
        searcher = GridSearcher(100)
        searcher.setup(space, 0, Identity(f"w{rank}", rank, 2))
        taken += [c["a"] for c in searcher.ask(view, np.random.default_rng(0), [0] * 16)]
    assert len(set(taken)) == 32


def test_a_batch_may_be_larger_than_the_window() -> None:
    """Asking for more than the searcher looks ahead still gives that many."""
    space = Space(a=Int(1, 500))
    searcher = GridSearcher(500)
    searcher.setup(space, 0, Identity("a", 0, 1))
    assert len(searcher.ask(StaticView(space), np.random.default_rng(0), [0] * 300)) == 300


def test_resolution_must_be_positive() -> None:
    """A resolution that makes no grid is refused with the value."""
    with pytest.raises(UsageError, match="resolution must be a whole number of at least 1, not 0"):
        GridSearcher(0)


def test_repr_is_a_status_line() -> None:
    """The repr shows the option."""
    assert repr(GridSearcher(5)) == "GridSearcher(resolution=5)"
