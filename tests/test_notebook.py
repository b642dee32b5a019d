"""Searches in the kernel of a notebook, as its users run them (``make integrations``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
jupyter_client = pytest.importorskip("jupyter_client")
NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "notebook.ipynb"


def test_the_notebook_is_kept_without_its_outputs() -> None:
    """They would change with every run and with every machine; the documentation's site shows those of its build."""
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.notebook
def test_the_notebook_of_the_docs_runs(tmp_path: Path) -> None:
    """Every cell, in order, in a new kernel, with a bar of ipywidgets that is gone in the end."""
    notebook = nbformat.read(NOTEBOOK, 4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("trial 16: accuracy" in output.get("text", "") for output in outputs)
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert not any("IntProgress" in output.get("data", {}).get("text/plain", "") for output in outputs)


Run = Callable[..., list[str]]


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs code in a kernel and returns what the cell shows; with ``interrupt_at`` the kernel is interrupted once it
    has shown that."""
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")

    def run(code: str, *, interrupt_at: str | None = None) -> list[str]:
        shown: list[str] = []

        def take(message: dict[str, Any]) -> None:
            nonlocal interrupt_at
            content = message["content"]
            text = content.get("text") or content.get("data", {}).get("text/plain") or content.get("evalue") or ""
            shown.extend(text.splitlines())
            if interrupt_at is not None and interrupt_at in text:
                interrupt_at = None
                manager.interrupt_kernel()

        client.execute_interactive(code, timeout=120, output_hook=take)
        return shown

    try:
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.notebook
def test_a_search_in_a_cell_is_interrupted_and_goes_on(run: Run) -> None:
    """Its objective is a lambda that runs in processes; the result says that it was interrupted, as does the last line;
    a cell that awaits goes on with the rest."""
    run(
        "import os, aiohpo\n"
        "PARENT, stuck = os.getpid(), True\n"
        "def value(trial):\n"
        "    while stuck and trial.number == 2 and not trial.ended:\n"
        "        pass\n"
        "    return float(os.getpid() != PARENT)\n"
        "study = aiohpo.Study(lambda trial: value(trial), aiohpo.Space(x=aiohpo.Float(0, 1)), searcher='random')\n"
    )
    *_, first, last, shown = run("study.run(trials=4, progress='lines')", interrupt_at="trial 1: loss 1")
    assert first == "interrupted: best loss 1 (trial 0); 2 finished, 1 lost"
    assert last.startswith("no reported result is lost; run the interrupted search again to continue")
    assert shown == "<Result best loss 1, 2 finished, 1 lost, interrupted>"
    shown = run("stuck = False\nr = await study.arun(trials=4)\nr, study.best.number")
    assert any("IntProgress" in line for line in shown)
    assert shown[-1] == "(<Result best loss 1, 4 finished>, 0)"
    *_, shown = run("study.run(trials=1)")
    assert "smaller than the 4 that have results" in shown
