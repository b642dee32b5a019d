"""Rankings: trials by loss, and trials of the same loss by their proposals' order."""

from __future__ import annotations

import random
from math import inf

from aiohpo_plugins.schedulers.ranking import Ranking, Roster


def test_a_ranking_is_in_order_however_it_was_filled():
    """Entries that are added one by one, many at a time or removed in between stand where sorting puts them."""
    rng = random.Random(0)
    roster, entries = Roster(), {}
    ranking = Ranking(roster)
    for i in range(3000):
        if entries and rng.random() < 0.3:
            number = rng.choice(list(entries))
            ranking.remove(entries.pop(number)[0], number)
        else:
            loss, order, id = rng.choice([0.1, 0.2, inf, rng.random()]), (rng.randrange(50), rng.choice("ab")), f"t-{i}"
            number = roster.enrol(order, id)
            entries[number] = loss, order, id
            ranking.add(loss, number)
        if i % 700 == 0 or i < 200:
            expected = sorted(entries.values())
            assert list(ranking) == expected
            assert len(ranking) == len(expected)
    rank = {entry[2]: i for i, entry in enumerate(ranking)}
    assert all(ranking.rank(entry[0], number) == rank[entry[2]] for number, entry in entries.items())
    assert ranking.better(0.2) == sum(entry[0] < 0.2 for entry in entries.values())
    assert repr(ranking) == f"<Ranking of {len(entries)}, best {ranking[0][0]:.6g}>"


def test_a_number_is_given_again_when_its_trial_was_struck_out():
    """So that trials that come and go take no memory."""
    roster = Roster()
    first = roster.enrol((1, "w"), "w-1")
    second = roster.enrol((2, "w"), "w-2")
    roster.strike("w-1")
    assert roster.find("w-1") is None
    assert roster.enrol((3, "v"), "v-3") == first
    assert roster.key(first) == ((3, "v"), "v-3")
    assert roster.key(second) == ((2, "w"), "w-2")
    assert repr(roster) == "<Roster of 2 trials>"
