"""A bar that shows how a search goes, for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from ..text import SIGNS, printable
from .plain import climb_in_words
from .words import best_in_words, busy_in_words, describe_rate, slots_in_words

if TYPE_CHECKING:
    from rich.console import Console

    from .snapshot import Snapshot


class Bar:
    """A bar that is redrawn, for terminals, with a line below where there is more to say: every live display of
    aiohpo looks like this. Where the terminal is narrow the count of trials and the best of them stay longest."""

    def __init__(self, console: Console, *, redirect: bool = True) -> None:
        """``redirect`` replaces ``sys.stdout`` and ``sys.stderr`` by streams that print above the bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        spinner = SpinnerColumn("line" if console.options.ascii_only else "dots")
        bar, elapsed = BarColumn(bar_width=24), TimeElapsedColumn()
        rate, busy = TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[busy]}")
        self._progress = _fitted_progress()(
            spinner,
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            bar,
            _cut_text_column()("{task.fields[shown]}", style="bold", markup=False, table_column=Column()),
            rate,
            busy,
            elapsed,
            console=console,
            transient=True,
            redirect_stdout=redirect,
            redirect_stderr=redirect,
        )
        self._progress.dispensable = (bar, busy, elapsed, rate, spinner)
        self._task = self._progress.add_task("search", total=None, rate="", busy="", **_both("starting"))

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, now: Snapshot, workers: str = "") -> None:
        """Show a snapshot. ``workers`` is markup that says who works, if more is to be said than how busy they are."""
        self._progress.below = climb_in_words(now)
        self._progress.update(
            self._task,
            completed=now.done,
            total=now.total,
            **_both(
                best_in_words(now.metric, now.best, now.max_steps, numbered=False),
                None if now.best is None or now.best.value is None else f"best {now.best.value:.5g}",
            ),
            rate=describe_rate(now.rate),
            busy=", ".join(filter(None, (busy_in_words(now), workers, slots_in_words(now)))),
        )

    def say(self, text: str) -> None:
        """Print a line above."""
        say(self._progress.console, text)

    def print(self, lines: str) -> None:
        """Print whole lines above as they are, with the colours that they may have."""
        from rich.text import Text

        console = self._progress.console
        lines = lines.encode(console.encoding, SIGNS).decode(console.encoding)
        console.print(Text.from_ansi(lines.removesuffix("\n")), highlight=False, soft_wrap=True)


def _both(best: str, brief: str | None = None) -> dict[str, str]:
    """The fields of the best trial: in words, and what stays of them where there is no room."""
    return {"best": best, "brief": brief or best, "shown": best}


def say(console: Console, text: str, style: str = "yellow") -> None:
    """Print a line of aiohpo's own."""
    from rich.text import Text

    console.print(Text(printable(text, lines=True), style), soft_wrap=True)


# What is derived from rich's classes is made when it is needed, as rich takes long to import.
@cache
def _fitted_progress() -> Any:
    """rich's progress bar without those columns for which a terminal is too narrow, and with a line of text below."""
    from rich.measure import Measurement
    from rich.progress import Progress
    from rich.text import Text

    class FittedProgress(Progress):
        below = ""
        dispensable: Sequence[Any] = ()  # columns, the first to go first

        def get_renderables(self) -> Iterable[Any]:
            yield from super().get_renderables()
            if self.below:
                yield Text(f"  {self.below}", style="dim", no_wrap=True, overflow="ellipsis")

        def make_tasks_table(self, tasks: Iterable[Any]) -> Any:
            tasks, every = list(tasks), self.columns
            for words in ("best", "brief") if tasks else ():
                if self._fit(tasks, words):
                    break
            try:
                return super().make_tasks_table(tasks)
            finally:
                self.columns = every

        def _fit(self, tasks: Sequence[Any], words: str) -> bool:
            """Show the best trial in these words and leave out columns until there is room; say whether there is."""
            console, columns = self.console, cast(Sequence[Any], self.columns)
            for task in tasks:
                task.fields["shown"] = task.fields[words]
            widths = {
                column: max(Measurement.get(console, console.options, column(task)).maximum for task in tasks)
                for column in columns
            }
            for column in (None, *self.dispensable):
                widths.pop(column, None)
                if sum(widths.values()) + len(widths) - 1 <= console.width:
                    break
            else:
                if words == "best":
                    return False
            self.columns = tuple(widths)
            return True

    return FittedProgress


@cache
def _cut_text_column() -> Any:
    """rich's column of text, which is cut where there is no room for it."""
    from rich.progress import TextColumn

    class CutTextColumn(TextColumn):
        def render(self, task: Any) -> Any:
            text = super().render(task)
            text.no_wrap, text.overflow = True, "ellipsis"
            return text

    return CutTextColumn
