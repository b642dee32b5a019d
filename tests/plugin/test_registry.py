"""Tests of finding plugins by name."""

from __future__ import annotations

from importlib import metadata

import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import registry
from aiohpo.plugin.registry import KINDS, available, bind, create, load_plugin, options_of, parse_options


class Pretend:
    """A searcher for these tests."""

    def __init__(self, kind: str = "plain", *, depth: int = 3, worker: str = "") -> None:
        if depth < 0:
            raise ValueError(f"depth must be at least 0, not {depth}")
        self.kind, self.depth, self.worker = kind, depth, worker

    def setup(self, space, seed, identity):
        """Nothing to do."""

    def ask(self, view, rng, slots):
        return []


@pytest.fixture
def pretend(monkeypatch):
    points = {
        "pretend": f"{__name__}:Pretend",
        "broken": "no_such_module_anywhere:Thing",
        "renamed": f"{__name__}:NoSuchThing",
    }
    entries = {name: metadata.EntryPoint(name, value, "aiohpo.searchers") for name, value in points.items()}
    monkeypatch.setattr(registry, "available", lambda kind: entries)


def test_the_built_ins_are_found_by_entry_point():
    """What the installed distribution registers is there, by kind and name."""
    assert {"random", "grid", "quasirandom", "adbo"} <= set(available("searchers"))
    assert "fifo" in available("schedulers")
    assert "inproc" in available("transports")
    assert {"coroutine", "thread", "process", "command"} <= set(available("evaluators"))
    assert all(isinstance(available(kind), dict) for kind in KINDS)
    for kind in ("searchers", "schedulers"):
        for name in available(kind):
            assert isinstance(load_plugin(kind, name), type)


def test_unknown_names_list_what_there_is():
    """An unknown plugin is an error with the known ones, and a guess at what was meant."""
    with pytest.raises(UsageError, match=r"no searcher named 'randon'.*Did you mean 'random'.*adbo.*grid"):
        load_plugin("searchers", "randon")


@pytest.mark.parametrize("name", ["broken", "renamed"])
def test_plugins_that_cannot_be_imported_say_why(pretend, name):
    """A missing module or attribute behind an entry point is a usage error that names both."""
    with pytest.raises(UsageError, match=rf"the searcher '{name}' \(.*\) cannot be imported"):
        load_plugin("searchers", name)


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("searchers", "asha", "'asha' is among the schedulers"),
        ("schedulers", "tpe", "'tpe' is among the searchers"),
        ("searchers", "bohb", "'bohb' is among the algorithms"),
        ("searchers", "TPE", "Did you mean 'tpe'?"),
    ],
)
def test_a_name_of_another_kind_or_spelling_is_recognised(kind, name, hint):
    """A scheduler that is given as a searcher, and a name in capitals, are told for what they are."""
    with pytest.raises(UsageError) as caught:
        load_plugin(kind, name)
    assert hint in str(caught.value)


def test_options_are_given_behind_a_colon(pretend):
    """Words are positional, name=value pairs are options, values are JSON where they can be."""
    made = create("searchers", "pretend:fancy,depth=5", worker="w")
    assert (made.kind, made.depth, made.worker) == ("fancy", 5, "w")
    assert create("searchers", "pretend").depth == 3


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pretend:deep=5", "no option 'deep'; its options are: depth, kind"),
        ("pretend:worker=me", "no option 'worker'"),
        ("pretend:depth=1,depth=2", "'depth' is given twice"),
        ("pretend:a,b", "too many positional"),
        ("pretend:a,kind=b", "multiple values"),
        ("pretend:depth", "the option 'depth' has no value; write pretend:depth=VALUE"),
        ("pretend:a,b", "write pretend:option=value, the options are: depth, kind"),
        ("pretend:depth=-1", "depth must be at least 0, not -1"),
    ],
)
def test_wrong_options_are_usage_errors(pretend, spec, message):
    """What a plugin does not take is refused, never dropped; what is out of range names the plugin."""
    with pytest.raises(UsageError, match=message):
        create("searchers", spec, worker="w")


def test_instances_are_taken_as_they_are():
    """An object of the right kind goes through; a class or something else is an error with a remedy."""
    mine = Pretend()
    assert create("searchers", mine) is mine
    with pytest.raises(UsageError, match=r"give an instance, Pretend\(\)"):
        create("searchers", Pretend)


@pytest.mark.parametrize("thing", [None, 3, object()])
@pytest.mark.parametrize("kind", ["searchers", "schedulers", "evaluators"])
def test_what_is_no_plugin_is_refused(kind, thing):
    """An object that lacks the protocol's methods is an error that names them."""
    with pytest.raises(UsageError, match=f"is not a {kind[:-1]}: it has no "):
        create(kind, thing)


@pytest.mark.parametrize("error", [ValueError("no steps"), UsageError("no steps")])
def test_a_refusal_to_serve_a_study_is_a_usage_error(error):
    """A plugin refuses by any ValueError, which users see as what it is; other errors are mistakes of the plugin."""

    class Refusing:
        def setup(self, *study):
            raise error

    class Broken:
        def setup(self, *study):
            raise KeyError("steps")

    with pytest.raises(UsageError, match="no steps"):
        bind(Refusing(), None, 0)
    with pytest.raises(KeyError):
        bind(Broken(), None, 0)


def test_values_are_json_or_text():
    """Numbers, booleans and null are what they look like, in Python's spelling too; all else is text."""
    words, options = parse_options("tpe, a=1 ,b=1e-3,c=true,d=None,e=text,f=", "here")
    assert words == ["tpe"]
    assert options == {"a": 1, "b": 1e-3, "c": True, "d": None, "e": "text", "f": ""}
    assert parse_options("", "here") == ([], {})


def test_a_plugin_that_takes_any_options_judges_them_itself(pretend, monkeypatch):
    """Options reach a constructor with ``**options``, whatever they are called."""
    monkeypatch.setattr(registry, "load_plugin", lambda kind, name: lambda **options: options)
    assert create("searchers", "pretend:this=1,that=2") == {"this": 1, "that": 2}


def test_options_of_a_class_are_its_constructors_parameters():
    """Only named parameters count as options."""
    assert list(options_of(Pretend)) == ["kind", "depth", "worker"]
