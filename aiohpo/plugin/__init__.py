"""What a plugin promises and may use: one Protocol for each kind of plugin, the registry, options.

Everything a plugin needs is here, in :mod:`aiohpo.space.space` and in the objects passed to it; a plugin imports
nothing else of aiohpo. Searchers and schedulers are *pure*: no clock, no socket, no event loop, no global
random state. What they see is a :class:`StudyView`; what they return is data. That is why the same plugin runs in
one process, over a network, in virtual time and on a journal read back next year.

Conventions
-----------
loss   ``view.y`` and every other objective value a plugin sees is a *loss*: lower is better. A maximised
       metric arrives with its sign flipped, so no plugin ever asks for the mode.
unit   ``X`` has one column per tunable parameter, encoded to [0, 1]; NaN where a condition makes the
       parameter inactive (see :class:`aiohpo.space.space.Space`).
order  Columns and rows are in *canonical* order, (lamport, worker), never in order of arrival: a searcher
       whose answer is a function of these arrays and of ``rng`` automatically satisfies the contract that
       arrival order must not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .algorithms import Recipe
from .blobs import BlobStore
from .callback import TrialCallback
from .ensemble import EnsembleBuilder, LiveEnsemble, LiveEnsembleBuilder
from .evaluator import Assignment, Channel, Evaluator, GracefulEvaluator, Outcome
from .launcher import Launcher, WorkerExit
from .options import Options
from .scheduler import (
    Claims,
    Decision,
    ExtendableScheduler,
    Idle,
    Inherit,
    KeepingScheduler,
    NewTrial,
    Resume,
    Scheduler,
)
from .searcher import ExplainingSearcher, Finite, FittingSearcher, Searcher
from .study_view import Config, Curves, Identity, Observations, StudyView, TrialState, TrialStatus
from .transport import LaunchedTransport, OnFrame, TellingTransport, Transport

if TYPE_CHECKING:
    from .study_view import FloatArray, IntArray

__all__ = [
    "Assignment",
    "BlobStore",
    "Channel",
    "Claims",
    "Config",
    "Curves",
    "Decision",
    "EnsembleBuilder",
    "Evaluator",
    "ExplainingSearcher",
    "ExtendableScheduler",
    "Finite",
    "FittingSearcher",
    "FloatArray",
    "GracefulEvaluator",
    "Identity",
    "Idle",
    "Inherit",
    "IntArray",
    "KeepingScheduler",
    "LaunchedTransport",
    "Launcher",
    "LiveEnsemble",
    "LiveEnsembleBuilder",
    "NewTrial",
    "Observations",
    "OnFrame",
    "Options",
    "Outcome",
    "Recipe",
    "Resume",
    "Scheduler",
    "Searcher",
    "StudyView",
    "TellingTransport",
    "Transport",
    "TrialCallback",
    "TrialState",
    "TrialStatus",
    "WorkerExit",
]
