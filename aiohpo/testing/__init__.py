"""Tools for testing plugins and swarms: views with a fixed content, virtual time, a simulated network and
conformance checks. Public: third parties use them in their own tests, as our built-ins do."""

from .simloop import RealWorldError, SimDeadlock, SimError, SimLivelock, SimLoop, SimTimeout, run
from .simnet import SimNetwork, SimTransport, Traffic
from .staticview import StaticView

__all__ = [
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
    "run",
]
