"""The model of large swarms, with fewer fits: what makes simulations of thousands of workers affordable.

The model of :mod:`aiohpo.simulation.model` fits for all workers that want a model within the time that news is under
way and one fit takes. With thousands of workers that is a fit every 50 milliseconds, which is most of what a simulation
costs. Here a fit serves all who want one within :data:`SHARED` seconds. Who waits for whom, and for how long, stays as
it is: that is worked out without fitting. Models are up to a second older than production's.
"""

from __future__ import annotations

from aiohpo import Study
from aiohpo.simulation.model.swarm import ModelSwarm
from aiohpo.simulation.swarm import Scenario

SHARED = 1.0


class SharingSwarm(ModelSwarm):
    """Plays a scenario by the model; a fit serves all who want one within a second."""

    def __init__(self, study: Study, scenario: Scenario) -> None:
        super().__init__(study, scenario)
        self._fits.window = SHARED

    def _capture(self) -> None:
        self._fits.capture(self.now)
