"""Run one segment of an objective and say how it ended: nothing that user code does escapes from here."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ..errors import UsageError, listing
from ..plugin import Decision, Outcome
from .metrics import as_metrics
from .program import Program
from .trial import Trial
from .trial_link import TrialEnded

MAX_ERROR = 2_000
MAX_DETAIL = 8_000
_HERE = os.path.dirname(os.path.abspath(__file__))


def failed(error: str, detail: str | None = None, *, crashed: bool = False) -> Outcome:
    """Return a failed outcome within the bounds of :class:`~aiohpo.plugin.Outcome`."""
    line = " ".join(error[: 2 * MAX_ERROR].split())
    if len(line) > MAX_ERROR:
        line = line[: MAX_ERROR - 1] + "…"
    detail = _clean(detail[-MAX_DETAIL:]) if detail else None
    return Outcome("failed", error=_clean(line), detail=detail, crashed=crashed)


def released(error: str, detail: str | None = None) -> Outcome:
    """Return the outcome of a segment that ended by no fault of the objective's, within the same bounds."""
    return replace(failed(error, detail), kind="released")


def _clean(text: str) -> str:
    # Lone surrogates (file names, binary junk in messages) cannot be encoded on the wire.
    return text.encode("utf-8", "replace").decode("utf-8")


def failure_of(error: BaseException) -> Outcome:
    """Describe an exception that the objective let out."""
    if isinstance(error, SystemExit):
        line = f"the objective called sys.exit({error.code!r}): return a value instead"
    else:
        try:
            message = str(error)
        except Exception:
            message = "(its message cannot be printed)"
        # Our own errors are written for people; a class name in front adds nothing.
        name = "" if isinstance(error, UsageError) else type(error).__name__
        line = ": ".join(part for part in (name, message) if part)
    return failed(line, _trace(error), crashed=_is_out_of_memory(error))


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether the system, or a GPU, had no memory to give: torch's and TensorFlow's errors are told by their names."""
    return isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "ResourceExhaustedError")


def _trace(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == _HERE:
        trace = trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except Exception:
        return ""


def conclude(trial: Trial, returned: Any) -> Outcome:
    """Say how a segment ended whose objective returned, and what a paused trial is compared by.

    A returned value counts for the last step, unless the objective reported that one; without either it is the last
    report before. A trial that has never reported its metric fails: it could not be compared with any other. Raises
    nothing but what the link raises.
    """
    if trial._trouble is not None:
        return released(trial._trouble)
    if trial._failure is not None:
        return failed(trial._failure)
    if trial._decision is Decision.STOP:
        return Outcome("stopped")
    pauses = trial._decision is Decision.PAUSE
    if trial._leaves and not pauses:
        return Outcome("released")
    if pauses and trial._reported_at == trial.step:
        return Outcome("paused")
    if inspect.iscoroutine(returned):
        returned.close()
        return failed("the objective returned a coroutine: declare it with async def")
    metric = trial._program.metric
    try:
        metrics = as_metrics(returned, metric)
    except UsageError as error:
        return failed(str(error))
    except Exception as error:
        return failure_of(error)
    if metric not in metrics:
        if trial._reported is None:
            return failed(_without(metric, trial, returned, trial._reported_names | metrics.keys()))
        # Said twice or only once, the value that counts is the last.
        metrics = {metric: trial._reported, **metrics}
    if not pauses:
        return Outcome("finished", metrics)
    return Outcome("paused" if trial._report_pause(metrics) else "stopped")


def _without(metric: str, trial: Trial, returned: Any, others: Collection[str]) -> str:
    """The error of a trial that paused or came to its end and never had a value of the metric."""
    but = f"only {listing(sorted(others))}" if others else "nothing"
    if trial._decision is Decision.PAUSE:
        return (
            f"paused at step {trial.step} to be compared with others, but has no {metric!r} to compare: the objective "
            f"reported {but} so far. Call trial.report({metric}=...) at every step, or return the value when the loop "
            "over trial.steps() ends; if it is reported less often, let the scheduler compare later (its option "
            "r_min or interval)"
        )
    if returned is None:
        what = f"None and never reported {metric!r}"
    else:
        what = f"a dict without {metric!r} and never reported it"
    return (
        f"the objective returned {what}{f', {but}' if others else ''}: return a number, a dict with {metric!r}, or "
        f"call trial.report({metric}=...)"
    )


def run_segment(program: Program, trial: Trial) -> Outcome:
    """Call a synchronous objective. Raises nothing but what the interpreter itself needs to die."""
    assert program.function is not None
    try:
        outcome = conclude(trial, program.function(trial))
    except TrialEnded:
        outcome = conclude(trial, None)
    except BaseException as error:
        outcome = failure_of(error) if trial._failure is None and trial._trouble is None else conclude(trial, None)
    trial._close()
    return outcome
