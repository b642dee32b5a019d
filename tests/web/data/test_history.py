"""Segments, read on from a growing log."""

from __future__ import annotations

from aiohpo.events.codec import encode_event
from aiohpo.events.log import Log
from aiohpo.events.schema import Batch, Claimed, Ended, Proposed, Started
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View
from aiohpo.web.data.history import HOW, History
from tests.support.growing_runs import GrowingRun
from tests.support.run_directories import BEGAN, SPACE, config


def test_reading_in_pieces_finds_what_reading_at_once_does() -> None:
    """Whatever the sizes of the pieces, and with what was added in between."""
    run = GrowingRun(4)
    pieces = History(run.log, run.view)
    for _ in range(60):
        run.step()
        pieces.read(3)
    while pieces.read(3)[1]:
        pass
    whole = History(run.log, run.view)
    assert not whole.read(1 << 30)[1]
    rows, others = (zip(*(column.tolist() for column in each.table()), strict=True) for each in (pieces, whole))
    assert sorted(map(repr, rows)) == sorted(map(repr, others))
    assert whole.table().size == len(whole.table().row) > 20


def test_a_segment_finds_its_trial_once_that_has_arrived() -> None:
    """Another worker's proposal may be read later than the segment in which it was continued."""
    log, view = Log(), View(SPACE, Objective("loss", "min"))
    history = History(log, view)

    def arrive(origin: str, *events: object) -> None:
        batch = Batch(origin, log.count(origin) + 1, tuple(map(encode_event, events)))  # type: ignore[arg-type]
        for seen in log.merge(batch) or ():
            view.apply(seen.origin, seen.seq, seen.event)

    claim = Claimed(5, BEGAN + 5, ("aaaa", 2), 1)
    arrive("bbbb", Started(4, BEGAN, "h", 1, ""), claim, Ended(6, ("aaaa", 2), 1, "finished", 0, 1.0, 2.0))
    assert history.read(100) == ([], False)
    assert history.table().row.tolist() == [-1]
    arrive("aaaa", Started(1, BEGAN, "h", 2, ""), Proposed(2, BEGAN + 1, SPACE.pack(config(0))))
    rows, _ = history.read(100)
    assert rows == [0]
    table = history.table()
    assert (table.row.tolist(), [HOW[how] for how in table.how]) == ([0, 0], ["finished", "open"])
    assert history.ended[0] == BEGAN + 7
