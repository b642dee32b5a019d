"""Evaluate any program: parameters go in as arguments or JSON, metrics come out as lines of JSON.

::

    CommandEvaluator("./train.sh --rate={lr} --width={width}")   # placeholders
    CommandEvaluator("python train.py")                          # python train.py --lr=0.1 --width=64
    CommandEvaluator(["julia", "train.jl"], input="json")        # {"lr": 0.1, "width": 64} on its stdin

What the program prints on stdout is its log, but for four kinds of lines, which are JSON objects:

``{"step": 3, "accuracy": 0.9}``  with a step and other numbers: a report
``{"accuracy": 0.93}``            with the study's metric and no step: the result; the last one counts
``{"note": {"layers": [3, 5]}}``  notes on the trial, of whatever JSON can hold; a report may have some, too
``{"attach": {"m.pt": "out/m"}}`` files to be kept with the trial, by their names

What else is in such a line and is no number is ignored. The exit code says whether it succeeded. No shell is
involved: a parameter's value is one argument whatever characters it has. With a placeholder write ``--rate={lr}``, not
``--rate {lr}``: most programs take a value that begins with "-", such as -5e-05, for an option of its own.

The environment has ``AIOHPO_TRIAL``, ``AIOHPO_NUMBER`` and ``AIOHPO_SLOT`` (:mod:`aiohpo.evaluate.process.resources`),
for programs that do steps ``AIOHPO_START_STEP``, ``AIOHPO_TO_STEP`` and ``AIOHPO_MAX_STEPS`` (absent where there is
none), and ``AIOHPO_CHECKPOINT_DIR``: what that directory holds when the trial is paused is there again when it is
resumed, here or on another worker. A program whose trial is paused or stopped gets SIGTERM, and SIGKILL if it takes
longer than ``grace`` seconds. So does one whose worker is about to end; what it leaves in the directory then is kept if
it exits by itself, rather than by the signal.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import UsageError, listing
from ..peer.patience import in_words
from ..plugin import Assignment, BlobStore, Channel, Config, Options, Outcome
from ..storage.scratch import Scratch
from .checkpoint import encode
from .link import LoopLink
from .process.json_lines import JsonLine, parse_line
from .process.output import Output, Sink, bounded
from .process.process_group import GONE_WITHIN, ProcessGroup, describe_exit
from .process.resources import slot_environment, trial_environment, visible_devices
from .program import Program
from .segment import conclude, failed, released
from .sources import Sources
from .trial import Trial
from .trial_link import TrialEnded

# {{name}} is a literal {name}; braces around anything that is no name, such as JSON, are left alone.
_PLACEHOLDER = re.compile(r"\{(\{[^{}\s\"':,]+\})\}|\{([^{}\s\"':,]+)\}")
_INPUTS = ("arguments", "json")
_KILLED = range(129, 193)  # the exit codes with which a shell says that a signal, from 1 to 64, killed its program


class CommandEvaluator:
    """Runs a program per segment, beside those of other segments; see the module for how they talk.

    command    the program and its arguments, as text (split like a shell does) or as a list
    input      "arguments" or "json"
    directory  where it runs; None: where the worker does
    grace      seconds from SIGTERM to SIGKILL
    """

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        input: str = "arguments",
        directory: str | Path | None = None,
        grace: float = 10.0,
    ) -> None:
        options = Options("command")
        if not isinstance(command, str | list | tuple):
            options.refuse(f"command must be text, or a list of a program and its arguments, not {command!r:.80}")
        try:
            self._command = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
        except ValueError as error:
            raise UsageError(f"command {command!r} is not well quoted: {error}") from None
        if not self._command:
            raise UsageError("command is empty: name a program and its arguments")
        self._json = options.choice("input", input, _INPUTS) == "json"
        self._directory = None if directory is None else options.path("directory", directory)
        self._grace = options.number("grace", grace, least=0, unit="seconds")
        self._names = {found[2] for word in self._command for found in _PLACEHOLDER.finditer(word) if found[2]}
        self._program: Program | None = None
        self._blobs: BlobStore  # set by start()
        self._running: set[_Run] = set()
        self._ending = False
        self._ended: list[_Run] = []  # of which something may still be alive
        self._files = Sources(())
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<CommandEvaluator {shlex.join(self._command)}>"

    async def start(self, program: Program, blobs: BlobStore) -> None:
        _check_program(self._command[0], self._directory)
        # Checkpoints are directories here, whatever the study's own objectives do with theirs.
        self._program = replace(program, function=None, dump=None, load=None, source=None)
        self._devices = visible_devices(os.environ)
        self._blobs = blobs
        self._files = Sources([os.path.join(self._directory or "", word) for word in self._command])

    def arguments(self, config: Config) -> list[str]:
        """Return the command line for ``config``; raise UsageError for a placeholder that it has no value for."""

        def fill(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal is not None:
                return str(literal)
            if name not in config:
                raise UsageError(
                    f"the command's placeholder {{{name}}} has no value in this configuration, which has "
                    f"{listing(list(config))} (an inactive conditional parameter has none): leave the placeholders "
                    'out and parameters are passed as --name=value, or use input="json"'
                )
            return _text(config[name])

        words = [_PLACEHOLDER.sub(fill, word) for word in self._command]
        if not self._json and not self._names:
            for name, value in config.items():
                words.append(f"--{name}={_text(value)}")  # one word: most parsers take "-5e-05" for an option
        return words

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome:
        assert self._program is not None, "start() was not awaited"
        link = LoopLink(channel, asyncio.get_running_loop())
        trial = Trial(assignment, link, self._blobs, self._program)
        run = _Run(trial, link, channel, self._grace)
        scratch: list[Scratch] = []
        last = self._ended.pop() if self._ended else None
        self._look_at_files(channel)
        try:
            with channel.untimed():
                if last is not None:
                    # What it holds (memory, a GPU, a port) may be what the next one needs.
                    await last.group.wait(GONE_WITHIN)
                    last = None
                directory = await self._start(run, assignment, trial, scratch)
            last = run
            self._running.add(run)
            if self._ending:
                run.wind_down()
            return await self._finish(run, channel, trial, directory)
        except TrialEnded:
            return conclude(trial, None)  # its checkpoint could not be unpacked
        except _CannotRun as error:
            end = failed if self._chosen_by_trial(error.cause) else released
            return end(f"cannot run {self._command[0]!r}: {error}")
        except (UsageError, OSError, ValueError) as error:  # ValueError: text that no argument can hold
            return failed(f"cannot run {self._command[0]!r}: {error}")
        finally:
            link.close()
            self._running.discard(run)
            if last is not None:
                self._ended.append(last)
            trial._close()
            for made in scratch:
                made.remove()

    def _chosen_by_trial(self, error: Exception) -> bool:
        """Whether it is the configuration that cannot be run: it names the program, or is too long to be passed."""
        number = error.errno if isinstance(error, OSError) else None
        named = _PLACEHOLDER.search(self._command[0]) and number in (errno.ENOENT, errno.EACCES, errno.ENOEXEC)
        return number == errno.E2BIG or bool(named)

    async def _start(self, run: _Run, assignment: Assignment, trial: Trial, scratch: list[Scratch]) -> Path:
        """Start the program; return the directory of its checkpoint. A directory that was made for it is appended to
        ``scratch``. Raises _CannotRun where the system refuses."""
        words = self.arguments(trial.config)
        try:
            # Not restore(): this is the worker's own process, which unpickles nothing.
            directory = await asyncio.to_thread(trial._restore_directory)
            if directory is None:
                scratch.append(Scratch())
                directory = scratch[0].path / "checkpoint"
                directory.mkdir()
            with tempfile.TemporaryFile() as text:
                if self._json:
                    text.write(json.dumps(trial.config).encode())
                    text.seek(0)
                slot = slot_environment(trial._program.first_slot + assignment.slot, self._devices)
                environment = {**os.environ, **slot, **trial_environment(assignment, directory)}
                await run.start(words, text, self._directory, environment)
        except (OSError, RuntimeError) as error:  # RuntimeError: the system has no thread to give
            raise _CannotRun(error) from error
        return directory

    async def _finish(self, run: _Run, channel: Channel, trial: Trial, directory: Path) -> Outcome:
        try:
            outcome = await run.done
        finally:
            run.close()
        with channel.untimed():
            outcome = await run.attached(outcome)
            await run.group.wait(GONE_WITHIN)
            left_by_itself = outcome.kind == "released" and outcome.error is None and (run.group.returncode or 0) >= 0
            if (outcome.kind == "paused" or left_by_itself) and os.listdir(directory):
                data = await asyncio.to_thread(encode, directory, trial._program.secret)
                digest = await asyncio.to_thread(trial._put, "a checkpoint", data)
                channel.save(trial.step, digest, len(data))
        return outcome

    def _look_at_files(self, channel: Channel) -> None:
        """Say once of each file that the command names that it has changed."""
        for file in self._files.changed():
            if file not in self._told:
                self._told.add(file)
                channel.notice(
                    f"{os.path.relpath(file)} has changed since the search began: trials now run the new version"
                )

    def wind_down(self) -> list[str]:
        self._ending = True
        for run in self._running:
            run.wind_down()
        return [run._trial.id for run in self._running]  # SIGTERM ends those that do not listen

    async def aclose(self) -> None:
        runs = [*self._running, *self._ended]
        self._ended.clear()
        for run in runs:
            run.group.kill()
        for run in runs:
            await run.group.wait(GONE_WITHIN)


class _CannotRun(Exception):
    """A program could not be started, for want of a process, a thread, room for its files, or the program itself."""

    def __init__(self, cause: OSError | RuntimeError) -> None:
        super().__init__(in_words(cause) if isinstance(cause, OSError) else str(cause))
        self.cause = cause


class _Run:
    """One program, from its start to its end."""

    group: ProcessGroup

    def __init__(self, trial: Trial, link: LoopLink, channel: Channel, grace: float) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Outcome] = self._loop.create_future()
        self._trial = trial
        self._grace = grace
        self._log: Sink = bounded(channel.log)
        self._final: dict[str, Any] | None = None
        self._killer: asyncio.TimerHandle | None = None
        self._attaching: list[asyncio.Future[None]] = []

    async def start(self, words: list[str], stdin: Any, directory: str | None, environment: Mapping[str, str]) -> None:
        """Start the program. Raises OSError if that fails."""
        self._name, self._directory = words[0], directory or ""
        out, their_out = os.pipe()
        err, their_err = os.pipe()
        try:
            pipes = {"stdin": stdin, "stdout": their_out, "stderr": their_err}
            self.group = ProcessGroup(words, self._on_exit, cwd=directory, env=environment, **pipes)
        except BaseException:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(their_out)
            os.close(their_err)
        self._out, self._err = Output(out), Output(err)
        self._out.begin(self._on_text)
        self._err.begin(self._log)
        try:
            await asyncio.shield(self.group.started)
        except BaseException:  # nothing else knows of it yet
            self.close()
            self.group.kill()
            await self.group.wait(GONE_WITHIN)
            raise

    def _on_text(self, text: str) -> None:
        for line in text.removesuffix("\n").split("\n"):
            self._on_line(line)

    def _on_line(self, line: str) -> None:
        said = parse_line(line, self._trial._program.metric)
        if said is None:
            self._log(line + "\n")
        elif self._trial._failure is None and not self.done.done():  # not while it is being closed
            self._take(said)

    def _take(self, said: JsonLine) -> None:
        trial, step, ended = self._trial, said.step, self._trial.ended
        try:
            for name, path in said.files.items():
                self._attach(name, path)
            if said.notes:
                trial.note(**said.notes)
            if said.metrics and step is None:
                self._final = said.metrics
            elif said.metrics:
                step = int(step) if isinstance(step, float) and step.is_integer() else step
                trial.report(said.metrics, step=step)
        except TrialEnded:
            pass
        except UsageError as error:
            trial._failure = str(error)
        except Exception as error:
            # A fault of the worker's, not of the program's: it must surface there.
            if not self.done.done():
                self.done.set_exception(error)
            self.group.kill()
            return
        if (trial._failure is not None or trial.ended) and not ended:  # else it was told already
            self.group.terminate()
            self._killer = self._loop.call_later(self._grace, self.group.kill)

    def _attach(self, name: str, path: Any) -> None:
        """Begin to read a file: in a thread, as it may be large."""
        path = os.path.join(self._directory, path) if isinstance(path, str) else path
        reading = asyncio.ensure_future(asyncio.to_thread(self._trial.attach, name, path))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._attaching.append(reading)

    async def attached(self, outcome: Outcome) -> Outcome:
        """Wait for the files that the program attached; return ``outcome`` unless that failed."""
        for error in await asyncio.gather(*self._attaching, return_exceptions=True):
            if isinstance(error, UsageError):
                return failed(str(error))
            if isinstance(error, Exception):
                raise error
        return outcome if self._trial._trouble is None else conclude(self._trial, None)

    def _on_exit(self, returncode: int) -> None:
        self._out.drain()
        self._err.drain()
        self._out.end()  # its last line may have no end
        self._err.end()
        if self.done.done():
            return
        trial = self._trial
        if self.group.lost:
            self.done.set_result(released(f"the process that watches over {self._name!r} {describe_exit(returncode)}"))
        elif returncode == 0 or trial._failure is not None or trial.ended:
            try:
                self.done.set_result(conclude(trial, self._final))
            except Exception as error:  # a fault of the worker's, as above
                self.done.set_exception(error)
        else:
            detail = self._err.tail.strip() or self._out.tail.strip()
            crashed = returncode < 0 or returncode in _KILLED
            self.done.set_result(failed(f"{self._name} {describe_exit(returncode)}", detail, crashed=crashed))

    def wind_down(self) -> None:
        """Ask the program to save its work and exit, because the worker ends."""
        self._link.ending = True
        self.group.terminate()

    def close(self) -> None:
        """Kill what still runs and stop listening to it."""
        self.group.kill()
        if self._killer is not None:
            self._killer.cancel()
        self._out.close()
        self._err.close()


def _check_program(name: str, directory: str | None) -> None:
    if _PLACEHOLDER.search(name):
        return
    path = os.path.join(directory or "", name)
    if directory is not None and not os.path.isdir(directory):
        raise UsageError(f"there is no directory {directory!r} to run the command in")
    if os.sep in name:
        if not os.path.isfile(path):
            raise UsageError(f"there is no program {path!r}")
        if not os.access(path, os.X_OK):
            raise UsageError(f"{path!r} is not executable: chmod +x it, or name its interpreter, as in 'python {name}'")
    elif shutil.which(name) is None:
        hint = f"; for the file in this directory write ./{name}" if os.path.isfile(path) else ""
        raise UsageError(f"there is no program {name!r} on the PATH{hint}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
