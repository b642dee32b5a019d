"""An asyncio event loop in virtual time, driven by a seed.

Theory
------
Asyncio code sees the outside world through its loop: the clock, timers, executors and sockets. Replace the
loop, and a program of many concurrent tasks becomes a deterministic function of one integer:

time      Virtual. It stands still while callbacks run and jumps to the next timer when none is ready, so a
          minute costs what its callbacks cost.
order     Callbacks that are ready at the same instant run in an order drawn from the seed. A real loop keeps
          the order of ``call_soon``; code that is correct only by grace of that order is found out here.
executor  ``run_in_executor`` and ``asyncio.to_thread`` run the function inline, after a virtual delay: drawn
          from the seed, or what the function is said to take.
identity  Tasks and futures hash by creation number, not by memory address, so that the sets of them which
          ``asyncio.TaskGroup`` and ``asyncio.wait`` iterate over have the same order in every run.
world     Sockets, pipes, subprocesses and other threads are refused: they would bring in real time.

Same seed, same run. What can still break that is in the code under test: reading a real clock, the global
random state, or iterating over a set of strings, whose order Python randomises per process.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import threading
from collections import Counter
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from contextvars import Context

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Returns the virtual seconds that a function called with these arguments takes in an executor; None: drawn as usual.
ExecutorSeconds = Callable[[Callable[..., Any], tuple[Any, ...]], float | None]


class SimError(Exception):
    """A simulated run cannot go on."""


class SimDeadlock(SimError):
    """Nothing is ready, no timer is set, and what the run waits for is not done."""


class SimTimeout(SimError):
    """The virtual time limit was reached."""


class SimLivelock(SimError):
    """The limit of callbacks was reached."""


class RealWorldError(SimError):
    """Code under simulation reached for a socket, a pipe, a subprocess or another thread."""


class SimFuture(asyncio.Future[Any]):
    """A future whose hash is its creation number."""

    number: int = 0

    def __hash__(self) -> int:
        return self.number


class SimTask(asyncio.Task[Any]):
    """A task whose hash is its creation number."""

    number: int = 0

    def __hash__(self) -> int:
        return self.number


def _where(task: asyncio.Task[Any]) -> str:
    """Say where a suspended task waits: the innermost line that is not asyncio's, and what it called."""
    frames = []
    inner: Any = task.get_coro()
    while isinstance(inner, CoroutineType):
        if inner.cr_frame is not None:
            frames.append(inner.cr_frame)
        inner = inner.cr_await
    if not frames:
        return task.get_name()
    ours = [frame for frame in frames if frame.f_globals.get("__package__") != "asyncio"] or frames
    name, line, call = frames[0].f_code.co_qualname, ours[-1], frames[-1].f_code.co_qualname
    return f"{task.get_name()}: {name}, at {line.f_code.co_filename}:{line.f_lineno} in {call}"


class _Delivery:
    """A call that is due; it has what :class:`SimLoop` asks of a handle."""

    __slots__ = ("_scheduled", "_take", "_what")
    _cancelled = False

    def __init__(self, take: Callable[[Any], object], what: Any) -> None:
        self._take = take
        self._what = what

    def _run(self) -> None:
        self._take(self._what)


class SimLoop(asyncio.BaseEventLoop):
    """Run asyncio code in virtual time.

    Args:
        seed: decides the order of simultaneous callbacks and the delays of executors.
        executor_delay: lowest and highest virtual duration of a function run in an executor, in seconds.
        executor_seconds: says what certain functions take instead, such as the fit of a model.
        max_callbacks: :class:`SimLivelock` is raised after that many; a 64-worker minute takes some 10**6.

    ``loop.deadline`` is the virtual time at which :class:`SimTimeout` is raised, infinite unless set.
    ``loop.callbacks`` counts callbacks run. An exception that escapes a callback ends the run: where a real
    loop logs it and goes on, a test wants to hear.
    """

    _stopping: bool  # BaseEventLoop's, which typeshed leaves out

    def __init__(
        self,
        seed: int = 0,
        *,
        executor_delay: tuple[float, float] = (0.0, 0.01),
        executor_seconds: ExecutorSeconds = lambda function, arguments: None,
        max_callbacks: int = 20_000_000,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.deadline = float("inf")
        self.callbacks = 0
        self._executor_delay = executor_delay
        self._executor_seconds = executor_seconds
        self._max_callbacks = max_callbacks
        # Two streams, so that a further executor call does not change the order of everything else.
        self._order = random.Random(f"{seed}:order").random
        self._delays = random.Random(f"{seed}:executor")
        self._now = 0.0
        self._queue: list[asyncio.Handle | _Delivery] = []
        # Tuples compare in C; handles would compare in Python.
        self._timers: list[tuple[float, int, asyncio.TimerHandle | _Delivery]] = []
        self._cancelled_timers = 0
        self._numbers = 0
        self._owner = threading.get_ident()
        self._failure: BaseException | None = None

    def __repr__(self) -> str:
        state = "closed" if self.is_closed() else "running" if self.is_running() else "idle"
        return f"<SimLoop seed={self.seed} {state} at {self._now:.3f} s, {self.callbacks} callbacks>"

    # ------------------------------------------------------------------------------- time and callbacks
    def time(self) -> float:
        """Return the virtual time, in seconds since the loop was made."""
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run ``callback`` at this instant, before or after whatever else is ready."""
        self._refuse_if_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._queue.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Do as :meth:`call_soon`; refuse a call from another thread."""
        if threading.get_ident() != self._owner:
            raise RealWorldError(f"a real thread called into {self!r}; use executors, which it simulates")
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run ``callback`` in ``delay`` virtual seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run ``callback`` at the virtual time ``when``."""
        self._refuse_if_closed()
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        # Private, but what makes a handle report its cancellation to the loop.
        timer._scheduled = True  # type: ignore[attr-defined]  # typeshed leaves it out
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, timer))
        return timer

    def deliver_at(self, when: float, take: Callable[[T], object], what: T) -> None:
        """Call ``take(what)`` at ``when``, for certain: a timer that cannot be cancelled, at a third of the cost."""
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, _Delivery(take, what)))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        # Timeouts that were not needed would otherwise pile up in the heap until their time comes.
        self._cancelled_timers += 1
        if self._cancelled_timers > 1000 and self._cancelled_timers > len(self._timers) // 2:
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled_timers = 0

    def _refuse_if_closed(self) -> None:
        if self.is_closed():
            raise RuntimeError("the event loop is closed")

    def _run_once(self) -> None:
        """Run what is ready at this instant; if nothing is, go to the next timer first."""
        if not self._queue:
            self._jump()
        batch, self._queue = self._queue, []
        if len(batch) > 1:
            draw = self._order
            batch.sort(key=lambda _: draw())  # a fifth of the cost of random.shuffle
        for handle in batch:
            if not handle._cancelled:
                handle._run()
        self.callbacks += len(batch)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self.callbacks > self._max_callbacks:
            raise SimLivelock(f"no end after {self.callbacks} callbacks, {self._status()}; {self._ready_names()}")

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._cancelled_timers -= 1
        if self._stopping:
            return
        if not timers:
            raise SimDeadlock(f"nothing is ready and no timer is set, {self._status()}")
        when = timers[0][0]
        if when > self.deadline:
            self._now = self.deadline
            raise SimTimeout(f"the time limit was reached, {self._status()}")
        self._now = max(when, self._now)
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # type: ignore[union-attr]  # as above
            if timer._cancelled:
                self._cancelled_timers -= 1
            else:
                self._queue.append(timer)

    # ------------------------------------------------------------------------------------ what went wrong
    def tasks(self) -> list[asyncio.Task[Any]]:
        """Return the unfinished tasks, in order of creation."""
        return sorted(asyncio.all_tasks(self), key=hash)

    def _status(self) -> str:
        waiting = "".join(f"\n  {_where(task)}" for task in self.tasks())
        return f"seed {self.seed}, virtual time {self._now:.6f} s; tasks waiting:{waiting or ' none'}"

    def _ready_names(self) -> str:
        common = Counter(map(repr, self._queue)).most_common(3)
        return "ready: " + "; ".join(f"{n} x {handle}" for handle, n in common)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """End the run with an exception that escaped a callback; report anything else as usual."""
        error = context.get("exception")
        if "handle" in context and isinstance(error, BaseException):
            self._failure = self._failure or error
        else:
            super().call_exception_handler(context)

    # ------------------------------------------------------------------------------ tasks and executors
    def create_future(self) -> asyncio.Future[Any]:
        """Make a future with a reproducible hash."""
        future = SimFuture(loop=self)
        self._numbers += 1
        future.number = self._numbers
        return future

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        """Make a task with a reproducible hash and, unless given, a reproducible name."""
        self._refuse_if_closed()
        self._numbers += 1
        label = f"task-{self._numbers}" if name is None else str(name)
        task = SimTask(coro, loop=self, name=label, context=context, **options)
        task.number = self._numbers
        return task

    def run_in_executor(  # type: ignore[override]  # typeshed spells the variadic arguments with TypeVarTuple
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run ``func(*args)`` inline after a virtual delay, unless the future is cancelled before."""
        self._refuse_if_closed()
        future = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        seconds = self._executor_seconds(func, args)
        self.call_later(self._delays.uniform(*self._executor_delay) if seconds is None else seconds, work)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Do nothing: there are no threads."""

    # ------------------------------------------------------------------------------------ the real world
    def _refuse(self, what: str) -> NoReturn:
        raise RealWorldError(f"{what} under simulation: real I/O has no virtual time; use SimNetwork")

    def _process_events(self, event_list: Any) -> None:
        self._refuse("waiting for I/O")

    def _write_to_self(self) -> None:
        """Nothing sleeps in a selector, so nothing needs waking."""


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(self: SimLoop, *args: Any, **options: Any) -> NoReturn:
        self._refuse(name)

    return refuse


_WORLD = "add_reader add_writer remove_reader remove_writer sock_ subprocess_ connect_ start_tls sendfile "
_WORLD += "create_connection create_server create_unix create_datagram getaddrinfo getnameinfo"
for _name in dir(asyncio.AbstractEventLoop):
    if _name.startswith(tuple(_WORLD.split())):
        setattr(SimLoop, _name, _refusal(_name))


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    seed: int = 0,
    timeout: float = 3600.0,
    executor_delay: tuple[float, float] = (0.0, 0.01),
    executor_seconds: ExecutorSeconds = lambda function, arguments: None,
    max_callbacks: int = 20_000_000,
) -> T:
    """Run ``main()`` on a new :class:`SimLoop` and return its result, or raise what it raised.

    Args:
        main: called without arguments, on the loop (``asyncio.get_running_loop()`` works in it once awaited).
        seed: the same seed gives the same run.
        timeout: virtual seconds after which :class:`SimTimeout` is raised.

    Tasks that are left over are cancelled, in order of creation.
    """
    loop = SimLoop(seed, executor_delay=executor_delay, executor_seconds=executor_seconds, max_callbacks=max_callbacks)
    loop.deadline = timeout
    try:
        return loop.run_until_complete(main())
    finally:
        _wind_down(loop)


def _wind_down(loop: SimLoop) -> None:
    """Cancel what is left and close the loop. A clean-up that hangs is given up: the run has its outcome."""
    loop.deadline = loop.time() + 60.0
    loop._max_callbacks = loop.callbacks + 1_000_000
    left = loop.tasks()
    for task in left:
        task.cancel()
    try:
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
    except SimError:
        pass
    for task in left:
        if task.done() and not task.cancelled():
            task.exception()  # retrieved, so that it is not logged: the run's own outcome is what counts
        elif not task.done():
            task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
