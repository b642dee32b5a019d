"""Tests of the events' classes and of how trials are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiohpo.events.schema import Batch, Fresh, Goal, Seen, parse_trial, trial_name, trial_of
from tests.support.event_strategies import names


def test_consecutive_batches_join():
    """Batches of one origin without a gap between them become one; others do not."""
    a, b = Batch("ann", 1, (b"x", b"y")), Batch("ann", 3, (b"z",))
    assert a.join(b) == Batch("ann", 1, (b"x", b"y", b"z"))
    assert b.join(a) is None
    assert a.join(Batch("bob", 3, (b"z",))) is None
    assert a.join(Batch("ann", 4, (b"z",))) is None


def test_fresh_events_are_numbered():
    """Iterating over fresh events gives each with its identity."""
    fresh = Fresh("ann", 5, [Goal(1, 1), Goal(2, 2)])
    assert list(fresh) == [Seen("ann", 5, Goal(1, 1)), Seen("ann", 6, Goal(2, 2))]
    assert len(fresh) == 2


@given(names, st.integers(1, 1 << 50))
def test_trial_names_go_both_ways(origin, number):
    """A public trial id names its event."""
    assert parse_trial(trial_name((origin, number))) == (origin, number)


@pytest.mark.parametrize("bad", ["", "12", "-12", "a-", "a-x"])
def test_what_is_no_trial_name_is_a_value_error(bad):
    """Anything else is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011  # int()'s own message is as good
        parse_trial(bad)


def test_a_trial_of_the_origin_itself_is_named_by_its_number():
    """A reference by number means the log's own origin; otherwise it names worker and number."""
    assert trial_of("ann", 7) == ("ann", 7)
    assert trial_of("ann", ("bob", 7)) == ("bob", 7)
