"""``aiohpo plugins`` and ``aiohpo new-plugin``."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from aiohpo.plugin import registry


def test_plugins_lists_names_options_and_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind is there; a plugin comes with its options' defaults and where it is from."""
    assert invoke(["plugins", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {*registry.KINDS, "recipes"}
    grid = next(entry for entry in found["searchers"] if entry["name"] == "grid")
    assert grid["distribution"].startswith("aiohpo ")
    assert {"name": "resolution", "default": 10} in grid["options"]
    assert all("worker" not in {o["name"] for o in entry["options"]} for entry in found["transports"])


@pytest.mark.parametrize("kind", ["scheduler", "schedulers"])
def test_one_kind_can_be_asked_for(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In the singular or in the plural."""
    assert invoke(["plugins", kind]) == 0
    out = capsys.readouterr().out
    assert out.startswith("schedulers:\n  ")
    assert "\n  fifo " in out
    assert "searchers" not in out


def test_recipes_are_listed_with_their_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """As options that can be typed; in JSON by name."""
    assert invoke(["plugins", "recipes"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("recipes:\n  abohb ")
    assert "--searcher kde --scheduler hyperband" in out
    assert invoke(["plugins", "recipe", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"recipes"}
    assert {"name", "searcher", "scheduler", "summary"} == set(found["recipes"][0])


def test_a_broken_plugin_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot be imported is listed with the reason."""
    broken = metadata.EntryPoint("broken", "nosuchmodule:Thing", "aiohpo.searchers")
    known = {**registry.available("searchers"), "broken": broken}
    monkeypatch.setattr(registry, "available", lambda kind: known if kind == "searchers" else {})
    assert invoke(["plugins", "searchers"]) == 0
    out = capsys.readouterr().out
    assert "cannot be imported: " in out
    assert "nosuchmodule" in out
    assert "  random " in out


def test_new_plugin_says_what_it_wrote_and_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The files exist and the next commands name the plugin."""
    assert invoke(["new-plugin", "hill-climb", "--into", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "aiohpo run FILE --searcher hill-climb" in out
    files = [Path(line) for line in out.split("next:")[0].split()]
    assert all(file.is_file() for file in files)
    assert invoke(["new-plugin", "hill-climb", "--into", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert invoke(["new-plugin", "patience", "--kind", "scheduler", "--into", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["directory"] == str(tmp_path / "aiohpo-patience")
