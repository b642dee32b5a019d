"""How much each parameter of a search matters, overall and among the best trials."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..text import printable
from .comparable import comparable

if TYPE_CHECKING:
    import pandas

    from ..plugin.objective import Objective
    from ..space.encoding import FloatArray
    from ..space.space import Space
    from ..view.trials import TrialRecord

METHODS = ("fanova", "ped-anova")
LEAST = 20  # trials
BEST_PART, BEST_LEAST = 0.1, 20  # of the trials, that count as the best
_INTERVAL = (0.05, 0.95)
_FAR = 3.0  # times as far from the best as 95 % of the trials are; what is worse counts as that bad


@dataclass(frozen=True, slots=True)
class ParameterImportance:
    """How much one parameter matters; all numbers are shares, from 0 to 1.

    parameter        its name
    importance       overall; see :class:`Importances` for what it is a share of
    low, high        a bootstrap interval of 90 %: how much it would vary with other trials of the same search. It does
                     not include systematic errors of the model
    among_best       the importance among the best: what still matters where results are good
    among_best_low, among_best_high  the interval of that
    active           the share of the compared trials in which it was active; 1 if it has no condition
    """

    parameter: str
    importance: float
    low: float
    high: float
    among_best: float
    among_best_low: float
    among_best_high: float
    active: float


@dataclass(frozen=True, slots=True, repr=False)
class Importances(Sequence[ParameterImportance]):
    """The importances of a study's parameters, the most important first.

    With ``fanova`` an importance is the share of the variance of the metric over the search space that the parameter
    explains by itself; the rest, up to 1, is interactions and noise. With ``ped-anova`` it says how differently the
    values of good trials are distributed, as a share of the sum over all parameters; the rest, up to 1, is due to
    chance. A conditional parameter counts where it is active; the effect of being active is credited to its parents.

    method      "fanova" or "ped-anova"
    metric      the metric that was compared
    trials      how many trials were compared
    left_out    how many were not: failed, unfinished, or given up before ``step``
    best        how many of them are the best: a tenth, but at least 20
    step        the step at which they were compared; None: their end
    parameters  as sequence items
    """

    method: str
    metric: str
    trials: int
    left_out: int
    best: int
    step: int | None
    parameters: tuple[ParameterImportance, ...]

    def by(self, *, among_best: bool = False) -> list[ParameterImportance]:
        """Return the parameters, the most important (among the best) first."""
        return sorted(self.parameters, key=lambda p: -(p.among_best if among_best else p.importance))

    def as_dict(self, *, among_best: bool = False) -> dict[str, Any]:
        """Return the JSON form, parameters in the order of :meth:`by`."""
        return {
            "method": self.method,
            "metric": self.metric,
            "trials": self.trials,
            "left_out": self.left_out,
            "best": self.best,
            "step": self.step,
            "parameters": [asdict(p) for p in self.by(among_best=among_best)],
        }

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a row for each parameter, with the columns of :class:`ParameterImportance`."""
        try:
            import pandas
        except ImportError:
            raise UsageError("to_dataframe needs pandas: pip install 'aiohpo[pandas]'") from None
        return pandas.DataFrame([asdict(p) for p in self.parameters])

    def heading(self) -> str:
        """Say in a line what was compared, and by what."""
        at = "" if self.step is None else f" at step {self.step}"
        left = f", {self.left_out} left out" if self.left_out else ""
        return f"{printable(self.metric, 40)}: {self.method} on {self.trials} trials{at}{left}"

    def table(self, *, among_best: bool = False) -> list[tuple[str, str, str, str]]:
        """Return the cells that people read, the names of the columns first."""
        return [
            ("parameter", "importance", f"among the best {self.best}", "active"),
            *self._rows(among_best),
        ]

    def _rows(self, among_best: bool) -> list[tuple[str, str, str, str]]:
        return [
            (
                printable(p.parameter, 40),
                f"{p.importance:.3f} [{p.low:.2f}, {p.high:.2f}]",
                f"{p.among_best:.3f} [{p.among_best_low:.2f}, {p.among_best_high:.2f}]",
                "always" if p.active == 1.0 else f"in {p.active:.0%}",
            )
            for p in self.by(among_best=among_best)
        ]

    def __getitem__(self, key: Any) -> Any:
        """Return a parameter's importance by its name, or by its place from the most important on."""
        if not isinstance(key, str):
            return self.parameters[key]
        for p in self.parameters:
            if p.parameter == key:
                return p
        raise UsageError(f"there is no importance of {key!r}; the parameters are: {', '.join(map(str, self._names()))}")

    def __len__(self) -> int:
        return len(self.parameters)

    def __iter__(self) -> Iterator[ParameterImportance]:
        return iter(self.parameters)

    def _names(self) -> list[str]:
        return [p.parameter for p in self.parameters]

    def __repr__(self) -> str:
        first = ", ".join(f"{printable(p.parameter, 40)} {p.importance:.2f}" for p in self.parameters[:5])
        more = f", {len(self) - 5} more" if len(self) > 5 else ""
        return f"<Importances for {self.heading()}: {first}{more}>"

    def _repr_html_(self) -> str:
        first, *others = self.table()
        rows = [f"<tr>{''.join(f'<th>{cell}</th>' for cell in first)}</tr>"]
        rows += [f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in others]
        return f"<p>{html.escape(self.heading())}</p><table>{''.join(rows)}</table>"


def importances(
    space: Space,
    objective: Objective,
    trials: Sequence[TrialRecord],
    *,
    method: str = "fanova",
    seed: int = 0,
) -> Importances:
    """Compute how much each tunable parameter matters for a study's metric.

    Which trials are compared, and at which step: :func:`~aiohpo.importance.comparable.comparable`. Losses that are
    more than three times as far from the best as 95 % of the trials are count as that bad, so that a few that
    diverged do not explain everything. ``seed``: of the bootstrap samples.

    Raises ``UsageError`` for an unknown method, fewer than two parameters or ``LEAST`` trials, and a constant metric.
    """
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r} for importances; the methods are: {', '.join(METHODS)}")
    if space.dim < 2:
        what = f"only one, {space.names[0]!r}" if space.dim else "none"
        raise UsageError(f"importances compare the parameters that are searched, of which this space has {what}")
    found = comparable(trials, objective, LEAST)
    n, metric = len(found.loss), printable(objective.metric, 40)
    if n < LEAST:
        where = "are complete" if found.step is None else f"reached step {found.step}"
        raise UsageError(
            f"importances need at least {LEAST} trials that can be compared, and {n} of {len(trials)} {where} with a "
            f"finite {metric}: run more trials"
        )
    loss = _without_outliers(found.loss)
    if loss.max() == loss.min():
        value = objective.sign * found.loss[0]
        raise UsageError(f"no parameter matters: {metric} is {value:.6g} in all {n} trials that were compared")
    loss = (loss - loss.min()) / (loss.max() - loss.min())
    U = space.encode([record.config for record in found.records])
    rng = np.random.default_rng(seed)
    if method == "fanova":
        from .fanova import fanova as compute
    else:
        from .ped_anova import ped_anova as compute
    best_count = max(round(BEST_PART * n), BEST_LEAST)
    overall, best = compute(space, U, loss, best_count / n, rng)
    active = 1.0 - np.isnan(U).mean(axis=0)
    made = [
        ParameterImportance(name, *_estimate(overall[:, c]), *_estimate(best[:, c]), float(active[c]))
        for c, name in enumerate(space.names)
    ]
    made.sort(key=lambda p: -p.importance)
    return Importances(method, objective.metric, n, len(trials) - n, best_count, found.step, tuple(made))


def _estimate(values: FloatArray) -> tuple[float, float, float]:
    """Return an estimate and the ends of its interval, from ``values`` whose first is the estimate and whose others
    come from bootstrap samples."""
    low, high = np.quantile(values[1:] - values[1:].mean(), _INTERVAL)
    estimate = float(values[0])
    return estimate, max(estimate + min(float(low), 0.0), 0.0), min(estimate + max(float(high), 0.0), 1.0)


def _without_outliers(loss: FloatArray) -> FloatArray:
    """Return losses in units of the largest, the extremely bad ones no worse than the edge of the others."""
    largest = float(np.abs(loss).max())
    if not largest > 0.0:
        return loss
    scaled = loss / largest if math.isfinite(1.0 / largest) else loss
    best, typical = float(scaled.min()), float(np.quantile(scaled, 0.95))
    return scaled if typical == best else np.minimum(scaled, best + _FAR * (typical - best))
