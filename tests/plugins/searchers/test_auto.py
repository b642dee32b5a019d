"""Tests of the searcher that chooses between others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import ExplainingSearcher, Identity
from aiohpo.space.space import Float, Int, Space
from aiohpo.testing import StaticView, check_searcher
from aiohpo_plugins.searchers.auto import AutoSearcher
from aiohpo_plugins.searchers.gp.searcher import GPSearcher

SPACE = Space(x=Float(0, 1), n=Int(1, 9))
X = SPACE.sample(np.random.default_rng(0), 60)


def view(n: int, pending: int = 0, **more: Any) -> StaticView:
    return StaticView(SPACE, X[:n], X[:n, 0], pending=X[n : n + pending], **more)


def bound(identity: Identity | None = None, **options: Any) -> AutoSearcher:
    searcher = AutoSearcher(**options)
    searcher.setup(SPACE, 0, Identity("w", 0, 1) if identity is None else identity)
    return searcher


def refit(searcher: AutoSearcher, known: StaticView) -> str:
    """What it says after it has learnt from a view."""
    searcher.adopt(searcher.fit(known.observations()))
    return searcher.explain()


@pytest.mark.parametrize("observations", [6, 500])
def test_conforms(observations: int) -> None:
    """Every promise of a searcher is kept, with and without a change of the searcher on the way."""
    check_searcher(lambda: AutoSearcher(observations=observations), spaces={"mixed": SPACE})


def test_suggests_what_gp_does_while_there_are_few_observations() -> None:
    """Before the first model and with one the answers are those of the searcher that it says it uses."""
    other = GPSearcher()
    other.setup(SPACE, 0, Identity("w", 0, 1))
    searcher = bound()
    for n in (0, 12):
        known, rng = view(n), np.random.default_rng
        assert refit(searcher, known) == "auto: gp, as fewer than 500 trials are observed"
        other.adopt(other.fit(known.observations()))
        assert searcher.ask(known, rng(0), [0] * 3) == other.ask(known, rng(0), [0] * 3)


def test_passes_on_as_observations_grow_and_forgets_none() -> None:
    """The next searcher learns from all observations, and stays."""
    searcher = bound(observations=30)
    assert "gp" in refit(searcher, view(29))
    assert refit(searcher, view(30)) == "auto: adbo, as 30 trials or more are observed"
    assert not view(30).seen(SPACE.encode(searcher.ask(view(30), np.random.default_rng(0), [0]))).any()
    assert "adbo" in refit(searcher, view(20))


def test_trials_that_have_reported_count_where_there_are_steps() -> None:
    """A trial that is paused counts as one that is complete."""
    reports = [(i, 1, float(i)) for i in range(40)]
    partial = StaticView(SPACE, partial=X[:40], reports=reports, max_steps=9)
    assert "adbo" in refit(bound(observations=30), partial)


def test_many_slots_are_served_by_the_one_that_scales() -> None:
    """Both those that were launched together count and those that run."""
    launched = bound(Identity("w", 8, 256, slots=4))
    assert launched.explain() == "auto: adbo, as 256 trials run at a time"
    joined = bound(outstanding=20)
    assert "gp" in refit(joined, view(30, 19))
    assert refit(joined, view(30, 20)) == "auto: adbo, as 20 trials or more run at a time"


def test_cheap_evaluations_are_left_to_the_one_that_learns_faster() -> None:
    """If more results come during a fit than half of those that it knew, the next fit is the other's."""
    searcher = bound()
    refit(searcher, view(24))
    searcher.ask(view(36), np.random.default_rng(0), [0])
    assert "gp" in refit(searcher, view(37))
    searcher.ask(view(56), np.random.default_rng(0), [0])
    assert refit(searcher, view(57)) == "auto: adbo, as evaluations take less time than gp takes to learn from them"


def test_says_what_it_does() -> None:
    """It is a searcher that explains itself, and its repr names the one in use."""
    assert isinstance(bound(), ExplainingSearcher)
    assert repr(bound()) == "<AutoSearcher <GPSearcher decay, believer, no model yet>>"
    assert repr(AutoSearcher()) == "<AutoSearcher>"


def test_wrong_options_are_refused() -> None:
    """The error names the option and what it must be."""
    with pytest.raises(UsageError, match="auto: observations must be a whole number of at least 1, not 0"):
        AutoSearcher(observations=0)
