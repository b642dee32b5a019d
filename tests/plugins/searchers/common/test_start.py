"""Tests of how a search begins."""

from __future__ import annotations

import numpy as np

from aiohpo.plugin import Identity
from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo.testing import StaticView
from aiohpo_plugins.searchers.common.design import SharedSobol
from aiohpo_plugins.searchers.common.start import InitialDesign

SPACE = Space(
    lr=Float(1e-5, 1.0, log=True, default=0.01),
    depth=Int(1, 9),
    kind=Categorical(["a", "b"], default="b"),
    only=Float(0, 1, when={"kind": "a"}),
)
DEFAULT = {"lr": 0.01, "depth": 5, "kind": "b"}


def first(view: StaticView, identity: Identity, slots: list[int]) -> list[dict[str, object]]:
    return InitialDesign(SPACE, 0, identity).next_configs(view, np.random.default_rng(0), slots)


def test_the_defaults_come_first_as_one_configuration() -> None:
    """Where a parameter has no default, its middle is taken; everything else is the Sobol sequence."""
    view, me = StaticView(SPACE), Identity("w", 0, 1, slots=3)
    proposed = first(view, me, [0, 1, 2])
    assert proposed[0] == DEFAULT
    assert proposed[1:] == SPACE.decode(SharedSobol(SPACE, 0, me).next_rows(view, [1, 2]))


def test_only_one_worker_tries_the_defaults() -> None:
    """Of those launched together it is the first; one that joins later finds that something was proposed."""
    view = StaticView(SPACE)
    both = first(view, Identity("a", 0, 2), [0]) + first(view, Identity("b", 1, 2), [0])
    assert both.count(DEFAULT) == 1
    begun = StaticView(SPACE, pending=SPACE.sample(np.random.default_rng(0), 1))
    assert first(view, Identity("c"), [0]) == [DEFAULT]
    assert first(begun, Identity("c"), [0]) != [DEFAULT]


def test_the_defaults_are_not_tried_twice() -> None:
    """Whoever has tried them, they are left out from then on."""
    tried = StaticView(SPACE, [DEFAULT], [1.0])
    assert DEFAULT not in first(tried, Identity("w", 0, 1), [0] * 8)
