"""What makes one predictor of a search's many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..ensembles.ensemble import Ensemble
    from ..ensembles.metrics import Metric
    from .study_view import FloatArray, IntArray

    Predictions = NDArray[np.floating[Any]]


@runtime_checkable
class EnsembleBuilder(Protocol):
    """Makes an ensemble of what a search has trained. Options are keyword arguments of the constructor, all with
    defaults. Pure: equal arguments give equal ensembles."""

    def fit(self, predictions: Predictions, y: FloatArray | IntArray, metric: Metric) -> Ensemble:
        """Choose, weigh and calibrate models.

        Args:
            predictions: (m, n, k) of m models for n validation rows, float32 or wider; perhaps a memory map, so
                read it model by model. Class probabilities, or for regression means (k=1) and variances (k=2).
                :mod:`aiohpo.ensembles.predictions` has left out what cannot be used.
            y: (n,) class indices 0 … k-1, of which some may not occur, or numbers.
            metric: what to be good at; it says whether this is classification or regression.

        Raises ``ValueError`` with a remedy where it cannot serve this metric.
        """
        ...


class LiveEnsemble(Protocol):
    """An ensemble of models that come and go. What it gives depends on those that are in it, not on their history."""

    def add(self, key: Any, predictions: Predictions) -> None:
        """Take in a model's predictions (n, k). Keys are distinct and can be sorted; models count in their order."""
        ...

    def discard(self, key: Any) -> None:
        """Forget a model; nothing happens if it is not there."""
        ...

    def fit(self) -> tuple[Ensemble, Sequence[Any]]:
        """Return the ensemble of the models that are here, exactly as ``EnsembleBuilder.fit`` would, and the keys
        that the members' rows stand for. Raises ``ValueError`` if there are none."""
        ...


@runtime_checkable
class LiveEnsembleBuilder(EnsembleBuilder, Protocol):
    """A builder that takes one more model at a fraction of the cost of building anew."""

    def live(self, y: FloatArray | IntArray, metric: Metric) -> LiveEnsemble: ...
