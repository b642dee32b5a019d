"""aiohpo: a masterless, asynchronous hyperparameter optimiser.

Every worker is a peer: it evaluates trials, refits its own surrogate and exchanges observations with the
others. There is no server, no database and no coordinator.

Names are imported when they are first used, so that ``import aiohpo`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .embed import Worker as Worker
    from .ensembles import Ensemble as Ensemble
    from .ensembles import load_ensemble as load_ensemble
    from .evaluate import Trial as Trial
    from .interfaces import AiohpoError as AiohpoError
    from .interfaces import Unavailable as Unavailable
    from .interfaces import UsageError as UsageError
    from .manual import AskedTrial as AskedTrial
    from .parameters import Categorical as Categorical
    from .parameters import Constant as Constant
    from .parameters import Float as Float
    from .parameters import Int as Int
    from .parameters import Ordinal as Ordinal
    from .records import TrialRecord as TrialRecord
    from .result import Result as Result
    from .space import Space as Space
    from .study import Study as Study

__version__ = "0.1.0"

_WHERE = {
    "AiohpoError": "interfaces",
    "AskedTrial": "manual",
    "Categorical": "parameters",
    "Constant": "parameters",
    "Ensemble": "ensembles",
    "Float": "parameters",
    "Int": "parameters",
    "Ordinal": "parameters",
    "Result": "result",
    "Space": "space",
    "Study": "study",
    "Trial": "evaluate",
    "TrialRecord": "records",
    "Unavailable": "interfaces",
    "UsageError": "interfaces",
    "Worker": "embed",
    "load_ensemble": "ensembles",
}

__all__ = [
    "AiohpoError",
    "AskedTrial",
    "Categorical",
    "Constant",
    "Ensemble",
    "Float",
    "Int",
    "Ordinal",
    "Result",
    "Space",
    "Study",
    "Trial",
    "TrialRecord",
    "Unavailable",
    "UsageError",
    "Worker",
    "__version__",
    "load_ensemble",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'aiohpo' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
