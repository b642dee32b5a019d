"""How a worker is put together from a study's definition and what this process holds of the study."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...evaluate.program import Program
from ...evaluate.reimport import describe, is_defined_anew
from ...launch.addresses import make_transport
from ...mesh.timing import Timing
from ...peer.limits import Limits, check_that_it_ends
from ...plugin import Evaluator, Identity, LaunchedTransport, Transport
from ...plugin.registry import create, make_plugin
from ...storage.journal import Damage, Journal, JournalReader, journals_in
from ...storage.liveness import Writers
from ...storage.loading import is_worth_keeping
from ...storage.printed import Sink, tee
from ...storage.replica_cache import keep_replica
from ...storage.run_directory import RunDirectory
from ...storage.scratch import sweep
from ..notices import Notify
from .definition import StudyDefinition
from .replica import Replica, sizes_of
from .services import Services, new_worker_id

if TYPE_CHECKING:
    from ...events.log import Log
    from ...events.schema import Batch
    from ...view.view import View


def find_place(
    transport: Any, join: Sequence[str], identity: Identity | None
) -> tuple[Transport, Sequence[str], Identity]:
    """Make the transport of a worker; return it, the addresses to join and the worker's place in its launch. A
    ``transport`` that needs to know more than the worker's id is an instance."""
    worker = identity.worker if identity else new_worker_id()
    carrier = make_transport(transport, worker=worker)
    if isinstance(carrier, LaunchedTransport):
        join = [*join, *carrier.peers()]
        if identity is None or identity.rank is None:
            slots = identity.slots if identity else 1
            identity = Identity.of_worker(worker, carrier.rank, carrier.size, slots)
    return carrier, join, identity or Identity(worker)


def is_first(join: Sequence[str], identity: Identity) -> bool:
    """Whether this is the first worker of its launch; what it records the others hear of."""
    return identity.rank == 0 or (identity.rank is None and not join)


def build_services(
    definition: StudyDefinition,
    replica: Replica,
    *,
    transport: Transport,
    join: Sequence[str],
    identity: Identity,
    limits: Limits,
    timing: Timing | None = None,
    output: Sink | None = None,
    notice: Notify,
    concern: Notify,
    must_end: bool = False,
) -> Services:
    """Put together what a worker needs.

    Args:
        definition: the study.
        replica: what this process holds of it; the worker begins with that.
        transport, join, identity: as :func:`find_place` found them.
        limits: when the search ends.
        timing: of the exchange with the peers; None: the usual.
        output: takes what trials print, which also goes to the run directory's ``output/``.
        notice: says a line to people while the worker runs.
        concern: says a line about what is found while it is put together.
        must_end: refuse a search that has no limit and would not come to an end by itself.

    Raises:
        UsageError: it is refused, or something is wrong with the study or its directory.
    """
    worker, directory, blobs = identity.worker, replica.directory, replica.blobs
    sweep()
    blobs.remove_unfinished()
    reading = replica.begin()
    log, view, loaded = reading.log, reading.view, reading.loaded
    gone = frozenset(worker for worker, state in loaded.states.items() if state in ("dead", "left"))
    for text in loaded.notices:
        concern(text)
    remember: Callable[[], None] | None = None
    if directory is not None and not loaded.damage:  # which is to be told the next time, too
        remember = partial(keep_for_next_time, directory, worker, log, view, loaded.reached)
    searcher, scheduler = make_plugin("searchers", definition.searcher), make_plugin("schedulers", definition.scheduler)
    if must_end:
        goal = None if view.goal is None else view.goal[1]
        check_that_it_ends(limits, goal, definition.space, searcher, scheduler)
    if directory is not None:
        file = directory.output(worker if identity.rank is None else str(identity.worker_rank), notice)
        output = file.write if output is None else tee(file.write, output)
    return Services(
        identity=identity,
        # Only here: a study that is merely put together, or imported again in a child process, needs no key.
        program=replace(definition.program, secret=replica.key.derive("checkpoints"), first_slot=identity.rank or 0),
        searcher=searcher,
        scheduler=scheduler,
        evaluator=make_evaluator(definition, identity.size or identity.slots, concern),
        transport=transport,
        view=view,
        log=log,
        study_hash=definition.mesh_hash,
        seed=definition.seed,
        blobs=blobs,
        notice=notice,
        definition=json.dumps(definition.as_dict() | {"study": definition.mesh_hash}),
        journal=None if directory is None else open_journal(directory, worker, concern),
        journal_id=directory.id if directory else "",
        gone=gone,
        is_gone=None if directory is None else Writers(directory.path, view).is_gone,
        recover=None if directory is None else recover_from(directory, notice),
        read_again=None if directory is None else partial(read_grown, directory, reading.sizes),
        remember=remember,
        join=join,
        expects_peers=bool(join) or identity.has_company,
        limits=limits,
        max_failures=definition.max_failures,
        retries=definition.retries,
        timing=timing or Timing(),
        callbacks=definition.callbacks,
        output=output,
        keep=definition.keep,
        targets={name: blobs.put(data) for name, data in definition.targets.items()},
        ensemble=None if definition.ensemble is None else make_plugin("ensembles", definition.ensemble),
        ensemble_metric=definition.ensemble_metric,
        tell_ensemble=None if directory is None else directory.tell_ensemble,
    )


def open_journal(directory: RunDirectory, worker: str, concern: Notify) -> Journal:
    """Open the journal of ``worker``; say so where no lock will tell others that it lives."""
    journal = directory.journal(worker)
    if journal.without_lock:
        concern(
            f"{directory.path} is on a file system without locks ({journal.without_lock}): which workers of an earlier "
            "run are dead is known only of those on this machine, by their processes"
        )
    return journal


def recover_from(directory: RunDirectory, notice: Notify) -> Callable[[str], list[Batch]]:
    """Return what reads a dead worker's journal."""

    def recover(worker: str) -> list[Batch]:
        path = directory.path / "journal" / f"{worker}.log"
        damage: list[Damage] = []
        found = list(JournalReader(path, damage)) if path.exists() else []
        for place in damage:
            notice(f"damaged: {place}")
        return found

    return recover


def read_grown(directory: RunDirectory, sizes: Mapping[Path, int], present: frozenset[str]) -> list[Batch]:
    """Read the journals that had other ``sizes``, but those of workers that are ``present``. What is damaged was told
    when they were loaded, or will be when they are next."""
    now = sizes_of(file for file in journals_in(directory.path) if file.stem not in present)
    return [batch for file, size in now.items() if size != sizes.get(file) for batch in JournalReader(file, [])]


def keep_for_next_time(directory: RunDirectory, worker: str, log: Log, view: View, reached: Mapping[Path, int]) -> None:
    """Keep what a worker that has ended knew, if it recorded much. ``reached`` says how far the others' journals were
    read when it began: what they recorded since is known, too, but not where it stands in the files."""
    own = sizes_of([directory.path / "journal" / f"{worker}.log"])
    if is_worth_keeping(sum(own.values()), sum(reached.values())):
        keep_replica(directory.path, log, view, {**reached, **own})


def make_evaluator(definition: StudyDefinition, share: int, concern: Notify) -> Evaluator:
    """Make the evaluator that was asked for, else the one that suits the objective; ``share`` trials at a time use
    this machine's cores. Raises ``UsageError`` for a study without an objective."""
    task = definition.program
    if is_defined_anew(task.function):
        concern(
            f"{task.title!r} was defined again after the study was created, which still uses the earlier definition: "
            f"study.objective = {task.title} switches to the new one"
        )
    if definition.evaluator is not None:
        chosen: Evaluator = make_plugin("evaluators", definition.evaluator)
        return chosen
    if task.function is None:
        raise UsageError("this study has no objective: give one, or drive it with ask() and tell()")
    made: Evaluator
    if task.is_async:
        made = create("evaluators", "coroutine")
        return made
    reason = why_not_elsewhere(task)
    if reason is None:
        # What is launched together shares this machine; the command line's launcher sees to its own.
        made = create("evaluators", "process", share=share)
        return made
    concern(f"evaluating in threads of this process: {reason}", level=logging.INFO)
    made = create("evaluators", "thread")
    return made


def why_not_elsewhere(task: Program) -> str | None:
    """Why the objective cannot run in another process; None if it can."""
    try:
        describe(task)
    except UsageError as error:
        return str(error)
    return None
