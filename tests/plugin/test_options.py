"""Checking options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Options
from aiohpo.plugin.registry import available, load_plugin, options_of

CHECK = Options("asha")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda o: o.whole("n", 1.5, least=2), "asha: n must be a whole number of at least 2, not 1.5"),
        (lambda o: o.whole("n", 2.0, least=2), "asha: n must be a whole number of at least 2, not 2.0"),
        (lambda o: o.whole("n", "many", least=2), "asha: n must be a whole number of at least 2, not 'many'"),
        (lambda o: o.whole("n", True, least=0), "asha: n must be a whole number of at least 0, not True"),
        (lambda o: o.whole("n", 9, least=1, most=8), "asha: n must be a whole number from 1 to 8, not 9"),
        (lambda o: o.whole("n", None, least=1), "asha: n must be a whole number of at least 1, not None"),
        (lambda o: o.whole_or_none("n", 0, least=1), "asha: n must be a whole number of at least 1, not 0"),
        (lambda o: o.number("eta", 1, least=2), "asha: eta must be a number of at least 2, not 1"),
        (lambda o: o.number("eta", "3", least=2), "asha: eta must be a number of at least 2, not '3'"),
        (lambda o: o.number("eta", False), "asha: eta must be a number, not False"),
        (lambda o: o.number("eta", float("nan")), "asha: eta must be a finite number, not nan"),
        (lambda o: o.number("eta", float("inf"), least=2), "asha: eta must be a finite number of at least 2, not inf"),
        (lambda o: o.number("p", 0, above=0, below=1), "asha: p must be a number above 0 and below 1, not 0"),
        (lambda o: o.number("p", 1, above=0, below=1), "asha: p must be a number above 0 and below 1, not 1"),
        (lambda o: o.number("p", 0.6, above=0, most=0.5), "asha: p must be a number above 0 and at most 0.5, not 0.6"),
        (lambda o: o.number("p", 3, most=2), "asha: p must be a number of at most 2, not 3"),
        (lambda o: o.number("p", -1, least=0, most=1), "asha: p must be a number from 0 to 1, not -1"),
        (lambda o: o.number("t", 0, above=0, unit="seconds"), "asha: t must be a number of seconds above 0, not 0"),
        (lambda o: o.flag("restart", 1), "asha: restart must be true or false, not 1"),
        (lambda o: o.choice("type", "fast", ("a", "b")), "asha: type must be one of a, b, not 'fast'"),
        (lambda o: o.choice("type", ["a"], {"a": 1}), "asha: type must be one of a, not ['a']"),
        (lambda o: o.text("bind", ""), "asha: bind must be text that is not empty, not ''"),
        (lambda o: o.path("file", 3), "asha: file must be a path, not 3"),
        (lambda o: o.names("vary", "a++b"), 'asha: vary must be one or more names, as a list or joined by "+", not'),
        (lambda o: o.names("vary", [1]), 'asha: vary must be one or more names, as a list or joined by "+", not [1]'),
        (lambda o: o.names("vary", []), 'asha: vary must be one or more names, as a list or joined by "+", not []'),
        (lambda o: o.refuse("a needs b"), "asha: a needs b"),
    ],
)
def test_an_error_names_plugin_option_what_is_allowed_and_value(check: Callable[[Options], Any], message: str) -> None:
    """Whatever was checked, in one style."""
    with pytest.raises(UsageError) as caught:
        check(CHECK)
    assert str(caught.value).startswith(message)


def test_a_long_value_is_cut() -> None:
    """An error stays readable when a whole array was given."""
    with pytest.raises(UsageError) as caught:
        CHECK.number("eta", list(range(1000)))
    assert len(str(caught.value)) < 120


def test_what_passes_has_the_declared_type() -> None:
    """Numpy's scalars become Python's, whole numbers become floats where a number is declared, paths text."""
    whole = CHECK.whole("n", np.int64(4), least=1, most=4)
    number = CHECK.number("eta", np.float32(0.5), least=0.5)
    assert (type(whole), whole) == (int, 4)
    assert (type(number), number) == (float, 0.5)
    assert type(CHECK.number("eta", 3)) is float
    assert CHECK.whole_or_none("n", None, least=1) is None
    assert CHECK.flag("restart", False) is False
    assert CHECK.choice("type", "a", ("a", "b")) == "a"
    assert CHECK.path("file", Path("a/b")) == "a/b"
    assert CHECK.names("vary", "lr + momentum") == CHECK.names("vary", ["lr", "momentum"]) == ("lr", "momentum")


def test_arguments_that_are_no_plugins_have_no_prefix() -> None:
    """A study's own arguments are checked in the same words."""
    with pytest.raises(UsageError, match=r"^trials must be a whole number of at least 1, not 0$"):
        Options().whole("trials", 0, least=1)


# What a constructor needs beside the option in question, and options that take any text or object.
NEEDED: dict[str, dict[str, Any]] = {"command": {"command": "true"}, "replay": {"path": "no/such/file"}}
FREE = {("zmq", "key"), ("optuna", "sampler")}


def _options() -> list[Any]:
    found = []
    for kind in ("searchers", "schedulers", "ensembles", "evaluators", "transports"):
        for name, point in sorted(available(kind).items()):
            if name == "mpi" or point.dist is None or point.dist.name != "aiohpo":
                continue  # an MPI can be initialised once in a process: it has tests of its own
            found += [
                pytest.param(kind, name, option, id=f"{name}-{option}")
                for option in options_of(load_plugin(kind, name))
                if option != "worker" and (name, option) not in FREE
            ]
    return found


@pytest.mark.parametrize(("kind", "name", "option"), _options())
def test_every_option_of_the_built_ins_is_checked(kind: str, name: str, option: str) -> None:
    """What no option can be, an object and an infinite number, is refused by name, never taken or let crash."""
    make = load_plugin(kind, name)
    for value in (object(), float("inf")):
        with pytest.raises(UsageError, match=rf"^{name}: {option} must be "):
            make(**{**NEEDED.get(name, {}), option: value})
