"""What suggests configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from ..space.space import Space
    from .study_view import Config, Identity, Observations, View


@runtime_checkable
class Searcher(Protocol):
    """Suggests configurations. One instance serves one worker.

    Options are keyword arguments of the constructor, all with defaults. After construction the worker calls
    :meth:`setup` once, then :meth:`ask` whenever it is free. A searcher that learns also has
    ``fit(observations) -> state`` and ``adopt(state)`` (see :class:`FittingSearcher`).
    """

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space. ``seed`` is the study's, the same on every worker.

        Raises ``ValueError`` with a remedy where the searcher cannot serve this space.
        """
        ...

    def ask(self, view: View, rng: np.random.Generator, n: int = 1) -> list[Config]:
        """Return up to ``n`` distinct configurations, fewer (or none) when the space is exhausted.

        Fast (under 5 ms): it is called on the event loop. The answer depends on the *set* of observations,
        on ``rng`` and on what the searcher last adopted, never on the order in which things arrived.
        """
        ...


@runtime_checkable
class FittingSearcher(Searcher, Protocol):
    """A searcher with a slow part, run off the loop while evaluations run, at most one in flight."""

    def fit(self, observations: Observations) -> Any:
        """Learn from ``observations`` and return the new state. Runs in a thread: must not touch ``self``'s
        mutable state, only options and what ``setup`` stored."""
        ...

    def adopt(self, state: Any) -> None:
        """Swap in the state that :meth:`fit` returned. Called on the loop; must be instant."""
        ...
