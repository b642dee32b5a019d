"""What suggests configurations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from ..space.space import Space
    from .study_view import Config, Identity, Observations, StudyView


@runtime_checkable
class Searcher(Protocol):
    """Suggests configurations. One instance serves one worker with all its slots.

    Options are keyword arguments of the constructor, all with defaults, checked by
    :class:`~aiohpo.plugin.options.Options`. After construction the worker calls :meth:`setup` once, then :meth:`ask`
    whenever slots are free. A searcher that learns also has ``fit(observations) -> state`` and ``adopt(state)`` (see
    :class:`FittingSearcher`).
    """

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space. ``seed`` is the study's, the same on every worker; ``identity`` has the rank of the
        worker's first slot and the number of its slots.

        Raises ``ValueError`` with a remedy where the searcher cannot serve this space.
        """
        ...

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return distinct configurations, at most one for each of ``slots``; fewer, or none, when the space is
        exhausted.

        ``slots`` are the numbers, from 0 and below ``identity.slots``, of the slots that are free now. To most
        searchers only their count matters; one whose workers differ (in what they explore, in their share of a
        sequence) treats each slot as a worker of its own, see :meth:`Identity.of_slot`. A number may occur several
        times if several configurations are wanted for one slot.

        Fast (under 5 ms): it is called on the event loop. The answer depends on the *set* of observations,
        on ``rng`` and on what the searcher last adopted, never on the order in which things arrived.
        """
        ...


@runtime_checkable
class Finite(Protocol):
    """A searcher or scheduler of which each search comes to an end by itself: it has only so many configurations to
    suggest, or trials to begin, whatever the space. One that does not say so needs a limit, unless the space is finite.
    """

    finite: bool


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


@runtime_checkable
class ExplainingSearcher(Searcher, Protocol):
    """A searcher that tells people what it does, such as one that chooses between others."""

    def explain(self) -> str:
        """Return one line: what it does now, and why. It is shown after :meth:`setup`, and again whenever ``adopt`` has
        changed it, so it must not hold a number that grows."""
        ...
