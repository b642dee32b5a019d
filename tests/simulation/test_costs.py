"""The table of what decisions cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import aiohpo
from aiohpo.errors import UsageError
from aiohpo.plugin.objective import Objective
from aiohpo.simulation import costs
from aiohpo.simulation.costs import Cost, Costs, default_file, measure, obtain

SPACE = aiohpo.Space(x=aiohpo.Float(0, 1))
LOSS = Objective("loss", "min")
TABLE = Costs((Cost(10, 1.0, 0.5, 10.0), Cost(20, 2.0, 0.5, 30.0), Cost(40, 1.0, 0.0, 30.0)))


def never(text: str) -> None:
    raise AssertionError(f"nothing is to be said: {text}")


def test_the_table_is_linear_between_its_lines() -> None:
    """Below the first it is constant, beyond the last it goes on as before but never falls."""
    assert [TABLE.of_fit(n) for n in (0, 10, 15, 20, 30, 1000)] == [10.0, 10.0, 20.0, 30.0, 30.0, 30.0]
    assert [TABLE.of_ask(n, 1) for n in (15, 30, 1000)] == [1.5, 1.5, 1.0]
    assert Costs(TABLE.lines[:2]).of_fit(40) == 70.0
    assert Costs(TABLE.lines[:1]).of_fit(99) == 10.0


def test_configurations_that_are_asked_for_together_cost_less() -> None:
    """Each after the first costs what one more was measured to."""
    assert TABLE.of_ask(10, 4) == 2.5


@pytest.mark.parametrize("max_steps", [None, 9])
def test_a_searcher_is_measured(max_steps: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking costs something; fitting only where there is a model."""
    monkeypatch.setattr(costs, "TRIALS", (10, 30))
    random, kde = (measure(name, SPACE, LOSS, max_steps) for name in ("random", "kde"))
    assert [line.trials for line in random.lines] == [10, 30]
    assert all(line.ask > 0 and line.fit == 0 for line in random.lines)
    assert kde.lines[-1].fit > 0


def test_a_small_space_is_measured_as_far_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no more trials than configurations to repeat."""
    monkeypatch.setattr(costs, "TRIALS", (10, 30))
    assert measure("grid", aiohpo.Space(x=aiohpo.Int(1, 3)), LOSS, None).lines


def test_costs_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept in a file that people can read; another searcher is added to it."""
    monkeypatch.setattr(costs, "TRIALS", (10, 30))
    file, said = tmp_path / "cache" / "costs.json", list[str]()
    first = obtain(file, "random", SPACE, LOSS, None, said.append)
    assert said == [f"measuring what random takes to decide (once: it is kept in {file})"]
    assert obtain(file, "random", SPACE, LOSS, None, never) == first
    obtain(file, "kde", SPACE, LOSS, 9, said.append)
    assert list(json.loads(file.read_text())) == ["random, 1 parameters", "kde, 1 parameters, with steps"]
    assert obtain(file, "random", SPACE, LOSS, None, never) == first


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "cannot read the costs .* Delete the file to have them measured again"),
        (b"[]", "holds no costs of decisions: delete it"),
        (b'{"random, 1 parameters": [{"trials": 10, "ask": "fast"}]}', "are not a table of trials, ask, more, fit"),
        (b'{"random, 1 parameters": []}', "are not a table of"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    """The error names the file and the remedy, and the file stays as it is."""
    file = tmp_path / "costs.json"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=said) as error:
        obtain(file, "random", SPACE, LOSS, None, never)
    assert str(file) in str(error.value)
    assert file.read_bytes() == content


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the option with which to choose another."""
    monkeypatch.setattr(costs, "TRIALS", (10,))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--costs"):
        obtain(tmp_path / "file" / "costs.json", "random", SPACE, LOSS, None, lambda text: None)


def test_costs_are_kept_in_the_cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CACHE_HOME says where that is, if it is an absolute path."""
    places: list[Any] = []
    for cache in (str(tmp_path), "relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        places.append(default_file())
    assert places == [tmp_path / "aiohpo" / "costs.json", *[Path.home() / ".cache" / "aiohpo" / "costs.json"] * 2]
