"""What schedulers that compare trials step by step need of a study."""

from __future__ import annotations

import math


def steps_of(scheduler: str, max_steps: int | None, r_min: int = 1, eta: float = 1) -> int:
    """Return ``max_steps`` if a trial can stop at ``r_min`` and go on to ``eta`` times as many steps, or any more.

    Raises:
        ValueError: the study has no steps, or too few; with the remedy.
    """
    if max_steps is None:
        raise ValueError(
            f"{scheduler} compares trials step by step, and this study has no steps: "
            "give Study(max_steps=…) and use trial.steps() in the objective, or choose scheduler='fifo'"
        )
    least = max(r_min + 1, math.ceil(r_min * eta))
    if max_steps < least:
        raise ValueError(
            f"{scheduler} needs at least {least} steps to have a rung before the end, and a trial of this study has "
            f"{max_steps}: give more, Study(max_steps=…){', or a smaller r_min or eta' if least > 2 else ''}"
        )
    return max_steps
