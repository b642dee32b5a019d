"""Importances of parameters, against functions whose variance can be computed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from aiohpo import Categorical, Float, Int, Space
from aiohpo.errors import UsageError
from aiohpo.importance.importances import importances
from aiohpo.plugin.objective import Objective
from aiohpo.view.trials import TrialRecord
from tests.support.run_directories import HOSTILE

LOSS = Objective("loss", "min")
FLAT = Space(x=Float(0, 1), lr=Float(1e-4, 1.0, log=True), junk=Float(0, 1), c=Categorical(["a", "b", "c", "d"]))


def record(i: int, config: Mapping[str, Any], value: float | None, **fields: Any) -> TrialRecord:
    status = fields.pop("status", "finished")
    return TrialRecord(
        f"t{i}", i, status, dict(config), value, {}, fields.pop("step", 0), "w", 0.0, 1.0, 0, None, None, None, {},
        fields.pop("curve", {}), ended_as=status if status in ("finished", "stopped", "failed") else None,
    )  # fmt: skip


def trials(space: Space, f: Callable[[Mapping[str, Any]], float], n: int, seed: int = 0) -> list[TrialRecord]:
    configs = space.decode(space.sample(np.random.default_rng(seed), n))
    return [record(i, config, f(config)) for i, config in enumerate(configs)]


def additive(config: Mapping[str, Any]) -> float:
    """Variances 1/12, 1/12 (in the logarithm), 0 and 5/64."""
    return float(config["x"]) - math.log10(config["lr"]) / 4 + "abcd".index(config["c"]) / 4


def test_fanova_finds_the_shares_of_an_additive_function() -> None:
    """Linear, logarithmic and categorical effects have the shares of their variances, and what has none has 0."""
    found = importances(FLAT, LOSS, trials(FLAT, additive, 400))
    truth = {"x": 1 / 12, "lr": 1 / 12, "junk": 0.0, "c": 5 / 64}
    for name, variance in truth.items():
        p = found[name]
        assert p.importance == pytest.approx(variance / sum(truth.values()), abs=0.08)
        assert 0.0 <= p.low <= p.importance <= p.high <= 1.0
    assert found["junk"].importance < 0.02
    assert found[len(found) - 1].parameter == "junk"


def test_maximising_the_negative_is_the_same() -> None:
    """The sign of the metric makes no difference, nor does its magnitude, were it the largest there is."""
    some = trials(FLAT, additive, 60)
    negative = [record(r.number, r.config, -5e307 * (r.value or 0)) for r in some]
    for method in ("fanova", "ped-anova"):
        one = importances(FLAT, LOSS, some, method=method)
        other = importances(FLAT, Objective("score", "max"), negative, method=method)
        assert [p.importance for p in one] == pytest.approx([p.importance for p in other], abs=0.02)


def test_an_interaction_belongs_to_neither_parameter() -> None:
    """Of a product of two centred parameters, neither explains anything alone; among the best, both do not either."""
    found = importances(FLAT, LOSS, trials(FLAT, lambda c: (c["x"] - 0.5) * (math.log10(c["lr"]) + 2) + c["junk"], 400))
    assert found["junk"].importance > 0.4
    assert found["x"].importance + found["lr"].importance < 0.05


def test_what_matters_among_the_best_may_be_something_else() -> None:
    """The choice that decides on getting there does not matter there; what is left does."""

    def f(config: Mapping[str, Any]) -> float:
        return (0.0 if config["c"] == "a" else 10.0) + float(config["x"])

    for method in ("fanova", "ped-anova"):
        found = importances(FLAT, LOSS, trials(FLAT, f, 400), method=method)
        assert found.by()[0].parameter == "c"
        assert found.by(among_best=True)[0].parameter == "x"
        assert found["x"].among_best > 0.6
        assert found["c"].among_best < 0.1


@pytest.mark.parametrize("method", ["fanova", "ped-anova"])
def test_a_conditional_parameter_counts_where_it_is_active(method: str) -> None:
    """That one choice is worse is the choice's merit, not that of the parameter that exists only there."""
    space = Space(
        kind=Categorical(["svm", "tree"]), c=Float(0, 1, when={"kind": "svm"}), depth=Int(1, 9, when={"kind": "tree"})
    )
    found = importances(
        space, LOSS, trials(space, lambda v: 3.0 if v["kind"] == "svm" else v["depth"] / 8, 300), method=method
    )
    assert found["c"].importance < 0.03
    assert 0.4 < found["c"].active < 0.6
    if method == "fanova":  # P(active) times a variance of 60/9/64, beside 1/4 of the squared difference of 3 and 5/8
        depth, kind = 0.5 * 60 / 9 / 64, 0.25 * (3 - 5 / 8) ** 2
        assert found["depth"].importance == pytest.approx(depth / (depth + kind), abs=0.01)
        assert found["kind"].importance == pytest.approx(kind / (depth + kind), abs=0.03)


def test_many_parents_and_nested_conditions_are_no_obstacle() -> None:
    """Where there are more components than are computed some are drawn; a log-integer parent of many levels is divided
    at what conditions name."""
    flags: dict[str, Any] = {f"f{i}": Categorical([False, True]) for i in range(8)}
    children = {f"x{i}": Float(0, 1, when={f"f{i}": True}) for i in range(8)}
    space = Space(**flags, **children, n=Int(1, 500, log=True), y=Float(0, 1, when={"n": [3, 4], "f0": True}))
    found = importances(space, LOSS, trials(space, lambda c: 5.0 * c["f3"] + c.get("x3", 0.0), 200))
    assert found[0].parameter == "f3"
    assert found[0].importance > 0.8
    assert found["y"].importance < 0.05


def test_ped_anova_says_what_the_good_ones_have_in_common() -> None:
    """Its importances add up to nearly 1, and a parameter without effect has almost none."""
    found = importances(FLAT, LOSS, trials(FLAT, additive, 500), method="ped-anova")
    assert 0.95 < sum(p.importance for p in found) <= 1.0
    assert found["junk"].importance < 0.05
    assert min(found[name].importance for name in ("x", "lr", "c")) > 0.15


def test_some_diverged_trials_do_not_explain_everything() -> None:
    """A loss of 1e30 counts as just very bad; failed trials and those without a finite value are left out."""
    some = trials(FLAT, additive, 300)
    bad = [record(900, some[0].config, 1e30), record(901, some[1].config, None, status="failed")]
    bad.append(record(902, some[2].config, math.inf))
    found = importances(FLAT, LOSS, [*some, *bad])
    assert found["x"].importance > 0.15
    assert (found.trials, found.left_out) == (301, 2)


def test_trials_that_were_stopped_early_are_compared_at_a_step_that_enough_reached() -> None:
    """A quarter at least; with complete trials enough, these alone."""
    some = []
    for r in trials(FLAT, additive, 120):
        last = 9 if r.number % 12 == 0 else 3 if r.number % 3 == 0 else 1
        curve = {step: (r.value or 0.0) - step for step in range(1, last + 1)}
        done = "finished" if last == 9 else "stopped"
        some.append(record(r.number, r.config, curve[last], status=done, step=last, curve=curve))
    found = importances(FLAT, LOSS, some)
    assert (found.step, found.trials, found.left_out) == (3, 40, 80)
    assert found["x"].importance > 0.1
    assert importances(FLAT, LOSS, [r for r in some if r.status == "finished"] * 2).step is None


def test_what_cannot_be_compared_is_an_error_with_the_numbers() -> None:
    """Too few trials, a constant metric, a single parameter and an unknown method or name."""
    some = trials(FLAT, additive, 30)
    with pytest.raises(UsageError, match=r"at least 20 trials that can be compared, and 19 of 22 are complete"):
        importances(FLAT, LOSS, [*some[:19], *(record(i, some[i].config, None, status="failed") for i in range(3))])
    with pytest.raises(UsageError, match=r"no parameter matters: loss is 0\.5 in all 30 trials"):
        importances(FLAT, LOSS, [record(r.number, r.config, 0.5) for r in some])
    with pytest.raises(UsageError, match="of which this space has only one, 'x'"):
        importances(Space(x=Float(0, 1)), LOSS, some)
    with pytest.raises(UsageError, match="no method 'shap' for importances; the methods are: fanova, ped-anova"):
        importances(FLAT, LOSS, some, method="shap")
    with pytest.raises(UsageError, match="no importance of 'z'; the parameters are: "):
        _ = importances(FLAT, LOSS, some)["z"]


def test_they_are_shown_as_a_line_a_table_and_rows() -> None:
    """Names that strangers chose are harmless in each; ranks among the best are another order of the same rows."""
    space = Space({HOSTILE[:-1]: Float(0, 1), "b": Float(0, 1)})
    found = importances(space, Objective("<b>", "min"), trials(space, lambda c: c["b"] + 0.5 * c[HOSTILE[:-1]], 40))
    assert repr(found).startswith("<Importances for <b>: fanova on 40 trials: b 0.")
    page = found._repr_html_()
    assert page.startswith("<p>&lt;b&gt;: fanova on 40 trials</p><table><tr><th>parameter</th>")
    assert "\x1b" not in page + repr(found)
    frame = found.to_dataframe()
    assert list(frame.parameter) == [p.parameter for p in found]
    assert found.as_dict(among_best=True)["parameters"][0]["among_best"] == max(p.among_best for p in found)
    assert found == importances(
        space, Objective("<b>", "min"), trials(space, lambda c: c["b"] + 0.5 * c[HOSTILE[:-1]], 40)
    )
