"""A new plugin package, complete and working: what ``aiohpo new-plugin`` writes.

The package is what anybody else's would be: its own distribution with its own ``pyproject.toml``, registered by
an entry point, tested by the conformance check. What it does is simple on purpose and not a stub: it can be
installed and run by name as it is, and is then changed until it does what its author wants.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from .. import __version__
from ..errors import UsageError

KINDS = ("searcher", "scheduler")


def create_plugin(name: str, kind: str, into: Path) -> tuple[Path, list[Path]]:
    """Write a package for the plugin ``name`` under ``into``; return its directory and the files.

    Nothing is overwritten. Raises ``UsageError`` for a name that cannot be one, or where writing fails.
    """
    from ..plugin.registry import available

    if kind not in KINDS:
        raise UsageError(f"there is no scaffold for a {kind!r}; there is one for: {', '.join(KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot be the name of a plugin: use lower-case letters, digits and dashes, as in 'my-search'"
        )
    if name in available(f"{kind}s"):
        raise UsageError(f"there is a {kind} named {name!r} already (see: aiohpo plugins {kind}s); choose another name")
    root = into / f"aiohpo-{name}"
    words = {
        "name": name,
        "kind": kind,
        "module": f"aiohpo_{name.replace('-', '_')}",
        "cls": "".join(part.capitalize() for part in re.split("[-_]", name)) + kind.capitalize(),
        "version": ".".join(__version__.split(".")[:2]),
        "package": root.name,
    }
    contents = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README + _README_OF[kind],
        f"src/{words['module']}/__init__.py": _MODULE[kind],
        f"tests/test_{words['module']}.py": _TESTS[kind],
    }
    try:
        root.mkdir(parents=True)
        files = []
        for path, text in contents.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(words).lstrip("\n"), encoding="utf-8")
            files.append(file)
    except FileExistsError:
        raise UsageError(f"{root} exists already; choose another name, or another place with --into") from None
    except OSError as error:
        raise UsageError(f"cannot write {root}: {error.strerror or error}; choose another place with --into") from None
    return root, files


_PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$package"
version = "0.1.0"
description = "The $kind $name for aiohpo"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["aiohpo>=$version", "numpy"]

[project.optional-dependencies]
test = ["pytest"]

# This line is all that aiohpo needs to find it.
[project.entry-points."aiohpo.${kind}s"]
$name = "$module:$cls"

[tool.hatch.build.targets.wheel]
packages = ["src/$module"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""

_README = """
# $package

The $kind `$name` for [aiohpo](https://pypi.org/project/aiohpo/), as a package of its own.

    pip install -e '.[test]'
    pytest
    aiohpo plugins ${kind}s
"""

_README_OF = {
    "searcher": """    aiohpo run train.py --searcher $name --trials 100
    aiohpo run train.py --searcher $name:scale=0.05 --trials 100

`src/$module/__init__.py` holds it. Change `ask`; for a model that is slow to train add
`fit(observations) -> state` and `adopt(state)`, which run beside the evaluations. The conformance check in
`tests/` tells when something that aiohpo relies on does not hold.
""",
    "scheduler": """    aiohpo run train.py --scheduler $name --trials 100
    aiohpo run train.py --scheduler $name:fraction=0.25 --trials 100

`src/$module/__init__.py` holds it. Change `next`, which says what a free worker does, and `on_report`, which
says whether a trial goes on. The conformance check in `tests/` tells when something that aiohpo relies on does
not hold.
""",
}

_MODULE = {
    "searcher": '''
"""The searcher $name: perturb the best configuration known, or draw a random one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from aiohpo.plugin import Config, Identity, Options, StudyView
from aiohpo.space.space import Space

_CANDIDATES = 16  # drawn for each configuration that is asked for: some will be known already
_ROUNDS = 8


class $cls:
    """Local search around the best configuration.

    scale    standard deviation of a perturbation, as a part of each parameter's range
    explore  the part of suggestions that is random
    """

    def __init__(self, scale: float = 0.1, explore: float = 0.3) -> None:
        options = Options("$name")
        self.scale = options.number("scale", scale, above=0)
        self.explore = options.number("explore", explore, least=0, most=1)

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space; any will do."""
        self._space = space

    def ask(self, view: StudyView, rng: np.random.Generator, slots: Sequence[int]) -> list[Config]:
        """Return for each free slot a configuration that nobody has tried; fewer when hardly any are left."""
        n, chosen = len(slots), np.empty((0, self._space.dim))
        for _ in range(_ROUNDS):
            rows = self._candidates(view, rng, _CANDIDATES * n)
            rows = rows[~view.seen(rows)]
            chosen = _distinct(np.concatenate([chosen, rows]))[:n]
            if len(chosen) == n:
                return self._space.decode(chosen)
        return self._space.decode(np.concatenate([chosen, self._left(view, chosen, n - len(chosen))]))

    def _candidates(self, view: StudyView, rng: np.random.Generator, n: int) -> np.ndarray:
        known = view.observations()
        rows = self._space.sample(rng, n)
        if len(known.y):
            near = known.X[np.argmin(known.y)] + rng.normal(0.0, self.scale, rows.shape)
            # Parameters that are inactive in the best configuration are NaN there: keep the random ones.
            near = np.where(np.isnan(near), rows, np.clip(near, 0.0, 1.0))
            rows = np.where(rng.random((n, 1)) < self.explore, rows, near)
        return self._space.snap(rows)

    def _left(self, view: StudyView, chosen: np.ndarray, n: int) -> np.ndarray:
        """In a small space that is nearly exhausted, look at everything that there is."""
        if self._space.size > 10_000:
            return chosen[:0]
        rows = self._space.encode(self._space.grid())
        rows = _distinct(np.concatenate([chosen, rows[~view.seen(rows)]]))
        return rows[len(chosen) : len(chosen) + n]

    def __repr__(self) -> str:
        return f"$cls(scale={self.scale:g}, explore={self.explore:g})"


def _distinct(rows: np.ndarray) -> np.ndarray:
    """Drop repeated rows; NaN equals NaN here."""
    _, first = np.unique(np.nan_to_num(rows, nan=-1.0), axis=0, return_index=True)
    return rows[np.sort(first)]
''',
    "scheduler": '''
"""The scheduler $name: run every trial for a part of its steps."""

from __future__ import annotations

import math

import numpy as np
from aiohpo.plugin import Claims, Decision, Identity, NewTrial, Options, StudyView


class $cls:
    """Stop every trial after a part of its steps; a study that has no steps runs as it is.

    fraction  the part, above 0 and up to 1
    """

    def __init__(self, fraction: float = 0.5) -> None:
        self.fraction = Options("$name").number("fraction", fraction, above=0, most=1)

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Work out the last step."""
        self._last = math.inf if max_steps is None else max(1, math.ceil(self.fraction * max_steps))

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> NewTrial:
        """A free worker always starts a new trial."""
        return NewTrial()

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        """Say whether the trial goes on."""
        return Decision.STOP if step >= self._last else Decision.CONTINUE

    def __repr__(self) -> str:
        return f"$cls(fraction={self.fraction:g})"
''',
}

_TESTS = {
    "searcher": '''
"""Tests of the searcher $name."""

from __future__ import annotations

import aiohpo
import pytest
from aiohpo.testing import check_searcher
from $module import $cls


@pytest.mark.parametrize("options", [{}, {"scale": 0.02, "explore": 1.0}])
def test_keeps_what_a_searcher_promises(options):
    """It passes aiohpo's conformance check, with its defaults and without."""
    check_searcher(lambda: $cls(**options))


def test_runs_by_name():
    """The installed package is found by name, and a search with it gets near the optimum."""
    study = aiohpo.Study(
        lambda trial: (trial["x"] - 0.3) ** 2,
        aiohpo.Space(x=aiohpo.Float(0, 1)),
        searcher="$name:scale=0.05",
        evaluator="thread",
    )
    assert study.run(trials=60, progress=False).best.value < 0.01


def test_refuses_options_that_make_no_sense():
    """A wrong option is an error that names it."""
    with pytest.raises(ValueError, match="scale"):
        $cls(scale=0)
''',
    "scheduler": '''
"""Tests of the scheduler $name."""

from __future__ import annotations

import aiohpo
import pytest
from aiohpo.testing import check_scheduler
from $module import $cls


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_keeps_what_a_scheduler_promises(fraction):
    """It passes aiohpo's conformance check."""
    check_scheduler(lambda: $cls(fraction))


def train(trial):
    for step in trial.steps():
        trial.report(trial["x"] / step)


def test_runs_by_name():
    """The installed package is found by name and stops every trial half-way."""
    study = aiohpo.Study(
        train, aiohpo.Space(x=aiohpo.Float(0, 1)), max_steps=8, searcher="random", scheduler="$name", evaluator="thread"
    )
    result = study.run(trials=10, progress=False)
    assert {(trial.status, trial.step) for trial in result.trials} == {("stopped", 4)}


def test_refuses_options_that_make_no_sense():
    """A wrong option is an error that names it."""
    with pytest.raises(ValueError, match="fraction"):
        $cls(fraction=0)
''',
}
