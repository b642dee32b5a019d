"""ASHA: asynchronous successive halving (Li et al., arXiv 1810.05934).

Rungs stand at r_min·eta^k (k = 0, 1, …) below max_steps. A worker that is free promotes the best trial that is among
the best 1/eta of its rung and was not promoted yet, looking from the top rung down (Algorithm 2); if there is none it
grows the lowest rung by a new trial. Nothing ever waits for anything, and nothing is decided in advance: the more
workers, the wider the lowest rung. Beyond the top rung a trial runs to its end.

promotion  Of n trials at a rung, floor(n/eta) may go on. They pause there, and go on when it is their turn.
stopping   Trials run until they are stopped: at a rung, one goes on iff it is at least as good as the 1/eta quantile
           of what is there, itself included (the variant of Ray Tune and Syne Tune); so the first always does.
           Needs no checkpoints, never comes back to a trial; bad ones that come early get far.
first rung Where early steps tell, new trials begin at a lower rung than usual, and where they mislead at a higher one
           (:mod:`.first_rung`); all trials share one ladder, and each stands on the rungs that it has a loss at.
brackets   Asynchronous Hyperband: a new trial begins at rung s of K + 1 (the K rungs and the end) with probability
           P(s) ~ (K+1)/(K-s+1)·eta^(K-s): the shares that trials have in the brackets of Hyperband (Tiao et al.,
           arXiv 2003.10865, section 3). Every bracket has rungs of its own, as it would be a poor hedge against
           misleading early results to compare its trials with those that early results had selected.

When the budget of trials is used up and nothing is on its way on a ladder, shares are rounded up instead of down: the
best of what got farthest goes on to its end, though its rung be small. A search of few trials would otherwise have no
complete one.

Without a master the same trial may be promoted by two workers that do not know of each other yet. ``claims`` makes
that rare and decides who goes on.
"""

from __future__ import annotations

import math

import numpy as np

from aiohpo.plugin import Claims, Decision, Identity, NewTrial, Options, Resume, StudyView, TrialState

from ..rungs import Ladder, Rung, TrialTracker
from ..steps import steps_of
from .brackets import bracket_shares, geometric_levels, lowest_rung, rungs_below
from .first_rung import FirstRung

TYPES = ("promotion", "stopping")
FIRST_RUNGS = ("learned", "fixed")

# Whom to prefer because its checkpoint is here is looked for among so many of the promotable trials of a rung: all
# of them will be promoted soon, so their order hardly matters.
LOOK_AHEAD = 4

# A paused trial keeps its checkpoint while its rank among n is at most n/eta + SPREAD·sqrt(n·(1/eta)(1-1/eta)), that
# is, while the share of better ones yet to come could by chance (normal approximation of the binomial) be low enough
# for it to be promoted. Of 1,000 trials in random order (3 seeds, three rungs) at most 35 checkpoints were kept at a
# time, and of 1,586 promotions none lacked its own; with 1.0 it was 11 and six, with 3.0 it was 60 and none. The best
# 2/eta of each rung would be about a third of all trials, growing with the study rather than with its square root.
SPREAD = 2.0


class ASHAScheduler:
    """Promote the best 1/eta of each rung as soon as they are known, or stop the others.

    Args:
        eta: one of so many goes on, to so many times the steps.
        r_min: the lowest rung; default: a 27th of max_steps, at least 1, and with ``first_rung=learned`` up to
            :data:`~.brackets.LOWER_RUNGS` more below that.
        r_max: no rung lies above it; default: max_steps. Those promoted from the top rung run to their end.
        first_rung: where new trials are first judged. ``learned``: at the lowest rung that is seen to rank trials as
            the next one does (:mod:`.first_rung`). ``fixed``: at the lowest rung. Default: learned, unless ``r_min``
            or ``brackets`` is given.
        brackets: begin new trials at so many of the lowest rungs; 1 is ASHA, more is asynchronous Hyperband.
        type: ``promotion`` or ``stopping``.
        restart: begin promoted trials from scratch: for objectives that cannot go on from a checkpoint.

    Raises UsageError for values that are out of range.
    """

    def __init__(
        self,
        *,
        eta: float = 3,
        r_min: int | None = None,
        r_max: int | None = None,
        brackets: int = 1,
        first_rung: str | None = None,
        type: str = "promotion",
        restart: bool = False,
    ) -> None:
        options = Options("asha")
        self.eta = options.number("eta", eta, least=2)
        self.r_min = options.whole_or_none("r_min", r_min, least=1)
        self.r_max = options.whole_or_none("r_max", r_max, least=self.r_min or 1)
        self.brackets = options.whole("brackets", brackets, least=1)
        usual = "learned" if self.brackets == 1 and self.r_min is None else "fixed"
        self.first_rung = options.choice("first_rung", usual if first_rung is None else first_rung, FIRST_RUNGS)
        if self.first_rung == "learned" and self.brackets > 1:
            options.refuse("first_rung=learned and brackets both decide where a trial is first judged: give only one")
        self.type = options.choice("type", type, TYPES)
        self.restart = options.flag("restart", restart)
        if self.restart and self.type == "stopping":
            options.refuse("restart=true needs type=promotion; a stopped trial is never resumed")

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Place the rungs. Raises ``ValueError`` if there are no steps, or too few for a rung or for the brackets."""
        self._steps = steps_of("asha", max_steps, self.r_min or 1)
        self._place_rungs(self._steps)

    def extend(self, first: int) -> None:
        """Let rungs begin where they began when complete trials had ``first`` steps: the infinite horizon of ASHA
        (section 3.2 of the paper). What was complete then is compared at the highest rung that it reached. Raises
        ``ValueError`` if trials are stopped, not promoted."""
        if self.type == "stopping":
            raise ValueError(
                f"asha: type=stopping resumes no trial, so those that were complete after {first} steps would stay as "
                "they are; type=promotion goes on with them"
            )
        self._place_rungs(first)

    def _place_rungs(self, first: int) -> None:
        steps = self._steps
        r_min = min(lowest_rung(self.r_min, first), self.r_max or steps)
        self._levels = geometric_levels(self.eta, r_min, self.r_max, steps)
        self._usual = 0
        if self.first_rung == "learned":
            below = rungs_below(self.eta, self.r_min, first, self._levels)
            self._levels, self._usual = below + self._levels, len(below)
        if self.brackets > len(self._levels) + 1:
            raise ValueError(
                f"asha: brackets={self.brackets}, but with rungs at {list(self._levels)} and the end at {steps} "
                f"there are at most {len(self._levels) + 1}: give fewer, or more steps"
            )
        self._cumulative = np.cumsum(bracket_shares(len(self._levels), self.eta)[: self.brackets]).tolist()
        self._tracker = TrialTracker(self._update, self._clear)
        self._clear()

    def _clear(self) -> None:
        self._ladders = [Ladder(self._levels[s:]) for s in range(self.brackets)]
        self._first = FirstRung(self._levels, self._usual) if self.first_rung == "learned" else None
        targets = (*self._levels[1:], None)
        # All rungs, the top ones first, and where promotion from there leads.
        self._down: list[tuple[Ladder, Rung, int | None]] = [
            (ladder, ladder.rungs[k - s], targets[k])
            for k in reversed(range(len(self._levels)))
            for s, ladder in enumerate(self._ladders)
            if k >= s
        ]

    def _update(self, trial: TrialState) -> None:
        self._ladder(trial).update(trial, self._began(trial))
        if self._first is not None:
            self._first.update(trial, trial.bracket)

    def _began(self, trial: TrialState) -> int:
        """Return the rung of its ladder at which a trial is first judged."""
        return 0 if self._first is None else min(trial.bracket, len(self._levels) - 1)

    def _ladder(self, trial: TrialState) -> Ladder:
        return self._ladders[min(trial.bracket, self.brackets - 1)]

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> NewTrial | Resume:
        """Promote a trial that may be, from the top rung down; start a new one if there is none."""
        if self.type == "promotion" or self._first is not None:
            self._tracker.catch_up(view)
        if self.type == "promotion":
            for _, rung, to_step in self._down:
                if rung.waiting and (found := self._promotable(rung, self._size(rung) / self.eta, claims)) is not None:
                    return Resume(found, to_step, self.restart)
            if not claims.may_start():
                for ladder, rung, to_step in self._down:
                    if rung.waiting and not ladder.moving():
                        found = self._promotable(rung, math.ceil(len(rung) / self.eta), claims)
                        if found is not None:
                            return Resume(found, to_step, self.restart)
        bracket = self._draw(rng)
        if self.type == "stopping" or bracket == len(self._levels):
            return NewTrial(None, bracket)
        return NewTrial(self._levels[bracket], bracket)

    def _size(self, rung: Rung) -> float:
        """Return how many trials a rung has; those that were judged at no lower one count for fewer."""
        if self._first is None:
            return len(rung)
        return self._first.size(self._ladders[0].begun[self._levels.index(rung.level)], self.eta)

    @staticmethod
    def _promotable(rung: Rung, share: float, claims: Claims) -> str | None:
        if share < 1:
            return None
        last = rung.entries[int(share) - 1]
        found, looked = None, 0
        for entry in rung.waiting:
            if entry > last or looked == LOOK_AHEAD:
                break
            if claims.may_claim(entry[2]):
                if claims.holds(entry[2]):
                    return entry[2]
                found = found or entry[2]
            looked += found is not None
        return found

    def _draw(self, rng: np.random.Generator) -> int:
        if self._first is not None:
            return self._first.choose(rng)
        if self.brackets == 1:
            return 0
        drawn = rng.random() * self._cumulative[-1]
        return sum(drawn >= bound for bound in self._cumulative[:-1])

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        """Stop a trial that is not good enough at the rung it has just reached, if that is the type."""
        if self.type == "promotion" or step < self._levels[0]:
            return Decision.CONTINUE  # segments end at rungs by themselves
        state = self._tracker.reported(view, trial)
        ladder = self._ladder(state)
        place = ladder.place(trial)
        losses = place.losses
        if not losses or place.above - 1 < self._began(state):
            return Decision.CONTINUE
        rung = ladder.rungs[place.above - 1]
        if any(rung.level <= s < step for s in state.curve):
            return Decision.CONTINUE  # it was decided at an earlier report
        quantile = (self._size(rung) - 1) / self.eta
        return Decision.CONTINUE if rung.entries.better(losses[-1]) <= quantile else Decision.STOP

    def keeps(self, view: StudyView, trial: TrialState) -> list[int]:
        """Keep the newest checkpoint of a trial that runs, is to be taken over, or may yet be promoted."""
        if not trial.checkpoints:
            return []
        newest = [trial.checkpoints[0]]
        if trial.status in ("running", "lost", "queued"):
            return newest
        if trial.status != "paused" or self.restart:
            return []
        self._tracker.catch_up(view)
        standing = self._ladder(trial).standing(trial)
        if standing is None:
            return []
        rung, better = standing
        expected = len(rung) / self.eta
        return newest if better <= expected + SPREAD * math.sqrt(expected * (1 - 1 / self.eta)) else []

    def __repr__(self) -> str:
        return f"ASHAScheduler(eta={self.eta:g}, r_min={self.r_min}, brackets={self.brackets}, type={self.type!r})"
