"""What an objective may change of its process that the next trial would notice, and putting it back.

A persistent process runs one trial after the other. One that changes the directory, sets an environment variable,
replaces ``sys.stdout``, leaves an alarm set or closes a descriptor would otherwise decide what the next one sees, so
that results depend on which trials met in one process. What cannot be put back (a limit that only root may raise
again) makes the process unfit, and the next trial gets a new one.

Left alone is what only costs a trial time or what programs share on purpose: modules, caches, threads, background
processes, the state of global random generators.
"""

from __future__ import annotations

import gc
import io
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from typing import Any

_STREAMS = ("stdin", "stdout", "stderr")
# Settings of the interpreter that are plain values: how to read and how to write each.
_SETTINGS: list[tuple[Callable[[], Any], Callable[[Any], object]]] = [
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (sys.getswitchinterval, sys.setswitchinterval),
    (sys.gettrace, sys.settrace),
    (sys.getprofile, sys.setprofile),
    (gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    (gc.get_threshold, lambda threshold: gc.set_threshold(*threshold)),
    (socket.getdefaulttimeout, socket.setdefaulttimeout),
    (lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    (lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()), lambda m: signal.pthread_sigmask(signal.SIG_SETMASK, m)),
    (lambda: logging.root.manager.disable, logging.disable),
]
# Variables of modules, by name.
_VARIABLES: list[tuple[Any, str]] = [
    (sys, "excepthook"),
    (sys, "unraisablehook"),
    (sys, "displayhook"),
    (threading, "excepthook"),
    (tempfile, "tempdir"),
    (warnings, "showwarning"),
    (warnings, "formatwarning"),
]
# Lists of modules, whose content counts.
_LISTS: list[tuple[Any, str]] = [(sys, "path"), (sys, "argv")]
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_LIMITS = sorted(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


class Surroundings:
    """How this process is now, which is its main thread's to put back: :meth:`restore`."""

    def __init__(self) -> None:
        self._directory = _directory()
        self._environment = dict(os.environ)
        self._umask = _umask()
        self._streams = {name: getattr(sys, name) for name in _STREAMS}
        self._forms = {name: _form(stream) for name, stream in self._streams.items()}
        self._descriptors = [(os.dup(fd), _identity(fd)) for fd in range(3)]
        self._handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._filters = list(warnings.filters)
        self._settings = [read() for read, _ in _SETTINGS]
        self._variables = [getattr(module, name) for module, name in _VARIABLES]
        self._lists = [(getattr(module, name), list(getattr(module, name))) for module, name in _LISTS]
        self._inherited = _inherited()

    def restore(self) -> bool:
        """Put everything back; say whether that was possible."""
        parts = (
            self._restore_directory,
            self._restore_environment,
            self._restore_streams,
            self._restore_signals,
            self._restore_interpreter,
            self._restore_inherited,
        )
        fit = True
        for part in parts:
            try:
                part()
            except Exception:  # whatever an objective has made of it
                fit = False
        return fit

    def _restore_directory(self) -> None:
        os.umask(self._umask)
        if _directory() != self._directory:
            os.chdir(self._directory)

    def _restore_environment(self) -> None:
        if os.environ != self._environment:
            for name in os.environ.keys() - self._environment.keys():
                del os.environ[name]
            os.environ.update(self._environment)

    def _restore_streams(self) -> None:
        for name, stream in self._streams.items():
            if getattr(sys, name) is not stream:
                _flush(getattr(sys, name))
            _flush(stream)
        for fd, (copy, identity) in enumerate(self._descriptors):
            if _identity(fd) != identity:
                os.dup2(copy, fd)
        for fd, name in enumerate(_STREAMS):
            if _number(self._streams[name]) != fd:  # closed, or without its buffer
                self._streams[name] = _open(fd, self._forms[name])
                setattr(sys, f"__{name}__", self._streams[name])
            setattr(sys, name, self._streams[name])

    def _restore_signals(self) -> None:
        for timer in _TIMERS:
            if signal.getitimer(timer) != (0.0, 0.0):
                signal.setitimer(timer, 0.0)
        for number, handler in self._handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:  # None: not Python's to set
                signal.signal(number, handler)

    def _restore_interpreter(self) -> None:
        if warnings.filters != self._filters:
            warnings.filters[:] = self._filters  # type: ignore[index]
            with warnings.catch_warnings():
                pass  # it notes at its end that the filters are others
        for (read, write), value in zip(_SETTINGS, self._settings, strict=True):
            if read() != value:
                write(value)
        for (module, name), value in zip(_VARIABLES, self._variables, strict=True):
            setattr(module, name, value)
        for (module, name), (value, content) in zip(_LISTS, self._lists, strict=True):
            if value != content:
                value[:] = content
            setattr(module, name, value)

    def _restore_inherited(self) -> None:
        if _inherited() == self._inherited:
            return
        limits, cores, priority, _ = self._inherited
        for limit, value in zip(_LIMITS, limits, strict=True):
            if resource.getrlimit(limit) != value:
                resource.setrlimit(limit, value)
        if cores is not None:
            os.sched_setaffinity(0, cores)
        os.setpriority(os.PRIO_PROCESS, 0, priority)
        if _inherited() != self._inherited:  # another user's by now, say
            raise OSError


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _inherited() -> tuple[Any, ...]:
    """What the kernel keeps of a process and hands on to its children."""
    return (
        [resource.getrlimit(limit) for limit in _LIMITS],
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        os.getpriority(os.PRIO_PROCESS, 0),
        (os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()),
    )


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _form(stream: Any) -> dict[str, Any]:
    return {"encoding": stream.encoding, "errors": stream.errors, "line_buffering": stream.line_buffering}


def _number(stream: Any) -> int:
    try:
        return int(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return -1


def _open(fd: int, form: dict[str, Any]) -> Any:
    """Return a new stream on a descriptor, which it does not close."""
    raw = open(fd, "rb" if fd == 0 else "wb", closefd=False)  # noqa: SIM115 - stays as long as the process
    return io.TextIOWrapper(raw, **form)


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except Exception:
        pass  # the objective closed it, or it is none
