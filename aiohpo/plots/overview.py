"""How good it got, above what the workers did when.

Above stand the results in the order in which they came; the learning curves where most trials were not trained to
their end, as what counts then is who was given up when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import curves, history, timeline
from .style import is_complete

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from .units import Quantity

_HEIGHT = 4.5  # inches of the upper picture


def draw(figure: Figure, run: Run, records: Sequence[TrialRecord], metric: Quantity) -> None:
    """Both pictures; only the upper one if nothing ran here, as in a study driven by hand."""
    partial = [r for r in records if r.curve and r.status in ("paused", "stopped") and not is_complete(run, r)]
    above = curves.draw_on if len(partial) > len(records) / 2 else history.draw_on
    arranged = timeline.arrange(run)
    if arranged is None:
        above(figure.subplots(), run, records, metric)
        return
    figure.set_size_inches(9, _HEIGHT + arranged.inches)
    top, bottom = figure.subplots(2, 1, height_ratios=(_HEIGHT, arranged.inches))
    above(top, run, records, metric)
    timeline.draw_on(bottom, run, arranged)
