"""Reading all journals of a run directory at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..events.log import FarAhead, Log
from ..events.schema import Batch, Malformed, Seen
from ..view.view import View
from .journal import Damage, JournalReader, cut_torn_end, journals_in
from .liveness import Writers, WriterState, signs_in, states_of
from .replica_cache import keep_replica, restore_replica

WORTH_KEEPING = 1 << 20  # bytes of journals that take a tenth of a second or more to read


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found while loading: damaged places, what is known of each worker that ever began, what of it this
    version does not understand, in words, and how far each journal was read."""

    damage: tuple[Damage, ...]
    states: Mapping[str, WriterState]
    skipped: str = ""
    reached: Mapping[Path, int] = field(default_factory=dict)

    @property
    def notices(self) -> list[str]:
        """What people should hear of it, a line each."""
        return [*(f"damaged: {damage}" for damage in self.damage), *([self.skipped] if self.skipped else [])]


def load_journals(path: Path, log: Log, view: View, *, mend: bool = False) -> Loaded:
    """Read every journal under ``path`` into ``log`` and ``view``; what was read before is taken from the cache."""
    damage: list[Damage] = []
    torn: list[Damage] = []
    signs = signs_in(path)  # before the files are read: what a writer appends until it ends must not look torn
    reached = {} if log.size or view.n_rows else restore_replica(path, log, view)
    kept = sum(reached.values())
    for file in journals_in(path):
        found: list[Damage] = []
        malformed, known = False, len(log.far_ahead)
        reader = JournalReader(file, found, reached.get(file, 0))
        for batch in reader:
            try:
                merge_batch(batch, log, view)
            except FarAhead:
                pass  # which the log notes
            except Malformed:
                malformed = True
        reached[file] = reader.end
        if malformed:
            found.append(Damage(file, None))
        found += [Damage(file, None, why=why) for why in log.refused(known)]
        for place in found:
            (torn if place.torn else damage).append(place)
    read = sum(reached.values()) - kept
    if is_worth_keeping(read, kept) and not damage:  # which has to be said every time
        keep_replica(path, log, view, reached)
    # Only now is it known on which machines the writers run. The last record of one that lives, or may live on another
    # machine, is perhaps just being written.
    writers = Writers(path, view)
    for place in torn:
        writer = place.path.stem
        if writers.has_ended(writer, signs.get(writer)) and (not mend or cut_torn_end(place)):
            damage.append(place)
    return Loaded(tuple(damage), states_of(signs, view), log.skipped and f"{path}: {log.skipped}", reached)


def is_worth_keeping(read: int, kept: int) -> bool:
    """Whether what was read is to be kept for the next time: so many bytes of journals, beside what is kept already."""
    return read >= max(WORTH_KEEPING, kept // 4)


def merge_batch(batch: Batch, log: Log, view: View) -> list[Seen]:
    """Bring a batch that was read from a journal into ``log`` and ``view``; return its new events.

    Those of unknown kinds are kept in the log and left out here. Raises :class:`Malformed` if there are bytes in it
    that are no events, or :class:`FarAhead` if some are left out for their stamp, after taking all the others.
    """
    try:
        forks = log.read_forks(batch)
        fresh = log.hold_back(batch) if batch.first > log.count(batch.origin) + 1 else log.merge(batch)
    except Malformed:
        if len(batch.raws) == 1:
            raise
        return _take_each(batch, log, view)
    new = list(fresh or ())
    for origin, seq, event in new:
        view.apply(origin, seq, event)
    for read in forks:
        for origin, seq, event in log.take_fork(read) or ():
            view.apply(origin, seq, event, again=True)
            new.append(Seen(origin, seq, event))
    return new


def _take_each(batch: Batch, log: Log, view: View) -> list[Seen]:
    new: list[Seen] = []
    bad: Malformed | None = None
    for seq, raw in enumerate(batch.raws, batch.first):
        try:
            new += merge_batch(Batch(batch.origin, seq, (raw,)), log, view)
        except Malformed as error:
            bad = error if bad is None or isinstance(bad, FarAhead) else bad
    if bad is not None:
        raise bad
    return new
