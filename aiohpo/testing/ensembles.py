"""The conformance check for ensemble builders: what :class:`aiohpo.plugin.EnsembleBuilder` promises, tried out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.ensembles.ensemble import Ensemble, load_ensemble
from aiohpo.ensembles.metrics import Metric, get_metric
from aiohpo.plugin import EnsembleBuilder, LiveEnsembleBuilder

from .randomness import global_random_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = 12
METRICS = ("log_loss", "brier", "accuracy", "rmse", "nll")


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Models' predictions of validation rows, and of as many fresh ones."""

    name: str
    metric: Metric
    valid: Any
    y_valid: Any
    test: Any
    y_test: Any

    def __str__(self) -> str:
        return f"{self.name} by {self.metric.name}"


def example_libraries(metrics: Sequence[str] = METRICS) -> list[Problem]:
    """Return problems of two and of five classes, and of regression with and without variances: twelve models, good
    and bad ones, that are right about different things."""
    problems = []
    for metric in map(get_metric, metrics):
        if metric.task == "classification":
            problems += [_classes(metric, "two classes", 2), _classes(metric, "five classes", 5)]
        else:
            problems += [_numbers(metric, "means and variances", 2)]
            problems += [_numbers(metric, "means", 1)] if metric.name != "nll" else []
    return problems


def _classes(metric: Metric, name: str, k: int) -> Problem:
    rng = np.random.default_rng([SEED, k])
    n, m = 400, 12
    y = rng.integers(0, k, n)
    truth = rng.normal(size=(n, k)) + 2.0 * np.eye(k)[y]
    skill, noise = np.linspace(1.2, 0.0, m)[:, None, None], rng.normal(size=(m, n, k))
    logits = np.linspace(0.5, 3.0, m)[rng.permutation(m)][:, None, None] * (skill * truth + noise)
    p = np.exp(logits - logits.max(axis=2, keepdims=True))
    p = (p / p.sum(axis=2, keepdims=True)).astype(np.float32)
    return Problem(name, metric, p[:, : n // 2], y[: n // 2], p[:, n // 2 :], y[n // 2 :])


def _numbers(metric: Metric, name: str, k: int) -> Problem:
    rng = np.random.default_rng([SEED, 100 + k])
    n, m = 400, 12
    y = 50.0 + 10.0 * rng.normal(size=n)
    error = np.linspace(2.0, 20.0, m)[:, None]
    means = y + error * rng.normal(size=(m, n))
    p = np.stack([means, np.broadcast_to(error**2 * 0.5, (m, n))], axis=2)[:, :, :k].astype(np.float32)
    return Problem(name, metric, p[:, : n // 2], y[: n // 2], p[:, n // 2 :], y[n // 2 :])


def check_ensemble(factory: Callable[[], EnsembleBuilder], *, metrics: Sequence[str] = METRICS) -> None:
    """Check an ensemble builder; raise AssertionError that names what is violated.

    Args:
        factory: called without arguments, gives a fresh builder.
        metrics: what to try it with. A metric that ``fit`` refuses with a ValueError is skipped; one at least must
            be served.

    It is checked that

    - ``fit`` serves a metric or refuses it with a ValueError that says something;
    - members are distinct rows of what was given, weights positive with sum one, and the score a finite number;
    - predictions of fresh rows are probabilities (or finite means, and variances that are not negative), and better
      than those of the median model;
    - the two parts of the uncertainty are not negative and add up to the total;
    - equal arguments give equal ensembles, a memory map gives the same as an array, and arguments are not changed;
    - odd cases are served: a single model, models that are all the same, a class that does not occur, few rows,
      certain models that are wrong;
    - numbers in another unit, or around another zero, are predicted as well;
    - a saved ensemble, loaded again, predicts exactly the same;
    - if it is a :class:`~aiohpo.plugin.LiveEnsembleBuilder`: models that come and go in any order lead to exactly
      what ``fit`` makes of those that are there;
    - global random state is not touched.
    """
    builder = factory()
    assert isinstance(builder, EnsembleBuilder), f"{builder!r} lacks fit()"
    served = 0
    for problem in example_libraries(metrics):
        if _serves(factory(), problem):
            served += 1
            _EnsembleCheck(factory, problem).all()
    assert served, f"{builder!r} serves none of the metrics tried"


def _serves(builder: EnsembleBuilder, problem: Problem) -> bool:
    refusal = None
    try:
        builder.fit(problem.valid, problem.y_valid, problem.metric)
    except ValueError as error:
        refusal = str(error)
    assert refusal != "", f"fit() refuses {problem} without saying why"
    return refusal is None


class _EnsembleCheck:
    """The checks on one problem."""

    def __init__(self, factory: Callable[[], EnsembleBuilder], problem: Problem) -> None:
        self.factory, self.problem, self.metric = factory, problem, problem.metric

    def all(self) -> None:
        self.ensemble()
        self.repeatable()
        self.odd_cases()
        self.units()
        self.saved()
        self.live()

    def _fit(self, predictions: Any, y: Any, what: str) -> Ensemble:
        """Fit, and check everything that holds for any ensemble."""
        where = f"fit() of {self.problem} with {what}"
        before = global_random_state()
        copies = np.array(predictions), np.array(y)
        try:
            ensemble = self.factory().fit(predictions, y, self.metric)
        except Exception as error:
            raise AssertionError(f"{where} raised {error!r}") from error
        assert before == global_random_state(), f"{where} used the global random state"
        same = np.array_equal(copies[0], predictions) and np.array_equal(copies[1], y)
        assert same, f"{where} changed its arguments"
        assert isinstance(ensemble, Ensemble), f"{where} returned {type(ensemble).__name__}, not an Ensemble"
        assert ensemble.task == self.metric.task, f"{where} returned an ensemble for {ensemble.task}"
        assert ensemble.metric == self.metric.name, f"{where} says that its metric is {ensemble.metric!r}"
        assert np.isfinite(ensemble.score), f"{where} has score {ensemble.score}"
        rows = ensemble.rows.tolist()
        assert len(set(rows)) == len(rows), f"{where} has a member twice: {rows}"
        assert set(rows) <= set(range(len(predictions))), f"{where} has members that were not given: {rows}"
        self._predicts(ensemble, predictions, where)
        return ensemble

    def _predicts(self, ensemble: Ensemble, predictions: Any, where: str) -> None:
        mixture = ensemble.combine(predictions[ensemble.rows])
        assert np.isfinite(mixture).all(), f"{where} predicts numbers that are not finite"
        if self.metric.task == "classification":
            assert (mixture >= 0).all(), f"{where} predicts negative probabilities"
            assert np.allclose(mixture.sum(axis=1), 1.0, atol=1e-5), f"{where} predicts rows that do not sum to one"
        elif mixture.shape[1] == 2:
            assert (mixture[:, 1] >= 0).all(), f"{where} predicts negative variances"
        u = ensemble.uncertainty(predictions[ensemble.rows])
        assert (u.aleatoric >= -1e-9).all(), f"{where} has negative aleatoric uncertainty"
        assert (u.epistemic >= 0).all(), f"{where} has negative epistemic uncertainty"
        assert np.allclose(u.total, u.aleatoric + u.epistemic), f"{where}: uncertainties do not add up"

    # -------------------------------------------------------------------------------------------- checks
    def ensemble(self) -> None:
        """Be better than the median model on unseen rows."""
        p = self.problem
        ensemble = self._fit(p.valid, p.y_valid, "twelve models")
        ours = self.metric.loss(p.y_test, ensemble.combine(p.test[ensemble.rows]))
        median = float(np.median([self.metric.loss(p.y_test, model) for model in p.test]))
        assert ours < median, f"fit() of {p}: loss {ours:.4g} on fresh rows, the median model has {median:.4g}"

    def repeatable(self) -> None:
        """Give equal answers to equal questions, from memory or from disk."""
        p = self.problem
        first = self._fit(p.valid, p.y_valid, "twelve models")
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "valid.npy"
            np.save(file, p.valid)
            mapped = np.load(file, mmap_mode="r")
            second = self._fit(mapped, p.y_valid, "a memory map")
            del mapped
        self._same(first, second, p.valid, f"fit() of {p} gives another ensemble the second time, from a memory map")

    def _same(self, a: Ensemble, b: Ensemble, predictions: Any, otherwise: str) -> None:
        same = np.array_equal(a.rows, b.rows) and np.array_equal(a.weights, b.weights) and a.score == b.score
        same = same and np.array_equal(a.combine(predictions[a.rows]), b.combine(predictions[b.rows]))
        assert same, f"{otherwise}: {a!r} {a.rows}, {b!r} {b.rows}"

    def odd_cases(self) -> None:
        """Serve what may come."""
        p, y = self.problem.valid, self.problem.y_valid
        single = self._fit(p[:1], y, "a single model")
        assert single.rows.tolist() == [0], f"of a single model fit() of {self.problem} took {single.rows}"
        self._fit(np.repeat(p[3:4], 5, axis=0), y, "five times the same model")
        self._fit(p[:, :12], y[:12], "twelve rows")
        if self.metric.task == "classification":
            absent = y != y.max()
            self._fit(p[:, absent], y[absent], "a class that does not occur")
            certain = np.eye(p.shape[2], dtype=np.float32)[p.argmax(axis=2)]
            self._fit(certain, y, "certain models that are wrong at times")
            perfect = np.concatenate([p, np.eye(p.shape[2], dtype=np.float32)[y][None]])
            self._fit(perfect, y, "a perfect model")
        else:
            self._fit(p, np.full_like(y, 5.0), "targets that are all the same")

    def units(self) -> None:
        """Predict the same numbers in any unit, and wherever their zero is."""
        p, y = self.problem.valid.astype(np.float64), self.problem.y_valid
        if self.metric.name not in ("rmse", "mae", "r2", "nll"):  # others may not be meant to be
            return
        wanted = self._fit(p, y, "twelve models")
        expected = self.metric.loss(y, wanted.combine(p[wanted.rows]))
        for unit, zero in ((2.0**80, 0.0), (2.0**-80, 0.0), (1.0, 1e9)):
            scale = np.array([unit, unit**2][: p.shape[2]])
            shift = np.array([zero, 0.0][: p.shape[2]])
            where = f"numbers in units of {1 / unit:g} around {zero:g}"
            found = self._fit(p * scale + shift, y * unit + zero, where)
            mixture = found.combine((p * scale + shift)[found.rows])
            mixture = (mixture - [zero, 0.0][: mixture.shape[1]]) / [unit, unit**2][: mixture.shape[1]]
            loss = self.metric.loss(y, mixture)
            assert abs(loss - expected) < 0.02 * abs(expected), (
                f"fit() of {self.problem} with {where}: loss {loss:.4g} instead of {expected:.4g}"
            )

    def saved(self) -> None:
        """Come back from a file as it was."""
        p = self.problem
        ensemble = self._fit(p.valid, p.y_valid, "twelve models")
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "ensemble.zip"
            ensemble.save(file)
            loaded = load_ensemble(file)
        self._same(ensemble, loaded, p.test, f"an ensemble of {p}, saved and loaded, differs")

    def live(self) -> None:
        """Forget in which order models came, and that others were there."""
        builder = self.factory()
        if not isinstance(builder, LiveEnsembleBuilder):
            return
        p = self.problem
        wanted = self._fit(p.valid[:9], p.y_valid, "nine models")
        rng = np.random.default_rng(SEED)
        for _ in range(3):
            live = builder.live(p.y_valid, self.metric)
            for i in rng.permutation(12):
                live.add(int(i), p.valid[i])
                live.fit()
            for i in rng.permutation([9, 10, 11]):
                live.discard(int(i))
            ensemble, keys = live.fit()
            assert list(keys) == list(range(9)), f"live() of {p}: keys {list(keys)} instead of 0 to 8"
            self._same(wanted, ensemble, p.valid, f"live() of {p} and fit() give different ensembles of nine models")
