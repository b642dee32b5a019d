"""Greedy forward selection with replacement (Caruana et al., ICML 2004).

    S = the best N models                       sorted initialisation; N up to ``start``, whichever is best
    repeat: S = S + {argmin_j loss(S + {j})}    until |S| = size
    the best S on the way is the answer, and how often a model is in it is its weight

Ties go to models that are in S already, which keeps ensembles small.

Losses are remembered by the selection that they were asked for. When a model comes or goes, only what is not known
is computed: for each step of an unchanged path the loss of one model. The result is the same as without a memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohpo.plugin import FloatArray, IntArray

    from .pools import SelectionPool

# Losses this close are equal: sums over rows in single precision are not better.
TIE = 1e-7


@dataclass(frozen=True, slots=True)
class Path:
    """Slots in the order in which they were chosen, the loss after each, and after how many it was best."""

    slots: tuple[int, ...]
    losses: tuple[float, ...]
    best: int

    @property
    def counts(self) -> dict[int, int]:
        """How often each slot is in the best selection."""
        chosen = self.slots[: self.best]
        return {slot: chosen.count(slot) for slot in sorted(set(chosen))}


class LossMemory:
    """Asks a pool for losses and remembers the answers."""

    def __init__(self, pool: SelectionPool) -> None:
        self.pool = pool
        self._known: dict[tuple[int, ...], FloatArray] = {}  # by selection, then by slot; NaN if not known
        self._used: set[tuple[int, ...]] = set()

    def put(self, slot: int, predictions: FloatArray) -> None:
        """Put a model into a slot; nothing that was known of that slot holds any longer."""
        self.forget(slot)
        self.pool.put(slot, predictions)

    def forget(self, slot: int) -> None:
        """Forget a model and every selection that it was in."""
        self._known = {chosen: known for chosen, known in self._known.items() if slot not in chosen}
        for known in self._known.values():
            if slot < len(known):
                known[slot] = np.nan

    def losses(self, chosen: tuple[int, ...], state: Any, slots: IntArray) -> FloatArray:
        """The losses (len(slots),) of a selection, of which ``state`` is the pool's state, with each model added."""
        self._used.add(chosen)
        known = self._known.get(chosen)
        need = int(slots.max()) + 1
        if known is None or len(known) < need:
            grown = np.full(2 * need, np.nan)
            if known is not None:
                grown[: len(known)] = known
            known = self._known[chosen] = grown
        missing = slots[np.isnan(known[slots])]
        if len(missing):
            known[missing] = self.pool.losses(state, missing)
        return known[slots]

    def prune(self) -> None:
        """Forget selections that were not asked for since the last time."""
        self._known = {chosen: known for chosen, known in self._known.items() if chosen in self._used}
        self._used.clear()


def caruana(memory: LossMemory, slots: Sequence[int], size: int, start: int) -> Path:
    """Select ``size`` times among ``slots``, in whose order ties are broken."""
    candidates = np.asarray(slots, dtype=np.int64)
    walk = _Walk(memory, candidates)
    ranked = candidates[np.argsort(walk.options(), kind="stable")][: max(min(start, size), 1)]
    for slot in ranked:
        walk.take(int(slot), walk.loss_of(int(slot)))
    initial = 1 + _least(walk.losses)
    walk.back_to(initial)
    while len(walk.slots) < size:
        walk.step()
    best = initial + _least(walk.losses[initial - 1 :])
    return Path(tuple(walk.slots), tuple(walk.losses), best)


def algorithm1(memory: LossMemory, slots: Sequence[int], size: int) -> Path:
    """Select until no model improves, or there are ``size`` distinct ones (Algorithm 1 of the DeepHyper report)."""
    walk = _Walk(memory, np.asarray(slots, dtype=np.int64))
    walk.step()
    while len(set(walk.slots)) < size:
        before = walk.losses[-1]
        walk.step()
        if not walk.losses[-1] < before - TIE * abs(before):
            walk.back_to(len(walk.slots) - 1)
            break
    return Path(tuple(walk.slots), tuple(walk.losses), len(walk.slots))


def _least(losses: Sequence[float]) -> int:
    """Return the place of the first among the lowest."""
    return int(_lowest(np.asarray(losses))[0])


def _lowest(losses: FloatArray) -> IntArray:
    """Return the places of the lowest loss and of those equal to it; all, if none is finite."""
    least = float(losses.min())
    return np.flatnonzero(losses <= least + TIE * abs(least)) if np.isfinite(least) else np.arange(len(losses))


class _Walk:
    """A selection that grows."""

    def __init__(self, memory: LossMemory, candidates: IntArray) -> None:
        self._memory, self._candidates = memory, candidates
        self.slots: list[int] = []
        self.losses: list[float] = []
        self._states = [memory.pool.start()]

    def options(self) -> FloatArray:
        return self._memory.losses(tuple(self.slots), self._states[-1], self._candidates)

    def loss_of(self, slot: int) -> float:
        return float(self._memory.losses(tuple(self.slots), self._states[-1], np.array([slot]))[0])

    def take(self, slot: int, loss: float) -> None:
        self._states.append(self._memory.pool.extend(self._states[-1], slot))
        self.slots.append(slot)
        self.losses.append(loss)

    def back_to(self, length: int) -> None:
        del self.slots[length:], self.losses[length:], self._states[length + 1 :]

    def step(self) -> None:
        """Take the best model; among equals one that is in the selection already, then the first."""
        losses = self.options()
        equal = _lowest(losses)
        used = equal[np.isin(self._candidates[equal], self.slots)]
        which = int((used if len(used) else equal)[0])
        self.take(int(self._candidates[which]), float(losses[which]))
