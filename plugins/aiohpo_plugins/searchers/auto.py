"""The default: choose the searcher by what is known of the study, and go from one to another as it grows.

``gp`` learns most from few observations, and its fits grow with them; ``adbo`` costs the same at 500 and at 50,000, and
leaves suggestions for as many slots as there are. Both learn from all observations, so that nothing is forgotten where
one follows the other. CPU time of a fit, 16 outstanding, in 6 and in 60 dimensions:

    observations     50         200         500        1000
    gp            18 / 21    31 / 40     73 / 68    152 / 216 ms
    adbo          15 / 25    23 / 35     28 / 48     29 / 53

From 100 to 500 observations they take turns, fit by fit, while nothing improves: ``gp`` can settle in one of many
basins, and each learns from what the other finds. Where trials have steps ``gp`` goes on alone.

What the two differ in is measured in docs/evidence/auto.md. Both serve spaces of any kind, and studies with steps.
They are found through the registry, by name, as a user finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohpo.plugin import Config, FittingSearcher, Identity, Observations, Options, StudyView
from aiohpo.plugin.registry import create, load_plugin

from .common.design import stable_hash
from .common.stagnation import since_improvement

if TYPE_CHECKING:
    import numpy as np

    from aiohpo.space.space import Space

EXACT, SCALABLE = "gp", "adbo"
load_plugin("searchers", EXACT)  # it is needed at once; the other, if ever, is imported by a fit, off the event loop
STILL = 10  # losses without an improvement, beside those that were begun before the last one, after which they do
GOLDEN = (5**0.5 - 1) / 2  # its multiples alternate well, and do not fall in step with results that come in batches
BEHIND, LEAST = 0.5, 20  # results that came during a fit, as a share of those that it knew, if it knew as many


@dataclass(frozen=True, slots=True)
class SearcherChoice:
    """The name of a searcher, that of another one if they take turns while nothing improves, and why."""

    names: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        other = f", and {self.names[1]} in turn while nothing improves" if len(self.names) > 1 else ""
        return f"{self.names[0]}{other}, {self.reason}"


@dataclass(frozen=True, slots=True)
class Step:
    """What a fit leaves: the searcher to use from now on, its state, and how many results that knows."""

    choice: SearcherChoice
    name: str
    searcher: FittingSearcher
    state: Any
    known: int


class AutoSearcher:
    """Suggest what ``gp`` does, later what the two do in turn while nothing improves, and what ``adbo`` does once the
    study is too large or too fast for ``gp``.

    Args:
        turns: trials with a result from which on the two take turns while nothing improves; not where trials have
            steps.
        observations: trials with a report or result from which on only ``adbo`` is used.
        outstanding: running trials from which on only ``adbo`` is used.

    It is used, too, once so many results come during a fit of ``gp`` that evaluations are evidently cheaper than
    suggestions. There is no way back: a study does not get smaller.

    Raises UsageError for values that are out of range.
    """

    def __init__(self, *, turns: int = 100, observations: int = 500, outstanding: int = 128) -> None:
        options = Options("auto")
        self.turns = options.whole("turns", turns, least=1)
        self.observations = options.whole("observations", observations, least=1)
        self.outstanding = options.whole("outstanding", outstanding, least=1)

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._bound = space, seed, identity
        self._place = stable_hash(identity.worker) if identity.rank is None else identity.rank
        few = f"as fewer than {self.turns} trials, or {self.observations} with steps, are observed"
        self._choice, self._known, self._is_behind = SearcherChoice((EXACT,), few), 0, False
        if identity.size is not None and identity.size >= self.outstanding:
            self._choice = SearcherChoice((SCALABLE,), f"as {identity.size} trials run at a time")
        self._searcher = self._make(EXACT)  # before there is a model both suggest the same
        self._searchers = {EXACT: self._searcher}

    def fit(self, observations: Observations) -> Step:
        """Return the searcher that suits ``observations``, and what it learnt from them."""
        o, choice = observations, self._choose(observations)
        name = self._whose_turn(choice, o)
        searcher = self._searchers.get(name) or self._make(name)
        return Step(choice, name, searcher, searcher.fit(o), len(o.y) + len(o.failed))

    def adopt(self, state: Step) -> None:
        """Use what :meth:`fit` returned."""
        self._choice, self._searcher, self._known = state.choice, state.searcher, state.known
        self._searchers = {n: s for n, s in self._searchers.items() if n in state.choice.names}
        self._searchers[state.name] = state.searcher
        self._searcher.adopt(state.state)

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return a configuration for each slot, fewer only when the space is exhausted."""
        if self._known >= LEAST and view.n_observed - self._known > BEHIND * self._known:
            self._is_behind = True
        return self._searcher.ask(view, rng, slots)

    def explain(self) -> str:
        """Say which searcher is used, and why."""
        return f"auto: {self._choice}"

    def _choose(self, o: Observations) -> SearcherChoice:
        if self._choice.names == (SCALABLE,):
            return self._choice
        observed = _count(o)
        if observed >= self.observations:
            return SearcherChoice((SCALABLE,), f"as {self.observations} trials or more are observed")
        if len(o.pending) >= self.outstanding:
            return SearcherChoice((SCALABLE,), f"as {self.outstanding} trials or more run at a time")
        if self._is_behind:
            return SearcherChoice((SCALABLE,), f"as evaluations take less time than {EXACT} takes to learn from them")
        if o.max_steps is None and observed >= self.turns:
            return SearcherChoice((EXACT, SCALABLE), f"as {self.turns} trials or more are observed")
        return self._choice

    def _whose_turn(self, choice: SearcherChoice, o: Observations) -> str:
        """Return the name of the searcher to use: a function of what is observed and of the worker's place, so that of
        two peers that know the same one uses the one and the other the other."""
        if len(choice.names) == 1 or since_improvement(o.y) < STILL + len(o.pending):
            return choice.names[0]
        at = _count(o) * GOLDEN + self._place % 2 / 2
        return choice.names[int(at % 1 * len(choice.names))]

    def _make(self, name: str) -> FittingSearcher:
        searcher: FittingSearcher = create("searchers", name)
        searcher.setup(*self._bound)
        return searcher

    def __repr__(self) -> str:
        return f"<AutoSearcher {self._searcher!r}>" if hasattr(self, "_bound") else "<AutoSearcher>"


def _count(o: Observations) -> int:
    return (len(o.y) if o.max_steps is None else len(o.curves.X)) + len(o.failed)
