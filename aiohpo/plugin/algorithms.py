"""Recipes: a searcher and a scheduler by one name, as ``aiohpo run --algorithm`` takes it.

Any searcher works with any scheduler; a recipe names a pair that has a name in the literature. It is nothing but its
two parts: what either of them needs or refuses is said by itself. A package registers one by an entry point, as it
registers a searcher::

    [project.entry-points."aiohpo.algorithms"]
    bohb = "my_package.algorithms:BOHB"        # BOHB = Recipe("kde", "hyperband", "Hyperband with density estimates")

The module that holds it should import little, as it is loaded to be listed.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from .registry import load_plugin


@dataclass(frozen=True, slots=True)
class Recipe:
    """A searcher and a scheduler that go together.

    searcher, scheduler  as ``Study(searcher=…, scheduler=…)`` takes them, by name and with options if need be
    summary              one line for people, with the source
    """

    searcher: str
    scheduler: str
    summary: str


def recipe(name: str) -> Recipe:
    """Return the recipe of this name. Raises ``UsageError`` that lists what is installed."""
    if ":" in name:
        raise UsageError(
            f"a recipe takes no options, as in {name!r}; give them to its parts: --searcher NAME:option=value, "
            "--scheduler NAME:option=value"
        )
    found: object = load_plugin("algorithms", name)
    if not isinstance(found, Recipe):
        raise UsageError(
            f"the algorithm {name!r} is a {type(found).__name__} and not a recipe: its entry point must name an "
            "aiohpo.plugin.Recipe"
        )
    return found


def searcher_and_scheduler(
    algorithm: str | None, searcher: str | None, scheduler: str | None
) -> tuple[str | None, str | None]:
    """Return the searcher and the scheduler that were asked for; None where nothing was.

    What is named by itself overrides that part of the recipe. Raises ``UsageError`` for an unknown recipe.
    """
    if algorithm is None:
        return searcher, scheduler
    found = recipe(algorithm)
    return searcher or found.searcher, scheduler or found.scheduler
