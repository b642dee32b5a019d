"""How good it got, above what the workers did when.

Above stand the results in the order in which they came; the learning curves where most trials were not trained to
their end, as what counts then is who was given up when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import curves, history, timeline
from .picture import Picture
from .style import is_complete

if TYPE_CHECKING:
    from .subject import Subject

_HEIGHT = 4.5  # inches of the upper panel


def picture(subject: Subject) -> Picture:
    """Both panels; only the upper one if nothing ran here, as in a study driven by hand."""
    records = subject.records
    partial = [r for r in records if r.curve and r.status in ("paused", "stopped") and not is_complete(subject, r)]
    above = curves.panel if len(partial) > len(records) / 2 else history.panel
    arranged = timeline.arrange(subject)
    if arranged is None:
        return Picture([[above(subject)]])
    return Picture(
        [[above(subject)], [timeline.panel(subject, arranged)]],
        height=_HEIGHT + arranged.inches,
        heights=(_HEIGHT, arranged.inches),
    )
