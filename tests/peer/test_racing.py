"""Tests of who may claim a trial."""

from __future__ import annotations

import pytest

from aiohpo.peer.racing import Racing, claim_threshold, unit_hash

TRIAL = ("ann", 1)


def test_small_swarms_claim_the_best_at_once():
    """Where workers seldom become free within one delay everybody may claim."""
    assert claim_threshold(0.0, 0.02, 0.0) == 1.0
    assert claim_threshold(10.0, 0.02, 0.0) == 1.0
    assert claim_threshold(1e9, 0.0, 0.0) == 1.0
    assert Racing("me").may_claim(TRIAL, 1, 0.0)


@pytest.mark.parametrize(("rate", "delay"), [(4096.0, 0.05), (100.0, 0.5), (1e6, 1.0)])
def test_in_large_swarms_about_eps_workers_qualify_within_a_delay(rate, delay):
    """rate * delay workers become free in one delay; eps = 0.3 of them qualify at age zero."""
    assert claim_threshold(rate, delay, 0.0) * rate * delay == pytest.approx(0.3)


def test_what_nobody_takes_opens_up_exponentially():
    """The threshold doubles every 4 * delay / eps seconds, up to one, and never overflows."""
    rate, delay = 4096.0, 0.5
    doubling = 4 * delay / 0.3
    assert claim_threshold(rate, delay, doubling) == pytest.approx(2 * claim_threshold(rate, delay, 0.0))
    assert claim_threshold(rate, delay, 1e9) == 1.0
    ages = [claim_threshold(rate, delay, age) for age in range(0, 200, 5)]
    assert ages == sorted(ages)


def test_workers_qualify_in_proportion_and_keep_their_answer():
    """Among many workers the threshold's share may claim; with age they become more, never fewer."""
    many = [Racing(f"w{i}", rate=4000.0, delay=0.05) for i in range(4000)]
    early = {c.me for c in many if c.may_claim(TRIAL, 1, 0.0)}
    assert 1 <= len(early) <= 20  # 4000 * 0.3 / 200 = 6
    late = {c.me for c in many if c.may_claim(TRIAL, 1, 3.0)}
    assert early < late
    assert not all(c.may_claim(TRIAL, 2, 3.0) for c in many), "another attempt is young again"


def test_the_age_counts_from_when_it_was_first_looked_at():
    """Forgetting an attempt starts its age anew."""
    claims = Racing("me", rate=1e6, delay=1.0)
    assert not claims.may_claim(TRIAL, 1, 0.0)
    assert claims.may_claim(TRIAL, 1, 1e6)
    claims.forget(TRIAL, 1)
    assert not claims.may_claim(TRIAL, 1, 1e6)


def test_the_rate_follows_what_is_observed():
    """Workers that become free a hundred times a second are noticed within seconds, and when they stop."""
    claims = Racing("me")
    now = 1000.0
    for _ in range(3000):
        now += 0.01
        claims.worker_freed(now)
    assert claims.rate == pytest.approx(100.0, rel=0.1)
    for _ in range(30):
        now += 2.0
        claims.worker_freed(now)
    assert claims.rate < 2.0


def test_unit_hashes_are_uniform_and_the_same_everywhere():
    """The hash that decides claims is a fixed function with values spread over [0, 1)."""
    values = [unit_hash("w", i, 0) for i in range(2000)]
    assert all(0.0 <= v < 1.0 for v in values)
    assert sum(values) / 2000 == pytest.approx(0.5, abs=0.02)
    assert unit_hash("a", "b", 1) == unit_hash("a", "b", 1)
