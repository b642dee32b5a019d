"""The tables of the default searcher's benchmark: what they count must be what they say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from support.ranks import Ranks, Searches, report


def line(contender: str, seed: int, best: list[float], outstanding: int = 1) -> str:
    found = {"contender": contender, "task": "t", "seed": seed, "outstanding": outstanding}
    return json.dumps(found | {"best": best, "ms": [2.0] * len(best)})


def test_pairs_that_somebody_lacks_are_left_out_and_the_longest_search_counts(tmp_path: Path) -> None:
    """A pair counts if every contender has enough evaluations of it with as many outstanding."""
    lines = [
        line("auto", 0, [3, 1]),
        line("auto", 0, [3, 1, 1]),
        line("auto", 1, [3, 3, 3]),
        line("adbo", 0, [2, 2, 2]),
    ]
    (tmp_path / "f").write_text("\n".join([*lines, line("adbo", 1, [1, 1]), line("adbo", 1, [1, 1, 1], outstanding=4)]))
    searches = Searches.load([tmp_path / "f"], outstanding=1)
    assert searches.common(["auto", "adbo"], ["t"], seeds=2, evaluations=3) == [("t", 0)]
    assert searches.common(["auto"], ["t"], seeds=1, evaluations=3) == [("t", 0)]
    ranks = Ranks.of(searches, ["auto", "adbo"], [("t", 0)], [1, 3])
    assert ranks.values.tolist() == [[[2, 1], [1, 2]]]
    assert "| auto | 2.00 ±0.00 | **1.00 ±0.00** | 2.0 |" in ranks.table()


def test_a_loss_beyond_the_standard_error_is_bold(tmp_path: Path) -> None:
    """``auto`` is behind where its mean paired difference to the best other is below minus a standard error."""
    lines = [
        line(c, seed, [loss + seed]) for c, loss in (("auto", 2.0), ("adbo", 1.0), ("random", 3.0)) for seed in (0, 1)
    ]
    (tmp_path / "f").write_text("\n".join(lines))
    searches = Searches.load([tmp_path / "f"], outstanding=1)
    told = report(searches, ["auto", "adbo", "random"], {"family": ["t"]}, seeds=2, at=[1])
    assert "| family | adbo | **-1.00 ±0.00 adbo** |" in told
    assert "| family | random | +1.00 ±0.00 random |" in told
