"""A forest whose leaves are boxes of bins, so that it can be integrated exactly.

Trees are grown on the codes of :mod:`.bins`, so every leaf is a product of ranges of codes, and its share of a
component of :mod:`.prior` a product of sums. Each tree numbers the categories of a column in an order of its own, so
that a threshold is a random subset of them. All leaves of all trees stand in the same arrays, and integrals do not loop
over trees.

Trees are grown in *groups*, each on a bootstrap sample of the trials. What differs between groups says how sure an
importance is (:mod:`.fanova`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..space.encoding import FloatArray
    from .bins import Bins
    from .prior import PriorComponent

GROUPS, TREES = 20, 2  # of a group
_MOST_ROWS, _MOST_CELLS = 2000, 40_000  # that one tree learns from; docs/evidence/importance.md
_MIN_LEAF = 2


class BoxForest:
    """Regression trees on codes (n, d) with targets ``y`` (n,).

    groups  (trees,): the group of each tree
    tree    (leaves,): the tree of each leaf
    value   (leaves,): what it predicts
    """

    def __init__(self, bins: Bins, codes: NDArray[np.intp], y: FloatArray, rng: np.random.Generator) -> None:
        from sklearn import config_context
        from sklearn.tree import DecisionTreeRegressor

        n, self._sizes, trees = len(y), bins.sizes, []
        most = min(_MOST_ROWS, max(_MOST_CELLS // bins.dim, _MOST_ROWS // 4))
        count = GROUPS * TREES
        self.groups = np.repeat(np.arange(GROUPS), TREES)
        self._orders = _orders(bins, count, rng)
        with config_context(skip_parameter_validation=True):
            for g in range(GROUPS):
                sample = rng.integers(n, size=n)
                for t in range(g * TREES, (g + 1) * TREES):
                    rows = rng.choice(sample, most, replace=False) if n > most else sample
                    learner = DecisionTreeRegressor(min_samples_leaf=_MIN_LEAF, random_state=int(rng.integers(2**31)))
                    learner.fit(self._seen(codes[rows], t), y[rows, None], check_input=False)
                    trees.append(learner.tree_)
        self._find_boxes(trees)

    def _seen(self, codes: NDArray[np.intp], tree: int) -> NDArray[np.float32]:
        """Return codes (n, d) as a tree numbers them."""
        seen = codes.astype(np.float32)
        for column, order in self._orders.items():
            seen[:, column] = order[tree, codes[:, column]]
        return seen

    def _find_boxes(self, trees: list[Any]) -> None:
        """Follow all trees at the same time, a level at a time, and note the ranges of codes of their leaves."""
        counts = np.array([tree.node_count for tree in trees])
        first = np.concatenate([[0], np.cumsum(counts)[:-1]])
        shift = np.repeat(first, counts)
        left = np.concatenate([tree.children_left for tree in trees])
        right = np.concatenate([tree.children_right for tree in trees]) + shift
        is_leaf = left < 0
        left = left + shift
        feature = np.concatenate([tree.feature for tree in trees])
        cut = np.floor(np.concatenate([tree.threshold for tree in trees])).astype(np.int32) + 1
        low = np.zeros((len(left), len(self._sizes)), np.int32)
        high = np.empty_like(low)
        front = first
        high[front] = self._sizes + 1
        while len(front := front[~is_leaf[front]]):
            for child in (left[front], right[front]):
                low[child], high[child] = low[front], high[front]
            high[left[front], feature[front]] = cut[front]
            low[right[front], feature[front]] = cut[front]
            front = np.concatenate([left[front], right[front]])
        self.tree = np.repeat(np.arange(len(counts)), counts)[is_leaf]
        self.value = np.concatenate([tree.value[:, 0, 0] for tree in trees])[is_leaf]
        self._low, self._high = low[is_leaf], high[is_leaf]

    def _sums(self, component: PriorComponent, column: int) -> FloatArray:
        """Return (trees or 1, K + 2): the share of the codes below each one, as each tree numbers them."""
        mass = component.masses[column][None, :]
        if column in self._orders:
            order = self._orders[column]
            numbered = np.empty(order.shape)
            np.put_along_axis(numbered, order, np.broadcast_to(mass, order.shape), axis=1)
            mass = numbered
        return np.concatenate([np.zeros((len(mass), 1)), np.cumsum(mass, axis=1)], axis=1)

    def _shares(self, component: PriorComponent, which: NDArray[np.intp]) -> FloatArray:
        """Return (leaves, d): which share of a component's column lies in the range of each leaf."""
        shares = np.empty((len(which), len(self._sizes)))
        for column in range(shares.shape[1]):
            sums = self._sums(component, column)
            tree = self.tree[which] if len(sums) > 1 else 0
            shares[:, column] = sums[tree, self._high[which, column]] - sums[tree, self._low[which, column]]
        return shares

    def marginals(
        self, components: list[PriorComponent], which: NDArray[np.intp]
    ) -> tuple[list[FloatArray], list[FloatArray], FloatArray]:
        """Integrate over the leaves ``which``, those of one tree at a time.

        Return for each column the mass in each bin, where the parameter is active, and the integral of the prediction,
        each (trees, K); and for the whole region its mass and the integrals of the prediction and of its square,
        together (3, trees).
        """
        trees, value = len(self.groups), self.value[which]
        mass = [np.zeros((trees, size)) for size in self._sizes]
        total = [np.zeros((trees, size)) for size in self._sizes]
        whole = np.zeros((3, trees))
        for component in components:
            shares = self._shares(component, which)
            there = np.flatnonzero((shares > 0.0).all(axis=1))
            shares, leaves = shares[there], which[there]
            others = component.probability * _products_of_others(shares)
            tree, y = self.tree[leaves], value[there]
            for power in range(3):
                whole[power] += np.bincount(tree, others[:, 0] * shares[:, 0] * y**power, trees)
            for column, size in enumerate(self._sizes.tolist()):
                if not component.is_active(column):
                    continue
                at = tree * (size + 2)
                ends = at + self._low[leaves, column], at + self._high[leaves, column]
                for sums, weight in ((mass, others[:, column]), (total, others[:, column] * y)):
                    change = np.bincount(ends[0], weight, trees * (size + 2))
                    change -= np.bincount(ends[1], weight, trees * (size + 2))
                    density = np.cumsum(change.reshape(trees, size + 2), axis=1)[:, : size + 1]
                    if column in self._orders:
                        density = np.take_along_axis(density, self._orders[column], axis=1)
                    sums[column] += (density * component.masses[column])[:, 1:]
        return mass, total, whole


def _orders(bins: Bins, trees: int, rng: np.random.Generator) -> dict[int, NDArray[np.intp]]:
    """Return for each categorical column (trees, K + 1): the number that a tree gives to each code; 0 stays 0."""
    return {
        int(column): np.stack([np.concatenate([[0], 1 + rng.permutation(bins.sizes[column])]) for _ in range(trees)])
        for column in np.flatnonzero(bins.categorical)
    }


def _products_of_others(shares: FloatArray) -> FloatArray:
    """Return (leaves, d): the product of all other columns of ``shares`` (leaves, d)."""
    before, after = np.ones_like(shares), np.ones_like(shares)
    np.cumprod(shares[:, :-1], axis=1, out=before[:, 1:])
    after[:, :-1] = np.cumprod(shares[:, :0:-1], axis=1)[:, ::-1]
    return before * after
