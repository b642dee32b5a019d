"""Recipes: what the names stand for, and how they go together with the parts."""

from __future__ import annotations

import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin.algorithms import RECIPES, parts, recipe


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
    assert parts("bohb", None, None) == (RECIPES["bohb"].searcher, RECIPES["bohb"].scheduler)
    assert parts("bohb", "gp", None) == ("gp", RECIPES["bohb"].scheduler)
    assert parts("bohb", None, "asha:eta=4") == (RECIPES["bohb"].searcher, "asha:eta=4")
    assert parts(None, "gp", None) == ("gp", None)


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    """With a guess where one is near; options belong to the parts."""
    with pytest.raises(UsageError, match=r"no recipe 'abobh'\. Did you mean 'abohb'\? There are: adbo"):
        recipe("abobh")
    with pytest.raises(UsageError, match="takes no options, as in 'asha:eta=4'; give them to its parts"):
        recipe("asha:eta=4")
