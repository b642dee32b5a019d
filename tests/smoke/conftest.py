"""No smoke test leaves a process behind, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.smoke.processes import end_all


@pytest.fixture(autouse=True)
def _nobody_is_left_behind() -> Iterator[None]:
    yield
    end_all()
