"""The picture of a simulation."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from aiohpo.plots.simulation import draw

FIGURES: dict[str, Any] = {
    "way": "production code",
    "seconds": 1200.0,
    "utilisation": 0.9,
    "utilisation_over_time": [[150.0, 0.8], [450.0, 1.0], [750.0, 1.0], [1050.0, 0.8]],
    "best_over_time": [[60.0, 100.0], [600.0, 1.0]],
    "propagation_over_time": [[150.0, 0.01, 0.1], [450.0, 0.02, 0.2]],
}


def test_three_pictures_share_the_time() -> None:
    """How busy the slots were, the best value and how long news took; long times are in minutes."""
    figure = Figure()
    draw(figure, FIGURES, "lo$$", "4 workers")
    busy, best, news = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["busy slots", r"best lo\$\$", "news arrives (ms)"]
    assert news.get_xlabel() == "minutes"
    assert news.get_xlim() == (0.0, 20.0)
    assert busy.get_title(loc="left") == "4 workers (production code)"
    assert best.get_yscale() == "log"
    assert list(best.lines[0].get_xdata()) == [1.0, 10.0, 20.0]
    assert list(news.lines[1].get_ydata()) == [10.0, 20.0]


def test_what_did_not_happen_is_said() -> None:
    """No complete trial, no news."""
    figure = Figure()
    nothing = {"seconds": 5.0, "best_over_time": [], "propagation_over_time": [], "utilisation_over_time": []}
    draw(figure, {**FIGURES, **nothing}, "loss", "1 worker")
    _, best, news = figure.axes
    assert best.texts[0].get_text() == "no complete trial"
    assert news.texts[0].get_text() == "no news that had the time to travel"
    assert news.get_xlabel() == "seconds"
