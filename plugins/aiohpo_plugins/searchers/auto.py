"""The default: choose the searcher by what is known of the study, and go from one to another as it grows.

``gp`` learns most from few observations, and its fits grow with them; ``adbo`` costs the same at 500 and at 50,000, and
leaves suggestions for as many slots as there are. Both learn from all observations, so that nothing is forgotten where
one follows the other. CPU time of a fit, 16 outstanding, in 6 and in 60 dimensions:

    observations     50         200         500        1000
    gp            18 / 21    31 / 40     73 / 68    152 / 216 ms
    adbo          15 / 25    23 / 35     28 / 48     29 / 53

What the two differ in is measured in docs/evidence/auto.md. Both serve spaces of any kind, and studies with steps.
They are found through the registry, by name, as a user finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohpo.plugin import Config, FittingSearcher, Identity, Observations, Options, StudyView
from aiohpo.plugin.registry import create, load_plugin

if TYPE_CHECKING:
    import numpy as np

    from aiohpo.space.space import Space

EXACT, SCALABLE = "gp", "adbo"
load_plugin("searchers", EXACT)  # it is needed at once; the other, if ever, is imported by a fit, off the event loop
BEHIND, LEAST = 0.5, 20  # results that came during a fit, as a share of those that it knew, if it knew as many


@dataclass(frozen=True, slots=True)
class SearcherChoice:
    """The name of a searcher, and why it is used."""

    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What a fit leaves: the searcher to use from now on, its state, and how many results that knows."""

    choice: SearcherChoice
    searcher: FittingSearcher
    state: Any
    known: int


class AutoSearcher:
    """Suggest what ``gp`` does, and what ``adbo`` does once the study is too large or too fast for that.

    Args:
        observations: trials with a report or result from which on ``adbo`` is used.
        outstanding: running trials from which on ``adbo`` is used.

    It is used, too, once so many results come during a fit of ``gp`` that evaluations are evidently cheaper than
    suggestions. There is no way back: a study does not get smaller.

    Raises UsageError for values that are out of range.
    """

    def __init__(self, *, observations: int = 500, outstanding: int = 128) -> None:
        options = Options("auto")
        self.observations = options.whole("observations", observations, least=1)
        self.outstanding = options.whole("outstanding", outstanding, least=1)

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._bound = space, seed, identity
        self._choice, self._known, self._is_behind = SearcherChoice(EXACT), 0, False
        if identity.size is not None and identity.size >= self.outstanding:
            self._choice = SearcherChoice(SCALABLE, f"as {identity.size} trials run at a time")
        self._name, self._searcher = EXACT, self._make(EXACT)  # before there is a model both suggest the same

    def fit(self, observations: Observations) -> Step:
        """Return the searcher that suits ``observations``, and what it learnt from them."""
        o, choice = observations, self._choose(observations)
        searcher = self._searcher if choice.name == self._name else self._make(choice.name)
        return Step(choice, searcher, searcher.fit(o), len(o.y) + len(o.failed))

    def adopt(self, state: Step) -> None:
        """Use what :meth:`fit` returned."""
        self._choice, self._name, self._searcher = state.choice, state.choice.name, state.searcher
        self._known = state.known
        self._searcher.adopt(state.state)

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return a configuration for each slot, fewer only when the space is exhausted."""
        if self._known >= LEAST and view.n_observed - self._known > BEHIND * self._known:
            self._is_behind = True
        return self._searcher.ask(view, rng, slots)

    def explain(self) -> str:
        """Say which searcher is used, and why."""
        if self._choice.name == SCALABLE:
            return f"auto: {SCALABLE}, {self._choice.reason}"
        return f"auto: {EXACT}, as fewer than {self.observations} trials are observed"

    def _choose(self, o: Observations) -> SearcherChoice:
        if self._choice.name == SCALABLE:
            return self._choice
        observed = (len(o.y) if o.max_steps is None else len(o.curves.X)) + len(o.failed)
        if observed >= self.observations:
            return SearcherChoice(SCALABLE, f"as {self.observations} trials or more are observed")
        if len(o.pending) >= self.outstanding:
            return SearcherChoice(SCALABLE, f"as {self.outstanding} trials or more run at a time")
        if self._is_behind:
            return SearcherChoice(SCALABLE, f"as evaluations take less time than {EXACT} takes to learn from them")
        return self._choice

    def _make(self, name: str) -> FittingSearcher:
        searcher: FittingSearcher = create("searchers", name)
        searcher.setup(*self._bound)
        return searcher

    def __repr__(self) -> str:
        return f"<AutoSearcher {self._searcher!r}>" if hasattr(self, "_bound") else "<AutoSearcher>"
