"""Charging a searcher's decisions to the virtual clock.

A fit takes its time in the executor, as anywhere. Asking holds up the worker's loop; here all workers share one loop,
so what a worker asked for begins that much later.

A model that is replaced before the searcher is asked is never looked at. It costs its virtual time all the same, but is
not computed: a worker fits many times an evaluation, and the simulation would do little else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable
from ..plugin import Config, FittingSearcher, Identity, Observations, Searcher, StudyView
from ..runtime.fitting import fit_failure_in_words

if TYPE_CHECKING:
    import numpy as np

    from ..space.space import Space
    from .costs import Costs
    from .evaluator import SimEvaluator


class ChargedSearcher:
    """A searcher whose answers take time. Implements :class:`aiohpo.plugin.Searcher`."""

    def __init__(self, searcher: Searcher, costs: Costs, evaluator: SimEvaluator) -> None:
        self._searcher = searcher
        self._costs = costs
        self._evaluator = evaluator

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        self._searcher.setup(space, seed, identity)

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        now = asyncio.get_running_loop().time()
        seconds = self._costs.of_ask(view.n_trials, len(slots))
        self._evaluator.free_at = max(self._evaluator.free_at, now) + seconds
        return self._searcher.ask(view, rng, slots)

    def __repr__(self) -> str:
        return f"<ChargedSearcher {self._searcher!r}>"


class ChargedFittingSearcher(ChargedSearcher):
    """The same for one that learns. Implements :class:`aiohpo.plugin.FittingSearcher`."""

    _searcher: FittingSearcher

    def __init__(
        self, searcher: FittingSearcher, costs: Costs, evaluator: SimEvaluator, complain: Callable[[str], None]
    ) -> None:
        super().__init__(searcher, costs, evaluator)
        self._complain = complain
        self._latest: Observations | None = None  # what the model in use was fitted to, if it was not computed yet

    def fit(self, observations: Observations) -> Observations:
        return observations

    def adopt(self, state: Observations) -> None:
        self._latest = state

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        latest, self._latest = self._latest, None
        if latest is not None:
            try:
                self._searcher.adopt(self._searcher.fit(latest))
            except Unavailable:
                raise
            except Exception as error:  # the last model stays, as it does in aiohpo.runtime.fitting
                self._complain(fit_failure_in_words(self._searcher, error))
        return super().ask(view, rng, slots)


def charged(
    searcher: Searcher, costs: Costs, evaluator: SimEvaluator, complain: Callable[[str], None]
) -> ChargedSearcher:
    """Wrap a worker's searcher, whose answers delay what ``evaluator`` runs; ``complain`` hears of fits that fail."""
    if isinstance(searcher, FittingSearcher):
        return ChargedFittingSearcher(searcher, costs, evaluator, complain)
    return ChargedSearcher(searcher, costs, evaluator)


def fit_seconds(costs: Costs) -> Callable[[Callable[..., Any], tuple[Any, ...]], float | None]:
    """Return what a :class:`~aiohpo.simulation.loop.SimLoop` takes as ``executor_seconds``."""

    def seconds(function: Callable[..., Any], arguments: tuple[Any, ...]) -> float | None:
        if isinstance(getattr(function, "__self__", None), ChargedFittingSearcher):
            observations: Observations = arguments[0]
            return costs.of_fit(observations.moment - len(observations.pending))
        return None

    return seconds
