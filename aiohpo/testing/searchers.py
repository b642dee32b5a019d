"""The conformance check for searchers: what :class:`aiohpo.plugin.Searcher` promises, tried out."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.plugin import FittingSearcher, Identity, Searcher
from aiohpo.space.space import Categorical, Constant, Float, Int, Ordinal, Space

from .randomness import global_random_state
from .staticview import StaticView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiohpo.plugin import Config, FloatArray

SEED = 12
ALONE = Identity("somebody")
MANY = Identity("somebody", slots=5)


def example_spaces() -> dict[str, Space]:
    """Return spaces of every kind: continuous, mixed, conditional, and finite with twelve configurations."""
    return {
        "continuous": Space(x=Float(-5, 5), y=Float(1e-5, 1.0, log=True), z=Float(0, 1)),
        "mixed": Space(
            lr=Float(1e-5, 1e-1, log=True),
            units=Int(16, 256, log=True),
            dropout=Float(0.0, 0.5, step=0.1),
            size=Ordinal(["small", "medium", "large"]),
            bias=Categorical([True, False]),
            epochs=Constant(10),
        ),
        "conditional": Space(
            model=Categorical(["linear", "forest", "net"]),
            trees=Int(10, 500, when={"model": "forest"}),
            optimizer=Categorical(["sgd", "adam"], when={"model": "net"}),
            momentum=Float(0.0, 0.99, when={"optimizer": "sgd"}),
        ),
        "finite": Space(a=Int(1, 4), b=Categorical(["u", "v", "w"])),
    }


def tiny_spaces() -> dict[str, Space]:
    """Return spaces of a few configurations, with nothing to search or with a Float of six doubles."""
    return {
        "constant": Space(a=Constant(3)),
        "single": Space(a=Int(7, 7), b=Categorical(["only"])),
        "narrow": Space(x=Float(1.0, 1.0 + 1e-15)),
    }


def check_searcher(
    factory: Callable[[], Searcher],
    *,
    spaces: Mapping[str, Space] | None = None,
    ask_seconds: float = 0.05,
) -> None:
    """Check a searcher; raise AssertionError that names what is violated.

    Args:
        factory: called without arguments, gives a fresh searcher.
        spaces: what to try it on; :func:`example_spaces` unless given. A space that ``setup`` refuses with a
            ValueError is skipped; at least one must be served.
        ask_seconds: what the median ``ask`` with 200 observations may cost, in CPU seconds. Generous by
            default, as test machines are slow and busy; on the event loop 0.005 is the aim.

    It is checked that

    - ``setup`` serves a space or refuses it with a ValueError that says something;
    - suggestions are complete and valid configurations, at most one for each slot, distinct, and neither observed,
      failed nor pending; also with no observations, only failures, ties, repeats and losses of any magnitude;
    - a study of 30 trials with four outstanding never repeats a configuration;
    - a finite space is exhausted: the last configurations are found, and then none is returned; also where there is
      only one configuration, and where a Float has six values (:func:`tiny_spaces`);
    - equal seeds, views and generators give equal configurations;
    - the answer does not depend on the order in which the observations arrived;
    - ``fit`` changes nothing until ``adopt``;
    - neither the view nor global random state is touched;
    - ``ask`` is fast.
    """
    searcher = factory()
    assert isinstance(searcher, Searcher), f"{searcher!r} lacks setup() or ask()"
    learns = [hasattr(searcher, name) for name in ("fit", "adopt")]
    assert len(set(learns)) == 1, f"{searcher!r} has one of fit() and adopt(); it needs both or neither"
    served = 0
    for name, space in (example_spaces() if spaces is None else spaces).items():
        if _serves(factory(), space, name):
            served += 1
            _SearcherCheck(factory, space, name, ask_seconds).all()
    assert served, f"{searcher!r} serves none of the spaces tried"
    if spaces is None:
        for name, space in tiny_spaces().items():
            if _serves(factory(), space, name):
                _SearcherCheck(factory, space, name, ask_seconds).to_the_end()


def _serves(searcher: Searcher, space: Space, name: str) -> bool:
    refusal = None
    try:
        searcher.setup(space, SEED, MANY)
    except ValueError as error:
        refusal = str(error)
    assert refusal != "", f"setup() refuses the {name} space without saying why"
    return refusal is None


def _loss(units: FloatArray) -> FloatArray:
    """A smooth objective on unit rows (k, d), with its optimum off the centre."""
    return np.asarray(np.nansum((units - 0.3) ** 2, axis=1), dtype=np.float64)


class _SearcherCheck:
    """The checks on one space."""

    def __init__(self, factory: Callable[[], Searcher], space: Space, name: str, seconds: float) -> None:
        self.factory, self.space, self.name, self.seconds = factory, space, name, seconds
        self.units = self._distinct(200)

    def all(self) -> None:
        self.odd_observations()
        self.repeatable()
        self.arrival_order()
        self.fit_is_private()
        self.study()
        self.exhaustion()
        self.speed()

    # --------------------------------------------------------------------------------------------- tools
    def _distinct(self, n: int) -> FloatArray:
        units = self.space.sample(np.random.default_rng(SEED), 4 * n)
        _, first = np.unique(np.nan_to_num(units, nan=-1.0), axis=0, return_index=True)
        return units[np.sort(first)][: min(n, len(first) - 4 if self.space.size < n else n)]

    def _searcher(self, identity: Identity = MANY) -> Searcher:
        searcher = self.factory()
        searcher.setup(self.space, SEED, identity)
        return searcher

    def _view(self, n: int, **more: Any) -> StaticView:
        units = self.units[:n]
        return StaticView(self.space, units, _loss(units), **more)

    def _learn(self, searcher: Searcher, view: StaticView) -> None:
        if isinstance(searcher, FittingSearcher):
            searcher.adopt(searcher.fit(view.observations()))

    def _ask(self, searcher: Searcher, view: StaticView, slots: Sequence[int] = (0,), seed: int = 0) -> list[Config]:
        """Ask, and check everything that holds for any single answer."""
        where = f"ask() for the slots {slots} on the {self.name} space with {view!r}"
        before = global_random_state()
        contents = view.observations()
        copies = [array.copy() for array in (contents.X, contents.y, contents.failed, contents.pending)]
        try:
            configs = searcher.ask(view, np.random.default_rng(seed), slots)
        except Exception as error:
            raise AssertionError(f"{where} raised {error!r}") from error
        assert isinstance(configs, list), f"{where} returned {type(configs).__name__}, not a list"
        assert len(configs) <= len(slots), f"{where} returned {len(configs)} configurations"
        for config in configs:
            try:
                complete = self.space.validate(config)
            except ValueError as error:
                raise AssertionError(f"{where} returned the invalid {config}: {error}") from error
            assert config == complete, f"{where} returned {config}; complete would be {complete}"
        if configs:
            units = self.space.encode(configs)
            assert not view.seen(units).any(), f"{where} returned a configuration that was seen: {configs}"
            rows = len(np.unique(np.nan_to_num(units, nan=-1.0), axis=0))
            assert rows == len(configs), f"{where} returned only {rows} distinct configurations: {configs}"
        assert before == global_random_state(), f"{where} used the global random state instead of rng"
        same = all(
            np.array_equal(a, b, equal_nan=True)
            for a, b in zip(copies, (contents.X, contents.y, contents.failed, contents.pending), strict=True)
        )
        assert same, f"{where} changed the view"
        return configs

    # -------------------------------------------------------------------------------------------- checks
    def odd_observations(self) -> None:
        """Answer whatever was observed: nothing, one, failures only, ties, repeats, losses of any magnitude."""
        few, some, many = self.units[:3], self.units[:8], self.units[:25]
        flat = np.zeros(len(some))
        huge = np.where(np.arange(len(some)) == 1, 1e300, _loss(some))
        views = {
            "no observation": self._view(0),
            "one observation": self._view(1),
            "only pending": StaticView(self.space, pending=few),
            "only failures": StaticView(self.space, failed=few),
            "equal losses": StaticView(self.space, some, flat),
            "a huge loss": StaticView(self.space, some, huge),
            "losses whose scale jumps": StaticView(
                self.space, many, np.where(np.arange(len(many)) < 9, 1e-320, 1e307) * _loss(many)
            ),
            "one configuration twice": StaticView(self.space, [*few, *few], [1, 2, 3, 1, 2, 4]),
        }
        for what, view in views.items():
            searcher = self._searcher()
            try:
                self._learn(searcher, view)
            except Exception as error:
                raise AssertionError(f"fit() with {what} on the {self.name} space raised {error!r}") from error
            for slots in ((0,), (3,), (0, 1, 2, 4)):
                found = self._ask(searcher, view, slots)
                assert found, f"ask() for the slots {slots} with {what} on the {self.name} space: nothing"

    def repeatable(self) -> None:
        """Give equal answers to equal questions."""
        view = self._view(8, pending=self.units[8:9])
        answers = []
        for _ in range(2):
            searcher = self._searcher()
            self._learn(searcher, view)
            answers.append([self._ask(searcher, view, slots, seed=5) for slots in ((0,), (1, 2, 4))])
        assert answers[0] == answers[1], f"equal seeds gave {answers[0]} and {answers[1]}"

    def arrival_order(self) -> None:
        """Forget by which way a set of observations was reached."""
        whole = self._view(8)
        answers = []
        for part in (slice(0, 5), slice(3, 8)):
            searcher = self._searcher()
            self._learn(searcher, StaticView(self.space, self.units[part], _loss(self.units[part])))
            self._learn(searcher, whole)
            answers.append(self._ask(searcher, whole, (0, 1)))
        assert answers[0] == answers[1], (
            f"on the {self.name} space the order in which observations arrived changes the answer: "
            f"{answers[0]} and {answers[1]}"
        )

    def fit_is_private(self) -> None:
        """Leave the searcher as it was until ``adopt``: ``fit`` runs in a thread while others ask."""
        old, new = self._view(6), self._view(8)
        answers = []
        for fits in (False, True):
            searcher = self._searcher()
            self._learn(searcher, old)
            if fits and isinstance(searcher, FittingSearcher):
                searcher.fit(new.observations())
            answers.append(self._ask(searcher, new, (0, 1)))
        assert answers[0] == answers[1], f"fit() changes the answers before adopt() on the {self.name} space"

    def study(self) -> None:
        """Never repeat a configuration in a study with four outstanding, one slot and others elsewhere."""
        searcher = self._searcher(ALONE)
        pending: list[Config] = []
        done: list[Config] = []
        for step in range(30):
            losses = _loss(self.space.encode(done)) if done else ()
            view = StaticView(self.space, done, losses, pending=pending)
            if step % 3 == 0:
                self._learn(searcher, view)
            pending += self._ask(searcher, view, seed=step)
            if len(pending) == 4 or step > 24:
                done += pending[:1]
                del pending[:1]

    def exhaustion(self) -> None:
        """Find the last configurations of a small finite space, then return none."""
        if self.space.size > 100:
            return
        every = list(self.space.grid(100))
        for left in (3, 1, 0):
            seen = every[: len(every) - left]
            view = StaticView(self.space, seen, _loss(self.space.encode(seen)))
            searcher = self._searcher()
            self._learn(searcher, view)
            found = self._ask(searcher, view, range(5))
            assert bool(found) == bool(left), (
                f"with {left} configurations left of {len(every)}, ask() for five slots on the {self.name} space "
                f"returned {len(found)}"
            )

    def to_the_end(self) -> None:
        """Find every configuration once in a study of one after the other, then return none."""
        searcher = self._searcher(ALONE)
        done: list[Config] = []
        while True:
            view = StaticView(self.space, done, _loss(self.space.encode(done)) if done else ())
            self._learn(searcher, view)
            found = self._ask(searcher, view, seed=len(done))
            if not found:
                break
            done += found
        assert len(done) == self.space.size, (
            f"{len(done)} of the {self.space.size:g} configurations of the {self.name} space were found"
        )

    def speed(self) -> None:
        """Answer fast enough for an event loop."""
        view = self._view(200)
        searcher = self._searcher()
        self._learn(searcher, view)
        costs = []
        for seed in range(5):
            start = time.process_time()
            searcher.ask(view, np.random.default_rng(seed), (0,))
            costs.append(time.process_time() - start)
        cost = statistics.median(costs)
        assert cost <= self.seconds, f"ask() took {cost:.3f} s of CPU on the {self.name} space"
