"""What a running segment says, on its way from the evaluator to the worker's state, and the segment's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..evaluate.metrics import MAX_METRICS, size_of
from ..events.schema import MAX_METRIC_BYTES, trial_name
from ..plugin import Decision

if TYPE_CHECKING:
    from ..peer.running_segments import Segment
    from .peer import Peer


class SegmentChannel:
    """Carries a running trial's reports to the state. Implements :class:`aiohpo.plugin.Channel`."""

    __slots__ = ("_timeout", "_told_excess", "_untimed", "_worker", "extra", "segment", "step", "timer", "value")

    def __init__(self, worker: Peer, segment: Segment, start: int) -> None:
        self._worker = worker
        self.segment = segment
        self.step = start
        self.value: float | None = None
        self.extra: dict[str, float] = {}
        self.timer = asyncio.timeout(None)
        self._timeout: float | None = None
        self._untimed = 0.0
        self._told_excess = False

    def start_clock(self, timeout: float | None) -> None:
        """Let :attr:`timer`, which is entered, end the segment after ``timeout`` seconds."""
        self._timeout = timeout
        if not self.timer.expired():
            self.timer.reschedule(None if timeout is None else asyncio.get_running_loop().time() + timeout)

    @contextmanager
    def untimed(self) -> Iterator[None]:
        loop, timeout = asyncio.get_running_loop(), self._timeout
        began = loop.time()
        self.start_clock(None)
        try:
            yield
        finally:
            self._untimed += loop.time() - began
            self.start_clock(timeout)

    def seconds(self, elapsed: float) -> float:
        """How much of the segment's ``elapsed`` seconds were the objective's."""
        return max(elapsed - self._untimed, 0.0)

    def notice(self, text: str) -> None:
        self._worker.say(text)

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        worker, segment = self._worker, self.segment
        if step != self.step:
            self.value, self.extra = None, {}
        self._add(metrics)  # several reports of one step are one
        self.value = self.extra.pop(worker.view.objective.metric, self.value)
        self.step = max(self.step, step)
        worker.state.report(segment, self.step, self.value, self.extra)
        worker.exchange.carry_out()
        worker.callbacks.reported(trial_name(segment.trial), self.step, metrics)
        if segment.doomed:
            return Decision.STOP
        return worker.services.scheduler.on_report(worker.view, trial_name(segment.trial), self.step)

    def _add(self, metrics: Mapping[str, float]) -> None:
        together = {**self.extra, **metrics}
        if len(together) > MAX_METRICS or size_of(together) > MAX_METRIC_BYTES:
            metric = self._worker.view.objective.metric
            together = {name: value for name, value in together.items() if name in self.extra or name == metric}
            if not self._told_excess:
                self._told_excess = True
                self._worker.say(
                    f"trial {trial_name(self.segment.trial)}: the reports of step {self.step} name more than "
                    f"{MAX_METRICS} metrics or {MAX_METRIC_BYTES} bytes of them together: of the last one only the "
                    "names that are known already are kept; report fewer metrics, or give them shorter names"
                )
        self.extra = together

    def save(self, step: int, digest: str, size: int) -> None:
        self._worker.state.record_checkpoint(self.segment, step, digest, size)
        self._worker.exchange.carry_out()

    def predictions(self, digests: Mapping[str, str]) -> None:
        self._worker.state.predicted(self.segment, {**self._worker.services.targets, **digests})
        self._worker.exchange.carry_out()

    def note(self, notes: Mapping[str, str]) -> None:
        self._worker.state.note(self.segment.trial, notes)
        self._worker.exchange.carry_out()

    def attach(self, name: str, digest: str, size: int) -> None:
        self._worker.state.attach(self.segment, name, digest, size)
        self._worker.exchange.carry_out()

    def log(self, text: str) -> None:
        worker, segment = self._worker, self.segment
        if worker.services.output is not None:
            worker.services.output(trial_name(segment.trial), worker.view.number(segment.row), text)
