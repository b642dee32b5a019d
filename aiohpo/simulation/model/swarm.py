"""A swarm of workers as a discrete-event model.

Searchers, schedulers, claims and the meaning of events are production's. What differs: all workers share one view and
one scheduler, which know every event as soon as it is recorded, but for claims, which may collide while news of them is
under way (:mod:`.claims`); models of a searcher are shared for as long as news takes (:mod:`.fits`); and the network is
a graph and a few formulas (:mod:`.news`, :mod:`.traffic`). An event costs the model the same in a swarm of any size.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...events.lifecycle import Status
from ...events.log import Log
from ...events.schema import trial_name
from ...mesh.timing import COLLECT_FOR, LOOK_SOON, TURN, Timing
from ...peer.eligibility import Eligibility
from ...peer.ending import SearchEnd, end_to_record, find_end, has_work
from ...peer.racing import Racing
from ...peer.running_segments import Segment
from ...plugin import Decision, FittingSearcher, Identity, Outcome
from ...plugin.registry import bind, make_plugin
from ...runtime.assembly.replica import copy_log
from ...view.view import View
from ..durations import full_seconds
from ..evaluator import Evaluation, length, schedule
from ..figures import MODEL
from ..memory import MemoryBlobs
from ..rehearsal import Rehearser, Said
from ..swarm import Crash, Scenario, program_of, worker_name
from .agenda import Agenda
from .claims import TravellingClaim
from .dealer import Dealer, Wait
from .fits import FitClock, Results, SharedFits
from .meter import Meter
from .news import Spreading
from .worker import ModelWorker, Playing, SharedRecorder

if TYPE_CHECKING:
    from ...study import Study

_LOOKS = 2_000
_LOOK_AGAIN = 0.5  # seconds after which a worker that has nothing to do looks again, as production's does


class ModelSwarm:
    """Plays a scenario by the model. It has what :class:`~aiohpo.simulation.swarm.Swarm` has for those who read it."""

    way = MODEL

    def __init__(self, study: Study, scenario: Scenario, watch: Callable[[Any], bool] = lambda swarm: False) -> None:
        study._fulfil()
        self.scenario = scenario
        self.definition = study._definition
        self.diary: list[Evaluation] = []
        self.crashes: list[Crash] = []
        self.notices: dict[str, int] = {}
        self.now = 0.0
        self.interrupted = False
        self.end: SearchEnd | None = None
        self._program = program_of(self.definition)
        self._rehearser = Rehearser(self._program, scenario.seed)
        self._watch = watch
        self._timing = Timing()
        self._log, self.view = Log(), View(self.definition.space, self.definition.objective, self.definition.max_steps)
        copy_log(study._replica.log, self._log, self.view)
        self._blobs = MemoryBlobs()
        self._holders: dict[str, str] = {}  # digest -> the worker that saved it
        self._searcher = make_plugin("searchers", self.definition.searcher)
        self._scheduler = make_plugin("schedulers", self.definition.scheduler)
        bind(self._scheduler, self.definition.max_steps, scenario.seed, Identity("model", None, None))
        self._spare = np.random.default_rng(0)
        self._fits = SharedFits(self.view, self._note)
        self._results = Results()
        interval = self._timing.pace.interval_among(scenario.workers)
        self._racing = Racing("model", delay=scenario.latency + interval + COLLECT_FOR)
        self._agenda = Agenda()
        self._workers: list[ModelWorker] = []
        self._starts = 0
        self._running = 0
        self._waking = False
        self._idle: dict[int, ModelWorker] = {}
        names = [worker_name(scenario.seed, start) for start in range(1, scenario.workers + 1)]
        spreading = Spreading(names, scenario.latency, scenario.seed)
        self._meter = Meter(spreading, scenario.workers, scenario.seconds, scenario.latency)
        self._dealer = Dealer(self.view, self._scheduler, scenario.costs, self._fits, self._meter)
        self._rng = random.Random(f"{scenario.seed}/model")

    def play(self) -> ModelSwarm:
        """Simulate to the end; return itself."""
        s = self.scenario
        for place in range(s.workers):
            self._agenda.add(LOOK_SOON, self._start, place)  # when one of the others has told it what is known
            if s.crash_rate:
                self._crash_later(place)
        every = s.seconds / _LOOKS if math.isfinite(s.seconds) else 1.0
        look = every
        for when, function, arguments in self._agenda.until(s.seconds):
            self.now = max(when, self.now)
            while look <= self.now:
                look += every
                if self._watch(self):
                    self.interrupted = True
                    return self
            function(*arguments)
            if self.end is not None:
                return self
        if math.isfinite(s.seconds):
            self.now = s.seconds
        return self

    # ------------------------------------------------------------------------------------------ for figures
    def known_together(self) -> View:
        """The view of everything that was recorded."""
        return self.view

    def news(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """When drawn events were recorded, and how long each took to reach another worker, in seconds."""
        return self._meter.delays(self.now)

    def traffic(self) -> dict[str, float]:
        """What a worker sends in a second."""
        return self._meter.traffic(self.now, self._timing)

    def _note(self, text: str) -> None:
        self.notices[text] = self.notices.get(text, 0) + 1

    # -------------------------------------------------------------------------------------------- workers
    def _start(self, place: int) -> None:
        s, study = self.scenario, self.definition
        self._starts += 1
        name = worker_name(s.seed, self._starts if place < len(self._workers) else place + 1)
        identity = Identity.of_worker(name, place, s.workers, s.slots)
        searcher = deepcopy(self._searcher)  # a tenth of the cost of making it by its name
        bind(searcher, study.space, s.seed, identity)
        racing = Racing(name)
        worker = ModelWorker(
            name,
            place,
            SharedRecorder(name, self.view, self._log, lambda size: self._meter.note(self.now, place, size)),
            racing,
            Eligibility(self.view, racing, lambda digest: self._holders.get(digest) == name),
            searcher,
            np.random.default_rng([s.seed, place, self.view.n_rows]),
            s.slots,
        )
        worker.recorder.claims = racing
        if isinstance(searcher, FittingSearcher):
            worker.clock = FitClock(self._results, s.costs.of_fit, self.now)
        if place < len(self._workers):
            self._workers[place] = worker
        else:
            self._workers.append(worker)
        worker.recorder.begin(self.now, "model", 0, place, s.slots)
        if s.trials is not None:
            worker.recorder.set_goal(s.trials)
        self._deal(worker)

    # ------------------------------------------------------------------------------------------- dealing
    def _deal(self, worker: ModelWorker, answered: bool = False) -> None:
        """Begin something in each free slot, as far as there is something; ``answered``: its model is up to date."""
        self._idle.pop(worker.place, None)
        if self.end is not None or not worker.alive or (worker.waits and not answered):
            return
        worker.waits, worker.suggested = False, iter(())
        worker.racing.rate, worker.racing.delay = self._racing.rate, self._racing.delay
        slots = worker.free_slots
        for at, slot in enumerate(slots):
            chosen = self._dealer.choose(worker, slots[at:], self.now, answered=answered)
            if chosen is None:
                self._rest(worker)
                return
            if isinstance(chosen, Wait):
                worker.waits = True
                self._agenda.add(max(chosen.knows, self.now), self._capture)
                self._agenda.add(chosen.ready, self._deal, worker, True)
                return
            if isinstance(chosen, TravellingClaim):
                run = self._begin(worker, slot, copy(chosen.segment))
                run.lost_race = True
                self._agenda.add(chosen.heard_by(worker.place), self._abort, worker, run)
            else:
                run = self._begin(worker, slot, chosen)
            self._agenda.add(max(worker.free_at, self.now), self._evaluate, worker, run)

    def _capture(self) -> None:
        """A model of what is known now will be wanted. It also serves those who want one while news of this moment is
        under way, or while it is being fitted: none of them could know more by much."""
        self._fits.window = self._meter.delay + self.scenario.costs.of_fit(self.view.n_trials)
        self._fits.capture(self.now)

    def _rest(self, worker: ModelWorker) -> None:
        """There is nothing to do for a worker: look again when something ended, or after a while."""
        self._idle[worker.place] = worker
        worker.looks_at = self.now + _LOOK_AGAIN
        self._agenda.add(worker.looks_at, self._look_again, worker)
        if not self._running:
            self.end = find_end(self.view, workers=(), target=None, is_work_left=self._is_work_left)

    def _is_work_left(self) -> bool:
        claims = Eligibility(self.view, None, lambda digest: False)
        if any(worker.claims.exhausted for worker in self._workers):
            claims.exhaust()
        return has_work(self.view, self._scheduler, claims, self._spare)

    def _look_again(self, worker: ModelWorker) -> None:
        # It may have been woken meanwhile, and looks half a second after that instead.
        if self._idle.get(worker.place) is worker and worker.looks_at <= self.now:
            self._deal(worker)

    def _wake_soon(self) -> None:
        """Something may have become free: have those look that have nothing to do."""
        if self._idle and not self._waking:
            self._waking = True
            self._agenda.add(self.now + self._racing.delay, self._wake)

    def _wake(self) -> None:
        self._waking = False
        for worker in list(self._idle.values()):
            self._deal(worker)

    # ---------------------------------------------------------------------------------------- evaluating
    def _begin(self, worker: ModelWorker, slot: int, segment: Segment) -> Playing:
        note = Evaluation(worker.name, slot, trial_name(segment.trial), segment.attempt, self.now)
        run = worker.running[slot] = Playing(segment, note)
        self._running += 1
        return run

    def _evaluate(self, worker: ModelWorker, run: Playing) -> None:
        if run.over:
            return
        note = run.note
        note.began = note.kept = self.now
        self.diary.append(note)
        assignment = worker.recorder.assignment(run.segment, self.view.max_steps, note.slot)
        rehearsal = self._rehearser.rehearse(assignment, self._blobs)
        full = full_seconds(self.scenario.times, self.scenario.seed, assignment.trial)
        run.items, run.outcome = iter(schedule(rehearsal, assignment, full)), rehearsal.outcome
        run.step, run.last_step = assignment.start, rehearsal.last_step
        run.ends = self.now + length(rehearsal, assignment, full)
        self._go_on(worker, run)

    def _go_on(self, worker: ModelWorker, run: Playing) -> None:
        following = next(run.items, None)
        if following is None:
            self._agenda.add(max(run.ends, self.now), self._finish, worker, run, run.outcome)
        else:
            said, seconds = following
            self._agenda.add(max(run.note.began + seconds, self.now), self._say, worker, run, said)

    def _say(self, worker: ModelWorker, run: Playing, said: Said) -> None:
        """The objective says something, as :class:`aiohpo.runtime.channel.SegmentChannel` takes it."""
        if run.over:
            return
        recorder, segment = worker.recorder, run.segment
        if said.method == "report":
            step, metrics = said.arguments
            if step != run.step:
                run.value, run.extra = None, {}
            run.extra.update(metrics)
            run.value = run.extra.pop(self.definition.objective.metric, run.value)
            run.step = max(run.step, step)
            if not run.lost_race:
                if step >= run.last_step:
                    self._dealer.note_end(worker, self.now)
                recorder.report(segment, run.step, run.value, run.extra)
                decision = self._scheduler.on_report(self.view, run.note.trial, run.step)
                if decision is Decision.STOP:
                    self._finish(worker, run, Outcome("stopped"))
                    return
                if decision is Decision.PAUSE and step < run.last_step:
                    self._finish(worker, run, Outcome("paused"))
                    return
        elif said.method == "save" and not run.lost_race:
            recorder.record_checkpoint(segment, *said.arguments)
            self._holders[said.arguments[1]] = worker.name
            run.note.kept = self.now
        elif said.method == "predictions" and not run.lost_race:
            recorder.predicted(segment, *said.arguments)
        self._go_on(worker, run)

    def _finish(self, worker: ModelWorker, run: Playing, outcome: Outcome) -> None:
        if run.over or run.lost_race:  # before it records an end it asks its rivals, and so hears that it lost
            return
        view, segment, note = self.view, run.segment, run.note
        self._free(worker, run, outcome.kind)
        seconds = self.now - note.began
        if outcome.kind == "finished":
            note.value = outcome.metrics.get(self.definition.objective.metric)
        if view.status(segment.row) is Status.RUNNING:
            self._dealer.note_end(worker, self.now)
            metrics = dict(outcome.metrics)
            value = metrics.pop(self.definition.objective.metric, run.value)
            worker.busy_seconds += seconds
            worker.ended += 1
            worker.recorder.end(
                segment,
                outcome.kind,
                step=run.step,
                seconds=seconds,
                value=value if outcome.kind != "failed" else None,
                extra=metrics or run.extra,
                error=outcome.error,
                detail=outcome.detail,
            )
            self._results.times.append(self.now)
            self._racing.worker_freed(self.now)
            self._see_whether_over(worker)
            self._wake_soon()
        self._deal(worker)

    def _see_whether_over(self, worker: ModelWorker) -> None:
        if self.view.succeeded:
            return
        self.end = end_to_record(
            self.view,
            me=worker.name,
            present=lambda: [other.name for other in self._workers if other.alive],
            target=None,
            max_failures=self.definition.max_failures,
        )

    def _abort(self, worker: ModelWorker, run: Playing) -> None:
        """The worker hears that another one was first."""
        if not run.over:
            self._free(worker, run, "aborted")
            self._deal(worker)

    def _free(self, worker: ModelWorker, run: Playing, how: str) -> None:
        run.over = True
        run.note.ended, run.note.how = self.now, how
        self._running -= 1
        if worker.running.get(run.note.slot) is run:
            del worker.running[run.note.slot]

    # ------------------------------------------------------------------------------------------- crashes
    def _crash_later(self, place: int) -> None:
        wait = self._rng.expovariate(self.scenario.crash_rate / 3600.0)
        self._agenda.add(self.now + wait, self._crash, place)

    def _crash(self, place: int) -> None:
        s, worker = self.scenario, self._workers[place] if place < len(self._workers) else None
        if worker is None:  # it has not started yet
            self._crash_later(place)
            return
        self.crashes.append(Crash(self.now, place, s.restart_after))
        worker.alive = False
        self._idle.pop(place, None)
        for run in list(worker.running.values()):
            self._free(worker, run, "crashed")
            suspicion = self._timing.suspicion
            noticed = suspicion.suspect + suspicion.dead + suspicion.ping * (self._rng.random() + self._rng.random())
            self._agenda.add(self.now + noticed + TURN * self._rng.random(), self._declare_lost, run.segment)
        if s.restart_after is not None:
            self._agenda.add(self.now + s.restart_after + LOOK_SOON, self._start, place)
            self._agenda.add(self.now + s.restart_after + LOOK_SOON, self._crash_later, place)

    def _declare_lost(self, segment: Segment) -> None:
        view = self.view
        if view.status(segment.row) is Status.RUNNING and view.attempt(segment.row) == segment.attempt:
            witness = next((worker for worker in self._workers if worker.alive), None)
            if witness is not None:
                witness.recorder.declare_lost(segment.trial, segment.attempt)
                self._wake_soon()

    def __repr__(self) -> str:
        return f"<ModelSwarm of {self.scenario.workers} at {self.now:.1f} s: {len(self.diary)} evaluations begun>"
