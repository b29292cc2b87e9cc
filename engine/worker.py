"""The process of one replication: `python -m engine.worker FILE [options]`.

It composes what the pipeline is given (configuration, source, target, seams, metrics, log), runs
it on one event loop, and turns its end into an exit code. `penstock run` starts it as a child and
watches it (`engine/control/supervisor.py`); it runs alone just as well.

Signals: the first SIGTERM or SIGINT drains for at most `DRAIN_SECONDS` and the exit code is 0, also
when that cut the work short: what was not committed is read again by the next start. A second
signal ends the process at once. The parent's death kills it, so that a new start finds no old
worker in its way.

Imports stay light: no command line or terminal library, no driver before a connector needs it.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from engine import addresses
from engine.allowance import Allowance, Granted
from engine.contracts import SnapshotSource, Source, Target, TransactionalTarget
from engine.errors import ConfigError, InvariantError, PenstockError, Retry
from engine.failpoint import arm
from engine.leaving import leave
from engine.machine import Clock, Disk, Meter, Random
from engine.observe.health import Health, Verdict
from engine.observe.http import Address, Answer, Paths, serving
from engine.observe.lag import Unmeasured
from engine.observe.log import Log
from engine.observe.metrics import Metrics
from engine.observe.places import error_places
from engine.observe.report import Outcome, ReportPipe, leading
from engine.observe.watchdog import BLOCKED_SECONDS_MAX, Watchdog
from engine.observe.writer import FORMATS, start_writing
from engine.parent import die_with
from engine.version import VERSION

if TYPE_CHECKING:
    from engine.config.replication import ReplicationConfig

DRAIN_SECONDS: Final = 8.5
"""How long a stopping pipeline may finish what it has begun.

The whole stop is promised to take at most 10 s; the rest is for cancelling and closing.
"""

CANCEL_SECONDS: Final = 0.5
"""How long a cancelled pipeline may take to give its connections back."""

END_SECONDS: Final = 0.5
"""How long the loop may take to close once the outcome is known; then the process ends anyway."""

CLOSE_SECONDS: Final = 3.0
"""How long a source and a target may take to close, each; a dead link must not hold the end up."""

PULSE_SECONDS: Final = 0.5
"""Time between two looks at the loop's lag and the parent; every second one reports metrics."""

GRANTS_BYTES_MAX: Final = 4_096
"""Read of the pipe of grants at once: hundreds of them, of which the last counts."""

COLLECTOR_THRESHOLDS: Final = (500_000, 20, 100)
"""Objects that outlive their making before the collector looks (700, 10, 10 by default). Rows are
made by the hundred thousand and never in cycles: looking through them took a third of our time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line of a worker says. No secret is ever among it."""

    file: Path
    stop_at: str | None = None
    take_over: bool = False
    out_of_memory: bool = False
    state_dir: Path | None = None
    capacity_trace: Path | None = None
    metrics: Address | None = None
    log_format: str = "text"
    granted: int | None = None
    reckoned: str = ""
    grants: int | None = None
    report: int | None = None
    parent: int | None = None


class Pipeline(Protocol):
    """`engine.pipeline.run_replication`."""

    def __call__(
        self,
        config: "ReplicationConfig",
        source: SnapshotSource,
        target: TransactionalTarget,
        *,
        clock: Clock,
        random: Random,
        disk: Disk,
        metrics: Metrics,
        log: Log,
        stop: asyncio.Event,
        stop_at: str | None,
        take_over: bool,
        report: Callable[[str, Mapping[str, object]], None],
        process: str,
        meter: Meter,
        out_of_memory: bool,
        trace: Callable[[bytes], None] | None,
        allowance: Allowance | None,
    ) -> Awaitable[object]: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of; tests put others in."""

    load: Callable[[Path, Mapping[str, str]], "ReplicationConfig"]
    connect: Callable[["ReplicationConfig", Clock, Random], tuple[Source, Target]]
    disk: Callable[[Path], Disk]
    pipeline: Pipeline


def main(arguments: Sequence[str] | None = None, parts: Callable[[], Parts] | None = None) -> int:
    """Run a worker to its end; gives the exit code. Every error is reported, none escapes."""
    gc.disable()  # until everything is loaded, which leaves nothing to collect
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    options = parse(sys.argv[1:] if arguments is None else arguments)
    die_with(options.parent)
    reports = ReportPipe(options.report)
    lines = start_writing(options.log_format)
    clock = _system_clock()
    log = Log(lines.write, clock)
    try:
        outcome = Worker(options, (parts or system_parts)(), clock, log, reports).run()
    except KeyboardInterrupt:  # before the loop takes over the signals there is nothing to drain
        outcome = Outcome(0)
    except BaseException as error:  # noqa: BLE001 - the process ends here: everything is reported
        outcome = fail(error, log)
    log.flush()
    lines.close()
    reports.finish(outcome)
    return outcome.exit


class Worker:
    """One replication's life in this process."""

    def __init__(
        self, options: Options, parts: Parts, clock: Clock, log: Log, reports: ReportPipe
    ) -> None:
        arm(os.environ.get("PENSTOCK_FAILPOINT", ""), time.sleep)
        addresses.arm(os.environ.get(addresses.VARIABLE, ""))
        self._options = options
        self._parts = parts
        self._clock = clock
        self._reports = reports
        written = parts.load(options.file, os.environ)
        self._config = written.within(_machine_memory_bytes())
        self._log = log.bind(replication=self._config.id)
        if self._config.capacity != written.capacity:
            self._log.info(
                "this machine has less memory than the maximum asks for",
                action="worker.capacity",
                units_max=self._config.capacity.units_max,
                unit_memory_bytes=self._config.capacity.unit_memory_bytes,
                written=written.capacity.units_max,
            )
        self._metrics = Metrics(self._config.id)
        self._health = Health(self._metrics, clock)
        self._unmeasured = Unmeasured(
            lambda: self._metrics.lag_told, self._metrics.lag_unmeasured, clock
        )
        self._counts_sent: dict[str, list[int]] = {}
        self._state_told = ""

    def run(self) -> Outcome:
        """Run the loop until the replication ends."""
        self._reports.send("started", {"pid": os.getpid(), "version": VERSION})
        _spare_collecting()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            try:
                outcome = runner.run(self._run())
            except Exception as error:  # noqa: BLE001 - reported, and the loop must still close
                outcome = fail(error, self._log)
            self._end_soon(outcome)
        return outcome

    async def _run(self) -> Outcome:
        stop = asyncio.Event()
        self._take_signals(stop)
        async with self._probes(), self._pulsing():
            pipeline = asyncio.create_task(self._pipeline(stop), name="pipeline")
            return await self._until_end(pipeline, stop)

    async def _pipeline(self, stop: asyncio.Event) -> None:
        random = _system_random()
        source, target = self._ends(random)
        try:
            await self._parts.pipeline(
                self._config,
                source,
                target,
                clock=self._clock,
                random=random,
                disk=self._parts.disk(state_directory(self._options.state_dir, self._config.id)),
                metrics=self._metrics,
                log=self._log,
                stop=stop,
                stop_at=self._options.stop_at,
                take_over=self._options.take_over,
                report=self._report,
                process=f"{socket.gethostname()}:{os.getpid()}",
                meter=_system_meter(),
                out_of_memory=self._options.out_of_memory,
                trace=_trace(self._options.capacity_trace),
                allowance=self._allowance(),
            )
        finally:
            for side in (source, target):
                with contextlib.suppress(TimeoutError, PenstockError):  # it ends in any case
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await side.close()

    def _allowance(self) -> Allowance | None:
        """What whoever started us grants, if it does."""
        granted, grants = self._options.granted, self._options.grants
        if granted is None or grants is None:
            return None
        allowance = Granted(
            granted,
            lambda event, n: self._reports.send(event, {"units": n}),
            reckoned=self._options.reckoned,
        )
        os.set_blocking(grants, False)
        loop = asyncio.get_running_loop()
        loop.add_reader(grants, lambda: _take_grants(grants, allowance))
        return allowance

    def _ends(self, random: Random) -> tuple[SnapshotSource, TransactionalTarget]:
        source, target = self._parts.connect(self._config, self._clock, random)
        if not isinstance(source, SnapshotSource):
            raise ConfigError(
                "source.engine", "cannot read existing rows, so it cannot be a source"
            )
        if not isinstance(target, TransactionalTarget):
            raise ConfigError("target.engine", "has no transactions, so it cannot be a target")
        return source, target

    async def _until_end(self, pipeline: asyncio.Task[None], stop: asyncio.Event) -> Outcome:
        stopping = asyncio.create_task(stop.wait(), name="stop signal")
        await asyncio.wait({pipeline, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if pipeline.done():
            pipeline.result()
            self._report("state", {"state": "stopped"})
            return Outcome(0)
        await self._drain(pipeline)
        return Outcome(0)

    async def _drain(self, pipeline: asyncio.Task[None]) -> None:
        self._log.info("draining", action="worker.drain")
        self._report("state", {"state": "draining"})
        began = self._clock.monotonic()
        await asyncio.wait({pipeline}, timeout=DRAIN_SECONDS)
        cut_short = not pipeline.done()
        if cut_short:
            pipeline.cancel()
            await asyncio.wait({pipeline}, timeout=CANCEL_SECONDS)
        took = round((self._clock.monotonic() - began) * 1000)
        error = None if not pipeline.done() or pipeline.cancelled() else pipeline.exception()
        if error is not None and not cut_short:
            self._log.warning(
                "failed while draining", action="worker.drain", error=leading(error) or error
            )
        self._log.info(
            "the drain was cut short" if cut_short else "drained",
            action="worker.drained",
            duration_ms=took,
        )

    def _take_signals(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            # a parent passes on the first signal, which a service manager may have sent to both;
            # at a second one it kills
            if stop.is_set() and self._options.parent is None:
                os._exit(0)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)

    def _report(self, event: str, facts: Mapping[str, object]) -> None:
        if event == "state":
            if facts["state"] == self._state_told:
                return
            self._state_told = str(facts["state"])
            self._metrics.state(self._state_told)
            if self._state_told == "starting":
                # An attempt that failed lies in cycles of its tracebacks, with all that waited.
                gc.collect()
        self._reports.send(event, facts)

    @contextlib.asynccontextmanager
    async def _probes(self) -> AsyncIterator[None]:
        if self._options.metrics is None:
            yield
            return
        async with serving(self._options.metrics, self._paths()) as address:
            self._log.info("serving metrics", action="worker.listen", address=str(address))
            self._reports.send("listening", {"address": str(address)})
            yield

    def _paths(self) -> Paths:
        from engine.observe.scrape import CONTENT_TYPE, Scrape  # a library, for this option only

        scrape = Scrape(self._metrics, VERSION)
        return {
            "/metrics": lambda: Answer(200, CONTENT_TYPE, scrape.text()),
            "/healthz": lambda: _probe(self._health.live()),
            "/readyz": lambda: _probe(self._health.ready()),
        }

    @contextlib.asynccontextmanager
    async def _pulsing(self) -> AsyncIterator[None]:
        log = Log(self._log.write, self._clock).bind(replication=self._config.id)
        with Watchdog(log, self._clock, self._end_blocked) as watchdog:
            pulse = asyncio.create_task(self._pulse(watchdog), name="pulse")
            try:
                yield
            finally:
                pulse.cancel()
                self._send_metrics()

    async def _pulse(self, watchdog: Watchdog) -> None:
        while True:
            for _ in range(2):
                before = self._clock.monotonic()
                await asyncio.sleep(PULSE_SECONDS)
                watchdog.beat()
                self._health.loop_lagged(self._clock.monotonic() - before - PULSE_SECONDS)
            self._health.tick()
            self._unmeasured.tick()
            self._send_metrics()
            if self._reports.broken:
                os._exit(1)  # the parent is gone: a new one must not find us holding the slot

    def _send_metrics(self) -> None:
        counts = {str(table): rows.counts for table, rows in self._metrics.tables.items()}
        new = {
            name: found for name, found in counts.items() if found != self._counts_sent.get(name)
        }
        if self._reports.send("metrics", {**self._metrics.snapshot(), "tables": new}):
            self._counts_sent = counts

    def _end_blocked(self) -> None:
        """The event loop does not come back: a new worker goes on from what is durable. Called from
        the watchdog's thread, while this one stands still."""
        outcome = Outcome(
            exit=1,
            retry=Retry.RESTART.value,
            error="LoopBlocked",
            reason=f"the event loop stood still for {BLOCKED_SECONDS_MAX:.0f} s",
            remedy="see the log for the lines it stood on; where they are Penstock's own this is a"
            " defect: please report it",
        )
        self._reports.finish(outcome)
        os._exit(outcome.exit)

    def _end_soon(self, outcome: Outcome) -> None:
        """End even though a task does not: the drain's limit holds whatever a driver does."""

        def end() -> None:
            self._reports.finish(outcome)
            os._exit(outcome.exit)

        timer = threading.Timer(END_SECONDS, end)
        timer.daemon = True
        timer.start()


def fail(error: BaseException, log: Log) -> Outcome:
    """Log what ended the replication; gives its outcome."""
    outcome = Outcome.of(error)
    known = leading(error)
    facts: dict[str, object] = {"exit": outcome.exit}
    if known is None or isinstance(known, InvariantError):
        facts["frames"] = [place for part in _parts_of(error) for place in error_places(part)]
        facts["version"] = VERSION
    log.error("the replication failed", action="worker.failed", error=known or error, **facts)
    for other in known.others if isinstance(known, ConfigError) else ():
        log.error("the file is wrong", action="worker.config", error=other)
    return outcome


def parse(arguments: Sequence[str]) -> Options:
    """Read a worker's command line; a wrong one ends the process with exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m engine.worker", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--stop-at")
    parser.add_argument("--take-over", action="store_true")
    parser.add_argument(
        "--out-of-memory", action="store_true", help="the one before was ended for want of memory"
    )
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--capacity-trace", type=Path)
    parser.add_argument("--metrics", type=_address)
    parser.add_argument("--log-format", choices=sorted(FORMATS), default="text")
    parser.add_argument("--granted", type=int, help="units that it may have for now")
    parser.add_argument("--reckoned", default="", help="how they were reckoned just now")
    parser.add_argument("--grants", type=int, help="descriptor on which others are granted")
    parser.add_argument("--report", type=int, help="descriptor to report on")
    parser.add_argument("--parent", type=int, help="process to die with")
    return Options(**vars(parser.parse_args(arguments)))


def state_directory(chosen: Path | None, replication: str) -> Path:
    """Where a replication keeps its overflow files: `--state-dir`, else the XDG state directory."""
    if chosen is None:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        chosen = Path(base) / "penstock"
    return chosen / replication


def system_parts() -> Parts:
    """The real parts; imported here because a failed import must be reported like any error."""
    from engine.config.load import load_replication
    from engine.pipeline import run_replication
    from engine.registry import connect
    from engine.seams import LocalDisk

    return Parts(load=load_replication, connect=connect, disk=LocalDisk, pipeline=run_replication)


def _take_grants(descriptor: int, allowance: Granted) -> None:
    """The newest of the grants that have come: a number of units a line."""
    try:
        lines = os.read(descriptor, GRANTS_BYTES_MAX).split()
    except BlockingIOError:
        return
    if lines:
        allowance.grant(int(lines[-1]))
    else:  # who grants is gone, and this process with it
        asyncio.get_running_loop().remove_reader(descriptor)


def _system_clock() -> Clock:
    from engine.seams import SystemClock

    return SystemClock()


def _system_meter() -> Meter:
    from engine.seams import SystemMeter

    return SystemMeter()


def _machine_memory_bytes() -> int:
    from engine.seams import machine_memory_bytes

    return machine_memory_bytes()


def _trace(path: Path | None) -> Callable[[bytes], None] | None:
    if path is None:
        return None
    from engine.seams import TraceFile

    return TraceFile(path).add


def _system_random() -> Random:
    from engine.seams import SystemRandom

    return SystemRandom()


def _spare_collecting() -> None:
    """Leave out of every collection what was loaded at the start, and collect rarely."""
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    gc.enable()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for this platform; the standard loop is slower, not different
        return None
    return uvloop.new_event_loop


def _probe(verdict: Verdict) -> Answer:
    import orjson

    body = {"ok": verdict.ok, "state": verdict.state}
    if verdict.reason:
        body["reason"] = verdict.reason
    return Answer(200 if verdict.ok else 503, "application/json", orjson.dumps(body) + b"\n")


def _parts_of(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _parts_of(part)
    else:
        yield error


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except PenstockError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    leave(main())
