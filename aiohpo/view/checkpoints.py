"""Which checkpoints a trial has, and from which of them it goes on."""

from __future__ import annotations

from collections.abc import Iterator

from .reducer import Reducer

SavedCheckpoint = tuple[int, str, int, str]  # step, digest, size, worker that saved it


class Checkpoints(Reducer):
    """What was recorded of checkpoints, as questions about a trial."""

    def checkpoint(self, row: int, step: int | None = None) -> SavedCheckpoint | None:
        """The newest checkpoint, or that of ``step``."""
        for at, (_, digest, size, worker) in self._checkpoints(row):
            if step is None or at == step:
                return at, digest, size, worker
        return None

    def resume_point(self, row: int, end: int | None) -> SavedCheckpoint | None:
        """The checkpoint from which a segment that is to run up to step ``end`` begins: the first of those that
        :meth:`resume_points` yields."""
        return next(self.resume_points(row, end), None)

    def resume_points(self, row: int, end: int | None) -> Iterator[SavedCheckpoint]:
        """Yield the checkpoints from which a segment that is to run up to step ``end`` may begin, newest first.

        A worker may die between a step's checkpoint and its report, in either order. So a checkpoint counts once its
        step is known to be complete: the metric was reported for it, something was heard of a later step, or its
        segment ended in a pause. That of ``end`` itself does not count: what the objective does after its loop builds
        on the last step, which is done again.
        """
        details, usable = self._details.get(row), self._checkpoints(row)
        if details is None or not usable:
            return
        latest = max(self._step[row], usable[0][0])
        ends = {} if details.facts is None else details.facts.ends
        for step, (attempt, digest, size, worker) in usable:
            end_of_it = ends.get(attempt, {}).get(worker)
            paused = end_of_it is not None and end_of_it[1].how == "paused"
            complete = step < latest or step in details.curve or paused
            if (complete or attempt < 0) and (end is None or step < end):  # attempt -1: inherited
                yield step, digest, size, worker

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
