"""What a program says in a line."""

from __future__ import annotations

import pytest

from aiohpo.evaluate.process.json_lines import JsonLine, parse_line


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"step": 3, "loss": 0.5}', JsonLine({"loss": 0.5}, 3)),
        ('{"step": 3, "size": 7, "text": "x"}', JsonLine({"size": 7}, 3)),
        ('{"loss": 0.5, "size": true}', JsonLine({"loss": 0.5})),
        ('{"loss": "0.5"}', JsonLine({"loss": "0.5"})),
        ('{"note": {"layers": [1, 2]}}', JsonLine({}, None, {"layers": [1, 2]})),
        ('{"step": 1, "loss": 0.5, "note": {"a": 1}}', JsonLine({"loss": 0.5}, 1, {"a": 1})),
        ('{"attach": {"m.pt": "out/m"}}', JsonLine({}, None, {}, {"m.pt": "out/m"})),
        ('{"note": "loud"}', None),
        ('{"size": 3}', None),
        ('{"step": 3}', None),
        ("{not json}", None),
        ("[1]", None),
        ("loss 0.5", None),
        ('{"a":' * 100_000, None),
    ],
)
def test_what_a_line_says(line: str, said: JsonLine | None) -> None:
    """Reports, results and notes are told from what is merely printed; mistakes about the metric are kept."""
    assert parse_line(line, "loss") == said
