"""The bar in a notebook, on stand-ins for IPython and ipywidgets; tests/test_notebook.py has the real ones."""

from __future__ import annotations

import dataclasses
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from aiohpo.report.notebook import NotebookBar, in_notebook
from tests.report.test_screen import busy


class Output:
    def __init__(self, shown: Any) -> None:
        self.shown = [shown]

    def update(self, shown: Any, raw: bool = False) -> None:
        self.shown.append(shown)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> list[Output]:
    """What a kernel's cell shows."""
    made: list[Output] = []

    def display(shown: Any, **options: Any) -> Output:
        made.append(Output(shown))
        return made[-1]

    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return made


def test_a_terminal_of_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what has a kernel can show more than text; without IPython nothing does."""
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not in_notebook()


def test_without_ipywidgets_it_is_html(outputs: list[Output], monkeypatch: pytest.MonkeyPatch) -> None:
    """One output, updated where something is new, with all text escaped, and empty in the end."""
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert in_notebook()
    now = dataclasses.replace(busy(), study={"metric": "<b>"})
    with NotebookBar() as bar:
        bar.update(now)
        bar.update(now)
    (output,) = outputs
    first, shown, last = output.shown
    assert "starting" in first["text/html"]
    assert "4 trials, best &lt;b&gt; 4.25 (trial 3)" in shown["text/html"]
    assert "4 trials, best <b> 4.25 (trial 3)" in shown["text/plain"]
    assert "<progress" not in shown["text/html"], "of how many is not known"
    assert last == {"text/plain": ""}


def test_with_ipywidgets_it_is_a_widget(outputs: list[Output], monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows the part of the budget that is done, and is closed in the end."""
    closed: list[Any] = []

    class Widget(SimpleNamespace):
        def close(self) -> None:
            closed.append(self)

    def progress(**options: Any) -> Widget:
        return Widget(**options)

    widgets = SimpleNamespace(
        IntProgress=progress,
        HTML=lambda value: Widget(value=value),
        HBox=lambda children: Widget(children=children),
        Layout=SimpleNamespace,
    )
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    with NotebookBar() as bar:
        bar.update(dataclasses.replace(busy(), total=20, study={"metric": "<b>"}))
        (output,) = outputs
        part, text = output.shown[0].children
        assert (part.value, part.max) == (4, 20)
        assert text.value.startswith("4/20 trials, best &lt;b&gt; 4.25")
    assert len(closed) == 3
    assert output.shown[1:] == [{"text/plain": ""}]
