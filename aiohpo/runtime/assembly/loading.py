"""What takes long before a search begins, done without holding up an event loop.

The libraries of a searcher that learns take a second to import: scikit-learn 1.0 s of CPU, with pandas where that is
installed, scipy.stats 0.6 s. What earlier runs have recorded takes time to read, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...plugin.registry import load_plugin
from ..threads import in_thread
from .definition import StudyDefinition
from .replica import Replica


async def load_parts(definition: StudyDefinition, transport: Any, replica: Replica | None) -> None:
    """Import what a worker of a study consists of, its plugins included, and read what it begins with, unless that is
    yet to change (``replica`` None).

    Raises:
        UsageError: a plugin is not there or cannot be imported, or the directory cannot be used.
    """
    await in_thread(_import, definition, transport)
    if replica is not None:
        await replica.prepare()


def _import(definition: StudyDefinition, transport: Any) -> None:
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
