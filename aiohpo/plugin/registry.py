"""Plugins by name: a dictionary, entry points, and errors that list what there is.

A plugin is named by its entry point, optionally with options: ``"adbo"``, ``"adbo:kappa=1.0,pending=none"``,
``"optuna:tpe"`` (a bare word is a positional argument). Built-ins are found in exactly the same way as anyone
else's plugins.
"""

from __future__ import annotations

import copy
import difflib
import inspect
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, listing

if TYPE_CHECKING:
    from importlib import metadata

KINDS = ("searchers", "schedulers", "ensembles", "transports", "evaluators")

# What an instance must have; asking its Protocol would also ask for ``address``, which not every transport has
# before it started.
_METHODS = {
    "searchers": ("setup", "ask"),
    "schedulers": ("setup", "next", "on_report"),
    "ensembles": ("fit",),
    "transports": ("is_local", "undialled_address", "start", "publish", "send", "connect", "disconnect", "aclose"),
    "evaluators": ("start", "run", "aclose"),
}


@cache
def available(kind: str) -> dict[str, metadata.EntryPoint]:
    """The entry points of one kind, by name; on a clash the distribution's own order decides."""
    from importlib import metadata  # 2 MB, which processes that evaluate do without

    return {point.name: point for point in metadata.entry_points(group=f"aiohpo.{kind}")}


def load_plugin(kind: str, name: str) -> type[Any]:
    """Return the class behind a name. Raises ``UsageError`` that lists what there is."""
    known = available(kind)
    point = known.get(name)
    if point is None:
        others = [other for other in (*KINDS, "algorithms") if other != kind and name in available(other)]
        close = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        if others:
            hint = f" {name!r} is among the {others[0]} (see: aiohpo plugins)."
        raise UsageError(
            f"there is no {kind[:-1]} named {name!r}.{hint} Installed: {listing(list(known))}. "
            f"A plugin registers one with an entry point in the group 'aiohpo.{kind}'."
        )
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the {kind[:-1]} {name!r} ({point.value}) cannot be imported: {error}. "
            "Install what it needs; for aiohpo's own extras: pip install 'aiohpo[plot,pandas,optuna]'."
        ) from error
    return found  # type: ignore[no-any-return]  # an entry point is whatever its module says


def create(kind: str, spec: Any, **fixed: Any) -> Any:
    """Make a plugin from ``name``, ``name:option=value,…`` or an instance (returned as it is).

    ``fixed`` are arguments that the core supplies; options that the plugin does not know are an error.
    """
    if not isinstance(spec, str):
        if isinstance(spec, type):
            raise UsageError(f"{spec.__name__} is a class; give an instance, {spec.__name__}(), or a name")
        for method in _METHODS.get(kind, ()):
            if not callable(getattr(spec, method, None)):
                raise UsageError(f"{spec!r:.80} is not a {kind[:-1]}: it has no {method}(); give a name or an instance")
        return spec
    name, _, text = spec.partition(":")
    found = load_plugin(kind, name)
    words, options = parse_options(text, f"{kind[:-1]} {spec!r}")
    known = options_of(found)
    for option in options:
        if option in fixed or (option not in known and not takes_any(found)):
            raise UsageError(
                f"the {kind[:-1]} {name!r} has no option {option!r}; "
                f"its options are: {listing([k for k in known if k not in fixed])}"
            )
    for word in words:
        if word in known:
            raise UsageError(f"{kind[:-1]} {spec!r}: the option {word!r} has no value; write {name}:{word}=VALUE")
    try:
        inspect.signature(found).bind(*words, **options, **fixed)
    except TypeError as error:
        names = listing([k for k in known if k not in fixed])
        raise UsageError(
            f"{kind[:-1]} {spec!r}: {error}; write {name}:option=value, the options are: {names}"
        ) from None
    try:
        return found(*words, **options, **fixed)
    except UsageError:
        raise
    except ValueError as error:  # how a plugin says that an option is out of range
        raise UsageError(f"{kind[:-1]} {spec!r}: {error}") from error


def make_plugin(kind: str, spec: Any) -> Any:
    """Make a worker's own searcher, scheduler, … of a name or of the user's instance, which workers do not share."""
    return create(kind, spec) if isinstance(spec, str) else copy.deepcopy(create(kind, spec))


def bind(plugin: Any, *study: Any) -> None:
    """Bind a searcher or a scheduler to a study by its ``setup``. Raises ``UsageError`` where it refuses, which
    plugins say by any ``ValueError``."""
    try:
        plugin.setup(*study)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error


def options_of(found: type[Any]) -> dict[str, inspect.Parameter]:
    """The options that a plugin's constructor takes."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p for p in inspect.signature(found).parameters.values() if p.kind in kinds}


def takes_any(found: type[Any]) -> bool:
    """Whether a plugin's constructor takes ``**options`` and complains itself about those that it does not know."""
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(found).parameters.values())


def parse_options(text: str, where: str) -> tuple[list[Any], dict[str, Any]]:
    """Split ``word,option=value,…``; values are JSON where they can be, else text."""
    words: list[Any] = []
    options: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            words.append(part)
        elif name in options:
            raise UsageError(f"{where}: option {name!r} is given twice")
        else:
            options[name] = _value(value)
    return words, options


def _value(text: str) -> Any:
    try:
        return json.loads({"None": "null", "True": "true", "False": "false"}.get(text, text))
    except ValueError:
        return text
