"""A searcher's model: refitted off the loop while evaluations run, swapped in at once.

At most one fit is in flight, and after one that took t seconds the next waits :data:`REST` times t, unless a slot is
free and asks: where results arrive all the time, fits would otherwise take the interpreter from everything else. A
suggestion waits for a fit only where that hardly costs anything, see :meth:`Fitting.fresh`; otherwise the newest model
there is answers.

A fit that raises is no reason to end a worker: the last model stays, and the next results are another chance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..errors import Unavailable
from ..plugin import ExplainingSearcher, FittingSearcher
from ..text import printable
from ..view.view import View
from .threads import in_thread

_SHARE = 0.2
_MOST_PATIENCE = 2.0
_LEAST_PATIENCE = 0.001
REST = 9.0
# The part of the results that a model may lack and still be fresh, see is_fresh. With 4,096 workers and evaluations of
# 60 s, 68 results a second, waiting for models that know everything took 1.1 % of the workers' time.
_LACK = 0.01


def fit_failure_in_words(searcher: FittingSearcher, error: Exception) -> str:
    """Say that a searcher could not learn from the newest results."""
    return printable(
        f"{type(searcher).__name__}.fit failed ({type(error).__name__}: {error}): the search continues with the last "
        "model; this is reported only once",
        500,
    )


def patience_for(interval: float) -> float:
    """How many seconds a suggestion waits for a model, where the mean time between two results of its worker is
    ``interval``; 0: not at all."""
    patience = min(_SHARE * interval, _MOST_PATIENCE)
    return patience if patience >= _LEAST_PATIENCE else 0.0


def is_fresh(known: int, wanted: int) -> bool:
    """Say whether a model that knows so many results may answer where there are ``wanted``.

    A single one that is missing has to be waited for: in a search with one slot it is the worker's own, and without it
    the search would not repeat. Where several are missing, others are on their way, and a hundredth of all hardly
    changes a model.
    """
    lacking = wanted - known
    return lacking <= 0 or 1 < lacking <= _LACK * wanted


class Fitting:
    """Keeps a searcher's model up to date with a view. ``complain`` hears once that a fit failed, ``explain`` what the
    searcher does, if it says so, whenever that has changed."""

    def __init__(
        self,
        searcher: FittingSearcher,
        view: View,
        complain: Callable[[str], None] | None = None,
        explain: Callable[[str], None] | None = None,
    ) -> None:
        self._searcher = searcher
        self._view = view
        self._complain = complain
        self._explain = explain
        self._explained = ""
        self._wanted = asyncio.Event()
        self._ready = asyncio.Event()
        self._asked = asyncio.Event()
        self._fitted = -1  # results known to the model in use

    def note_new_results(self) -> None:
        """There are new results: refit."""
        self._wanted.set()

    async def keep_updated(self) -> None:
        """Refit whenever there is something new; runs until cancelled."""
        loop = asyncio.get_running_loop()
        self._say_what_it_does()
        self._wanted.set()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            n = self._view.n_results
            if n == self._fitted:
                continue
            began = loop.time()
            try:
                state = await in_thread(self._searcher.fit, self._view.observations())
                self._searcher.adopt(state)
                self._say_what_it_does()
            except Unavailable:
                raise
            except Exception as error:
                if self._complain is not None:
                    self._complain(fit_failure_in_words(self._searcher, error))
                    self._complain = None
            self._fitted = n
            self._ready.set()
            await self._rest(REST * (loop.time() - began))

    def _say_what_it_does(self) -> None:
        if self._explain is None or not isinstance(self._searcher, ExplainingSearcher):
            return
        text = printable(self._searcher.explain(), 500)
        if text != self._explained:
            self._explained = text
            self._explain(text)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            pass

    async def fresh(self, interval: float) -> None:
        """Wait for a model that knows the results that are here now, at most a fifth of the mean ``interval`` between
        two results of this worker, in seconds.

        With evaluations of seconds and fits of milliseconds every suggestion then knows everything that is known, and a
        search with one slot repeats exactly; where results come faster than fits nothing waits. What arrives meanwhile
        is not waited for, as in a large swarm something always does; so it is two fits at most. Nor is a model that
        lacks next to nothing (:func:`is_fresh`).
        """
        wanted, patience = self._view.n_results, patience_for(interval)
        if is_fresh(self._fitted, wanted) or not patience:
            return
        self._asked.set()
        try:
            async with asyncio.timeout(patience):
                while self._fitted < wanted:
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            pass
        finally:
            self._asked.clear()
