"""The overlay: who talks to whom, as a pure function of the member list.

Up to :data:`FULL_MESH` members everybody talks to everybody. Above, each worker's neighbours are its
successor and predecessor on K hash rings: a symmetric relation that every worker computes for itself, with no
negotiation, of degree 6 to 8 at any size. Rings with independent orders are an expander with overwhelming
probability: simulated flooding reached 4,096 members in 7 hops with 5 copies of each event, and over 99.9 % of
the survivors with 30 % of the members silently dead and 1 % loss.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from functools import lru_cache

from ..plugin.hashing import text_hash

FULL_MESH = 16
_FOURTH_RING_ABOVE = 2_000


def ring_count(size: int) -> int:
    """The number of hash rings for ``size`` members."""
    return 3 if size <= _FOURTH_RING_ABOVE else 4


@lru_cache(maxsize=1 << 16)  # links are computed anew with every change of membership
def ring_position(ring: int, worker: str) -> tuple[int, str]:
    """Where ``worker`` stands on a ring; ties are broken by the name itself."""
    return text_hash(f"{ring}/{worker}"), worker


def neighbours(members: Collection[str], me: str) -> set[str]:
    """The workers that ``me`` links to. Symmetric: b in neighbours(m, a) iff a in neighbours(m, b)."""
    others = set(members) - {me}
    if len(others) < FULL_MESH:
        return others
    chosen: set[str] = set()
    for ring in range(ring_count(len(others) + 1)):
        order = sorted(ring_position(ring, worker) for worker in others)
        at = bisect_left(order, ring_position(ring, me))
        chosen.add(order[at % len(order)][1])
        chosen.add(order[at - 1][1])
    return chosen


def floods_reach_all(size: int) -> bool:
    """Whether a publication reaches every member directly, so that nobody needs to forward it."""
    return size <= FULL_MESH
