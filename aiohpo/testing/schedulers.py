"""The conformance check for schedulers: what :class:`aiohpo.interfaces.Scheduler` promises, tried out."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.interfaces import Identity, Idle, NewTrial, Resume, Scheduler
from aiohpo.space import Float, Space

from .staticview import StaticView

if TYPE_CHECKING:
    from collections.abc import Callable


def check_scheduler(factory: Callable[[], Scheduler], *, claims: Any = None) -> None:
    """Check a scheduler; raise AssertionError that names what is violated.

    Args:
        factory: called without arguments, gives a fresh scheduler.
        claims: what to pass to ``next``; none by default, as nothing can be claimed in an empty study.

    It is checked, for studies without steps and with 1, 9 and 27, that

    - ``setup`` serves the study or refuses it with a ValueError that says something;
    - a free worker in an empty study starts a new trial, to a step that the study has;
    - ``next`` is a function of the view and of ``rng``, and touches no global random state.
    """
    assert isinstance(factory(), Scheduler), f"{factory()!r} lacks setup(), next() or on_report()"
    served = 0
    for max_steps in (None, 1, 9, 27):
        refusal = None
        try:
            factory().setup(max_steps, 0, Identity("somebody"))
        except ValueError as error:
            refusal = str(error)
        assert refusal != "", f"setup(max_steps={max_steps}) refuses without saying why"
        if refusal is None:
            served += 1
            _check(factory, max_steps, claims)
    assert served, f"{factory()!r} serves none of max_steps None, 1, 9 and 27"


def _check(factory: Callable[[], Scheduler], max_steps: int | None, claims: Any) -> None:
    space = Space(x=Float(0, 1))
    empty = StaticView(space)
    busy = StaticView(space, [[0.1], [0.2]], [1.0, 2.0], failed=[[0.3]], pending=[[0.4]])
    for view in (empty, busy):
        where = f"next() with max_steps={max_steps} and {view!r}"
        before = random.getstate(), repr(np.random.get_state())
        answers = []
        for _ in range(2):
            scheduler = factory()
            scheduler.setup(max_steps, 0, Identity("somebody"))
            answers.append(scheduler.next(view, claims, np.random.default_rng(0)))
        assert before == (random.getstate(), repr(np.random.get_state())), f"{where} used global random state"
        assert answers[0] == answers[1], f"{where} gave {answers[0]} and {answers[1]} to equal questions"
        answer = answers[0]
        assert isinstance(answer, NewTrial | Resume | Idle), f"{where} gave {answer!r}"
        if isinstance(answer, NewTrial) and answer.to_step is not None:
            fits = answer.to_step >= 1 and (max_steps is None or answer.to_step <= max_steps)
            assert fits, f"{where} gave {answer!r}, a step which the study does not have"
        assert view is busy or isinstance(answer, NewTrial), f"{where} gave {answer!r} to a free worker"
