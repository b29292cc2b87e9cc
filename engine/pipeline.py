"""One replication from source to target: names the stations in order and owns their tasks.

    capture -> queue -> route -> apply -> checkpoint        load (before, or of one table beside)

Whatever breaks on the target side, and whatever the target tells us it has lost, is answered in one
way: everything in memory is dropped, the replication is claimed again under the same epoch rule,
every checkpoint is read, and the source is opened at the stored frontier. So recovery from a broken
link, an unknown COMMIT, a restored target and a kill -9 is the same code.

Drain: capture stops, the queue empties, lanes finish, the frontier is stored, the source is told.
Cancellation skips the drain; the next start replays from the stored frontier.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from engine.allowance import Allowance, Unlimited
from engine.apply.suspension import Suspensions
from engine.autoscaling import Autoscaling, Trace, of_before, size_after_death, size_to_begin
from engine.capacity.history import History
from engine.capacity.sampler import Sampler
from engine.config.replication import ReplicationConfig
from engine.contracts import SnapshotSource, TransactionalTarget
from engine.errors import (
    InvariantError,
    LanesStuckError,
    PenstockError,
    PositionLostError,
    Retry,
    SnapshotLostError,
)
from engine.flow import Flow
from engine.machine import Clock, Disk, Meter, Random
from engine.measuring import without_stream
from engine.model.position import Position
from engine.model.relation import TableName
from engine.model.usage import Usage
from engine.observe.log import Log
from engine.observe.metrics import Metrics
from engine.observe.stages import Stages
from engine.outcome import HANDED_OVER, Outcome
from engine.provision import Provision
from engine.retry import Backoff, Policy
from engine.sizing import FirstStart
from engine.spool import KEY_BYTES, SpoolRoom
from engine.stalls import Stalls
from engine.surroundings import Surroundings

STARTING: Final = Policy(budget_seconds=60.0)
"""A server that cannot be reached at all when we start is more often a wrong address than an
outage: a minute, then the caller decides."""

RUNNING: Final = Policy()
"""A server that was there comes back; the state says `retrying` until then."""

TOKEN_BYTES: Final = 16

Report = Callable[[str, Mapping[str, object]], None]


class Unmetered:
    """A machine that says nothing of the process."""

    def read(self) -> Usage:
        """Nothing is known."""
        return Usage()


async def run_replication(
    config: ReplicationConfig,
    source: SnapshotSource,
    target: TransactionalTarget,
    *,
    clock: Clock,
    random: Random,
    disk: Disk,
    metrics: Metrics,
    log: Log,
    stop: asyncio.Event,
    stop_at: str | None = None,
    take_over: bool = False,
    report: Report,
    process: str = "",
    meter: Meter | None = None,
    out_of_memory: bool = False,
    trace: Trace | None = None,
    allowance: Allowance | None = None,
) -> Outcome:
    """Carry rows until `stop` is set (then drain) or `stop_at` is reached.

    `stop_at`: `caught-up`, or a position. `report(event, facts)` is told of state changes and of
    load progress. `process` says who we are, for the refusal that another process may read.
    `meter` measures what this process takes of its machine; without one that is not known.
    `out_of_memory`: the system ended the process before for want of memory. `trace` takes lines of
    what the law of capacity was given and what it decided. `allowance`: how much of its capacity
    it may have now.

    Raises:
        PenstockError: what cannot be mended by trying again; `exit_code` says for whom it is.
    """
    token = random.key(TOKEN_BYTES).hex()
    history = History(disk)
    meter = meter or Unmetered()
    before = of_before(config.capacity, history, clock, log)
    known = size_to_begin(config.capacity, before)
    units = size_after_death(config.capacity, known) if out_of_memory else known
    first = before.units is None and not out_of_memory and len(config.capacity.ladder) > 1
    allowance = allowance or Unlimited()
    if allowance.units is not None:
        units = max(min(units, allowance.units), config.capacity.units_min)
        if not first:
            allowance.keep(units)
    provision = Provision(config.budget, units)

    def begin(reckoned: int, reason: str) -> None:
        scaling.begin(reckoned, reason)

    room = SpoolRoom(disk, provision.budget.spool_bytes_max, random.key(KEY_BYTES), source.position)
    room.sweep()
    around = Surroundings(
        clock,
        random,
        disk,
        metrics,
        log,
        stop,
        report,
        process,
        token,
        room,
        Suspensions(room),
        {},
        meter,
        Stages(clock.monotonic),
        provision,
        Sampler(partial(without_stream, clock, meter, metrics, provision)),
        Stalls(clock, metrics, log),
        FirstStart(config, clock, begin if first and not allowance.reckoned else None),
    )
    scaling = Autoscaling(config, around, history, trace=trace, bar=before.bar, allowance=allowance)
    if out_of_memory:
        scaling.died(known)
    with provision.told(lambda budget: room.resize(budget.spool_bytes_max)):
        if first and allowance.reckoned:
            begin(allowance.units or units, allowance.reckoned)
        try:
            async with asyncio.TaskGroup() as tasks:
                adjusting = tasks.create_task(scaling.run(), name="capacity")
                watching = tasks.create_task(around.stalls.run(), name="stalls")
                outcome = await _carry(config, source, target, around, stop_at, take_over=take_over)
                adjusting.cancel()
                watching.cancel()
        except BaseExceptionGroup as group:
            raise _decisive(group) from None
    return outcome


async def _carry(
    config: ReplicationConfig,
    source: SnapshotSource,
    target: TransactionalTarget,
    around: Surroundings,
    stop_at: str | None,
    *,
    take_over: bool,
) -> Outcome:
    """Attempt after attempt, until one reaches what it was to or cannot be mended."""
    log, stop = around.log, around.stop
    starting = Backoff(STARTING, around.clock, around.random)
    running = Backoff(RUNNING, around.clock, around.random)
    epoch: int | None = None
    told: Position | None = None
    again: tuple[TableName, ...] = ()
    stuck: tuple[TableName, ...] = ()
    while True:
        flow = Flow(config, source, target, around, stop_at, take_over, epoch, told, again, stuck)
        try:
            outcome = await flow.run()
            if outcome.reason != HANDED_OVER:
                return outcome
            epoch, told, again, stuck = flow.epoch, flow.told, (), ()
            continue
        except BaseExceptionGroup as group:
            error = _decisive(group)
        except PenstockError as single:
            error = single
        epoch, told = flow.epoch or epoch, flow.told or told
        _refuse(error)
        again, stuck = _to_load_again(error), _to_give_up(error)
        if flow.flowed:
            running.reset()
        delay = (running if epoch is not None else starting).next_delay()
        if delay is None or stop.is_set():
            raise error
        log.warning("trying again", action="pipeline.retry", error=error, delay_seconds=delay)
        around.state("retrying")
        around.stalls.failed(error)
        del flow, error  # its traceback holds the attempt, and with it all that waited in its queue
        await _sleep_or_stop(delay, stop)


def _to_load_again(error: PenstockError) -> tuple[TableName, ...]:
    """The table whose chunks, read at different times, cannot be joined with the log."""
    table = error.context.get("table") if isinstance(error, SnapshotLostError) else None
    return (table,) if isinstance(table, TableName) else ()


def _to_give_up(error: PenstockError) -> tuple[TableName, ...]:
    """The tables that every other would wait for. They are recorded by the next attempt: no write
    of theirs can be on its way once it has claimed. Until then the frontier is before it all."""
    found = error.context.get("tables") if isinstance(error, LanesStuckError) else None
    names = found if isinstance(found, tuple) else ()
    return tuple([name for name in names if isinstance(name, TableName)])


def _refuse(error: PenstockError) -> None:
    if error.retry in (Retry.NEVER, Retry.QUARANTINE):
        raise error


async def _sleep_or_stop(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


def _decisive(group: BaseExceptionGroup[BaseException]) -> PenstockError:
    """The error of a task group that decides: one that must not be retried before any other."""
    errors = list(_leaves(group))
    for error in errors:
        if not isinstance(error, PenstockError):
            raise error
    known = [error for error in errors if isinstance(error, PenstockError)]
    for kind in (InvariantError, PositionLostError):
        for error in known:
            if isinstance(error, kind):
                return error
    final = [error for error in known if error.retry in (Retry.NEVER, Retry.QUARANTINE)]
    return (final or known)[0]


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
