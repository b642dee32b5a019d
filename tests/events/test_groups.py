"""Tests of groups of origins."""

from __future__ import annotations

import random

import pytest

from aiohpo.events.groups import MOST_GROUPS, WHOLE_UP_TO, OriginGroups, group_count, hash_of_all

ORIGINS = {f"worker{n}": random.Random(n).getrandbits(64) for n in range(3000)}


def groups_of(origins: dict[str, int]) -> OriginGroups:
    groups = OriginGroups()
    for origin, hash in origins.items():
        groups.put(origin, hash)
    return groups


def test_hashes_follow_from_what_is_held_not_from_the_order() -> None:
    """Replicas that heard the same agree on every group, whatever came first and was replaced since."""
    one = groups_of(ORIGINS)
    changed = list(ORIGINS)[::7]
    other = groups_of(dict.fromkeys(changed, 1) | dict(reversed(ORIGINS.items())) | dict.fromkeys(changed, 2))
    for origin in changed:
        other.put(origin, ORIGINS[origin])
    assert one.count == other.count == 256
    assert one.hashes(256) == other.hashes(256)
    assert one.total() == other.total() == hash_of_all(one.hashes(256)) == hash_of_all(one.hashes(8))
    assert repr(one) == "<OriginGroups: 3000 origins in 256>"


def test_replicas_of_different_sizes_fold_to_the_smaller_number() -> None:
    """What two replicas both hold is in the same group of the smaller number; the groups of the others differ."""
    whole, part = groups_of(ORIGINS), groups_of(dict(list(ORIGINS.items())[:500]))
    count = whole.common_count(part.count)
    assert count == part.common_count(whole.count) == part.count == 32
    for group in range(count):
        held = whole.origins(count, [group])
        assert set(part.origins(count, [group])) <= set(held)
        assert hash_of_all([ORIGINS[origin].to_bytes(8) for origin in held]) == whole.hashes(count)[group]
    assert sorted(whole.origins(count, range(count))) == sorted(ORIGINS)


def test_few_origins_are_not_divided() -> None:
    """A short version vector is exchanged as a whole, also with a peer that has many origins."""
    groups = groups_of(dict(list(ORIGINS.items())[:WHOLE_UP_TO]))
    assert groups.count == groups.common_count(256) == 0
    groups.put("one more", 1)
    assert groups.count == groups.common_count(256) == 32
    assert groups.common_count(0) == 0


def test_the_number_of_groups_follows_from_that_of_the_origins() -> None:
    """There are 8 to 16 origins in a group on average, as far as the number of groups is bounded."""
    groups = OriginGroups()
    for number, (origin, hash) in enumerate(ORIGINS.items(), 1):
        groups.put(origin, hash)
        assert groups.count == group_count(number)
        assert not groups.count or 8 <= number / groups.count <= 16
    assert group_count(1 << 16) == group_count(1 << 20) == MOST_GROUPS


@pytest.mark.parametrize("count", [0, 3, 64, MOST_GROUPS])
def test_only_numbers_of_groups_that_there_are_can_be_compared(count: int) -> None:
    """A peer may name any number: what is no power of two, or more than there are, is refused."""
    groups = groups_of(dict(list(ORIGINS.items())[:300]))
    assert not groups.divide_by(count)
    assert groups.divide_by(groups.count)
    assert groups.common_count(3) == 2
    assert groups.origins(2, [2, 5000]) == []
