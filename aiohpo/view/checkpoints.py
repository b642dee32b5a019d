"""Which checkpoints a trial has, and from which of them it goes on."""

from __future__ import annotations

from .reducer import Reducer


class Checkpoints(Reducer):
    """What was recorded of checkpoints, as questions about a trial."""

    def checkpoint(self, row: int, step: int | None = None) -> tuple[int, str, int, str] | None:
        """(step, digest, size, worker that saved it) of the newest checkpoint, or of that of ``step``."""
        for at, (_, digest, size, worker) in self._checkpoints(row):
            if step is None or at == step:
                return at, digest, size, worker
        return None

    def resume_point(self, row: int, end: int | None) -> tuple[int, str, int, str] | None:
        """The checkpoint from which a segment that is to run up to step ``end`` begins; see :meth:`checkpoint`.

        A worker may die between a step's checkpoint and its report, in either order. So a checkpoint counts once its
        step is known to be complete: the metric was reported for it, something was heard of a later step, or its
        segment ended in a pause. That of ``end`` itself does not count: what the objective does after its loop builds
        on the last step, which is done again.
        """
        details, usable = self._details.get(row), self._checkpoints(row)
        if details is None or not usable:
            return None
        latest = max(self._step[row], usable[0][0])
        ends = {} if details.facts is None else details.facts.ends
        for step, (attempt, digest, size, worker) in usable:
            end_of_it = ends.get(attempt, {}).get(worker)
            paused = end_of_it is not None and end_of_it[1].how == "paused"
            complete = step < latest or step in details.curve or paused
            if (complete or attempt < 0) and (end is None or step < end):  # attempt -1: inherited
                return step, digest, size, worker
        return None

    def _checkpoints(self, row: int) -> list[tuple[int, tuple[int, str, int, str]]]:
        """Those of which use can be made, newest first."""
        details = self._details.get(row)
        if details is None or not details.checkpoints:
            return []
        since = -1 if details.facts is None else details.facts.restarted
        return sorted(((at, saved) for at, saved in details.checkpoints.items() if saved[0] >= since), reverse=True)

    def digests(self, row: int) -> dict[int, str]:
        """{step: digest} of every checkpoint that was ever recorded for a trial, of use or not."""
        details = self._details.get(row)
        return {} if details is None else {at: saved[1] for at, saved in details.checkpoints.items()}
