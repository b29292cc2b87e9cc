"""Starts a replication's worker as a child and watches it.

The child gets its own process group, so Ctrl-C in a terminal reaches the parent only, which passes
it on once. Secrets reach the child through its environment and the file, never through arguments.
A child from which nothing is heard for half a minute is frozen: it is killed, another is started.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from engine.control.memory_group import WorkerMemory
from engine.control.reports import REFUSALS, next_line, not_started, outcome_of, reading
from engine.control.restart import Life, Restarts
from engine.errors import Retry
from engine.machine import Clock, Random
from engine.observe.report import LINE_BYTES_MAX, Outcome, parse
from engine.seams import memory_kills

STOP_SECONDS: Final = 9.8
"""How long a signalled worker may take to end before it is killed: the promised 10 s, rounded down.
"""

SILENCE_SECONDS: Final = 25.0
"""Longest time between two lines of a worker, which tells its metrics every second. One whose event
loop is blocked ends by itself at about that time, and says why; one that is frozen does not."""

LAST_SECONDS: Final = 7.0
"""Time for a line after that: a parent that stood still itself finds what was said meanwhile."""

WORKER: Final = (sys.executable, "-m", "engine.worker")
"""The command of a worker, before its arguments."""

MEMORY_FULL: Final = 0.9
"""Part of what is provisioned from which a SIGKILL that nobody sent is taken for the kernel's,
where it does not count its kills."""

KILLS_KEPT: Final = 2
"""Counts of the kernel's kills that are kept, one for each time the worker told its metrics. The
older one counts: the last thing a worker told may be read after its end. Kills before that were
others', of whom a machine or a control group may hold many."""

OUT_OF_MEMORY: Final = Outcome(
    1,
    error="OutOfMemory",
    reason="the system ended the worker for want of memory",
    remedy="give the machine or the container more memory, or lower [capacity] unit_memory",
)

_DURABLE: Final = ("target_rows", "load_rows")
_MOVING: Final = ("source_rows", *_DURABLE)


class View(Protocol):
    """What shows a run to its user."""

    @property
    def takes_log(self) -> bool:
        """Whether the worker's log lines must go through `log_line` (a live display owns the
        terminal); otherwise they go to standard error directly."""
        ...

    def event(self, event: Mapping[str, object]) -> None:
        """Show an event of the worker (`engine/observe/report.py`) or of the supervisor:
        `restarting` {reason, delay_seconds}, `stopping` {}."""
        ...

    def log_line(self, line: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerArguments:
    """What `penstock run` passes on."""

    file: Path
    stop_at: str | None = None
    take_over: bool = False
    state_dir: Path | None = None
    capacity_trace: Path | None = None
    reckoned: str | None = None
    metrics: str | None = None
    log_format: str = "text"

    def words(self) -> list[str]:
        """The arguments as a worker parses them."""
        given = {
            "--stop-at": self.stop_at,
            "--state-dir": self.state_dir,
            "--capacity-trace": self.capacity_trace,
            "--reckoned": self.reckoned,
            "--metrics": self.metrics,
            "--log-format": self.log_format,
        }
        words = [f"{name}={value}" for name, value in given.items() if value is not None]
        return [*words, *(["--take-over"] if self.take_over else []), "--", str(self.file)]


class Supervisor:
    """Runs one replication until it ends for good."""

    def __init__(
        self,
        arguments: WorkerArguments,
        view: View,
        clock: Clock,
        random: Random,
        command: Sequence[str] = WORKER,
        memory_kills: Callable[[], int | None] = memory_kills,
        environment: Mapping[str, str] | None = None,
        held: WorkerMemory | None = None,
        granted: Callable[[], int] | None = None,
        *,
        moved: bool = False,
        forked: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`environment`: the child's; None: this process's. `held`: holds the child's memory to its
        budget, where the kernel does. `granted`: how many units a child may begin with; it asks for
        others by events (`engine/allowance.py`), which `grant` answers. `moved`: the replication is
        known to have moved rows before, so that a server that does not answer is waited for.
        `forked`: told each child's process id before the child can have told anything."""
        self._arguments = arguments
        self._view = view
        self._clock = clock
        self._command = command
        self._environment = environment
        self._restarts = Restarts(clock, random, moved=moved)
        self._stop = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None
        self._moved = self._durable = False
        self._memory_kills = memory_kills
        self._held = held
        self._granted = granted
        self._forked = forked
        self._grants: int | None = None
        self._kills: deque[int | None] = deque(maxlen=KILLS_KEPT)
        self._memory: float | None = None
        """Memory the worker held when it last said so, by what is provisioned."""
        self._out_of_memory = False
        """The system ended the newest worker for want of memory."""
        self._silent = False

    async def run(self) -> Outcome:
        """Start workers until one is done, fails for good, or `stop` is called."""
        while True:
            life = await self._live()
            if self._stop.is_set():
                return Outcome(0)
            if life.outcome is not None and life.outcome.exit == 0:
                return life.outcome
            delay = self._restarts.delay(life)
            if delay is None:
                return life.outcome or self._death()
            self._announce(life, delay)
            if await self._stopped_within(delay):
                return Outcome(0)

    def stop(self) -> None:
        """Ask the worker to drain, and start no other; the outcome is then exit code 0, as a stop
        was what was asked for. Called again, or when it is not gone within `STOP_SECONDS`, the
        worker is killed: nothing durable is lost by that."""
        if self._stop.is_set() and self._child is not None:
            _signal(self._child, signal.SIGKILL)
            return
        self._stop.set()
        self._view.event({"event": "stopping"})

    def grant(self, units: int) -> None:
        """Tell the worker that it may have so many units now."""
        if self._grants is not None:
            with contextlib.suppress(OSError):  # it has ended
                os.write(self._grants, b"%d\n" % units)

    async def _live(self) -> Life:
        """Start one worker and follow it to its end; one that could not be started has one too."""
        began = self._clock.monotonic()
        try:
            outcome = await self._lived()
        except _NotStartedError as error:
            self._child, outcome = None, error.outcome
        return Life(outcome, self._moved, self._clock.monotonic() - began, self._durable)

    async def _lived(self) -> Outcome | None:
        """What it told at its end, or its end tells. Raises _NotStartedError."""
        self._moved = self._durable = self._silent = False
        self._kills.clear()
        self._kills.append(self._memory_kills())
        with self._holding(), self._granting() as (words, descriptors):
            async with self._started(words, descriptors) as reports:
                outcome = await self._follow(reports)
            code = self._child.returncode if self._child is not None else None
            killed = code == -signal.SIGKILL and not self._silent
            self._out_of_memory = killed and self._killed_for_memory()
        if self._silent:
            return SILENT
        if outcome is None and code in (0, 2):  # it ended on purpose, before it could report
            return Outcome(0) if code == 0 else _crash(self._child)
        return outcome

    def _killed_for_memory(self) -> bool:
        """Whether a SIGKILL was the kernel's, which had no memory left: as it counts them, or where
        it does not say, by what the worker held."""
        if self._stop.is_set():
            return False
        if self._held is not None and (kills := self._held.kills()) is not None:
            return kills > 0
        before, after = self._kills[0], self._memory_kills()
        if before is None or after is None:
            return self._memory is not None and self._memory >= MEMORY_FULL
        return after > before

    @contextlib.asynccontextmanager
    async def _started(
        self, words: Sequence[str], descriptors: Sequence[int]
    ) -> AsyncIterator[asyncio.StreamReader]:
        with _starting():
            read_end, write_end = os.pipe()
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                f"--report={write_end}",
                f"--parent={os.getpid()}",
                *(["--out-of-memory"] if self._out_of_memory else []),
                *words,
                *self._arguments.words(),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE if self._view.takes_log else None,
                pass_fds=(write_end, *descriptors),
                process_group=0,
                limit=LINE_BYTES_MAX,
                env=self._environment,
            )
        except REFUSALS as error:
            os.close(read_end)  # one that runs unwatched ends when it finds that
            raise _NotStartedError(error) from error
        finally:
            os.close(write_end)
        self._child = child
        self._forked(child.pid)
        if self._held is not None:
            self._held.take(child.pid)
        async with asyncio.TaskGroup() as tasks, reading(read_end) as reports:
            if child.stderr is not None:
                tasks.create_task(self._pass_log(child.stderr), name="log")
            watch = tasks.create_task(self._stop_child(child), name="stop child")
            try:
                yield reports
                await child.wait()
            finally:
                watch.cancel()
                if child.returncode is None:
                    child.kill()

    async def _follow(self, reports: asyncio.StreamReader) -> Outcome | None:
        """Take events until the worker closes its end of the pipe, which its death does too.

        Gives the outcome it told, None when it told none.
        """
        outcome = None
        while line := await self._heard(reports):
            event = parse(line)
            if event is None:
                continue
            if event["event"] == "outcome":
                outcome = outcome_of(event)
            else:
                self._moved = self._moved or _shows_motion(event)
                self._durable = self._durable or _shows_rows(event)
                self._take_memory(event)
                self._take_size(event)
                self._view.event(event)
        return outcome

    def _take_size(self, event: Mapping[str, object]) -> None:
        told = {"metrics": "units", "capacity": "units_to"}.get(str(event["event"]))
        units = event.get(told) if told is not None else None
        if self._held is not None and isinstance(units, int):
            self._held.resize(units)

    @contextlib.contextmanager
    def _granting(self) -> Iterator[tuple[list[str], tuple[int, ...]]]:
        """A pipe for grants, and what a worker is told of it."""
        if self._granted is None:
            yield [], ()
            return
        with _starting():
            read_end, self._grants = os.pipe()
        os.set_blocking(self._grants, False)
        try:
            yield [f"--granted={self._granted()}", f"--grants={read_end}"], (read_end,)
        finally:
            for descriptor in (read_end, self._grants):
                os.close(descriptor)
            self._grants = None

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        """A group for the worker's memory, where there may be one."""
        if self._held is None:
            yield
            return
        self._held.begin()
        try:
            yield
        finally:
            self._held.end()

    def _take_memory(self, event: Mapping[str, object]) -> None:
        if event["event"] == "metrics":
            memory = event.get("memory")
            self._memory = memory if isinstance(memory, float) else None
            self._kills.append(self._memory_kills())

    async def _heard(self, reports: asyncio.StreamReader) -> bytes:
        """The worker's next line. One that says nothing for too long is killed."""
        reading = asyncio.create_task(next_line(reports), name="report")
        try:
            for seconds in (SILENCE_SECONDS, LAST_SECONDS):
                done, _ = await asyncio.wait((reading,), timeout=seconds)
                if done:
                    return await reading
            if self._child is not None:
                self._silent = True
                _signal(self._child, signal.SIGKILL)
            return await reading
        finally:
            reading.cancel()

    async def _pass_log(self, stream: asyncio.StreamReader) -> None:
        while line := await next_line(stream):
            self._view.log_line(line.decode(errors="replace").rstrip("\n"))

    async def _stop_child(self, child: asyncio.subprocess.Process) -> None:
        await self._stop.wait()
        _signal(child, signal.SIGTERM)
        await asyncio.sleep(STOP_SECONDS)
        _signal(child, signal.SIGKILL)

    def _death(self) -> Outcome:
        """The outcome of the newest worker, which told none."""
        return OUT_OF_MEMORY if self._out_of_memory else _crash(self._child)

    def _announce(self, life: Life, delay: float) -> None:
        outcome = life.outcome or self._death()
        facts = {"reason": outcome.reason, "delay_seconds": round(delay, 1)}
        self._view.event({"event": "restarting", **facts})

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self._stop.is_set()


class _NotStartedError(Exception):
    """No process could be made."""

    def __init__(self, error: OSError | RuntimeError) -> None:
        super().__init__(str(error))
        self.outcome = not_started(error)


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """What the machine refuses as what it is: no start."""
    try:
        yield
    except OSError as error:
        raise _NotStartedError(error) from error


@contextlib.contextmanager
def stopped_by_signals(supervisor: Supervisor) -> Iterator[None]:
    """Within it, SIGTERM, SIGINT and SIGHUP to this process are `Supervisor.stop`."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, supervisor.stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _shows_rows(event: Mapping[str, object]) -> bool:
    return event["event"] == "metrics" and any(event.get(name) for name in _DURABLE)


def _shows_motion(event: Mapping[str, object]) -> bool:
    """That it loads shows none: a worker may say so and fail before its first row. That it streams
    does: the source has answered. Metrics come once a second, later than a short life."""
    if event["event"] == "metrics":
        return any(event.get(name) for name in _MOVING)
    streams = event["event"] == "state" and event.get("state") == "streaming"
    return streams or event["event"] == "caught-up"


SILENT: Final = Outcome(
    1,
    retry=Retry.RESTART.value,
    error="WorkerSilent",
    reason=f"the worker said nothing for {SILENCE_SECONDS + LAST_SECONDS:.0f} s and was killed",
    remedy="it was frozen (SIGSTOP, a debugger, a machine short of memory): a new one goes on from"
    " what is durable",
)


def _crash(child: asyncio.subprocess.Process | None) -> Outcome:
    """The outcome of a worker that ended without telling one."""
    code = child.returncode if child is not None else None
    if code is not None and code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    else:
        how = f"ended with exit code {code} without saying why"
    remedy = (
        "see the log lines above; SIGKILL that nobody sent means that the system ran out of memory:"
        " give the machine or the container more, or lower [capacity] unit_memory"
    )
    return Outcome(
        2 if code == 2 else 1, error="WorkerDied", reason=f"the worker {how}", remedy=remedy
    )


def _signal(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(number)
