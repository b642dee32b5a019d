"""The trials over pairs of parameters, coloured by their rank: unlike the metric, ranks know no outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from .pairs import having_both, in_grid, pairs_of, what
from .picture import Dots, Panel, Picture
from .style import hover, judged

if TYPE_CHECKING:
    from ..view.trials import TrialRecord
    from .subject import Subject


def picture(subject: Subject, parameters: Sequence[str] = ()) -> Picture:
    """A panel for each pair, the best trials on top. Raises ``UsageError`` if no trial has a value, and as
    :func:`~.pairs.pairs_of` does."""
    pairs = pairs_of(subject, parameters)
    done, _, remark = judged(subject, subject.records)
    loss = np.array([subject.objective.loss(r.value) for r in done])
    rank = dict(zip([r.id for r in done], rankdata(loss).tolist(), strict=True))
    worst_first = sorted(done, key=lambda r: -rank[r.id])
    panels = []
    for x, y in pairs:
        having = having_both(worst_first, x, y)
        dots = Dots(
            x.places(having), y.places(having), values=[rank[r.id] for r in having], size=22,
            hover=partial(_told, having, rank),
        )  # fmt: skip
        panels.append(Panel(x.axis(), y.axis(), [dots], title="" if having else "no trial has both"))
    rows = in_grid(panels)
    return Picture(
        rows,
        width=4.0 * len(rows[0]) + 1.5,
        height=3.6 * len(rows) + 0.4,
        title=f"{len(done)} trials over {what(pairs)}, by the rank of their {subject.metric.text}{remark}",
        colour_scale=("rank (1: the best)", 1.0, float(max(len(done), 2))),
    )


def _told(records: Sequence[TrialRecord], rank: Mapping[str, float]) -> list[str]:
    return [f"rank {rank[r.id]:g} of {len(rank)}\n{hover(r)}" for r in records]
