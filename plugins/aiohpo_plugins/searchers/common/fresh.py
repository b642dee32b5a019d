"""Configurations that are neither evaluated nor being evaluated, each at most once.

Every searcher ends in the same two questions: is this row new, and what if none of mine is? A space that is
almost exhausted is searched systematically, so that the last configuration is found and then none is returned.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.space.row_hashes import row_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray, StudyView
    from aiohpo.space.space import Space

SAMPLES = 256  # with 97 % of a finite space seen, 256 random rows still find a new one in 99.96 % of asks
SCAN = 1024


def first_occurrences(units: FloatArray) -> NDArray[np.intp]:
    """Return the indices of the first occurrence of each row of ``units`` (n, d), ascending."""
    return np.sort(np.unique(row_hashes(units), return_index=True)[1])


def rows_without(units: FloatArray, taken: FloatArray) -> FloatArray:
    """Return the rows of ``units`` (n, d) that are not among ``taken`` (k, d), each once, in the given order.

    Only ``units`` are sorted: of a long search 100,000 rows are taken, and sorting them took a third of a fit's time.
    """
    distinct, first = np.unique(row_hashes(units), return_index=True)
    if len(distinct) and len(taken):
        hashes = row_hashes(taken)
        at = np.minimum(np.searchsorted(distinct, hashes), len(distinct) - 1)
        is_new = np.ones(len(distinct), bool)
        is_new[at[distinct[at] == hashes]] = False
        first = first[is_new]
    return units[np.sort(first)]


def unseen_rows(view: StudyView, units: FloatArray) -> FloatArray:
    """Return the rows of snapped ``units`` (n, d) that are new to ``view``, each once, in the given order."""
    units = units[~view.seen(units)]
    return units[first_occurrences(units)]


def every_configuration(space: Space) -> Iterator[FloatArray]:
    """Yield all configurations of a finite space, as unit rows (k, d), in chunks."""
    grid = space.grid(int(space.cardinality.max(initial=1)))
    while chunk := list(islice(grid, SCAN)):
        yield space.encode(chunk)


def random_fresh_rows(view: StudyView, rng: np.random.Generator, n: int, besides: FloatArray) -> FloatArray:
    """Return up to ``n`` random new rows that are not among ``besides`` (k, d): fewer only if no more exist."""
    space = view.space
    taken = besides
    for _ in range(4):
        rows = unseen_rows(view, space.sample(rng, max(SAMPLES, n)))
        rows = rows_without(rows, taken)
        taken = np.concatenate([taken, rows[: n - (len(taken) - len(besides))]])
        if len(taken) - len(besides) >= n:
            return taken[len(besides) :]
    if np.isfinite(space.size):
        for rows in every_configuration(space):
            rows = rows_without(unseen_rows(view, rows), taken)
            taken = np.concatenate([taken, rows[: n - (len(taken) - len(besides))]])
            if len(taken) - len(besides) >= n:
                break
    return taken[len(besides) :]
