"""Groups of origins: by which replicas that hold thousands of logs find the few that differ.

A version vector takes 16 bytes an origin, and two replicas of a busy swarm never have the same one. So they compare the
hashes of groups of origins first, and then the vectors of the groups that differ. Bytes of one comparison, all frames
without the events, if news takes 30 to 200 ms to the other replica:

    origins, news/s     whole vectors   groups of 4    of 16        of 64        tree of 16, leaves of 16
       256,    4                8,200     720 to 800   330 to 570   530 to 1,400   330 to 570
     4,096,   68              131,000     11 to 13 k   3.7 to 10 k  4.7 to 26 k    1.6 to 9.2 k
    65,536, 1092            2,097,000   171 to 205 k   62 to 168 k   86 to 439 k    29 to 154 k

A tree saves less than the flood carries in a tenth of a second, and takes more round trips, during which more news
arrives. What changed since the last comparison with the same neighbour would be 16 k at 4,096.

The group of an origin follows from a hash of its name, and the number of groups is a power of two: replicas that hold
different numbers of origins fold theirs to the smaller number. The hash of a group is the sum of those of its logs.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..plugin.hashing import text_hash

MOST_GROUPS = 1 << 12
WHOLE_UP_TO = 256  # origins, whose vector is compared as a whole: a single exchange of at most 4 kB
_GROUP_SIZE = 16
_MODULUS = 1 << 64


def group_count(origins: int) -> int:
    """How many groups so many logs are best compared by; 0: they are too few for that."""
    if origins <= WHOLE_UP_TO:
        return 0
    return min(1 << (-(-origins // _GROUP_SIZE) - 1).bit_length(), MOST_GROUPS)


class OriginGroups:
    """The hash of each origin's log, summed up by group."""

    __slots__ = ("_hashes", "_names", "_sums", "_total")

    def __init__(self) -> None:
        self._hashes: dict[str, int] = {}
        self._total = 0
        self._sums = [0]
        self._names: list[list[str]] = [[]]

    def put(self, origin: str, hash: int) -> None:
        """Note the hash of an origin's log, new or changed."""
        before = self._hashes.get(origin)
        self._hashes[origin] = hash
        if before is None and len(self._hashes) > _GROUP_SIZE * len(self._sums) and len(self._sums) < MOST_GROUPS:
            self._regroup(2 * len(self._sums))
        else:
            group = text_hash(origin) % len(self._sums)
            self._sums[group] = (self._sums[group] + hash - (before or 0)) % _MODULUS
            if before is None:
                self._names[group].append(origin)
        self._total = (self._total + hash - (before or 0)) % _MODULUS

    def _regroup(self, count: int) -> None:
        self._sums = [0] * count
        self._names = [[] for _ in range(count)]
        for origin, hash in self._hashes.items():
            group = text_hash(origin) % count
            self._sums[group] = (self._sums[group] + hash) % _MODULUS
            self._names[group].append(origin)

    @property
    def count(self) -> int:
        """How many groups these logs are best compared by; see :func:`group_count`."""
        return len(self._sums) if len(self._hashes) > WHOLE_UP_TO else 0

    def common_count(self, count: int) -> int:
        """How many groups to compare with a replica that divides its logs into ``count``; 0: none."""
        fewer = min(self.count, count)
        return 1 << (fewer.bit_length() - 1) if fewer else 0

    def divide_by(self, count: int) -> bool:
        """Whether there are hashes of ``count`` groups here."""
        return 0 < count <= len(self._sums) and count & (count - 1) == 0

    def total(self) -> bytes:
        """The hash of all logs: the sum of those of the groups."""
        return self._total.to_bytes(8)

    def hashes(self, count: int) -> tuple[bytes, ...]:
        """The hashes of ``count`` groups."""
        return tuple((sum(self._sums[group::count]) % _MODULUS).to_bytes(8) for group in range(count))

    def origins(self, count: int, groups: Iterable[int]) -> list[str]:
        """The origins in these of ``count`` groups."""
        return [origin for group in groups if group < count for names in self._names[group::count] for origin in names]

    def __repr__(self) -> str:
        return f"<OriginGroups: {len(self._hashes)} origins in {len(self._sums)}>"


def hash_of_all(hashes: Iterable[bytes]) -> bytes:
    """The hash of the log whose groups have these hashes."""
    return (sum(map(int.from_bytes, hashes)) % _MODULUS).to_bytes(8)
