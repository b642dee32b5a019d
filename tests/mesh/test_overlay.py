"""Tests of the overlay: everybody computes the same links."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from aiohpo.mesh.overlay import FULL_MESH, Rings, floods_reach_all, ring_position


def neighbours(members: Iterable[str], me: str) -> set[str]:
    return Rings(set(members) - {me}).neighbours(me)


def graph(size: int) -> dict[str, set[str]]:
    names = [f"{i:06x}" for i in range(size)]
    return {name: neighbours(names, name) for name in names}


@pytest.mark.parametrize("size", [1, 2, FULL_MESH - 1, FULL_MESH])
def test_small_swarms_are_a_full_mesh(size):
    """Up to the limit everybody links to everybody else, and nobody needs to forward."""
    links = graph(size)
    assert all(others == links.keys() - {me} for me, others in links.items())
    assert floods_reach_all(size)


@pytest.mark.parametrize("size", [FULL_MESH + 1, 64, 400])
def test_links_are_symmetric_and_few(size):
    """Above the limit links go both ways, none to oneself, with degrees of at most 8 (6 nearly everywhere)."""
    links = graph(size)
    for me, others in links.items():
        assert me not in others
        assert all(me in links[other] for other in others)
        assert 2 <= len(others) <= 8
    if size >= 64:
        degrees = [len(others) for others in links.values()]
        assert sum(degrees) / size > 5.5
        assert min(degrees) >= 3
    assert not floods_reach_all(size)


def test_rings_that_are_kept_up_are_those_made_anew(monkeypatch):
    """However members came and went, and whatever rings were needed meanwhile, the links follow from who is there."""
    monkeypatch.setattr("aiohpo.mesh.overlay._FOURTH_RING_ABOVE", 30)
    rng = random.Random(0)
    rings, there = Rings(), set()
    sizes = set()
    for _ in range(600):
        name = f"{rng.randrange(50):06x}"
        (rings.remove if name in there else rings.add)(name)
        there ^= {name}
        sizes.add(len(there))
        assert rings.neighbours("me") == neighbours(there, "me")
    assert rings.names == sorted(there)
    assert min(sizes) < FULL_MESH < 31 < max(sizes)
    assert repr(rings) == f"<Rings: {len(there)} members on 3>"


def test_four_thousand_members_have_degree_up_to_eight():
    """At 4,096 members the sampled degrees are 6 to 8 and the links symmetric."""
    names = [f"{i:06x}" for i in range(4096)]
    for me in names[::512]:
        others = neighbours(names, me)
        assert 6 <= len(others) <= 8
        for other in sorted(others)[:2]:
            assert me in neighbours(names, other)


def test_a_flood_reaches_everybody_in_a_few_hops():
    """Breadth-first from one of 500 members everybody is reached within 7 hops."""
    links = graph(500)
    reached, front = {"000000"}, {"000000"}
    hops = 0
    while len(reached) < 500:
        front = set().union(*(links[name] for name in front)) - reached
        assert front, "the overlay is not connected"
        reached |= front
        hops += 1
    assert hops <= 7


def test_who_listed_the_members_does_not_matter():
    """Links depend on the set of members only, also when the list leaves oneself out."""
    names = [f"{i:06x}" for i in range(100)]
    assert neighbours(names, "000005") == neighbours(names[::-1], "000005")
    assert neighbours(names, "000005") == neighbours([n for n in names if n != "000005"], "000005")
    assert ring_position(0, "a") != ring_position(1, "a")
