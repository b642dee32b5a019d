"""Conditions between parameters, reduced to column numbers and native values.

``when={"optimizer": ["sgd", "rmsprop"], "nesterov": True}`` makes a parameter active where every named parent
is active and has one of its values. Conditions are thus conjunctions of memberships. That is why two
questions have exact answers without search:

- Can it ever hold? Intersect, per column, what the condition and those of all ancestors allow; columns are
  otherwise free, so it can hold if and only if no intersection is empty.
- How many configurations are there? Within a group of parameters linked by conditions, branch over the
  parents; values of a parent that occur in the same conditions are alike, so each such class is tried once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias

from ..errors import UsageError
from .parameter import Parameter
from .scalars import Scalar

Values: TypeAlias = frozenset[float | int]
# (column of a parent, the native values that satisfy) for each parent; empty: always active
Condition: TypeAlias = tuple[tuple[int, Values], ...]

# Branches that `count` tries before it settles for the upper bound; about 10 ms.
MOST_BRANCHES = 10_000


def condition_holds(condition: Condition, row: Sequence[float | int | None]) -> bool:
    """Say whether ``condition`` holds in a native row whose inactive entries are None."""
    for column, values in condition:  # noqa: SIM110 - all() over a generator takes twice as long
        if row[column] not in values:
            return False
    return True


def resolve(
    params: Mapping[str, Parameter], columns: Mapping[str, int], unknown: Callable[[str], str]
) -> tuple[dict[str, Condition], list[str]]:
    """Translate every ``when``; return the conditions by name, and the names with parents first.

    ``columns`` gives the column of each parameter that has one; ``unknown`` words the complaint about a name
    that does not exist. Raises UsageError for unknown parents, cycles and what can never hold.
    """
    graph = {name: tuple(param.condition) for name, param in params.items()}
    for name, parents in graph.items():
        for parent in parents:
            if parent not in params:
                raise UsageError(f"parameter {name!r}: when names an {unknown(parent)}")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        chain = " needs ".join(repr(name) for name in reversed(error.args[1]))
        raise UsageError(f"conditions form a cycle: {chain}; remove one of them.") from None
    order: dict[str, None] = {}

    def place(name: str) -> None:
        if name not in order:
            for parent in graph[name]:
                place(parent)
            order[name] = None

    # not the sorter's own order, which goes by depth: as declared, but for parents declared after children
    for name in params:
        place(name)

    conditions: dict[str, Condition] = {}
    closures: dict[str, dict[int, Values]] = {}
    for name in order:
        needs: dict[tuple[int, Values], None] = {}
        closure: dict[int, Values] = {}
        for parent, values in params[name].condition.items():
            allowed = frozenset(_native(name, parent, params[parent], value) for value in values)
            if parent in columns:
                needs[columns[parent], allowed] = None
            else:  # a constant has its one value wherever it is active, so its own condition takes its place
                needs.update(dict.fromkeys(conditions[parent]))
            for column, values_there in (*closures[parent].items(), *needs):
                closure[column] = closure.get(column, values_there) & values_there
        if empty := [column for column, values_there in closure.items() if not values_there]:
            culprit = next(n for n, column in columns.items() if column == empty[0])
            raise UsageError(
                f"parameter {name!r} can never be active: its condition and those of its parents need "
                f"{culprit!r} to have different values at the same time."
            )
        conditions[name], closures[name] = tuple(needs), closure
    return conditions, list(order)


def _native(name: str, parent: str, param: Parameter, value: Scalar) -> float | int:
    if param.levels is None:
        raise UsageError(
            f"parameter {name!r}: when names {parent!r}, which is continuous and so would practically never "
            f"equal {value!r}; give {parent!r} a step, or make the condition about another parameter."
        )
    try:
        return param.native(value)
    except UsageError as error:
        raise UsageError(f"parameter {name!r}: when names a value that {parent!r} never has: {error}") from None


def count_configurations(conditions: Sequence[Condition], levels: Sequence[float], order: Sequence[int]) -> float:
    """Return the number of distinct configurations; inf if a column has infinitely many levels.

    ``conditions`` and ``levels`` are per column, ``order`` lists the columns with parents first. Exact,
    unless parents are so entangled that more than MOST_BRANCHES cases had to be told apart: then, for those
    parameters, the product of their levels, an upper bound.
    """
    if math.inf in levels:
        return math.inf
    group = list(range(len(levels)))
    for column, condition in enumerate(conditions):
        for parent, _ in condition:
            old, new = group[column], group[parent]
            group = [new if g == old else g for g in group]
    total = 1.0
    for g in set(group):
        members = [column for column in order if group[column] == g]
        total *= _count_group(members, conditions, levels)
    return total


def _count_group(members: list[int], conditions: Sequence[Condition], levels: Sequence[float]) -> float:
    uses: dict[int, list[Values]] = {}
    for column in members:
        for parent, values in conditions[column]:
            if values not in uses.setdefault(parent, []):
                uses[parent].append(values)
    classes = {parent: _classes(sets, levels[parent]) for parent, sets in uses.items()}
    row: list[Any] = [None] * len(levels)
    branches = 0

    def walk(i: int) -> float:
        nonlocal branches
        branches += 1
        factor = 1.0
        for j in range(i, len(members)):
            column = members[j]
            row[column] = None
            if not condition_holds(conditions[column], row):
                continue
            if column not in classes:
                factor *= levels[column]
                continue
            total = 0.0
            for example, size in classes[column]:
                if branches > MOST_BRANCHES:
                    break
                row[column] = example
                total += size * walk(j + 1)
            return factor * total
        return factor

    exact = walk(0)
    return exact if branches <= MOST_BRANCHES else math.prod(levels[column] for column in members)


def _classes(sets: list[Values], levels: float) -> list[tuple[float | int | None, float]]:
    """Group a parent's values by the sets they are in: (an example, how many); None stands for the rest."""
    sizes: dict[tuple[bool, ...], list[Any]] = {}
    mentioned = frozenset[float | int]().union(*sets)
    for value in mentioned:
        entry = sizes.setdefault(tuple(value in s for s in sets), [value, 0])
        entry[1] += 1
    rest = levels - len(mentioned)
    return [(example, size) for example, size in sizes.values()] + ([(None, rest)] if rest else [])
