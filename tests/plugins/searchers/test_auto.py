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


@pytest.mark.parametrize(("turns", "observations"), [(100, 6), (6, 500)])
def test_conforms(turns: int, observations: int) -> None:
    """Every promise of a searcher is kept, where another one takes over on the way and where two take turns."""
    check_searcher(lambda: AutoSearcher(turns=turns, observations=observations), spaces={"mixed": SPACE})


def test_suggests_what_gp_does_while_there_are_few_observations() -> None:
    """Before the first model and with one the answers are those of the searcher that it says it uses."""
    other = GPSearcher()
    other.setup(SPACE, 0, Identity("w", 0, 1))
    searcher = bound()
    for n in (0, 12):
        known, rng = view(n), np.random.default_rng
        assert refit(searcher, known) == "auto: gp, as fewer than 100 trials, or 500 with steps, are observed"
        other.adopt(other.fit(known.observations()))
        assert searcher.ask(known, rng(0), [0] * 3) == other.ask(known, rng(0), [0] * 3)


STILL = np.concatenate([[0.0], X[1:, 0] + 1.0])


def still(n: int, best: int = 0) -> StaticView:
    """Nothing is as good as the loss number ``best``."""
    return StaticView(SPACE, X[:n], np.roll(STILL, best)[:n])


def test_the_two_take_turns_while_nothing_improves() -> None:
    """Each has about half of the fits, and of two peers that know the same one uses the one and one the other."""
    peers = [bound(Identity("w", rank, 2), turns=30) for rank in range(2)]
    used = []
    for n in range(30, 38):
        said = {refit(peer, still(n)) for peer in peers}
        assert said == {"auto: gp, and adbo in turn while nothing improves, as 30 trials or more are observed"}
        used.append([repr(peer)[15:17] for peer in peers])
    assert all({first, second} == {"GP", "AD"} for first, second in used)
    assert 3 <= sum(first == "GP" for first, _ in used) <= 5
    for n in range(38, 42):
        assert {refit(peer, still(n, best=33)) for peer in peers} == said
        assert all("GP" in repr(peer) for peer in peers)


def test_each_turn_is_a_function_of_what_is_observed() -> None:
    """A worker that begins late suggests what one does that was there from the start."""
    early, known, rng = bound(turns=30), still(33), np.random.default_rng
    for n in range(30, 34):
        refit(early, still(n))
    late = bound(turns=30)
    refit(late, known)
    assert early.ask(known, rng(0), [0] * 3) == late.ask(known, rng(0), [0] * 3)


def test_there_are_no_turns_where_trials_have_steps() -> None:
    """Partial trials are left to the model of resources."""
    reports = [(i, 1, float(i)) for i in range(40)]
    partial = StaticView(SPACE, partial=X[:40], reports=reports, max_steps=9)
    assert "gp, as fewer" in refit(bound(turns=30), partial)


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
