"""A forest of extremely randomised trees (Geurts, Ernst and Wehenkel, 2006) with two kinds of uncertainty.

Notation: tree t sends x to a leaf with mean mu_t(x) and variance v_t(x) of its training targets. By the law of
total variance, with E_t the mean over trees,

    mean       mu = E_t[mu_t]
    epistemic  E_t[mu_t^2] - mu^2      the trees disagree: more data would help
    aleatoric  E_t[v_t]                what varies within a leaf: noise, or finer structure than the leaf

(Egele et al., arXiv 2207.00479, section III; Hutter et al., Algorithm runtime prediction, 2014, eq. 4.)

Trees look at a configuration in different ways, which makes the forest less axis-aligned and independent of the
order of categories at no cost in columns: each *look* renumbers the categories at random (so that a threshold
is a random subset of them), and every second one rotates the numerical columns at random.

Only what prediction needs is kept of scikit-learn's trees: their compiled ``apply`` and two arrays of leaf
values. Going through ``ExtraTreesRegressor`` instead costs 3 ms more per fit and 1 ms more per predict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import config_context
from sklearn.tree import ExtraTreeRegressor

from aiohpo.space.space import CATEGORICAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space

LOOKS = 6
INACTIVE = -0.25  # outside [0, 1], so that one split tells inactive from active


@dataclass(frozen=True, slots=True)
class ForestPrediction:
    """Mean and variances, each (n,), in units of the target and its square."""

    mean: FloatArray
    epistemic: FloatArray
    aleatoric: FloatArray

    @property
    def std(self) -> FloatArray:
        """The total standard deviation."""
        return np.sqrt(self.epistemic + self.aleatoric)


@dataclass(frozen=True, slots=True)
class _Look:
    """A rotation of the numerical columns, or None, and a renumbering (categorical columns, most categories + 1)
    whose last entry stands for inactive."""

    rotation: NDArray[np.float32] | None
    codes: NDArray[np.float32]


class Forest:
    """A fitted forest on the unit encoding of a space.

    Args:
        space: which columns are categorical.
        X: (n, d) unit rows, NaN where inactive.
        y: (n,) targets.
        rng: all randomness.
        trees: number of trees.
        min_leaf: fewest training rows in a leaf.
        max_features: at most this many columns are tried per split. (With 34 columns, 10 cost 0.6 of all.)
        rotate: rotate the numerical columns in every second look.
        rows: each tree learns from at most this many rows; of more, from the best quarter of that and a random
            sample of the others, another one for every tree.
    """

    def __init__(
        self,
        space: Space,
        X: FloatArray,
        y: FloatArray,
        rng: np.random.Generator,
        *,
        trees: int = 30,
        min_leaf: int = 1,
        max_features: int = 10,
        rotate: bool = True,
        rows: int = 300,
    ) -> None:
        self._categorical = np.flatnonzero(space.kinds == CATEGORICAL)
        self._numerical = np.flatnonzero(space.kinds != CATEGORICAL)
        self._cardinality = space.cardinality[self._categorical].astype(int)
        self._looks = [self._look(rng, rotate and i % 2 == 1) for i in range(LOOKS)]
        self._trees: list[Any] = []
        self._mean: list[FloatArray] = []
        self._variance: list[FloatArray] = []
        order = np.argsort(y, kind="stable")
        seen = self._seen(X)
        with config_context(skip_parameter_validation=True):  # a tenth of the time of a fit
            for t in range(trees):
                sample = _sample(order, rows, rng)
                learner = ExtraTreeRegressor(
                    splitter="random",
                    max_features=min(max_features, X.shape[1]),
                    min_samples_leaf=min_leaf,
                    random_state=int(rng.integers(2**31)),
                )
                learner.fit(seen[t % LOOKS][sample], y[sample, None], check_input=False)
                self._trees.append(learner.tree_)
                self._mean.append(learner.tree_.value[:, 0, 0].copy())
                self._variance.append(np.maximum(learner.tree_.impurity, 0.0))

    def leaves(self, X: FloatArray) -> NDArray[np.int32]:
        """Return (trees, n): the leaf of each row of ``X`` (n, d) in each tree."""
        seen = self._seen(X)
        found = np.empty((len(self._trees), len(X)), np.int32)
        for t, tree in enumerate(self._trees):
            found[t] = tree.apply(seen[t % LOOKS])
        return found

    def at(self, leaves: NDArray[np.int32]) -> ForestPrediction:
        """Predict for configurations that fall into ``leaves`` (trees, n)."""
        means = np.stack([mean[leaf] for mean, leaf in zip(self._mean, leaves, strict=True)])
        aleatoric = sum(v[leaf] for v, leaf in zip(self._variance, leaves, strict=True)) / len(leaves)
        return ForestPrediction(means.mean(0), means.var(0), np.asarray(aleatoric))

    def predict(self, X: FloatArray) -> ForestPrediction:
        """Predict for unit rows ``X`` (n, d)."""
        return self.at(self.leaves(X))

    def __repr__(self) -> str:
        nodes = sum(tree.node_count for tree in self._trees)
        return f"<Forest {len(self._trees)} trees, {nodes} nodes>"

    def _look(self, rng: np.random.Generator, rotated: bool) -> _Look:
        rotation = None
        d = len(self._numerical)
        if rotated and d > 1:
            rotation = np.linalg.qr(rng.normal(size=(d, d)))[0].astype(np.float32)
        codes = np.full((len(self._cardinality), self._cardinality.max(initial=0) + 1), INACTIVE, np.float32)
        for code, k in zip(codes, self._cardinality, strict=True):
            code[:k] = (rng.permutation(k) + 0.5) / k
        return _Look(rotation, codes)

    def _seen(self, X: FloatArray) -> list[NDArray[np.float32]]:
        """Return unit rows ``X`` (n, d) as each look sees them, C-contiguous float32 as scikit-learn needs."""
        base = np.where(np.isnan(X), INACTIVE, X).astype(np.float32)
        units = X[:, self._categorical]
        level = np.where(np.isnan(units), -1.0, np.floor(units * self._cardinality)).astype(np.intp)
        columns = np.arange(len(self._cardinality))
        views = []
        for look in self._looks:
            if look.rotation is None and not len(columns):
                views.append(base)
                continue
            seen = base.copy()
            if look.rotation is not None:
                seen[:, self._numerical] = base[:, self._numerical] @ look.rotation
            seen[:, self._categorical] = look.codes[columns, level]  # -1, inactive, is the last code
            views.append(seen)
        return views


def _sample(order: NDArray[np.intp], rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return which rows a tree learns from; ``order`` lists them from best to worst."""
    if len(order) <= rows:
        return order
    best = rows // 4
    return np.concatenate([order[:best], rng.choice(order[best:], rows - best, replace=False)])
