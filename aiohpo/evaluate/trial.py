"""The trial as the objective sees it.

One :class:`Trial` is one segment: from ``start`` to where the scheduler pauses it, or to its end. What it
says goes through a :class:`TrialLink`, which is synchronous whatever lies behind it (the event loop itself,
another thread, a pipe), so one objective runs unchanged on every evaluator.

How a segment ends early: after a report the scheduler may say PAUSE or STOP, and at any time the worker may be about to
end. An objective that loops over :meth:`Trial.steps` finds its loop over and runs on to its end, so that it can report,
save or clean up. One that does not sees :class:`TrialEnded` when it reports a later step; it is a ``BaseException``, so
an ``except Exception`` around the training loop does not swallow it.

What a paused trial is compared by is its metric at the step where it paused: as reported in the loop, after the
loop, or returned; else as it was last reported before. :mod:`aiohpo.evaluate.segment` sees to that.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..arguments import REPORT_ARGUMENTS, TRIAL_ATTRIBUTES, explained, explained_class
from ..errors import Unavailable, UsageError, listing
from ..events.notes import encode_notes
from ..events.schema import MAX_STEPS, TARGETS
from ..peer.patience import in_words
from ..plugin import Assignment, BlobStore, Config, Decision
from ..storage.scratch import Scratch
from . import checkpoint
from .metrics import as_mapping, as_number, check_name, describe_briefly
from .trial_link import CLOSED, TrialEnded, TrialLink

if TYPE_CHECKING:
    from .program import Program


MAX_ARRAYS = 100  # of one call of predictions() or targets()


@explained_class(attributes=TRIAL_ATTRIBUTES)
class Trial:
    """One configuration being evaluated. Passed to the objective; not to be constructed by users.

    config     parameter values by name; inactive conditional parameters are absent. ``trial["lr"]`` reads one
    id         the trial's name, such as "a99104d6921c-3": unique in the study, the same on every worker and in every
               segment, and short, with only letters, digits and "-". Use it to name files
    number     its place among the trials that this worker knew of when the segment began, from 0. With one worker it is
               exact. With several it may be off, and two trials may share a number, until all workers have heard of
               each other's proposals; :class:`~aiohpo.TrialRecord` has the final number
    start      last step that was done before this segment; 0 for a fresh trial
    step       current step: that of :meth:`steps`, else the last one reported
    max_steps  steps of a whole trial; None if the study sets none
    ended      whether the trial was told to pause or stop, its worker is about to end, or it is no longer wanted
    """

    __slots__ = (
        "_assignment",
        "_blobs",
        "_checkpoint",
        "_decision",
        "_directory",
        "_failure",
        "_leaves",
        "_link",
        "_program",
        "_reported",
        "_reported_at",
        "_reported_names",
        "_stepping",
        "_trouble",
        "_warned",
        "config",
        "step",
    )

    def __init__(self, assignment: Assignment, link: TrialLink, blobs: BlobStore, program: Program) -> None:
        self._assignment = assignment
        self._link = link
        self._blobs = blobs
        self._program = program
        self._checkpoint = assignment.checkpoint
        self._directory: Scratch | None = None
        # None until steps() is first used; then whether the objective is inside its loop.
        self._stepping: bool | None = None
        self.config: Config = dict(assignment.config)
        self.step = assignment.start
        self._decision = Decision.CONTINUE
        self._leaves = False  # the objective has heard that the worker ends, before the trial came to its own end
        self._warned = False  # it was so when a step was reported; the next one is too late
        self._failure: str | None = None
        self._trouble: str | None = None
        self._reported = assignment.reported
        self._reported_at: int | None = None  # the step of the last report of the objective metric in this segment
        self._reported_names: set[str] = set()

    # ------------------------------------------------------------------------------------------ reading
    @property
    def id(self) -> str:
        return self._assignment.trial

    @property
    def number(self) -> int:
        return self._assignment.number

    @property
    def start(self) -> int:
        return self._assignment.start

    @property
    def max_steps(self) -> int | None:
        return self._assignment.max_steps

    @property
    def ended(self) -> bool:
        """Whether the trial was told to pause or stop, its worker is about to end, or it is no longer wanted, as
        another worker has it or its time is up. For loops that do not use :meth:`steps`."""
        return self._decision is not Decision.CONTINUE or self._is_to_leave() or self._link.aborted

    def _is_to_leave(self) -> bool:
        """Whether the worker is about to end while something is left to do, which the objective knows from then on."""
        self._link.listen()
        complete = self.max_steps is not None and self.step >= self.max_steps
        self._leaves = self._leaves or (self._link.ending and not complete)
        return self._leaves

    def __getitem__(self, name: str) -> Any:
        try:
            return self.config[name]
        except KeyError:
            raise KeyError(
                f"no parameter {name!r} in this configuration, which has {listing(list(self.config))}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.config

    def __repr__(self) -> str:
        config = ", ".join(f"{name}={value!r}" for name, value in self.config.items())
        of = "" if self.max_steps is None else f" of {self.max_steps}"
        end = "" if self._decision is Decision.CONTINUE else f", told to {self._decision.value}"
        end = end or (", told to leave" if self._leaves else "")
        return f"<Trial {self.id}: {config}; step {self.step}{of}{end}>"

    # ------------------------------------------------------------------------------------------- steps
    def steps(self) -> Iterator[int]:
        """Yield the steps to do, from where the trial was paused; end when it is told to pause or stop.

        Without ``max_steps`` the loop is endless until then. You may break out of it.
        """
        to_step, max_steps = self._assignment.to_step, self.max_steps
        self._stepping = True
        if self.step:
            self._pause_at(to_step, max_steps)  # saved there, but its worker died before it could say so
        try:
            while not self.ended and (max_steps is None or self.step < max_steps):
                self.step += 1
                yield self.step
                self._pause_at(to_step, max_steps)
        finally:
            self._stepping = False

    def _pause_at(self, to_step: int | None, max_steps: int | None) -> None:
        """Pause at ``to_step`` even without being told to, unless the trial is complete there anyway."""
        if (
            to_step is not None
            and self.step >= to_step
            and (max_steps is None or self.step < max_steps)
            and self._decision is Decision.CONTINUE
        ):
            self._decision = Decision.PAUSE

    @explained("trial.report", REPORT_ARGUMENTS)
    def report(self, value: Any = None, /, *, step: int | None = None, **metrics: Any) -> None:
        """Report the objective's metric (one number, or a dict) or named metrics, at this step.

        The step is the current one inside and after :meth:`steps`; elsewhere each report counts as a new step, unless
        ``step`` is given. Raises UsageError for an invalid number or step, and :class:`TrialEnded` for a step after the
        one at which the trial was told to end. An objective metric that is NaN or infinite ends the trial as failed.
        """
        if not self._stepping and not self._is_about_last_step(step):
            self._leaves = self._leaves or self._warned
            if self._leaves or self._decision is not Decision.CONTINUE:
                raise TrialEnded
        metric = self._program.metric
        values = as_mapping(metrics) if metrics else {}
        if isinstance(value, Mapping):
            values = {**as_mapping(value), **values}
        elif value is not None:
            if metric in values:
                raise UsageError(f"report() got {metric!r} twice: as its first argument and by name")
            values[metric] = as_number(value, metric)
        if not values:
            raise UsageError(f"report() needs a number, or named numbers: trial.report({metric}=0.5)")
        at = self._step_of(step)
        if metric in values:
            if not math.isfinite(values[metric]):
                self._fail(f"reported {metric}={values[metric]} at step {at}: the search needs a finite number")
            self._reported, self._reported_at = values[metric], at
        self._reported_names.update(values)
        decision = self._link.report(at, values)
        self.step = at
        if decision is Decision.STOP or (decision is Decision.PAUSE and self._decision is Decision.CONTINUE):
            self._decision = decision
        elif not self._stepping:
            self._pause_at(self._assignment.to_step, self.max_steps)
            self._warned = self._link.ending

    def _is_about_last_step(self, step: Any) -> bool:
        """Whether a report adds to the step at which the trial was told to end, rather than beginning another."""
        return self._stepping is False if step is None else bool(step == self.step)

    def _report_pause(self, metrics: Mapping[str, float]) -> bool:
        """Report what is to count for the step at which the trial pauses; say whether it still may pause there."""
        try:
            return self._link.report(self.step, metrics) is not Decision.STOP
        except TrialEnded:
            return True  # the segment was cancelled meanwhile

    def _step_of(self, step: int | None) -> int:
        if step is None:
            at = self.step + 1 if self._stepping is None else max(self.step, 1)
        elif isinstance(step, bool) or not hasattr(step, "__index__"):
            raise UsageError(f"step is {describe_briefly(step)}: give a whole number")
        else:
            at = step.__index__()
        if at < max(self.step, 1):
            raise UsageError(f"step {at} comes after step {self.step}: report steps in order, from 1")
        if at > MAX_STEPS:
            raise UsageError(f"step {at} is too large: steps end at {MAX_STEPS}")
        if self.max_steps is not None and at > self.max_steps:
            raise UsageError(
                f"step {at} is beyond max_steps={self.max_steps}: report once per step, or give the study more steps"
            )
        return at

    def _fail(self, error: str) -> None:
        """End the trial as failed, whatever the objective does with the exception. Raises TrialEnded."""
        self._failure = error
        raise TrialEnded

    def _release(self, trouble: str) -> NoReturn:
        """End the segment without a verdict, whatever the objective does with the exception: what went wrong is not its
        fault. Raises TrialEnded."""
        self._trouble = trouble
        self._link = CLOSED
        raise TrialEnded

    def _put(self, what: str, data: bytes) -> str:
        """Store a blob; return its digest. Releases the trial if that is impossible."""
        try:
            digest = self._blobs.put(data)
        except OSError as error:
            # Ours, not the objective's: what that writes by itself raises in its own code.
            self._release(f"cannot write {what} to {getattr(self._blobs, 'root', 'the blob store')}: {in_words(error)}")
        return digest

    # ------------------------------------------------------------------------------------------- blobs
    def save(self, obj: Any) -> None:
        """Save a checkpoint of the current step: bytes, a Path to a file or directory, or a picklable object.

        The study's ``dump`` and ``load`` replace this, if given. Any worker can resume from the checkpoint.
        """
        data = checkpoint.encode(obj, self._program.secret, self._program.dump)
        digest = self._put("a checkpoint", data)
        self._link.save(self.step, digest, len(data))
        self._checkpoint = digest

    def restore(self) -> Any:
        """Return the last saved checkpoint, or None if nothing was saved.

        A saved Path comes back as a path in a temporary directory that lives as long as this segment.
        Raises UsageError, and loads nothing, if the checkpoint was not written under this study's key.
        """
        blob = self._saved_blob()
        if blob is None:
            return None
        return self._unpack(lambda scratch: checkpoint.decode(blob, self._program.secret, scratch, self._program.load))

    def _restore_directory(self) -> Path | None:
        """Return the directory that was last saved, or None the first time. Raises UsageError, and loads nothing, if
        something else was: for evaluators that run another program than Python."""
        blob = self._saved_blob()
        if blob is None:
            return None
        unpacked: Path = self._unpack(lambda scratch: checkpoint.decode_directory(blob, self._program.secret, scratch))
        return unpacked

    def _saved_blob(self) -> bytes | None:
        if self._checkpoint is None:
            return None
        try:
            blob = self._blobs.get(self._checkpoint)
        except Unavailable as error:
            self._release(str(error))
        if blob is None:
            # It was there when the segment began, or the trial would have started over.
            self._release("a checkpoint vanished from the blob store")
        return blob

    def _unpack(self, decode: Callable[[Callable[[], Path]], Any]) -> Any:
        unpacking = False

        def scratch() -> Path:
            nonlocal unpacking
            unpacking = True
            return self._scratch()

        try:
            return decode(scratch)
        except OSError as error:
            if not unpacking:
                raise  # from the user's own classes, when they were unpickled
            self._release(f"cannot unpack a checkpoint in {tempfile.gettempdir()}: {in_words(error)}")

    def _scratch(self) -> Path:
        if self._directory is None:
            self._directory = Scratch()
        return Path(tempfile.mkdtemp(dir=self._directory.path))

    def predictions(self, **arrays: Any) -> None:
        """Store predictions by name (``valid=``, ``test=``), one row per example, for ensembles: class probabilities
        (n, k), or for regression means (n,) or means and variances (n, 2)."""
        self._store(arrays, "")

    def targets(self, **arrays: Any) -> None:
        """Store the true values (n,) for the predictions of the same names: class indices or labels, or numbers.

        One trial's targets are enough (``Study(targets=…)`` is another way to give them); identical targets from every
        trial cost nothing extra, since they are stored once.
        """
        self._store(arrays, TARGETS)

    def note(self, /, **notes: Any) -> None:
        """Attach named values that JSON can hold to the trial: ``trial.note(layers=[64, 32], data="v3")``.

        The last value noted under a name counts. Notes are shown and exported with the trial and do not influence the
        search. Use :meth:`report` for numbers that change from step to step. Arrays and numbers of numpy and torch
        become lists and plain numbers. Raises UsageError for values that JSON cannot hold (NaN, objects) and for more
        than 60 kB in one call.
        """
        self._link.note(encode_notes(notes))

    @explained("trial.attach", {})
    def attach(self, name: str, path: str | Path) -> None:
        """Keep a copy of the file at ``path`` with the trial: ``trial.attach("model.pt", "out/model.pt")``.

        Files are kept with the study's checkpoints, however the trial ends; a file replaces an earlier one with the
        same name. Other workers and ``aiohpo show --file`` can find them. Raises UsageError if the name is not a plain
        file name, if the path is not a file, or if the file is larger than 1 GiB.
        """
        data = checkpoint.read_file(name, path)
        self._link.attach(name, self._put("a file", data), len(data))

    def _store(self, arrays: Mapping[str, Any], prefix: str) -> None:
        single = prefix != TARGETS  # targets may be large numbers whose last digits count
        if len(arrays) > MAX_ARRAYS:
            raise UsageError(f"{len(arrays)} arrays of predictions are too many: give at most {MAX_ARRAYS}")
        for name in arrays:
            check_name(name, "predictions")
        digests = {
            prefix + name: self._put("predictions", checkpoint.encode_array(name, values, single=single))
            for name, values in arrays.items()
        }
        if digests:
            self._link.predictions(digests)

    def _close(self) -> None:
        """End the segment: from now on every word raises :class:`TrialEnded`. Called by evaluators."""
        self._link = CLOSED
        if self._directory is not None:
            self._directory.remove()
            self._directory = None
