"""Running the user's code: what to run, the trial it sees, and four evaluators that run it.

``coroutine``  ``async def`` objectives on the worker's loop
``thread``     ordinary functions in a thread of the worker's process
``process``    ordinary functions in a persistent process (the default for them)
``command``    any program
"""

from __future__ import annotations

from .objective import ImportedInChild, Objective, Source, in_child
from .reimport import find, load
from .trial import Trial, TrialEnded

__all__ = ["ImportedInChild", "Objective", "Source", "Trial", "TrialEnded", "find", "in_child", "load"]
