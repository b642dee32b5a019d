"""A study without workers: configurations that are asked for, their results, and what is known from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .evaluate.program import in_child
from .plugin import Config
from .plugin.objective import Objective
from .plugin.registry import make_plugin

# Imported where they are needed, as in :mod:`aiohpo.study`.
if TYPE_CHECKING:
    from .result import Result
    from .runtime.ask_tell import AskedTrial, AskTell
    from .runtime.assembly.past import PastTrial, Wishes
    from .runtime.assembly.replica import Replica
    from .runtime.notices import Logged
    from .space.space import Space
    from .view.trials import TrialRecord


class DrivenByHand:
    """The part of :class:`~aiohpo.study.Study` that needs no worker. The study has the attributes without a value."""

    space: Space
    metric: str
    max_steps: int | None
    searcher: Any
    seed: int
    _judged_by: Objective
    _notice: Logged
    _manual: AskTell | None = None
    _hand_searcher: Any = None
    _wishes: Wishes | None = None
    _wishes_in_file: tuple[tuple[Config, float | None, bool], ...] = ()

    @property
    def _replica(self) -> Replica:
        raise NotImplementedError

    def ask(self) -> AskedTrial:
        """Return a configuration to evaluate. Raises ``UsageError`` if the searcher has no more."""
        if self._hand_searcher is None:
            self._hand_searcher = make_plugin("searchers", self.searcher)
        asked = self._by_hand.ask(self._hand_searcher)
        if asked is None:
            raise UsageError(f"the searcher {self.searcher!r} has no more configurations to suggest")
        return asked

    def tell(
        self, asked: AskedTrial, value: float | Mapping[str, float] | None = None, *, error: str | None = None
    ) -> TrialRecord:
        """Record the outcome of an asked trial: the metric's value, a dict of metrics, or an ``error``."""
        from .runtime.ask_tell import outcome

        metrics = outcome(asked, value, error, self.metric)
        self._by_hand.tell(asked, metrics.pop(self.metric, None), metrics, error)
        return self._by_hand.record(asked)

    def enqueue(self, config: Mapping[str, Any]) -> str:
        """Queue a complete configuration to be tried before the searcher's; returns its trial id.

        A script may queue its configurations on every run: a configuration that an earlier run or another process has
        already queued in the study's directory is not queued again, and its existing id is returned. In a file that
        ``aiohpo run`` or ``aiohpo worker`` reads, the first worker queues it, and the id is empty.
        """
        fitting = self.space.validate(config)
        if in_child():
            self._wishes_in_file += ((fitting, None, True),)
            return ""
        return self._by_hand.enqueue(fitting)

    def _fulfil(self) -> None:
        """Carry out what the file said by :meth:`enqueue` and :meth:`add` while it was only being imported."""
        wishes, self._wishes_in_file = self._wishes_in_file, ()
        for config, value, queued in wishes:
            if queued:
                self._by_hand.enqueue(config)
            else:
                self._by_hand.add([(config, value)])
        if wishes and self._manual is not None:
            self._manual.close()
            self._manual = None

    def add(self, past: Iterable[PastTrial] | Result | str | Path) -> int:
        """Add past trials. Searchers learn from them; they do not count against the budget.

        ``past`` is ``[(config, value), …]`` (value None: it failed), a :class:`Result`, or the directory of an earlier
        run, from which trials are taken that ran to their end or failed. Trials that do not fit this space are an
        error, and so is a run with a different metric, mode or ``max_steps``; nothing is added then. Trials that an
        earlier run of the same script has added are not added again. Returns the number of trials.
        """
        from .result import Result
        from .runtime.assembly.past import check_comparable, check_past, results_of

        name = "that result" if isinstance(past, Result) else str(past)
        if isinstance(past, str | Path):
            from .storage.run import open_run

            past = Result(open_run(Path(past)).view)
        if isinstance(past, Result):
            theirs = Objective(past.metric, past.mode), past.max_steps
            check_comparable(name, theirs, (self._judged_by, self.max_steps))
            past, others = results_of(past.trials)
            if others:
                self._notice(f"left out {others} of {name}: only trials that ran to their end have a result")
        checked = check_past(past, self.space, self.metric)
        if in_child():
            self._wishes_in_file += tuple((fitting, value, False) for fitting, value in checked)
        else:
            self._by_hand.add(checked)
        return len(checked)

    @property
    def _by_hand(self) -> AskTell:
        from .runtime.ask_tell import drive_by_hand
        from .runtime.assembly.past import Wishes

        if self._manual is None:
            self._wishes = self._wishes or Wishes()
            self._manual = drive_by_hand(self._replica, self.seed, self._wishes, self._notice)
        return self._manual
