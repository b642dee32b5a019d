"""Population based training without a master (Jaderberg et al., arXiv 1711.09846).

A population of models is trained side by side. Every ``interval`` steps a member that does badly *exploits*: it
goes on with the weights of one that does well; and *explores*: with hyperparameters near that one's. So what is
found is not a configuration but a schedule, in the time of one training.

Here a member is a chain of trials (:mod:`.population`), and every change is an event: a
configuration never changes within a trial; who exploits starts a new trial with the donor's checkpoint.

When it is decided
    Trials pause at every multiple of ``interval``. Whether a paused member goes on as it is or is replaced is decided
    by the worker that takes it up again, as late as possible, because then most of the others have come to that age
    too. (Deciding at the report, in ``on_report``, would compare the first ones with no one.) What is compared is
    always of equal age.
Who does it
    A free worker takes the youngest member that it may claim, so that all ages stay close together. A worker that may
    claim a paused trial may replace it: the race between workers is the one that all schedulers have. If two act
    at once all the same, everybody agrees on which of them holds the slot, and the other one stops at its next
    report. The population can therefore exceed its size for a moment, and never grows. It keeps as many workers busy
    as it has members; more than that have nothing to do.
What goes wrong
    A member that failed is replaced like a bad one. A worker that dies leaves its trial to the others. A donor whose
    checkpoint that is lost is passed over, for another one of that age, or a younger age, or a fresh start.
    A slot in which trial after trial fails is given up, so that a search ends in which nothing works.
When it is over
    When all members are complete. A budget of trials should have room for the copies: for 8 members about two in
    each round, of which there are 20 by default. Once it is used up, members go on as they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from aiohpo.plugin import (
    Claims,
    Config,
    Decision,
    Identity,
    Idle,
    Inherit,
    NewTrial,
    Options,
    Resume,
    StudyView,
    TrialState,
)
from aiohpo.plugin.hashing import text_hash

from . import exploit as rules
from .explore import PERTURB, RESAMPLE, Explorer
from .population import GOING, Population, bracket, place

# Intervals in a training, if the length of an interval is not given. On two tasks of examples/pbt_schedule.py's kind
# (8 members, 8 and 6 seeds) 20 ended at a loss of 0.0021 and 0.0026 in the median, 10 at 0.0026 and 0.0029, 40 (only
# the first) at 0.0024.
ROUNDS = 20
# Draws of a neighbour that no member has yet. With one parameter and two factors two copies of one donor would else be
# the same training in half of the cases.
TRIES = 8
RULES = ("truncation", "tournament", "ttest", "none")


class PBTScheduler:
    """Population based training: bad members copy good ones, with other hyperparameters, while they train.

    population  number of members
    interval    steps between two chances to copy a better member; default: a twentieth of the study's steps
    exploit     "truncation": the worst ``quantile`` copy the best ``quantile``; "tournament": a member copies
                another one, drawn at random, that is better; "ttest": one that is significantly better; "none":
                no member copies another; each continues from its own weights with hyperparameters near its own
    explore     whether copies change hyperparameters; if not, they keep those of the member that they copy, and
                ``perturb``, ``resample`` and ``vary`` have no meaning
    quantile    for truncation; above 0, at most 0.5. At least one member, which matters to populations of 2
    perturb     numbers are multiplied by 1 + perturb or 1 - perturb
    resample    probability with which a parameter is drawn anew instead
    vary        names of the parameters that may change under way, as a list or joined by "+"; default: all. Those
                that shape the model (width, depth) must not be among them

    Raises UsageError for values that are out of range, and for a combination in which nothing would ever change.
    """

    finite = True

    def __init__(
        self,
        population: int = 8,
        interval: int | None = None,
        exploit: str = "truncation",
        quantile: float = rules.QUANTILE,
        explore: bool = True,
        perturb: float = PERTURB,
        resample: float = RESAMPLE,
        vary: str | Sequence[str] | None = None,
    ) -> None:
        options = Options("pbt")
        self.population = options.whole("population", population, least=2)
        self.interval = options.whole_or_none("interval", interval, least=1)
        self.exploit = options.choice("exploit", exploit, RULES)
        self.quantile = options.number("quantile", quantile, above=0, most=0.5)
        self.explorer = Explorer(
            options.number("perturb", perturb, above=0, below=1),
            options.number("resample", resample, least=0, most=1),
            None if vary is None else options.names("vary", vary),
        )
        self.explore = options.flag("explore", explore)
        if not self.explore and self.exploit == "none":
            options.refuse(
                "exploit=none with explore=false changes nothing during a trial; use the scheduler fifo for that"
            )
        if not self.explore and (self.explorer.perturb, self.explorer.resample, vary) != (PERTURB, RESAMPLE, None):
            options.refuse("explore=false leaves hyperparameters as they are, so perturb, resample and vary do nothing")

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Bind to a study. Raises ``ValueError`` if it has no steps."""
        if max_steps is None:
            raise ValueError(
                "pbt compares trials while they run, and this study has no steps: give Study(max_steps=…) and use "
                "trial.steps() in the objective"
            )
        if self.interval is not None and self.interval > max_steps:
            raise ValueError(f"pbt: interval={self.interval} is longer than the study's max_steps={max_steps}")
        self._max_steps = max_steps
        self._interval = self.interval or math.ceil(max_steps / ROUNDS)
        self.rule = {
            "truncation": lambda: rules.truncation(self.quantile, self.population),
            "tournament": lambda: rules.tournament(seed),
            "ttest": lambda: rules.ttest(seed),
            "none": rules.none,
        }[self.exploit]()
        # Where this worker begins to look for an empty slot: not where the others do.
        if identity.rank is not None and identity.size:
            self._first = identity.rank * self.population // identity.size
        else:
            self._first = text_hash(f"{seed}/{identity.worker}") % self.population
        self._view: StudyView | None = None

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        """Take up the youngest member that is not being trained and that this worker may claim."""
        members = self._read(view)
        for slot in self._youngest_first(members):
            holder = members.holders[slot]
            if holder is None:
                if claims.may_start():
                    return NewTrial(members.next_step(0), bracket(slot, 0))
                continue
            turn = _Turn(self, view, members, claims, rng, holder)
            choice: NewTrial | Resume | None = None
            if holder.status == "paused" and claims.may_claim(holder.id):
                choice = turn.take_up()
            elif holder.status not in GOING and members.lives(slot):
                choice = turn.replace()
            if choice is not None:
                return choice
        return Idle()

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        """Go on, unless another trial holds the slot by now; pauses come by themselves."""
        return Decision.STOP if self._read(view).superseded(trial) else Decision.CONTINUE

    def keeps(self, view: StudyView, trial: TrialState) -> Collection[int]:
        """The newest checkpoint of who holds a slot, and what members that are not yet older may inherit."""
        members = self._read(view)
        kept = {max(trial.checkpoints)} if trial.status in GOING and trial.checkpoints else set()
        if members.superseded(trial.id):
            kept.clear()
        if trial.id in members:
            # Of several checkpoints of one age the first is inherited.
            inherited = (members.checkpoint(trial, age) for age in range(members.floor(), members.last + 1))
            kept.update(step for step in inherited if step is not None)
        return kept

    # ---------------------------------------------------------------------------------------- internals
    def _read(self, view: StudyView) -> Population:
        if view is not self._view:
            self._view, self._members = view, Population(self.population, self._interval, self._max_steps)
        self._members.read(view)
        return self._members

    def _youngest_first(self, members: Population) -> list[int]:
        """All slots, the youngest holder first; among equals each worker begins at a place of its own."""

        def age(slot: int) -> tuple[int, int]:
            holder = members.holders[slot]
            return (0 if holder is None else members.age(holder)), (slot - self._first) % self.population

        return sorted(range(self.population), key=age)

    def __repr__(self) -> str:
        interval = "" if self.interval is None else f", interval={self.interval}"
        explorer = repr(self.explorer) if self.explore else "explore=False"
        return f"PBTScheduler(population={self.population}{interval}, exploit={self.exploit!r}, {explorer})"


@dataclass(frozen=True, slots=True)
class _Turn:
    """A worker's turn with one member."""

    scheduler: PBTScheduler
    view: StudyView
    members: Population
    claims: Claims
    rng: np.random.Generator
    holder: TrialState

    def take_up(self) -> NewTrial | Resume:
        """Go on with a paused member, or replace it by a better one."""
        members, holder, claims = self.members, self.holder, self.claims
        age = members.age(holder)
        round_ = members.rounds.get(age, {})
        if round_.get(holder.id, math.inf) < math.inf and claims.may_start(suggested=False):
            better = self.scheduler.rule(round_, holder.id, lambda name: members.history(name, age))
            copy = self._copy(age, better)
            if copy is not None:
                return copy
        newest = max(holder.checkpoints, default=None)
        if newest is not None and not claims.obtainable(holder.id, newest):
            # Its own weights are lost: another member's are better than none.
            return self.replace() or Resume(holder.id, members.next_step(age))
        return Resume(holder.id, members.next_step(age))

    def replace(self) -> NewTrial | None:
        """Replace a member that cannot go on: by a copy of a good one of its age, or the next younger; else anew, and
        always so where no member copies another."""
        members, holder = self.members, self.holder
        if self.scheduler.exploit != "none" and self.claims.may_start(suggested=False):
            oldest = max(members.age(holder), 1)
            # Only ages that some member has: a peer may say that it has done any number of steps.
            for age in sorted((age for age in members.rounds if 0 < age <= oldest), reverse=True):
                round_ = members.rounds[age]
                order = [name for name in rules.ranking(round_) if name != holder.id]
                best = max(rules.quantile_size(round_, self.scheduler.quantile), 1)
                copy = self._copy(age, order[:best]) or self._copy(age, order[best:])
                if copy is not None:
                    return copy
        return NewTrial(members.next_step(0), self._bracket()) if self.claims.may_start() else None

    def _copy(self, age: int, names: Sequence[str]) -> NewTrial | None:
        """Begin with the checkpoint that one of ``names`` saved at ``age``: one at hand if there are any."""
        donors = []
        for name in names:
            step = self.members.checkpoint(self.members.trial(name), age)
            if step is not None and self.claims.obtainable(name, step):
                donors.append(Inherit(name, step))
        donors = [donor for donor in donors if self.claims.holds(donor.trial, donor.step)] or donors
        if not donors:
            return None
        donor = donors[self.rng.integers(len(donors))]
        return NewTrial(self.members.next_step(age), self._bracket(), self._explore(donor), donor)

    def _explore(self, donor: Inherit) -> Config:
        """A configuration near the donor's that no member uses from the same checkpoint, if there is one; without
        exploring, the donor's."""
        view, explorer = self.view, self.scheduler.explorer
        config = view.config_of(donor.trial)
        if not self.scheduler.explore:
            return config
        tried = [view.config_of(heir) for heir in self.members.heirs(donor)]
        found = explorer.neighbour(view.space, config, self.rng)
        for _ in range(TRIES):
            if found not in tried and found != config:
                break
            found = explorer.neighbour(view.space, config, self.rng)
        return found

    def _bracket(self) -> int:
        slot, generation = place(self.holder.bracket)
        return bracket(slot, generation + 1)
