"""`penstock run`: starts the worker as a child and watches it."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from engine.config.capacity import CapacityConfig
from engine.config.key_variables import CREDENTIALS, KEY, KEY_FILE
from engine.config.replication import ReplicationConfig
from engine.control.cli.arguments import File, load
from engine.control.cli.ending import end_with, say_error, say_warning
from engine.control.managed import Managed
from engine.control.memory_group import NotDelegatedError, WorkerMemory
from engine.control.service_manager import ServiceManager
from engine.control.supervisor import Supervisor, WorkerArguments, stopped_by_signals
from engine.machine import Clock
from engine.observe.http import Address
from engine.observe.json_lines import JsonLines
from engine.observe.report import Outcome
from engine.seams import SystemClock, SystemRandom, machine_memory_bytes

if TYPE_CHECKING:
    from engine.observe.progress import Bars

CAUGHT_UP = "caught-up"


class LogFormat(StrEnum):
    """How log lines look on standard error."""

    TEXT = "text"
    JSON = "json"


StopAt: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="caught-up|POSITION|commit_time:MOMENT",
        help="End when everything that the source had committed when the stream began is durable"
        " in the target, when a log position is reached, or before the first transaction that was"
        " committed after a moment such as 2026-02-09T12:12:12 (UTC). Without it: run until"
        " stopped.",
    ),
]
TakeOver: TypeAlias = Annotated[
    bool,
    typer.Option("--take-over", metavar="", help="End another process that runs this replication."),
]
StateDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where changes overflow to. Default: $XDG_STATE_HOME/penstock, else"
        " ~/.local/state/penstock. Holds row values; a start reads decisions on capacity only.",
    ),
]
CapacityTrace: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Add what the law of capacity is given each second, and what it decides, to this file:"
        " some 20 MB a day. `penstock autoscale replay FILE` recomputes the decisions.",
    ),
]
Metrics: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Serve /metrics (Prometheus), /healthz and /readyz here. A port alone is on loopback.",
    ),
]
Format: TypeAlias = Annotated[
    LogFormat, typer.Option("--log-format", help="How log lines on standard error look.")
]


def run(
    file: File,
    stop_at: StopAt = None,
    take_over: TakeOver = False,
    state_dir: StateDir = None,
    capacity_trace: CapacityTrace = None,
    metrics: Metrics = None,
    log_format: Format = LogFormat.TEXT,
) -> None:
    """Copy what is there, then carry every change, until stopped.

    Shows progress bars on a terminal and JSON lines elsewhere (standard output); log lines go to
    standard error. Started again after a stop or a kill, it goes on where it was. SIGTERM and
    Ctrl-C finish what is under way for at most 10 s and exit 0; a second one ends at once.
    """
    arguments = WorkerArguments(
        file=file,
        stop_at=stop_at,
        take_over=take_over,
        state_dir=state_dir,
        capacity_trace=capacity_trace,
        metrics=metrics,
        log_format=log_format.value,
    )
    end_with(lambda: _run(arguments))


def _run(arguments: WorkerArguments) -> int:
    config = load(arguments.file).within(machine_memory_bytes())
    _check(arguments, config)
    warnings = list(config.warnings)
    if config.no_effect:
        warnings.append(f"accepted, but has no effect yet: {', '.join(config.no_effect)}")
    for warning in warnings:
        say_warning(warning, arguments.log_format)
    environment = _environment()
    with _held(config.capacity) as held:
        outcome = _watch(arguments, config.id, environment, held)
    if outcome.exit:
        say_error(outcome, arguments.log_format)
    return outcome.exit


@contextmanager
def _held(capacity: CapacityConfig) -> Iterator[WorkerMemory | None]:
    """Groups for the memory of workers, where they may be made; else their own accounting holds."""
    try:
        held = WorkerMemory.claim(
            lambda units: capacity.budget(units).memory_bytes, capacity.units_max
        )
    except NotDelegatedError:
        yield None
        return
    try:
        yield held
    finally:
        held.release()


def _environment() -> Mapping[str, str]:
    """The worker's. What knows keys stays out of a process that is given none."""
    if not any(os.environ.get(name) for name in (KEY, KEY_FILE, CREDENTIALS)):
        return os.environ
    from engine.control.quarantine_keys import worker_environment

    return worker_environment(os.environ)


def _watch(
    arguments: WorkerArguments,
    replication: str,
    environment: Mapping[str, str],
    held: WorkerMemory | None,
) -> Outcome:
    clock = SystemClock()
    manager = ServiceManager(os.environ)
    with closing(_view(replication, clock)) as view:
        told = Managed(view, manager)
        supervisor = Supervisor(
            arguments, told, clock, SystemRandom(), environment=environment, held=held
        )
        outcome = asyncio.run(_supervise(supervisor, manager))
        ended = {"exit": outcome.exit, "reason": outcome.reason, "remedy": outcome.remedy}
        view.event({"event": "ended", **ended})
    return outcome


async def _supervise(supervisor: Supervisor, manager: ServiceManager) -> Outcome:
    alive = asyncio.create_task(manager.tell_alive(), name="watchdog")
    with stopped_by_signals(supervisor):
        try:
            return await supervisor.run()
        finally:
            alive.cancel()


def _view(replication: str, clock: Clock) -> "Bars | JsonLines":
    if not sys.stdout.isatty():
        return JsonLines(sys.stdout, replication, clock)
    from rich.console import Console  # a library, for terminals only

    from engine.observe.progress import Bars

    return Bars(Console(), replication, clock)


def _check(arguments: WorkerArguments, config: ReplicationConfig) -> None:
    """Find what is wrong on the command line before anything is started."""
    if arguments.metrics is not None:
        Address.parse(arguments.metrics)
    stop_at = arguments.stop_at
    if stop_at is not None and stop_at != CAUGHT_UP:
        # What knows a source stays out of this process, which lives as long as the replication.
        from engine.registry import check_goal, source

        reader = source(config.source.engine)(config, SystemClock(), SystemRandom())
        check_goal(reader, stop_at)
