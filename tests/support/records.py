"""Records of trials without a run, for tests of what is handed some."""

from __future__ import annotations

from typing import Any

from aiohpo.view.trials import TrialRecord


def record(**given: Any) -> TrialRecord:
    """A trial of the id w-1 that has just begun, but for what is ``given``."""
    usual: dict[str, Any] = {
        "id": "w-1",
        "number": 0,
        "status": "running",
        "config": {"lr": 0.1, "kind": None},
        "value": None,
        "metrics": {},
        "step": 0,
        "worker": "w",
        "started": 1.0,
        "seconds": None,
        "attempt": 0,
        "error": None,
        "detail": None,
        "checkpoint": None,
        "predictions": {},
        "curve": {},
    }
    return TrialRecord(**usual | given)
