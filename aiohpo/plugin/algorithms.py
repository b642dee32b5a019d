"""Recipes: a searcher and a scheduler by one name, as ``aiohpo run --algorithm`` takes it.

Any searcher works with any scheduler; these pairs are the ones with names in the literature. A recipe is nothing
but its two parts: what either of them needs or refuses is said by itself.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Recipe:
    """``searcher`` and ``scheduler`` are as ``Study(searcher=…, scheduler=…)`` takes them."""

    searcher: str
    scheduler: str
    summary: str


# In the order in which people meet them: from no early stopping to population based training.
RECIPES = {
    "adbo": Recipe("adbo", "fifo", "random forest, every trial to its end; Egele et al., arXiv 2207.00479"),
    "asha": Recipe("random", "asha", "asynchronous successive halving; Li et al., arXiv 1810.05934"),
    "hyperband": Recipe("random", "hyperband", "brackets of successive halving; Li et al., arXiv 1603.06560"),
    "bohb": Recipe("kde", "hyperband", "Hyperband with density estimates; Falkner et al., arXiv 1807.01774"),
    "abohb": Recipe("gp", "asha", "Gaussian process over configuration and step; Klein et al., arXiv 2003.10865"),
    "pbt": Recipe("random", "pbt", "population based training; Jaderberg et al., arXiv 1711.09846"),
}


def recipe(name: str) -> Recipe:
    """Return the recipe of this name. Raises ``UsageError`` that lists what there is."""
    if name in RECIPES:
        return RECIPES[name]
    if ":" in name:
        raise UsageError(
            f"a recipe takes no options, as in {name!r}; give them to its parts: --searcher NAME:option=value, "
            "--scheduler NAME:option=value"
        )
    close = difflib.get_close_matches(name, RECIPES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(
        f"there is no recipe {name!r}.{hint} There are: {', '.join(RECIPES)}; "
        "or choose the parts: --searcher NAME, --scheduler NAME."
    )


def parts(algorithm: str | None, searcher: str | None, scheduler: str | None) -> tuple[str | None, str | None]:
    """The searcher and the scheduler that were asked for; None where nothing was. What is named by itself
    overrides that part of the recipe. Raises ``UsageError`` for an unknown recipe."""
    if algorithm is None:
        return searcher, scheduler
    found = recipe(algorithm)
    return searcher or found.searcher, scheduler or found.scheduler
