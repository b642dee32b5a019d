"""What every searcher proposes: sequential studies with observations, failures, pending trials and curves."""

from __future__ import annotations

import hashlib
import itertools
import json
import warnings
from typing import Any

import numpy as np

from aiohpo.plugin import Config, FittingSearcher, Identity
from aiohpo.plugin.registry import available, create
from aiohpo.space.space import Space
from aiohpo.testing import StaticView, example_spaces

# Of those with options, beside the defaults, each kind of option that changes what is computed.
OPTIONS = {
    "adbo": [
        "initial=4,acquisition=bucb",
        "initial=4,acquisition=ucb,failures=ignore",
        "initial=4,pending=believer",
    ],
    "gp": ["pending=fantasies", "pending=none", "resource=matern", "resource=expdecay"],
    "kde": ["random=0,good=0.3"],
    "tpe": ["initial=4"],
    "grid": ["resolution=3"],
    "optuna": ["tpe", "random", "qmc"],
}
STEPS = 9
ROUNDS = 8


def observe() -> dict[str, Any]:
    assert OPTIONS.keys() <= available("searchers").keys()
    seen: dict[str, Any] = {}
    for name in sorted(available("searchers")):
        for options in ["", *OPTIONS.get(name, ())]:
            spec = f"{name}:{options}" if options else name
            for title, space in example_spaces().items():
                steps = STEPS if title == "mixed" else None
                seen[f"{spec} on {title}"] = _digest(_study(spec, space, steps))
    return seen


def _digest(rounds: list[Any]) -> dict[str, Any]:
    """The last round as it is, and all of them as a hash."""
    if len(rounds) == 1:
        return {"refused": rounds[0]}
    return {"last": rounds[-1], "all": hashlib.sha256(json.dumps(rounds).encode()).hexdigest()[:16]}


def _study(spec: str, space: Space, max_steps: int | None) -> list[Any]:
    """What is proposed round by round; of the last three proposals two are pending, every seventh trial fails."""
    searcher = create("searchers", spec)
    try:
        searcher.setup(space, 5, Identity("somebody", 1, 3))
    except ValueError as error:
        return [str(error)]
    proposed: list[Config] = []
    rounds: list[Any] = []
    for i in range(ROUNDS):
        view = _view(space, proposed, max_steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other libraries, about few observations
            if isinstance(searcher, FittingSearcher) and i % 2 == 0:
                searcher.adopt(searcher.fit(view.observations()))
            found = searcher.ask(view, np.random.default_rng([7, i]), [0] * 3)
        rounds.append(found)
        proposed += found
    return rounds


def _view(space: Space, proposed: list[Config], max_steps: int | None) -> StaticView:
    done, pending = proposed[:-2], proposed[-2:]
    failed = done[6::7]
    good = [config for i, config in enumerate(done) if i % 7 != 6]
    partial = good[2::3] if max_steps else []
    full = [config for i, config in enumerate(good) if i % 3 != 2] if max_steps else good
    losses = _losses(space, full)
    everybody = [*full, *partial]
    reports = [
        (i, step, float(loss) + 1 / step)
        for i, loss in enumerate(_losses(space, everybody))
        for step in range(1, 1 + (0 if max_steps is None else max_steps - 1 if i < len(full) else 3))
    ]
    return StaticView(
        space,
        full,
        losses,
        failed=failed,
        pending=pending,
        pending_to=[max_steps or 0] * len(pending),
        partial=partial,
        reports=reports,
        max_steps=max_steps,
    )


def _losses(space: Space, configs: list[Config]) -> Any:
    units = space.encode(configs) if configs else np.empty((0, space.dim))
    weights = np.array(list(itertools.islice(itertools.cycle([1.0, 0.5, 2.0]), space.dim)))
    return np.nansum(weights * (units - 0.3) ** 2, axis=1)
