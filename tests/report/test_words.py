"""How things are said."""

from __future__ import annotations

import pytest

from aiohpo.report.words import (
    best_in_words,
    brief,
    configuration,
    describe_bytes,
    describe_rate,
    describe_seconds,
    ensemble_in_words,
    in_words,
    rungs_in_words,
    trials_in_words,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123, "12.3 ms"),
        (0.9994, "999 ms"),
        (0.9997, "1 s"),
        (1.0, "1 s"),
        (59.96, "60 s"),
        (125, "2 min 05 s"),
        (7380, "2 h 03 min"),
        (86_400, "24 h 00 min"),
        (1e300, "1e+300 s"),
        (-1e300, "-1e+300 s"),
        (float("inf"), "–"),
        (float("nan"), "–"),
    ],
)
def test_lengths_of_time_are_readable(seconds: float, text: str) -> None:
    """A length of time is shown in the unit that suits it."""
    assert describe_seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 KB"), (12_345, "12.3 KB"), (5e6, "5 MB"), (2e12, "2e+03 GB")],
)
def test_bytes_are_written_for_people(count: float, text: str) -> None:
    """Three digits and a unit."""
    assert describe_bytes(count) == text


@pytest.mark.parametrize(("rate", "text"), [(0.0, "0/s"), (12.345, "12.3/s"), (0.1, "0.1/s"), (0.05, "3/min")])
def test_a_slow_rate_is_that_of_a_minute(rate: float, text: str) -> None:
    """One trial in twenty seconds is easier to read as three in a minute."""
    assert describe_rate(rate) == text


def test_counts_begin_with_the_most_frequent() -> None:
    """Failed trials that are tried again are told apart, and added ones are pointed out."""
    assert in_words({"failed": 2, "finished": 40}) == "40 finished, 2 failed"
    assert trials_in_words({}) == "no trials yet"
    assert trials_in_words({"finished": 3, "failed": 3}, retried=2) == "3 finished, 2 retried, 1 failed"
    assert trials_in_words({"finished": 3, "failed": 2}, retried=2, added=1) == "3 finished, 2 retried, 1 of them added"


def test_without_a_value_there_is_no_best() -> None:
    """Nothing has run, or nothing with success."""
    assert best_in_words("loss", None, None) == "no result yet"


def test_rungs_are_told_where_trials_pause() -> None:
    """With who was promoted, and how often another worker went on."""
    assert rungs_in_words({}, 0, 0) == ""
    assert rungs_in_words({1: 3, 9: 0}, 1, 0) == "rungs 1:3 9:0, 1 promoted"
    assert rungs_in_words({1: 3, 9: 0}, 2, 1) == "rungs 1:3 9:0, 2 promoted (1 on another worker)"


def test_what_a_run_directory_says_of_its_ensemble_is_printable() -> None:
    """Its file may come from anybody, and hold anything."""
    state = {"metric": "\x1b[2J", "size": "\n", "score": 0.5, "single": 0.25}
    assert ensemble_in_words(state) == r"ensemble of  : \x1b[2J 0.5 (best single 0.25)"
    assert ensemble_in_words(None) == ""
    for bad in ({}, {**state, "score": "high"}, {**state, "single": None}, {**state, "score": 10**400}):
        assert ensemble_in_words(bad) == ""


def test_configurations_are_one_line() -> None:
    """Long numbers and long texts are cut, and nothing in them acts on a terminal."""
    assert configuration({"lr": 0.0123456, "kind": "a\nb"}) == "lr=0.01235, kind=a b"
    assert len(brief("x" * 1000)) == 60
