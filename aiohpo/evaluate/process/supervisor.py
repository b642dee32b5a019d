"""The small process between a worker and a program, which ends everything that the program has started.

``python -I -S supervisor.py CONTROL CLOSE SIGNALS PROGRAM ARGUMENT …`` runs the program and waits. It ends the program
and all its descendants when it is told to, when the worker is gone (however that ended), and when the program itself
has ended.

Killing the program's process group would not do: torchrun, Ray and many launchers start sessions of their own. On Linux
this process is a *subreaper* (prctl(2)): a descendant whose parent ends becomes its child and not init's. So whatever
the program leaves behind, in whatever session and with whatever environment, is found among its descendants. Elsewhere,
and where that is refused, descendants are recognised by :data:`MARK` in the environment that they inherited.

CONTROL is the number of a socket to the worker, CLOSE those of descriptors that only the program needs, SIGNALS those
of signals that are not to end or stop this process; with commas. What is said on the socket, each a line::

    <- terminate          signal SIGTERM to the program's process group
    <- end                end everything (as when the worker's end is closed)
    -> started PID        the program runs
    -> refused ERRNO      it could not be started
    -> ended CODE         it and all its descendants are gone; the code is negative for a signal

This file runs by itself, without the packages of the environment, so that it costs little: 10 MB, of which most are
shared with other interpreters, and 20 ms.
"""

import os
import select
import signal
import sys
import time

MARK = "_AIOHPO_PROGRAM"  # its value differs from program to program
_LOOK = 1.0  # seconds between looks whether the worker is there, should others hold its end of the socket
_END_WITHIN = 60.0  # seconds after which what cannot be killed, being stuck in the kernel, is left
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, argument: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(option, argument, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


class Supervisor:
    """Starts ``command``, and ends it and its descendants."""

    def __init__(self, control: int, close: list[int], signals: list[int], command: list[str]) -> None:
        self._control = control
        self._worker = os.getppid()
        self._mark = f"{MARK}={os.environ[MARK]}" if MARK in os.environ else ""
        self._finds_all = _prctl(_PR_SET_CHILD_SUBREAPER, 1) and os.path.exists("/proc/self/stat")
        self._code: int | None = None
        self._hung_up = False
        signal.signal(signal.SIGCHLD, _do_nothing)
        me = os.getpid()
        reading, writing = os.pipe()  # closed by the exec, or by an error that is written to it
        try:
            self._program = os.fork()
        except OSError as error:
            self._refuse(error.errno)
        if self._program == 0:
            self._become(command, me, writing)
        os.close(writing)
        if trouble := os.read(reading, 16):
            self._refuse(int(trouble))
        os.close(reading)
        self._say(f"started {self._program}")
        # Handlers only from here on, as the program is to inherit what this process did. A signal to a whole
        # job, as schedulers do, means the worker and the program; this process sees the end of both.
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._woken = reading
        for number in signals:
            signal.signal(number, _do_nothing)
        # The program's own end of its pipes is to be the only one; and nothing is to hold its directory.
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        for fd in (nothing, *close):
            os.close(fd)
        os.chdir("/")

    def _refuse(self, number: int | None) -> None:
        self._say(f"refused {number}")
        raise SystemExit(1)

    def _become(self, command: list[str], supervisor: int, trouble: int) -> None:
        """Be the program, in the forked process."""
        try:
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(1)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(command[0], command, os.environ)
        except OSError as error:
            os.write(trouble, str(error.errno).encode())
        finally:
            os._exit(127)

    def _say(self, line: str) -> None:
        try:
            os.write(self._control, f"{line}\n".encode())
        except OSError:
            pass  # the worker is gone, which is noticed elsewhere

    def serve(self) -> None:
        """Wait until everything is to end, and end it."""
        poller = select.poll()  # select() takes no descriptors above 1,023
        poller.register(self._control, select.POLLIN)
        poller.register(self._woken, select.POLLIN)
        while not self._reap():
            ready = [fd for fd, _ in poller.poll(1000 * _LOOK)]
            if self._woken in ready:
                os.read(self._woken, 1 << 12)
            if self._control in ready:
                try:
                    said = os.read(self._control, 1 << 12)
                except OSError:
                    said = b""
                if b"terminate" in said:
                    _terminate_group(self._program)
                self._hung_up = not said
                if self._hung_up or b"end" in said:
                    break
            if os.getppid() != self._worker:
                break
        self._end()
        if self._code is not None:
            self._say(f"ended {self._code}")
        if self._outlives_worker():
            _sweep()

    def _outlives_worker(self) -> bool:
        """Say whether the worker has ended. Its end of the socket is closed a moment before it is gone altogether."""
        deadline = time.monotonic() + _LOOK
        while self._hung_up and os.getppid() == self._worker and time.monotonic() < deadline:
            time.sleep(0.01)
        return os.getppid() != self._worker

    def _reap(self) -> bool:
        """Bury what has died; say whether the program has."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self._program:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def _end(self) -> None:
        pause, deadline = 0.001, time.monotonic() + _END_WITHIN
        while time.monotonic() < deadline:
            # The program first: it is not to see its children end, and to tell of that.
            doomed = sorted(self._descendants(), key=lambda pid: pid != self._program)
            killed = [pid for pid in doomed if _kill(pid)]
            if self._reap() and not killed:
                return
            time.sleep(pause)
            pause = min(2 * pause, 0.05)

    def _descendants(self) -> set[int]:
        """The processes that the program left or is."""
        found = {self._program} if self._code is None else set()
        if self._finds_all:
            found |= _tree(os.getpid(), _parents())
        elif self._mark:
            found |= _marked(self._mark)
        return found - {os.getpid()}


def _sweep() -> None:
    """Remove the scratch directory of the worker, which was killed if it is gone before this process.

    It is the file of :func:`aiohpo.storage.scratch.sweep` that is run: the package cannot be imported here.
    """
    import runpy

    runpy.run_path(os.path.join(os.path.dirname(__file__), "..", "..", "storage", "scratch.py"))["sweep"]()


def _kill(pid: int) -> bool:
    """Kill a process; say whether there was anything to kill."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # not permitted: of another user, by sudo
        return False
    return True


def _terminate_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        pass  # it is just ending


def _do_nothing(number: int, frame: object) -> None:
    pass


def _parents() -> dict[int, int]:
    """The parent of each process of this machine that lives, from ``/proc``."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # it has just gone
            if fields[0] not in (b"Z", b"X"):
                parents[int(name)] = int(fields[1])
            else:
                parents[int(name)] = -1
    return parents


def _tree(root: int, parents: dict[int, int]) -> set[int]:
    """All descendants of ``root``."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    left = [root]
    while left:
        new = children.get(left.pop(), [])
        found.update(new)
        left += new
    return found


def _marked(mark: str) -> set[int]:
    """This user's processes that have ``mark`` in their environment."""
    import subprocess  # costs more than all else here, and is rarely needed

    # -E shows environments on macOS and the BSDs; the e of Linux does the same.
    options = ["-axeww"] if sys.platform == "linux" else ["-axEww"]
    try:
        text = subprocess.run(["ps", *options, "-o", "pid=,command="], capture_output=True, check=False).stdout
    except OSError:
        return set()
    return find_marked(mark, text.decode("utf-8", "replace"))


def find_marked(mark: str, listing: str) -> set[int]:
    """The processes of a listing, each a line that begins with its number, that have the word ``mark``."""
    lines = (line.split() for line in listing.splitlines())
    return {int(words[0]) for words in lines if words and words[0].isdigit() and mark in words}


def main(arguments: list[str]) -> None:
    """Run as the command line says."""
    control = int(arguments[0])
    os.set_inheritable(control, False)
    close, signals = ([int(number) for number in words.split(",") if number] for words in arguments[1:3])
    Supervisor(control, close, signals, arguments[3:]).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
