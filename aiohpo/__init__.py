"""aiohpo: a masterless, asynchronous hyperparameter optimiser.

Every worker is a peer: it evaluates trials, refits its own surrogate and exchanges observations with the
others. There is no server, no database and no coordinator.

Names are imported when they are first used, so that ``import aiohpo`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ensembles.ensemble import Ensemble as Ensemble
    from .ensembles.ensemble import load_ensemble as load_ensemble
    from .errors import AiohpoError as AiohpoError
    from .errors import Unavailable as Unavailable
    from .errors import UsageError as UsageError
    from .evaluate.trial import Trial as Trial
    from .plugin.callback import TrialCallback as TrialCallback
    from .result import Result as Result
    from .runtime.ask_tell import AskedTrial as AskedTrial
    from .space.parameters import Categorical as Categorical
    from .space.parameters import Constant as Constant
    from .space.parameters import Float as Float
    from .space.parameters import Int as Int
    from .space.parameters import Ordinal as Ordinal
    from .space.space import Space as Space
    from .study import Study as Study
    from .view.trials import TrialRecord as TrialRecord
    from .worker import Worker as Worker

__version__ = "0.1.0"

_WHERE = {
    "AiohpoError": "errors",
    "AskedTrial": "runtime.ask_tell",
    "Categorical": "space.parameters",
    "Constant": "space.parameters",
    "Ensemble": "ensembles.ensemble",
    "Float": "space.parameters",
    "Int": "space.parameters",
    "Ordinal": "space.parameters",
    "Result": "result",
    "Space": "space.space",
    "Study": "study",
    "Trial": "evaluate.trial",
    "TrialCallback": "plugin.callback",
    "TrialRecord": "view.trials",
    "Unavailable": "errors",
    "UsageError": "errors",
    "Worker": "worker",
    "load_ensemble": "ensembles.ensemble",
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
    "TrialCallback",
    "TrialRecord",
    "Unavailable",
    "UsageError",
    "Worker",
    "__version__",
    "load_ensemble",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        from .arguments import explain_missing_name

        raise AttributeError(explain_missing_name(name), name=name)
    from importlib import import_module

    value = getattr(import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
