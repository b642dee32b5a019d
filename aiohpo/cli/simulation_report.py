"""What ``aiohpo simulate`` prints at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..simulation.figures import Figures
    from ..simulation.swarm import Scenario
    from ..study import Study


def describe(study: Study, scenario: Scenario) -> dict[str, Any]:
    """What was simulated, as JSON."""
    return {
        "workers": scenario.workers,
        "slots": scenario.slots,
        "searcher": str(study.searcher),
        "scheduler": str(study.scheduler),
        "max_steps": study.max_steps,
        "eval_time": str(scenario.times),
        "latency": scenario.latency,
        "crash_rate": scenario.crash_rate,
        "restart": scenario.restart_after,
        "seed": scenario.seed,
    }


def headline(study: Study, scenario: Scenario, figures: Figures) -> str:
    """What was simulated, in a line."""
    from ..report.words import describe_seconds

    slots = "" if scenario.slots == 1 else f" with {scenario.slots} slots each"
    workers = f"{scenario.workers:,} worker{'s' if scenario.workers > 1 else ''}"
    return (
        f"{workers}{slots} for {describe_seconds(figures.seconds)}, "
        f"{study.searcher} and {study.scheduler}, evaluations of {scenario.times}"
    )


def report(study: Study, scenario: Scenario, figures: Figures) -> Iterator[str]:
    """The lines that people read; the last one says it all."""
    from ..report.words import describe_bytes, describe_seconds, in_words

    f = figures
    best = _best_in_words(study, f)
    rows = [
        ("utilisation", f"{f.utilisation:.2%}", "of the slots' time was spent evaluating"),
        ("", f"{f.completed_share:.2%}", "in evaluations that ended"),
        ("evaluations", f"{f.evaluations:,}", in_words(f.endings)),
        ("trials", f"{sum(f.trials.values()):,}", in_words(f.trials)),
    ]
    if f.best is not None:
        value, _, rest = best.partition(" ")
        rows.append(("best", value, rest))
    if f.propagation["median"] is not None:
        median, p99 = (describe_seconds(f.propagation[key] or 0.0) for key in ("median", "p99"))
        rows.append(("news", median, f"until half of the others know of an event; 99 % within {p99}"))
    rows.append(
        (
            "traffic",
            describe_bytes(f.traffic["bytes_per_worker_second"]),
            f"in {f.traffic['frames_per_worker_second']:.3g} frames sent per worker and second",
        )
    )
    if f.collisions["count"]:
        lost = (
            f"times a trial ran twice: {describe_seconds(f.collisions['seconds'])} wasted, {f.collisions['share']:.3%}"
        )
        rows.append(("collisions", f"{f.collisions['count']:,}", lost))
    else:
        rows.append(("collisions", "0", "no trial ran on two workers at the same time"))
    if f.crashes["count"]:
        rows.append(
            (
                "crashes",
                f"{f.crashes['count']:,}",
                f"{f.crashes['restarted']:,} replaced; {describe_seconds(f.crashes['seconds_lost'])} of evaluation "
                f"lost, {describe_seconds(f.crashes['seconds_missing'])} without a worker",
            )
        )
    names, values = (max(len(row[at]) for row in rows) for at in (0, 1))
    yield headline(study, scenario, f)
    for name, value, text in rows:
        yield f"  {name:<{names}}  {value:>{values}}  {text}"
    for text, count in sorted(f.notices.items(), key=lambda item: -item[1])[:3]:
        if not f.crashes["count"]:
            yield f"  said by {count} worker{'s' if count > 1 else ''}: {text}"
    if f.end:
        yield f"the search was over after {describe_seconds(f.seconds)}: {f.end}"
    yield (
        f"utilisation {f.utilisation:.2%}, {f.evaluations:,} evaluations, "
        f"{'no result' if f.best is None else f'best {study.metric} {f.best:.6g}'} (by the {f.way})"
    )


def _best_in_words(study: Study, figures: Figures) -> str:
    from ..report.words import describe_seconds

    if figures.best is None:
        return ""
    if figures.best_step is not None:
        return f"{figures.best:.6g} {study.metric} after step {figures.best_step}: no trial is complete"
    when = figures.best_over_time[-1][0] if figures.best_over_time else 0.0
    return f"{figures.best:.6g} {study.metric}, found after {describe_seconds(when)}"
