"""Importing the parts of a search in a thread.

The libraries of a searcher that learns take a second to import: scikit-learn 1.0 s of CPU, with pandas where that is
installed, scipy.stats 0.6 s. An event loop has other things to do meanwhile.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...plugin.registry import load_plugin
from ..threads import in_thread
from .definition import StudyDefinition


async def load_parts(definition: StudyDefinition, transport: Any) -> None:
    """Import what a worker of a study consists of, its plugins included. Raises ``UsageError`` for a plugin that is not
    there or cannot be imported."""
    await in_thread(_load, definition, transport)


def _load(definition: StudyDefinition, transport: Any) -> None:
    for module in ("..peer", ".wiring"):
        import_module(module, __package__)
    chosen = {
        "transports": transport,
        "searchers": definition.searcher,
        "schedulers": definition.scheduler,
        "evaluators": definition.evaluator,
        "ensembles": definition.ensemble,
    }
    for kind, spec in chosen.items():
        if isinstance(spec, str):
            load_plugin(kind, spec.partition(":")[0])
