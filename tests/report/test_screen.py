"""Snapshots drawn to fit."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from aiohpo.events.schema import Proposed, Started
from aiohpo.mesh.health import Health
from aiohpo.report.plain import as_line
from aiohpo.report.screen import draw, sparkline
from aiohpo.report.snapshot import Snapshot
from aiohpo.report.tally import Tally
from tests.report.test_tally import HEALTH, NOW, Told


def busy(workers: int = 4) -> Snapshot:
    """A search with one worker of each state and as many living ones as wanted."""
    told = Told()
    for i in range(workers):
        name = f"{i:012x}"
        told.start(name, NOW - 100, i)
        told.trial(name, NOW - 90 + i / workers, 10, 5.0 - i / workers)
    for i in range(workers):
        told.add(f"{i:012x}", Proposed, NOW - 3.0, (0.25,))
    for name, state in (("a" * 12, "suspect"), ("b" * 12, "dead"), ("c" * 12, "left")):
        told.start(name, NOW - 100)
        told.believed[name] = state
    return Tally(told).look(NOW)


def drawn(now: Snapshot, width: int, height: int | None, notices: list[str] | None = None) -> list[str]:
    console = Console(width=width, height=height or 25, file=io.StringIO())
    console.print(draw(now, width, height, notices or []), highlight=False)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 12), (20, 8)])
@pytest.mark.parametrize("workers", [0, 4, 300])
def test_it_fits_the_terminal(width: int, height: int, workers: int) -> None:
    """However many workers there are, nothing is wider or higher than the terminal."""
    lines = drawn(busy(workers), width, height, ["worker x is dead", "y" * 300])
    assert max(map(cell_len, lines)) <= width
    if height > 10:
        assert len(lines) < height


def test_it_shows_who_does_what() -> None:
    """Every worker that fits is there with state, trials, utilisation and what it evaluates."""
    text = "\n".join(drawn(busy(), 80, 24))
    assert "told  minimise loss" in text
    assert "workers: 4 alive, 1 suspect, 1 dead, 1 left" in text
    assert "best loss 4.25 (trial 3)  x=0.5" in text
    assert "5 → 4.25 in 1 min 40 s" in text
    (line,) = [line for line in text.splitlines() if line.startswith("000000     0")]
    assert line.split()[2:] == ["node1", "100", "alive", "1", "5%", "4", "3", "s", "x=0.25"]
    assert "mesh: 3 links, round trip 2 ms, 1 repairs, 2 duplicates, 10 frames (1 KB)" in text


def slotted(workers: int, slots: int, running: int) -> Snapshot:
    """A search whose workers have so many slots, of which so many are busy."""
    told = Told()
    for w in range(workers):
        told.start(f"{w:012x}", NOW - 100, w, slots)
        for i in range(running):
            told.add(f"{w:012x}", Proposed, NOW - running + i, (i / running,))
    return Tally(told).look(NOW)


@pytest.mark.parametrize(("width", "height"), [(200, 50), (80, 24), (60, 20), (40, 12)])
@pytest.mark.parametrize(("workers", "slots"), [(1, 1000), (3, 4), (64, 16)])
def test_however_many_slots_fit_the_terminal(workers: int, slots: int, width: int, height: int) -> None:
    """Each line is one of the terminal's, and each worker that is shown says how many of its slots are busy."""
    lines = drawn(slotted(workers, slots, slots - 1), width, height)
    assert max(map(cell_len, lines)) <= width
    assert len(lines) < height
    assert any(f"{slots - 1}/{slots}" in line for line in lines) or width < 60


@pytest.mark.parametrize("width", [80, 120])
def test_a_worker_shows_the_trials_that_run_longest_and_counts_the_others(width: int) -> None:
    """One in its own line, as many below as there is room for."""
    lines = drawn(slotted(1, 1000, 990), width, 24)
    at = next(i for i, line in enumerate(lines) if "990/1000" in line)
    assert "16 min 30 s  x=0 " in lines[at]
    assert "16 min 29 s  x=0.00101" in lines[at + 1]
    (rest,) = [i for i, line in enumerate(lines) if "… and " in line]
    assert f"… and {990 - (rest - at)} more" in lines[rest]
    assert rest - at > 8


def test_workers_share_the_lines_below_them() -> None:
    """Of two with many trials each gets half of the lines; without a limit of height each shows some."""
    lines = drawn(slotted(2, 16, 12), 80, 19)
    assert sum("… and 8 more" in line for line in lines) == 2
    lines = drawn(slotted(2, 16, 11), 80, None)
    assert sum("x=" in line for line in lines) == 22
    lines = drawn(slotted(2, 16, 16), 80, None)
    assert sum("… and 6 more" in line for line in lines) == 2


def test_slots_are_told_where_workers_have_more_than_one() -> None:
    """In the head; a search of workers with one slot each says nothing of them."""
    assert "workers: 2 alive, 32 slots, " in "\n".join(drawn(slotted(2, 16, 3), 80, 24))
    text = "\n".join(drawn(slotted(2, 1, 1), 80, 24))
    assert "workers: 2 alive, 2% busy" in text
    assert "slots" not in text


def test_names_are_written_out_where_there_is_room() -> None:
    """A wide terminal shows whole worker ids, as the commands take them."""
    assert any("0" * 12 in line for line in drawn(busy(), 200, 50))
    assert not any("0" * 12 in line for line in drawn(busy(), 80, 24))


def test_whoever_is_in_trouble_is_shown_first() -> None:
    """With room for few, the suspect stays and the departed go; the rest is counted."""
    lines = drawn(busy(50), 80, 14)
    assert any(line.startswith("aaaaaa") for line in lines)
    assert not any(line.startswith(("bbbbbb", "cccccc")) for line in lines)
    (rest,) = [line for line in lines if line.startswith("and ")]
    assert "alive" in rest
    assert "1 dead" in rest


def test_silence_and_dropped_frames_are_pointed_out() -> None:
    """A mesh from which nothing comes any more says since when."""
    sick = dataclasses.replace(HEALTH, silent=12.0, dropped=3, round_trip=None)
    text = " ".join(drawn(dataclasses.replace(busy(), health=sick), 200, 50))
    assert "3 dropped, nothing heard for 12 s" in text
    assert "round trip –" in text
    assert isinstance(sick, Health)


def test_before_the_first_worker_it_says_so() -> None:
    """An empty search is drawn, not crashed on."""
    text = "\n".join(drawn(Tally(Told()).look(NOW), 80, 24))
    assert "no worker yet" in text
    assert "no result yet" in text


def test_markup_in_names_is_text() -> None:
    """What users call things is never taken for a style."""
    study = {"metric": "[bold]", "mode": "max", "searcher": ":smile:", "scheduler": "a]"}
    now = dataclasses.replace(busy(), name="runs/[red]x[/]\\[", study=study)
    assert any("runs/[red]x[/]\\[  maximise [bold], :smile:, a]" in line for line in drawn(now, 120, 24))


def test_what_strangers_say_does_not_control_the_terminal() -> None:
    """A host, a metric or a notice with escape sequences is shown without them."""
    told = Told()
    told.add("a", Started, NOW - 10, "\x1b]0;owned\x07\x9bhost", 1, "")
    told.believed["a"] = "alive"
    now = dataclasses.replace(Tally(told).look(NOW), name="x\x1b[2J", study={"metric": "\x1b[31m"})
    text = "".join(drawn(now, 120, 24, ["\x1b[2Jworker"])) + as_line(now)
    assert "host" in text
    assert "worker" in text
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)


@pytest.mark.parametrize(
    ("curve", "drawn"),
    [
        ([], ""),
        ([(0.0, 3.0)], "▅▅▅▅▅▅▅▅"),
        ([(4.0, 3.0)], "   ▅▅▅▅▅"),
        ([(0.0, 8.0), (4.5, 1.0)], "████▁▁▁▁"),
        ([(0.0, 1000.0), (3.5, 31.6), (6.5, 1.0)], "███▄▄▄▁▁"),
    ],
)
def test_a_sparkline_draws_the_best_over_time(curve: list[tuple[float, float]], drawn: str) -> None:
    """Blank before the first result, linear or by powers of ten, as wide as asked."""
    assert sparkline(curve, 8.0, 8) == drawn


def test_a_sparkline_draws_the_largest_numbers() -> None:
    """Their difference overflows, their curve does not."""
    assert sparkline([(0.0, 1.7e308), (1.0, -1.7e308)], 1.0, 2) == "█▁"


def test_a_sparkline_of_no_width_is_empty() -> None:
    """However narrow the terminal, nothing breaks."""
    assert sparkline([(0.0, 1.0)], 1.0, 0) == ""
    assert len(sparkline([(0.0, 1.0), (0.0, -1.0)], 0.0, 1)) == 1
