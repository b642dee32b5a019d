"""Tests of the Sobol sequence that workers share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from aiohpo.plugin import Identity
from aiohpo.space.space import Constant, Float, Int, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.common.design import SharedSobol, stable_hash

PLANE = Space(x=Float(0, 1), y=Float(0, 1))


def test_hash_is_the_same_in_every_process() -> None:
    """The hash of a text never changes, whatever PYTHONHASHSEED is."""
    assert stable_hash("worker", 1) == 0x3DEFED9DB4895698
    assert stable_hash("ab", "c") != stable_hash("a", "bc")


def test_ranks_partition_one_sequence() -> None:
    """Workers launched together visit every point of one sequence exactly once."""
    view = StaticView(PLANE)
    alone = SharedSobol(PLANE, 5, Identity("a", 0, 1)).next_rows(view, [0] * 32)
    shares = [SharedSobol(PLANE, 5, Identity(f"w{r}", r, 4)).next_rows(view, [0] * 8) for r in range(4)]
    assert {tuple(row) for row in np.concatenate(shares)} == {tuple(row) for row in alone}


def test_workers_without_a_rank_do_not_meet() -> None:
    """Workers that joined alone share no point."""
    view = StaticView(PLANE)
    rows = np.concatenate([SharedSobol(PLANE, 5, Identity(f"w{i}")).next_rows(view, [0] * 16) for i in range(8)])
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_points_cover_the_space_more_evenly_than_random_ones() -> None:
    """The discrepancy of 64 points is far below that of random points."""
    points = SharedSobol(PLANE, 1, Identity("w", 0, 1)).next_rows(StaticView(PLANE), [0] * 64)
    assert qmc.discrepancy(points) < 0.5 * qmc.discrepancy(np.random.default_rng(1).random((64, 2)))


def test_the_position_follows_from_the_view() -> None:
    """A worker that starts again goes on where the study is."""
    first = SharedSobol(PLANE, 2, Identity("w", 0, 1)).next_rows(StaticView(PLANE), [0] * 8)
    view = StaticView(PLANE, first[:5], np.zeros(5))
    assert np.array_equal(SharedSobol(PLANE, 2, Identity("w", 0, 1)).next_rows(view, [0] * 3), first[5:])


def test_seen_points_are_skipped() -> None:
    """On a small space, points that snap to what was seen are left out."""
    space = Space(n=Int(1, 8), c=Constant(3))
    view = StaticView(space, [{"n": n, "c": 3} for n in range(1, 6)], np.zeros(5))
    rows = SharedSobol(space, 0, Identity("w", 0, 1)).next_rows(view, [0] * 3)
    assert sorted(c["n"] for c in space.decode(rows)) == [6, 7, 8]


@pytest.mark.parametrize("rank", [0, None])
def test_slots_of_a_worker_share_a_sequence_as_workers_do(rank: int | None) -> None:
    """Two workers of two slots each, or one of four, visit the points that four workers of one slot visit."""
    view = StaticView(PLANE)
    size = None if rank is None else 4
    many = SharedSobol(PLANE, 5, Identity("w0", rank, size, slots=4)).next_rows(view, [0, 1, 2, 3] * 4)
    if rank is not None:
        single = [SharedSobol(PLANE, 5, Identity(f"w{r}", r, 4)).next_rows(view, [0] * 4) for r in range(4)]
        pairs = [SharedSobol(PLANE, 5, Identity(f"w{r}", r, 4, slots=2)).next_rows(view, [0, 1] * 4) for r in (0, 2)]
        assert np.array_equal(np.concatenate(single), many)
        assert np.array_equal(np.concatenate(pairs), many)
    else:
        alone = SharedSobol(PLANE, 5, Identity("w0")).next_rows(view, [0] * 16)
        assert set(map(bytes, many)) == set(map(bytes, alone))


def test_a_point_that_snaps_to_another_slots_is_skipped() -> None:
    """Slots that ask together on a small space get distinct points of their shares."""
    space = Space(n=Int(1, 8))
    sobol = SharedSobol(space, 0, Identity("w", 0, 6, slots=6))
    rows = sobol.next_rows(StaticView(space), [0, 1, 2, 3, 4, 5])
    assert len({c["n"] for c in space.decode(rows)}) == 6
