"""Makes a page of the documentation site of the notebook in this folder, which is run for it.

The notebook is kept without outputs. Whenever the site is built a new kernel runs it from the beginning, so that its
page shows what the present code does, and a cell that fails ends the build.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent / "notebook.ipynb"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_DOWNLOAD = "\n\n[This page as a notebook](notebook.ipynb)\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, "notebook.md", content=page()))
    return files


def page() -> str:
    """Run the notebook and return it as Markdown. Raises what nbclient raises for a cell that fails."""
    notebook = nbformat.read(NOTEBOOK, 4)
    with TemporaryDirectory() as directory:
        # Through files instead of ports, which others could reach, as the kernel warns.
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{directory}/kernel")
        NotebookClient(notebook, km=kernel, timeout=120, resources={"metadata": {"path": directory}}).execute()
    return "\n\n".join(part for cell in notebook.cells for part in _parts(cell)) + _DOWNLOAD


def _parts(cell: Any) -> list[str]:
    if cell.cell_type != "code":
        return [cell.source]
    return [_block("python", cell.source), *filter(None, _shown(cell.outputs))]


def _shown(outputs: list[Any]) -> list[str]:
    """What a cell shows; what it prints in several pieces is one."""
    found, printed = [], ""
    for output in outputs:
        if output.output_type == "stream":
            printed += output.text
        elif shown := _output(output):
            found += [_text(printed), shown]
            printed = ""
    return [*found, _text(printed)]


def _output(output: Any) -> str:
    data = output.data
    if "image/png" in data:
        return f'<img alt="{escape(data["text/plain"])}" src="data:image/png;base64,{data["image/png"].strip()}">'
    return str(data["text/html"]) if "text/html" in data else _text(data.get("text/plain", ""))


def _text(printed: str) -> str:
    printed = _COLOUR.sub("", printed).strip()
    return _block("text", printed) if printed else ""


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
