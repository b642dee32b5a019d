"""Any Optuna sampler as a searcher: ``optuna:tpe``, ``optuna:cmaes``, ``optuna:gp,n_startup_trials=20``.

Whatever was observed becomes an in-memory Optuna study, in canonical order and anew at every fit, so that a sampler's
answer is a function of the set of observations like any other:

complete trials  COMPLETE, with their curves as intermediate values
partial trials   PRUNED, with their curves
failed trials    COMPLETE with the worst loss there is, so that every sampler avoids them; FAIL while there is none
pending ones     RUNNING

Building it and sampling from it takes 5 ms to seconds, so ``fit`` does both and leaves one suggestion ready; ``ask``
hands it out and samples by itself only when asked again before the next fit. Samplers that keep a state (CMA-ES, QMC,
NSGA-II) keep it in attributes of their own trials and of the study. These stay with the searcher, so such a state is
one worker's: in a swarm every worker runs, for example, a CMA-ES of its own, and others' results are not part of it.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.errors import UsageError, listing
from aiohpo.plugin import Config, Identity, Observations, Options, StudyView
from aiohpo.space.row_hashes import row_hashes

from ..common.design import stable_hash
from ..common.fresh import random_fresh_rows, unseen_rows
from .quiet import Quiet
from .space import OptunaSpace

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray
    from aiohpo.space.space import Space

_quiet = Quiet("optuna")
_NEEDS = {"cmaes": "cmaes", "gp": "torch"}  # packages that Optuna itself does not require
_ELSEWHERE = ("base", "basega", "grid", "partialfixed")  # abstract, our own grid, and one that wraps another
TRIES = 8  # suggestions in a row that were seen before, until a random configuration is taken instead
Attributes = dict[str, Any]


@dataclass(slots=True)
class _Ready:
    """A study, and a row (0 or 1, d) that was sampled from it with the attributes that the sampler gave it."""

    study: Any
    storage: Any
    row: FloatArray
    attributes: Attributes


class OptunaSearcher:
    """Suggest what an Optuna sampler suggests.

    Args:
        sampler: its name in lower case without "Sampler", such as ``tpe``, ``gp``, ``cmaes``, ``qmc`` or ``nsgaii``.
        options: of that sampler's constructor.

    Raises UsageError for an unknown sampler or option, and where Optuna, or what the sampler needs, is missing.
    """

    def __init__(self, sampler: str = "tpe", **options: Any) -> None:
        if importlib.util.find_spec("optuna") is None:
            raise UsageError("the searcher 'optuna' needs Optuna: pip install 'aiohpo[optuna]'")
        known = _samplers()
        sampler = Options("optuna").choice("sampler", sampler, sorted(known))
        package = _NEEDS.get(sampler)
        if package and importlib.util.find_spec(package) is None:
            raise UsageError(f"optuna: the sampler {sampler!r} needs the package {package}: pip install {package}")
        parameters = inspect.signature(known[sampler]).parameters
        self._seeded = "seed" in parameters
        for option in options:
            if option not in parameters or option == "seed":
                names = [name for name in parameters if name != "seed"]
                raise UsageError(
                    f"optuna: the sampler {sampler!r} has no option {option!r}; its options are: {listing(names)}"
                )
        self.sampler, self.options, self._class = sampler, options, known[sampler]
        try:
            self._sampler(0)
        except (TypeError, ValueError) as error:
            raise UsageError(f"optuna: the sampler {sampler!r} refuses its options {options}: {error}") from error

    @_quiet
    def _sampler(self, seed: int) -> Any:
        return self._class(**self.options, **({"seed": seed} if self._seeded else {}))

    # ------------------------------------------------------------------------------------- the searcher
    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space. Raises UsageError where the sampler cannot serve it."""
        self._space, self._optuna = space, OptunaSpace(space)
        self._key = [seed, stable_hash(identity.worker) if identity.rank is None else identity.rank]
        self._ready: _Ready | None = None
        self._mine: dict[int, Attributes] = {}  # what the sampler attached to what was suggested here
        self._study_attributes: Attributes = {}
        try:
            with _quiet:
                self._study([]).study.ask(self._optuna.distributions)
        except ValueError as error:
            raise UsageError(f"optuna: the sampler {self.sampler!r} cannot serve this space: {error}") from error

    @_quiet
    def fit(self, observations: Observations) -> _Ready:
        """Return a study with these observations and the next suggestion."""
        o = observations
        rng = np.random.default_rng([*self._key, len(o.y), len(o.failed), len(o.pending), len(o.curves.X)])
        ready = self._study(self._trials(o))
        ready.study.sampler = self._sampler(int(rng.integers(2**31)))
        taken = np.concatenate([o.X, o.failed, o.pending, o.curves.X])
        for _ in range(TRIES):
            ready.row, ready.attributes = self._sample(ready)
            if not np.isin(row_hashes(ready.row), row_hashes(taken)).any():
                break
        return ready

    def adopt(self, state: _Ready) -> None:
        """Use the study that :meth:`fit` returned."""
        self._ready = state

    @_quiet
    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return a configuration for each slot, fewer only when the space is exhausted."""
        n = len(slots)
        rows = np.empty((0, self._space.dim))
        if self._ready is None:
            self._ready = self._study(self._trials(view.observations()))
        ready = self._ready
        ready.study.sampler = self._sampler(int(rng.integers(2**31)))
        for _ in range(n * TRIES):
            if len(rows) == n:
                break
            row, attributes = (ready.row, ready.attributes) if len(ready.row) else self._sample(ready)
            ready.row = row[:0]
            if len(unseen_rows(view, row)) and not np.isin(row_hashes(row), row_hashes(rows)).any():
                self._mine[int(row_hashes(row)[0])] = attributes
                rows = np.concatenate([rows, row])
        self._study_attributes = ready.storage.get_study_system_attrs(ready.study._study_id)
        if len(rows) < n:
            rows = np.concatenate([rows, random_fresh_rows(view, rng, n - len(rows), rows)])
        return self._space.decode(rows)

    # ---------------------------------------------------------------------------------------- the study
    def _sample(self, ready: _Ready) -> tuple[FloatArray, Attributes]:
        trial = ready.study.ask()
        row = self._optuna.suggest(trial)
        return row, dict(ready.storage.get_trial(trial._trial_id).system_attrs)

    def _study(self, trials: list[Any]) -> _Ready:
        """Return a study of Optuna's trials, with nothing sampled from it yet."""
        import optuna

        storage = optuna.storages.InMemoryStorage()
        identity = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "aiohpo")
        for name, value in dict(self._study_attributes).items():
            storage.set_study_system_attr(identity, name, value)
        for trial in trials:
            storage.create_new_trial(identity, trial)
        study = optuna.load_study(study_name="aiohpo", storage=storage, sampler=self._sampler(0))
        return _Ready(study, storage, np.empty((0, self._space.dim)), {})

    def _trials(self, o: Observations) -> list[Any]:
        """Return Optuna's trials of all observations."""
        from optuna.trial import TrialState as states

        curves = _curves(o)
        partial = o.curves.X[~np.isin(row_hashes(o.curves.X), row_hashes(np.concatenate([o.X, o.pending])))]
        worst = float(o.y.max()) if len(o.y) else None
        failed = states.FAIL if worst is None else states.COMPLETE
        return (
            self._frozen(o.X, states.COMPLETE, o.y.tolist(), curves)
            + self._frozen(partial, states.PRUNED, [None] * len(partial), curves)
            + self._frozen(o.failed, failed, [worst] * len(o.failed), {})
            + self._frozen(o.pending, states.RUNNING, [None] * len(o.pending), curves)
        )

    def _frozen(
        self, units: FloatArray, state: Any, values: list[float | None], curves: dict[int, dict[int, float]]
    ) -> list[Any]:
        """Return Optuna's trials of rows (n, d)."""
        from optuna.trial import create_trial

        found = []
        keys = row_hashes(units).tolist()
        for key, parameters, value in zip(keys, self._optuna.parameters(units), values, strict=True):
            found.append(
                create_trial(
                    state=state,
                    value=value,
                    params=parameters,
                    distributions={name: self._optuna.distributions[name] for name in parameters},
                    intermediate_values=curves.get(key, {}),
                    system_attrs=self._mine.get(key),
                )
            )
        return found

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"OptunaSearcher({self.sampler!r}{options})"


def _curves(o: Observations) -> dict[int, dict[int, float]]:
    """Return the reports by step of every row that has any, by the row's key."""
    c = o.curves
    ends = np.flatnonzero(np.diff(c.trial, append=-1)) + 1
    starts = np.concatenate([[0], ends])[:-1].astype(int)
    pieces = zip(row_hashes(c.X).tolist(), starts.tolist(), ends.tolist(), strict=True)
    return {key: dict(zip(c.step[a:b].tolist(), c.loss[a:b].tolist(), strict=True)) for key, a, b in pieces}


def _samplers() -> dict[str, Any]:
    """Return Optuna's samplers by name."""
    from optuna import samplers

    names = [name for name in samplers.__all__ if name.endswith("Sampler")]
    classes = {name.removesuffix("Sampler").lower(): getattr(samplers, name) for name in names}
    return {name: found for name, found in classes.items() if name not in _ELSEWHERE}
