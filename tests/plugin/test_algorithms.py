"""Recipes: what the names stand for, and how they go together with the parts."""

from __future__ import annotations

from importlib import metadata

import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import registry
from aiohpo.plugin.algorithms import recipe, searcher_and_scheduler


@pytest.mark.parametrize(
    ("name", "searcher", "scheduler"),
    [
        ("adbo", "adbo", "fifo"),
        ("asha", "random", "asha"),
        ("hyperband", "random", "hyperband"),
        ("bohb", "kde", "hyperband"),
        ("abohb", "gp", "asha"),
        ("pbt", "random", "pbt"),
    ],
)
def test_a_recipe_names_both_parts(name: str, searcher: str, scheduler: str) -> None:
    """Each recipe is the pair that its paper describes; what else it says is options of these."""
    found = recipe(name)
    assert (found.searcher.partition(":")[0], found.scheduler.partition(":")[0]) == (searcher, scheduler)


def test_what_is_named_by_itself_overrides_that_part() -> None:
    """A searcher beside a recipe replaces the recipe's; without a recipe nothing is added to what was given."""
    assert searcher_and_scheduler("bohb", None, None) == (recipe("bohb").searcher, recipe("bohb").scheduler)
    assert searcher_and_scheduler("bohb", "gp", None) == ("gp", recipe("bohb").scheduler)
    assert searcher_and_scheduler("bohb", None, "asha:eta=4") == (recipe("bohb").searcher, "asha:eta=4")
    assert searcher_and_scheduler(None, "gp", None) == ("gp", None)


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    """With a guess where one is near; options belong to the parts."""
    with pytest.raises(UsageError, match=r"no algorithm named 'abobh'\. Did you mean 'abohb'\? Installed: abohb, adbo"):
        recipe("abobh")
    with pytest.raises(UsageError, match="takes no options, as in 'asha:eta=4'; give them to its parts"):
        recipe("asha:eta=4")


def test_anybodys_recipe_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package adds one; what its entry point names must be a recipe."""
    known = {
        "mine": metadata.EntryPoint("mine", "aiohpo_plugins.algorithms:BOHB", "aiohpo.algorithms"),
        "wrong": metadata.EntryPoint("wrong", "aiohpo_plugins.searchers.random:RandomSearcher", "aiohpo.algorithms"),
    }
    monkeypatch.setattr(registry, "available", lambda kind: known if kind == "algorithms" else {})
    assert searcher_and_scheduler("mine", None, None) == ("kde", "hyperband")
    with pytest.raises(UsageError, match="the algorithm 'wrong' is a type and not a recipe"):
        recipe("wrong")
