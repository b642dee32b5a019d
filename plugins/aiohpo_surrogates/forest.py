"""A forest of extremely randomised trees (Geurts, Ernst and Wehenkel, 2006) with two kinds of uncertainty.

Notation: tree t sends x to a leaf with mean mu_t(x) and variance v_t(x) of its training targets. By the law of
total variance, with E_t the mean over trees,

    mean       mu = E_t[mu_t]
    epistemic  E_t[mu_t^2] - mu^2      the trees disagree: more data would help
    aleatoric  E_t[v_t]                what varies within a leaf: noise, or finer structure than the leaf

(Egele et al., arXiv 2207.00479, section III; Hutter et al., Algorithm runtime prediction, 2014, eq. 4.)

Trees see a configuration in their own way, which makes the forest less axis-aligned and less dependent on the
order of categories at no cost in columns: categories are renumbered at random for each tree (so a threshold
is a random subset of them), and every second tree sees the numerical columns rotated at random.

Only what prediction needs is kept of scikit-learn's trees: their compiled ``apply`` and two arrays of leaf
values. Going through ``ExtraTreesRegressor`` instead costs 3 ms more per fit and 1 ms more per predict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.tree import ExtraTreeRegressor

from aiohpo.space import CATEGORICAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.interfaces import FloatArray
    from aiohpo.space import Space

INACTIVE = -0.25  # outside [0, 1], so that one split tells inactive from active


@dataclass(frozen=True, slots=True)
class Prediction:
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
    """How one tree sees a configuration: a rotation of the numerical columns (or None) and, for each
    categorical column, a renumbering."""

    rotation: NDArray[np.float32] | None
    codes: list[NDArray[np.float32]]


class Forest:
    """A fitted forest on the unit encoding of a space.

    Args:
        space: which columns are categorical.
        X: (n, d) unit rows, NaN where inactive.
        y: (n,) targets.
        rng: all randomness.
        trees: number of trees.
        min_leaf: fewest training rows in a leaf.
        max_features: share of the columns tried per split; 1.0 tries all.
        rotate: rotate the numerical columns for every second tree.
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
        max_features: float = 1.0,
        rotate: bool = True,
        rows: int = 400,
    ) -> None:
        self._categorical = np.flatnonzero(space.kinds == CATEGORICAL)
        self._numerical = np.flatnonzero(space.kinds != CATEGORICAL)
        self._cardinality = space.cardinality[self._categorical].astype(int)
        self._trees: list[Any] = []
        self._looks: list[_Look] = []
        self._mean: list[FloatArray] = []
        self._variance: list[FloatArray] = []
        base, levels = self._base(X)
        order = np.argsort(y, kind="stable")
        for t in range(trees):
            look = self._look(rng, rotate and t % 2 == 1 and len(self._numerical) > 1)
            sample = _sample(order, rows, rng)
            learner = ExtraTreeRegressor(
                splitter="random",
                max_features=max_features,
                min_samples_leaf=min_leaf,
                random_state=int(rng.integers(2**31)),
            )
            seen = self._seen(base[sample], levels[sample], look)
            learner.fit(seen, y[sample, None], check_input=False)
            self._looks.append(look)
            self._trees.append(learner.tree_)
            self._mean.append(learner.tree_.value[:, 0, 0].copy())
            self._variance.append(np.maximum(learner.tree_.impurity, 0.0))

    def leaves(self, X: FloatArray) -> NDArray[np.int32]:
        """Return (trees, n): the leaf of each row of ``X`` (n, d) in each tree."""
        base, levels = self._base(X)
        found = np.empty((len(self._trees), len(X)), np.int32)
        for t, tree in enumerate(self._trees):
            found[t] = tree.apply(self._seen(base, levels, self._looks[t]))
        return found

    def at(self, leaves: NDArray[np.int32]) -> Prediction:
        """Predict for configurations that fall into ``leaves`` (trees, n)."""
        means = np.stack([mean[leaf] for mean, leaf in zip(self._mean, leaves, strict=True)])
        aleatoric = sum(v[leaf] for v, leaf in zip(self._variance, leaves, strict=True)) / len(leaves)
        return Prediction(means.mean(0), means.var(0), np.asarray(aleatoric))

    def predict(self, X: FloatArray) -> Prediction:
        """Predict for unit rows ``X`` (n, d)."""
        return self.at(self.leaves(X))

    def __repr__(self) -> str:
        nodes = sum(tree.node_count for tree in self._trees)
        return f"<Forest {len(self._trees)} trees, {nodes} nodes>"

    def _base(self, X: FloatArray) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Return ``X`` without NaN, and the category index of the categorical columns (k if inactive)."""
        base = np.where(np.isnan(X), INACTIVE, X).astype(np.float32)
        units = X[:, self._categorical]
        levels = np.where(np.isnan(units), self._cardinality, np.floor(np.nan_to_num(units) * self._cardinality))
        return base, levels.astype(np.intp)

    def _look(self, rng: np.random.Generator, rotated: bool) -> _Look:
        rotation = None
        if rotated:
            d = len(self._numerical)
            rotation = np.linalg.qr(rng.normal(size=(d, d)))[0].astype(np.float32)
        codes = [np.append((rng.permutation(k) + 0.5) / k, INACTIVE).astype(np.float32) for k in self._cardinality]
        return _Look(rotation, codes)

    def _seen(self, base: NDArray[np.float32], levels: NDArray[np.intp], look: _Look) -> NDArray[np.float32]:
        """Return the rows as a tree with that look sees them, C-contiguous float32 as scikit-learn needs."""
        if look.rotation is None and not look.codes:
            return np.ascontiguousarray(base)
        seen = base.copy()
        if look.rotation is not None:
            seen[:, self._numerical] = base[:, self._numerical] @ look.rotation
        for column, level, code in zip(self._categorical, levels.T, look.codes, strict=True):
            seen[:, column] = code[level]
        return seen


def _sample(order: NDArray[np.intp], rows: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return which rows a tree learns from; ``order`` lists them from best to worst."""
    if len(order) <= rows:
        return order
    best = rows // 4
    return np.concatenate([order[:best], rng.choice(order[best:], rows - best, replace=False)])
