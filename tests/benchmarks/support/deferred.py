"""A learning searcher that computes a fit only when its result is used.

A worker refits whenever there are new results, in the background; in virtual time all those background fits of all
workers run on the one real processor, though most of their results are replaced before anybody asks. Here ``fit``
only keeps the observations and ``ask`` does what was put off. Decisions are those of the newest adopted fit either
way; only what a searcher carries from fit to fit (a warm start) passes through fewer of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from aiohpo.plugin import Config, FittingSearcher, Identity, Observations, Searcher, StudyView
from aiohpo.space.space import Space

from .anytime import Trace


class TimedSearcher:
    """Passes on to ``inner`` and measures its CPU time."""

    def __init__(self, inner: Searcher, trace: Trace) -> None:
        self.inner = inner
        self.trace = trace

    def __deepcopy__(self, memo: Any) -> TimedSearcher:
        raise TypeError("one for each worker")

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        self.inner.setup(space, seed, identity)

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        began = time.process_time()
        configs = self.inner.ask(view, rng, slots)
        self.trace.cpu += time.process_time() - began
        self.trace.asks += 1
        return configs


class DeferredSearcher(TimedSearcher):
    """The same for a :class:`FittingSearcher`, whose fits it puts off."""

    inner: FittingSearcher

    def __init__(self, inner: FittingSearcher, trace: Trace) -> None:
        super().__init__(inner, trace)
        self._due: Observations | None = None

    def fit(self, observations: Observations) -> Observations:
        return observations

    def adopt(self, state: Observations) -> None:
        self._due = state

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        if self._due is not None:
            began = time.process_time()
            self.inner.adopt(self.inner.fit(self._due))
            self.trace.cpu += time.process_time() - began
            self._due = None
        return super().ask(view, rng, slots)


def timed(inner: Searcher, trace: Trace) -> TimedSearcher:
    """Wrap a searcher of one worker."""
    return DeferredSearcher(inner, trace) if isinstance(inner, FittingSearcher) else TimedSearcher(inner, trace)
