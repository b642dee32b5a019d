"""Which failed trials are to be tried again.

A retry is a new trial with the configuration of the failed one, queued for any worker (``Proposed.retry_of``). The
failed trial stays in the log and leaves the budget: everything that is read off the view follows from that event.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..events.lifecycle import Status
from ..events.schema import trial_name
from ..view.trials import TrialRecord
from ..view.view import View


def choose_failed(view: View, names: Sequence[str], where: str) -> list[int]:
    """Return the rows of the trials of these ``names`` (numbers or ids), or of all failed ones that are not retried.

    Raises ``UsageError`` for a trial that is not there, did not fail, or is tried again already, and if there is
    none. ``where`` is the place that it speaks of.
    """
    records = list(view.records())
    retries = _retries(view)
    if not names:
        failed = [record for record in records if record.status == "failed"]
        chosen = [record for record in failed if record.id not in retries]
        if not failed:
            raise UsageError(f"no trial of {where} has failed: there is nothing to retry")
        if not chosen:
            raise UsageError(
                f"all {len(failed)} failed trials of {where} have been queued again already: the command that started "
                "the search runs those that have not run yet"
            )
    else:
        known = {name: record for record in records for name in (record.id, str(record.number))}
        chosen = list(
            {record.id: record for name in names for record in [_failed(name, known, retries, where)]}.values()
        )
    return [view.row_of(record.id) for record in chosen]


def _failed(name: str, known: dict[str, TrialRecord], retries: dict[str, str], where: str) -> TrialRecord:
    record = known.get(name)
    if record is None:
        raise UsageError(f"there is no trial {name!r} in {where}: give numbers or ids, as 'aiohpo show' lists them")
    if record.status != "failed":
        raise UsageError(f"trial {name} of {where} did not fail, it is {record.status}: only failed trials are retried")
    if record.id in retries:
        raise UsageError(f"trial {name} of {where} has been queued again already, as trial {retries[record.id]}")
    return record


def _retries(view: View) -> dict[str, str]:
    """{failed trial: the number of the trial that tries it again}, without those that were withdrawn."""
    rows = [row for row in range(view.n_rows) if view.status(row) is not Status.CANCELLED]
    found = ((view.retry_of(row), row) for row in rows)
    return {trial_name(failed): str(view.number(row)) for failed, row in found if failed is not None}
