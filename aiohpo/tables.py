"""Values as small tables of HTML, which notebooks show in the place of a ``repr``.

Everything that goes into a table may be from anyone: names, choices, errors. All of it is made printable and
escaped here, and shortened, since a notebook keeps what it has shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from .text import printable

_WIDEST = 80  # characters of a cell
_WIDEST_TITLE = 300


def html_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> str:
    """Return a table below its ``title``, with a header unless there are no ``columns``, and a ``note`` below it."""
    head = "".join(f'<th style="text-align:left">{_cell(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(map(_data_cell, row))}</tr>" for row in rows)
    parts = [f"<div><div>{escape(printable(title, _WIDEST_TITLE))}</div>", "<table>"]
    parts += [f"<thead><tr>{head}</tr></thead>"] if head else []
    parts += [f"<tbody>{body}</tbody></table>"]
    parts += [f"<div>{escape(printable(note, _WIDEST_TITLE))}</div>"] if note else []
    return "".join([*parts, "</div>"])


def _data_cell(value: Any) -> str:
    align = "right" if isinstance(value, int | float) and not isinstance(value, bool) else "left"
    return f'<td style="text-align:{align}">{_cell(value)}</td>'


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return escape(printable(f"{value:.6g}" if isinstance(value, float) else str(value), _WIDEST))
