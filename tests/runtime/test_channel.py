"""Tests of the channel: what a running segment says is recorded within the bounds of an event."""

from __future__ import annotations

from typing import Any

from aiohpo import Float, Space, Study
from aiohpo.evaluate.metrics import MAX_METRICS


async def test_many_reports_of_one_step_are_trimmed_with_words() -> None:
    """Reports of one step that together name too many metrics keep the first, and the trial ends well."""

    async def objective(trial: Any) -> None:
        for n in range(10):
            trial.report(**{f"{n}-{i}-{'é' * 100}": float(n) for i in range(100)}, loss=n / 10, step=1)

    study = Study(objective, Space(x=Float(0, 1)), searcher="random", metric="loss")
    result = await study.arun(trials=1)
    [trial] = result.trials
    assert (trial.status, trial.value) == ("finished", 0.9)
    assert 100 <= len(trial.metrics) - 1 <= MAX_METRICS
    [notice] = [text for text in study.notices if "together" in text]
    assert notice.startswith(f"trial {trial.id}: the reports of step 1 name more than {MAX_METRICS} metrics or 61440 b")
