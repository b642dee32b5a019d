"""Settings for all tests: property tests draw the same examples every time, and no test fails for a busy machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("reproducible", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("reproducible")
