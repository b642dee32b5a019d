"""Run one segment of an objective and say how it ended: nothing that user code does escapes from here."""

from __future__ import annotations

import inspect
import os
import traceback
from typing import Any, Literal

from ..interfaces import Decision, Outcome, UsageError
from .metrics import as_metrics
from .objective import Objective
from .trial import Trial, TrialEnded

MAX_ERROR = 2_000
MAX_DETAIL = 8_000
_HERE = os.path.dirname(os.path.abspath(__file__))
_ENDINGS: dict[Decision, Literal["paused", "stopped"]] = {Decision.PAUSE: "paused", Decision.STOP: "stopped"}


def failed(error: str, detail: str | None = None) -> Outcome:
    """Return a failed outcome within the bounds of :class:`~aiohpo.interfaces.Outcome`."""
    line = " ".join(error[: 2 * MAX_ERROR].split())
    if len(line) > MAX_ERROR:
        line = line[: MAX_ERROR - 1] + "…"
    return Outcome("failed", error=_clean(line), detail=_clean(detail[-MAX_DETAIL:]) if detail else None)


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
    return failed(line, _trace(error))


def _trace(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == _HERE:
        trace = trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except Exception:
        return ""


def conclude(trial: Trial, returned: Any) -> Outcome:
    """Say how a segment ended whose objective returned. Never raises."""
    if trial.failure is not None:
        return failed(trial.failure)
    if trial.decision is not Decision.CONTINUE:
        return Outcome(_ENDINGS[trial.decision])
    if inspect.iscoroutine(returned):
        returned.close()
        return failed("the objective returned a coroutine: declare it with async def")
    metric = trial._objective.metric
    try:
        metrics = as_metrics(returned, metric)
    except UsageError as error:
        return failed(str(error))
    except Exception as error:
        return failure_of(error)
    if metric in metrics:
        return Outcome("finished", metrics)
    if trial.reported is None:
        what = "None" if returned is None else "a dict without it"
        return failed(
            f"the objective returned {what} and never reported {metric!r}: return a number, a dict with "
            f"{metric!r}, or call trial.report({metric}=...)"
        )
    # Said twice or only once, the value that counts is the last.
    return Outcome("finished", {metric: trial.reported, **metrics})


def run_segment(objective: Objective, trial: Trial) -> Outcome:
    """Call a synchronous objective. Raises nothing but what the interpreter itself needs to die."""
    assert objective.function is not None
    try:
        outcome = conclude(trial, objective.function(trial))
    except TrialEnded:
        outcome = conclude(trial, None)
    except BaseException as error:
        outcome = failure_of(error) if trial.failure is None else failed(trial.failure)
    trial.close()
    return outcome
