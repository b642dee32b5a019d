"""What a running search looks like in a terminal: a :class:`~aiohpo.report.snapshot.Snapshot`, drawn to fit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..mesh.health import Health
from ..text import printable
from ..view.summary import value_in_words
from .snapshot import HERE, Snapshot, TrialNow, WorkerNow
from .words import (
    busy_in_words,
    configuration,
    describe_bytes,
    describe_rate,
    describe_seconds,
    ensemble_in_words,
    in_words,
    rungs_in_words,
    slots_in_words,
    trials_in_words,
)

_STYLES = {"alive": "green", "suspect": "yellow", "dead": "red", "left": "dim", "unknown": "cyan"}
_BAR = 24
_FIRST_SHOWN = ("suspect", "alive", "unknown", "dead", "left")
_ROOMY = 110  # columns from which on names are written out
_NARROW = 72  # columns below which a table with slots shows what must be seen
_WIDEST = 60  # characters of what the study says of itself
_MOST_TRIALS = 10  # of a worker, where the height is no limit
_BARS = "▁▂▃▄▅▆▇█"
_NOTICES = 3  # lines that are shown above, and the latest below
_QUIET = 5.0  # seconds of silence that are worth a word


def draw(now: Snapshot, width: int, height: int | None, notices: Sequence[str] = ()) -> RenderableType:
    """Draw a snapshot in ``width`` columns and at most ``height`` lines (None: as many as it takes)."""
    above = _head(now, width)
    below = [] if now.health is None else list(_health(now.health).wrap(Console(width=width), width))
    # one line for the table's head, one for what did not fit, one for the cursor
    room = max(len(now.workers) if height is None else height - len(above) - len(below) - 3, 1)
    said = notices[-min(room // 3, _NOTICES) :] if room >= 3 else []
    below += [Text(printable(text), style="yellow", no_wrap=True, overflow="ellipsis") for text in said]
    room -= len(said)
    shown, hidden = _fitting(now.workers, room)
    further = _lines_for_trials(shown, None if height is None else room - len(shown))
    middle: list[RenderableType] = [_table(shown, further, width)] if shown else [Text("\nno worker yet\n")]
    if hidden:
        states: dict[str, int] = {}
        for worker in hidden:
            states[worker.status] = states.get(worker.status, 0) + 1
        middle.append(Text(f"and {len(hidden)} more: {in_words(states)}", style="dim"))
    return Group(*above, *middle, *below)


def _metric(now: Snapshot) -> str:
    return printable(now.metric, _WIDEST)


def _told(now: Snapshot, name: str) -> str:
    """What the study says about itself; it may contain any text."""
    return printable(str(now.study.get(name, "–")), _WIDEST)


def _head(now: Snapshot, width: int) -> list[RenderableType]:
    aim = "maximise" if now.study.get("mode") == "max" else "minimise"
    clock = time.strftime("%H:%M:%S", time.localtime(now.time))
    searcher, scheduler = _told(now, "searcher"), _told(now, "scheduler")
    slots = slots_in_words(now)
    busy = "".join(f", {text}" for text in (slots, busy_in_words(now)) if text)
    states = now.states()
    who = [(f"{states[name]} {name}", _STYLES[name]) for name in _STYLES if name in states]
    lines: list[RenderableType] = [
        _line((printable(now.name), "bold"), f"  {aim} {_metric(now)}, {searcher}, {scheduler}  ", (clock, "dim")),
        _progress(now),
        _line(f"{trials_in_words(now.counts, now.retried, now.added)}; workers: ", *(_listed(who) or ["none"]), busy),
    ]
    if now.best is None:
        lines.append(_line("no result yet"))
    else:
        config = configuration(now.best.config)
        worth = (value_in_words(now.best, now.max_steps), "bold")
        lines.append(_line(f"best {_metric(now)} ", worth, f" (trial {now.best.number})  {config}"))
    for text in (rungs_in_words(now.rungs, now.promoted, now.moved), ensemble_in_words(now.ensemble)):
        if text:
            lines.append(_line((text, "cyan")))
    lines += [_line((printable(text), "yellow")) for text in now.notices[:_NOTICES]]
    if now.curve:
        text = f"{now.curve[0][1]:.4g} → {now.curve[-1][1]:.4g} in {describe_seconds(now.elapsed)}"
        bars = sparkline(now.curve, now.elapsed, max(min(width - len(text) - 3, 100), 8))
        lines.append(_line((bars, "cyan"), f"  {text}"))
    return lines


def _progress(now: Snapshot) -> Text:
    rate = describe_rate(now.rate)
    if now.total is None:
        return _line((str(now.done), "bold"), f" trials  {rate}")
    part = min(now.done / now.total, 1.0) if now.total else 1.0
    done = round(part * _BAR)
    left = now.remaining
    rest = f", {describe_seconds(left)} left" if left and now.done and not now.deserted else ""
    bar = ("━" * done, "green"), ("━" * (_BAR - done), "dim")
    return _line((str(now.done), "bold"), f" of {now.total} trials  ", *bar, f" {part:.0%}  {rate}{rest}")


def _health(health: Health) -> Text:
    delay = "–" if health.round_trip is None else describe_seconds(health.round_trip)
    text = Text(
        f"mesh: {health.links} links, round trip {delay}, {health.repairs} repairs, {health.duplicates} duplicates, "
        f"{health.frames_in} frames ({describe_bytes(health.bytes_in)}) in, "
        f"{health.frames_out} ({describe_bytes(health.bytes_out)}) out",
        overflow="fold",
    )
    if health.dropped:
        text.append(", ").append(f"{health.dropped} dropped", "yellow")
    if health.silent > _QUIET:
        text.append(", ").append(f"nothing heard for {describe_seconds(health.silent)}", "red")
    return text


def _fitting(workers: Sequence[WorkerNow], room: int) -> tuple[list[WorkerNow], list[WorkerNow]]:
    """Split into those there is room for, running ones first, and the others; in the given order."""
    by_state = sorted(range(len(workers)), key=lambda i: (_FIRST_SHOWN.index(workers[i].status), i))
    chosen = set(by_state[:room])
    shown = [worker for i, worker in enumerate(workers) if i in chosen]
    return shown, [worker for i, worker in enumerate(workers) if i not in chosen]


def _lines_for_trials(workers: Sequence[WorkerNow], room: int | None) -> list[int]:
    """How many lines each worker gets below its own, which has the first of its trials: a fair part of the ``room``."""
    wanted = [max(len(worker.running) - 1, 0) for worker in workers]
    if room is None:
        return [min(want, _MOST_TRIALS) for want in wanted]
    lines, waiting = [0] * len(wanted), len(wanted)
    for at in sorted(range(len(wanted)), key=wanted.__getitem__):
        lines[at] = min(wanted[at], room // waiting)
        if lines[at] == 1 < wanted[at]:  # room for "and 14 more", which the number of slots says already
            lines[at] = 0
        room, waiting = room - lines[at], waiting - 1
    return lines


def _table(workers: Sequence[WorkerNow], further: Sequence[int], width: int) -> Table:
    """A row for each worker with the trial that it has evaluated longest, and so many ``further`` rows below."""
    roomy = width >= _ROOMY
    ranked = any(worker.rank is not None for worker in workers)
    slotted = any(worker.slots > 1 for worker in workers)
    omitted = set() if ranked else {"rank"}
    if not slotted:
        omitted.add("slots")
    elif not roomy:  # what its trials are matters more
        omitted |= {"rank", "pid"} if width >= _NARROW else {"rank", "pid", "host", "done"}
    every = ("worker", "rank", "host", "pid", "state", "slots", "done", "busy", "trial", "for")
    names = [name for name in every if name not in omitted]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="dim")
    for name in names:
        table.add_column(
            name,
            justify="left" if name in ("worker", "host", "state") else "right",
            no_wrap=True,
            max_width=(24 if roomy else 10) if name == "host" else None,
        )
    table.add_column("configuration", no_wrap=True, overflow="ellipsis", ratio=1)
    for worker, lines in zip(workers, further, strict=True):
        cells: dict[str, str | Text] = {
            "worker": worker.id if roomy else worker.id[:6],
            "rank": "" if worker.rank is None else str(worker.rank),
            "host": Text(printable(worker.host or "")),
            "pid": str(worker.pid or ""),
            "state": Text(worker.status, _STYLES[worker.status]),
            "slots": f"{len(worker.running)}/{worker.slots}" if worker.status in HERE else "",
            "done": str(worker.trials),
            "busy": "" if worker.utilisation is None else f"{worker.utilisation:.0%}",
        }
        first, others = worker.running[:1], worker.running[1:]
        cells |= _trial(first[0]) if first else {}
        style = None if worker.status in HERE else "dim"
        table.add_row(*(cells.get(name, "") for name in (*names, "configuration")), style=style)
        shown = others if lines >= len(others) else others[: max(lines - 1, 0)]
        below = [_trial(trial) for trial in shown]
        if lines > len(shown):
            left = len(others) - len(shown)
            below.append({"trial": f"+{left}"} if width < _NARROW else {"configuration": Text(f"… and {left} more")})
        for cells in below:
            table.add_row(*(cells.get(name, "") for name in (*names, "configuration")))
    return table


def _trial(trial: TrialNow) -> dict[str, str | Text]:
    return {
        "trial": str(trial.number),
        "for": describe_seconds(trial.seconds),
        "configuration": Text(configuration(trial.config)),
    }


def _listed(parts: Sequence[tuple[str, str]]) -> list[str | tuple[str, str]]:
    """Styled parts with commas between them."""
    return [piece for part in parts for piece in (", ", part)][1:]


def _line(*parts: str | tuple[str, str]) -> Text:
    """One line of parts, each plain or with a style. None of them is markup, whatever is in it."""
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def sparkline(curve: Iterable[tuple[float, float]], elapsed: float, width: int) -> str:
    """Draw the best value over time in ``width`` characters; blank before the first result.

    Losses often fall by powers of ten: positive values that span more than two of them are drawn by their logarithm.
    """
    points = list(curve)
    if not points or width < 1:
        return ""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    scale = math.log if low > 0 and high > 100 * low else float
    bottom, span = scale(low) / 2, scale(high) / 2 - scale(low) / 2  # halves: the difference of two may overflow
    elapsed = max(elapsed, points[-1][0], 1e-9)
    drawn, at = [], 0
    for i in range(width):
        until = elapsed * (i + 1) / width
        while at < len(points) and points[at][0] <= until:
            at += 1
        if at == 0:
            drawn.append(" ")
        else:
            part = (scale(points[at - 1][1]) / 2 - bottom) / span if span > 0 else 0.5
            drawn.append(_BARS[min(int(part * len(_BARS)), len(_BARS) - 1)])
    return "".join(drawn)
