"""For plugin authors: conformance checks, a view with fixed content, and virtual time re-exported.

Public: third parties use it in their own tests, as the built-ins do.
"""

from ..simulation.loop import RealWorldError, SimDeadlock, SimError, SimLivelock, SimLoop, SimTimeout, run
from ..simulation.memory import MemoryBlobs
from ..simulation.network import SimNetwork, SimTransport, Traffic
from .ensembles import check_ensemble, example_libraries
from .schedulers import check_scheduler
from .searchers import check_searcher, example_spaces
from .staticview import StaticView
from .transports import check_transport

__all__ = [
    "MemoryBlobs",
    "RealWorldError",
    "SimDeadlock",
    "SimError",
    "SimLivelock",
    "SimLoop",
    "SimNetwork",
    "SimTimeout",
    "SimTransport",
    "StaticView",
    "Traffic",
    "check_ensemble",
    "check_scheduler",
    "check_searcher",
    "check_transport",
    "example_libraries",
    "example_spaces",
    "run",
]
