"""A deterministic asyncio loop on virtual time.

Time stands still while anything is ready and jumps to the next timer otherwise. Callbacks run in
asyncio's own order, first in first out; timers of one moment in the order they were set. There is
no selector, no thread, no signal: the same program gives the same trace, byte for byte, in every
process, whatever PYTHONHASHSEED is. Chance enters only where a seam draws it from a seed.

The loop holds several *processes*: a task started by `spawn` and all that grows from it (asyncio
copies the context, and the context says which process it is). A process can be killed: nothing of
it runs any more, not even `finally`, and everything it held stays referenced. It can be stopped and
continued, as by SIGSTOP and SIGCONT. Servers are a process of their own and live on.
"""

import asyncio
import heapq
import weakref
from asyncio.events import Handle, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, NoReturn, Self

STEPS_MAX: Final = 5_000_000
"""Callbacks after which a run is taken for one that never ends."""

TIME_MAX_SECONDS: Final = 7 * 86_400.0
"""Virtual seconds after which a run is taken for one that waits forever, timer by timer."""

DISCARD_ROUNDS: Final = 1_000
"""How often a dead coroutine is closed again that awaits something while it closes."""


class DeadlockError(Exception):
    """Nothing is ready and no timer is set, but the run is not over."""


class RunawayError(Exception):
    """A run passed its limit of steps or of virtual time."""


class Process:
    """A group of tasks that live and die together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        self.steps = 0
        self.held: list[Handle] = []

    def __repr__(self) -> str:
        return f"<process {self.name} {self.steps} steps>"


_PROCESS: Final[ContextVar[Process | None]] = ContextVar("process", default=None)


def current_process() -> Process | None:
    """Who runs now; None: the world."""
    return _PROCESS.get()


class SimulatedTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where it lies in memory."""

    number: int
    process: Process | None

    def __new__(cls, *arguments: Any, number: int, **named: Any) -> Self:
        task = super().__new__(cls, *arguments, **named)
        task.number = number
        return task

    def __init__(self, *arguments: Any, number: int, **named: Any) -> None:
        super().__init__(*arguments, **named)

    def __hash__(self) -> int:
        return self.number


class SimulatedFuture(asyncio.Future[Any]):
    """A future whose place in a set does not depend on where it lies in memory."""

    number: int

    def __new__(cls, *arguments: Any, number: int, **named: Any) -> Self:
        future = super().__new__(cls, *arguments, **named)
        future.number = number
        return future

    def __init__(self, *arguments: Any, number: int, **named: Any) -> None:
        super().__init__(*arguments, **named)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module. `before_step(process)` is called ahead of every callback of a process."""

    _ready: deque[Handle]
    _stopping: bool
    _asyncgens: "weakref.WeakSet[Any]"

    def __init__(self, *, traced: bool = False) -> None:
        super().__init__()
        self.steps = 0
        self.trace: list[str] | None = [] if traced else None
        self.before_step: Callable[[Process], None] | None = None
        self.failures: list[dict[str, Any]] = []
        self._now = 0.0
        self._timers: list[tuple[float, int, TimerHandle]] = []
        self._sequence = 0
        self._numbers = 0
        self._tasks: list[SimulatedTask] = []
        self._graveyard: list[object] = []
        self._discarding = False
        self._forked = False
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    # --- processes ----------------------------------------------------------------------------

    def spawn(
        self, name: str, work: Coroutine[Any, Any, Any]
    ) -> tuple[Process, "asyncio.Task[Any]"]:
        """Start a process; its first task runs `work`."""
        process = Process(name)
        with self.inside(process):
            task = self.create_task(work, name=name, context=copy_context())
        return process, task

    @contextmanager
    def inside(self, process: Process | None) -> Iterator[None]:
        """What is started in here belongs to this process (None: to the world)."""
        token = _PROCESS.set(process)
        try:
            yield
        finally:
            _PROCESS.reset(token)

    def kill(self, process: Process) -> None:
        """Nothing of it runs any more. Cut its connections first: its seams must be dead."""
        process.alive = False
        self._graveyard.extend(process.held)
        process.held.clear()

    def stop_process(self, process: Process) -> None:
        """Freeze it; what becomes ready for it is kept."""
        process.stopped = True

    def continue_process(self, process: Process) -> None:
        process.stopped = False
        self._ready.extend(process.held)
        process.held.clear()

    def note(self, text: str) -> None:
        """A line in the trace."""
        if self.trace is not None:
            self.trace.append(f"{self._now:.6f} {text}")

    # --- asyncio's side -----------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def create_future(self) -> "asyncio.Future[Any]":
        self._numbers += 1
        return SimulatedFuture(loop=self, number=self._numbers)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> "asyncio.Task[Any]":
        self._numbers += 1
        number = self._numbers
        text = str(name) if name is not None else f"task-{number}"
        task = SimulatedTask(coro, loop=self, name=text, context=context, number=number)
        task.process = _PROCESS.get() if context is None else context.get(_PROCESS)
        self._tasks.append(task)
        return task

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> TimerHandle:
        timer = TimerHandle(when, callback, args, self, context)
        timer._scheduled = True  # type: ignore[attr-defined]
        self._sequence += 1
        if not self._discarding:
            heapq.heappush(self._timers, (when, self._sequence, timer))
        return timer

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """It stays in the heap and is passed over."""

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, self, context)
        if not self._discarding:
            self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Run it here and now: blocking work takes no virtual time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (it is handed on)
            future.set_exception(error)
        return future

    def add_reader(self, *_: object) -> NoReturn:
        raise RuntimeError("no sockets in a simulation")

    add_writer = add_reader  # type: ignore[assignment]
    add_signal_handler = add_reader  # type: ignore[assignment]

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """A generator dropped by the living is closed; one dropped with the dead stays as it is."""
        self._asyncgens.discard(agen)
        process = _PROCESS.get()
        if not self._discarding and (process is None or process.alive):
            self.create_task(agen.aclose(), name="close generator")
        else:
            self._graveyard.append(agen)

    def _run_once(self) -> None:
        self._wake_timers()
        if not self._ready and not self._stopping:
            self._jump()
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle._cancelled:
                self._step(handle)

    def _step(self, handle: Handle) -> None:
        process: Process | None = handle._context.get(_PROCESS)  # type: ignore[attr-defined]
        if process is not None:
            if not self._may_run(process, handle):
                return
            process.steps += 1
        self.steps += 1
        if self.steps > STEPS_MAX:
            raise RunawayError(f"{STEPS_MAX} steps:\n{self.describe_tasks()}")
        handle._run()

    def _may_run(self, process: Process, handle: Handle) -> bool:
        if process.alive and not process.stopped and self.before_step is not None:
            self.before_step(process)
        if not process.alive:
            self._graveyard.append(handle)
        elif process.stopped:
            process.held.append(handle)
        return process.alive and not process.stopped

    def _wake_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            timer = heapq.heappop(self._timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]
            self._ready.append(timer)

    def _jump(self) -> None:
        while self._timers and (self._timers[0][2]._cancelled or self._is_dead(self._timers[0][2])):
            self._graveyard.append(heapq.heappop(self._timers)[2])
        if not self._timers:
            raise DeadlockError(f"nothing can happen any more:\n{self.describe_tasks()}")
        self._now = self._timers[0][0]
        if self._now > TIME_MAX_SECONDS:
            raise RunawayError(f"{TIME_MAX_SECONDS} virtual seconds:\n{self.describe_tasks()}")
        self._wake_timers()

    @staticmethod
    def _is_dead(handle: Handle) -> bool:
        process: Process | None = handle._context.get(_PROCESS)  # type: ignore[attr-defined]
        return process is not None and not process.alive

    # --- the end ------------------------------------------------------------------------------

    def describe_tasks(self) -> str:
        """One line per unfinished task of the living, with where it stands."""
        lines: list[str] = []
        for task in self._living():
            frame = task.get_stack(limit=1)
            place = f"{frame[-1].f_code.co_qualname}:{frame[-1].f_lineno}" if frame else "?"
            lines.append(f"  {task.get_name()} in {place}")
        return "\n".join(lines)

    def _living(self) -> list[SimulatedTask]:
        return [
            task
            for task in self._tasks
            if not task.done() and (task.process is None or task.process.alive)
        ]

    def raise_failures(self) -> None:
        """Raise what a task raised and nobody looked at."""
        for context in self.failures:
            raise context.get("exception") or RuntimeError(str(context["message"]))
        for task in self._tasks:
            if task.process is not None and not task.process.alive:
                continue
            if task.done() and not task.cancelled() and task._log_traceback:
                task._log_traceback = False
                error = task.exception()
                assert error is not None
                raise error

    def forget(self) -> None:
        """Let go of what has ended and has nothing to tell, for runs of days; the dead stay."""
        self._tasks = [t for t in self._tasks if not t.done() or t._log_traceback]
        self._graveyard = [thing for thing in self._graveyard if not _is_over(thing)]

    def forked(self) -> None:
        """Go on in a copy of this (operating system) process, which will end by `os._exit`."""
        asyncio._set_running_loop(self)
        self._forked = True

    def discard(self) -> None:
        """Close the loop. Dead coroutines end now, on dead seams, and whatever they raise or start
        is of no consequence."""
        if self._forked:
            return
        self._discarding = True
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            if not task.done():
                _close(task.get_coro())
        self._ready.clear()
        self._timers.clear()
        self.close()


def _is_over(thing: object) -> bool:
    """A timer that was cancelled will never do anything."""
    return isinstance(thing, TimerHandle) and thing.cancelled()


class _DiscardedError(BaseException):
    """Ends a dead coroutine. `close` would not do: an inner coroutine that awaits while it closes
    makes the outer ones leave it behind."""


def _close(coroutine: Any) -> None:
    for _ in range(DISCARD_ROUNDS):
        try:
            coroutine.throw(_DiscardedError())
        except BaseException:  # noqa: BLE001 (of the dead)
            return


def run(work: Callable[[SimulatedLoop], Coroutine[Any, Any, Any]], *, traced: bool = False) -> Any:
    """Run `work` on a fresh loop to its end; raise also what failed beside it."""
    loop = SimulatedLoop(traced=traced)
    try:
        result = loop.run_until_complete(work(loop))
        loop.raise_failures()
        return result
    finally:
        loop.discard()
