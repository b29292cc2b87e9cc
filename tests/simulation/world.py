"""Servers, clients and everything that may happen to them, on one simulated loop.

The world outlives the processes that carry the replication: it holds the two servers, starts a
process, crashes it, starts the next, and looks at every commit and every acknowledgement.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from connectors.memory.control import CHECKPOINT, CHUNKS, OWNER, QUARANTINE, TABLES
from connectors.memory.database import MemoryDatabase
from connectors.memory.source import MemorySource
from connectors.memory.storage import Table
from connectors.memory.target import MemoryTarget
from connectors.memory.transaction import ServerTransaction, State
from engine.config.replication import OnRowError, ReplicationConfig
from engine.errors import FencedError, PenstockError, Retry, TargetError
from engine.loading import LATE_KEYS
from engine.model.chunk import ChunkDone
from engine.model.position import LogPosition
from engine.model.relation import TableName
from engine.model.state import FRONTIER, LaneRow, Owner, TableRecord, TableState
from engine.observe.log import Line, Log
from engine.observe.metrics import Metrics
from engine.pipeline import run_replication
from engine.plan.buckets import StoredNames
from engine.plan.lanes import WHOLE
from engine.provision import Provision
from tests.simulation.comparing import Comparison, ViolationError
from tests.simulation.faults import Decider, Faults, FaultySource
from tests.simulation.faulty_target import FaultyTarget
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.model import TableModel
from tests.simulation.seams import SimulatedClock, SimulatedDisk, SimulatedRandom

REPLICATION: Final = "simulated"
RESTART_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 3_600.0
"""Virtual time after which a healed replication that has not caught up never will."""

RESTARTS_MAX: Final = 200

SMALL_BYTES: Final = 12 << 10
"""Memory of a unit where sizes change: the queue of one unit has room for some five changes, so
that each size feels the next."""


@dataclass
class Client:
    """One process that carries the replication."""

    process: Process
    task: "asyncio.Task[object]"
    source: MemorySource
    target: MemoryTarget
    stop: asyncio.Event
    metrics: Metrics
    appliers: int
    """How many it was told to have; 0: what its size gives it."""
    acknowledged: LogPosition = LogPosition(0)
    state: str = ""
    """What it last said it was doing."""
    cancelled: bool = False
    """We cancelled its task."""


@dataclass
class World:
    loop: SimulatedLoop
    seed: int
    configs: Sequence[ReplicationConfig]
    """How the processes are told to run, in turn."""
    faults: Faults
    events_per_block: int = 100
    half_open_seconds_max: float = 0.0
    """How long a server may hold the connections of a client that died."""
    refuses: bool = False
    """The target refuses rows now and then."""
    lossy_target: bool = False
    """The target may lose its last commits."""
    resized: bool = False
    """Every process has another number of appliers, and other limits of a batch."""
    resizes: bool = False
    """A process is resized while it runs."""
    provisions: dict[Process, Provision] = field(default_factory=dict[Process, Provision])
    """What the processes are given."""
    source: MemoryDatabase = field(init=False)
    target: MemoryDatabase = field(init=False)
    current: Client = field(init=False)
    """The process that carries the replication, as far as the world knows."""
    tables: Comparison = field(init=False)
    """The source's tables, as they must be on the target."""
    chance: random.Random = field(init=False)
    decider: Decider = field(init=False)
    clock: SimulatedClock = field(init=False)
    """Of the machine that the replication runs on; servers have clocks of their own."""
    disk: SimulatedDisk = field(default_factory=SimulatedDisk)
    zombies: list[Client] = field(default_factory=list[Client])
    """Processes that stood still while a successor took over."""
    rivals: list[Client] = field(default_factory=list[Client])
    """Processes that were started while another was well."""
    clients: list[Client] = field(default_factory=list[Client])
    lines: list[Line] = field(default_factory=list[Line])
    delivered: LogPosition = LogPosition(0)
    checked: dict[str, LaneRow] = field(default_factory=dict[str, LaneRow])
    rewound: bool = False
    """The target has lost commits, and nobody has claimed it since."""
    epoch: int = 0
    """Of the owner, as committed."""
    seen_states: dict[TableName, TableState] = field(default_factory=dict[TableName, TableState])
    handed_over: set[TableName] = field(default_factory=set[TableName])
    """Tables that must equal the source at their position."""
    restarts: int = 0
    crashes: int = 0
    extra_check: Callable[["World"], None] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    reached: Counter[str] = field(default_factory=Counter[str])
    """Situations of `situations.SITUATIONS`, and how often."""
    on_line: Callable[[Line], None] = lambda _: None
    on_crash: Callable[[Client], None] = lambda _: None
    violation: "ViolationError | None" = None
    """The first: the engine may catch what a commit or an acknowledgement raises."""

    def __post_init__(self) -> None:
        wall = SimulatedClock(self.loop).wall
        self.source = MemoryDatabase("simulated source", wall=wall)
        self.target = MemoryDatabase("simulated target", logging=False, wall=wall)
        self.target.after_commit.append(self._committed)
        quarantines = self.configs[0].on_row_error is OnRowError.QUARANTINE
        self.tables = Comparison(self.source, self.target, self.reached, quarantines)
        self.chance = random.Random(self.seed)
        self.decider = Decider(self.seed ^ 0x5EED, self.faults, self.loop, self.reached)
        self.clock = SimulatedClock(self.loop)
        self.disk.refuses = self.decider.refuses_write
        self.disk.damages = self.decider.damages_read

    @property
    def models(self) -> Mapping[TableName, TableModel]:
        """What each of the source's tables holds, by the log."""
        return self.tables.models

    def create(self, tables: Sequence[Table]) -> None:
        """Tables of the source."""
        for table in tables:
            name = table.relation.table
            self.source.put_table(name, table)
            self.tables.add(table)

    # --- processes ----------------------------------------------------------------------------

    def start(self, *, take_over: bool = False) -> Client:
        """A new process, with nothing but what the servers hold."""
        source = MemorySource(
            self.source, events_per_block=self.events_per_block, rows_per_buffer=3
        )
        target = MemoryTarget(self.target, REPLICATION)
        stop = asyncio.Event()
        metrics = Metrics(REPLICATION)
        number = len(self.clients) + 1
        config = self.configs[(number - 1) % len(self.configs)]
        client: Client

        def acknowledged(position: LogPosition) -> None:
            self._acknowledged(client, position)

        faulty = FaultySource(source, self.source, self.decider, self._deliver, acknowledged)
        sized = self._sized(config)
        work = run_replication(
            sized,
            faulty,
            FaultyTarget(target, self.target, self.decider),
            clock=self.clock,
            random=SimulatedRandom(self.seed + number),
            disk=self.disk,
            metrics=metrics,
            log=Log(self._write, self.clock),
            stop=stop,
            take_over=take_over,
            report=lambda event, facts: self._reported(client, event, facts),
            process=f"process-{number}",
        )
        process, task = self.loop.spawn(f"process-{number}", work)
        client = Client(process, task, source, target, stop, metrics, sized.apply.appliers)
        self.clients.append(client)
        with self.loop.inside(None):
            task.add_done_callback(self._process_ended)
        return client

    def _sized(self, config: ReplicationConfig) -> ReplicationConfig:
        if self.resized:
            appliers, rows = self.chance.randint(1, 5), self.chance.choice((3, 20, 200))
            apply = replace(config.apply, appliers=appliers, batch_rows_max=rows)
            config = replace(config, apply=apply)
        if self.resizes:
            memory = min(config.capacity.unit_memory_bytes, SMALL_BYTES)
            capacity = replace(
                config.capacity,
                unit_memory_bytes=memory,
                appliers_per_unit=2,
                copiers_per_unit=1,
            )
            apply = replace(config.apply, appliers=0)
            load = replace(config.load, parallel_tables=0)
            config = replace(config, apply=apply, load=load, capacity=capacity)
        return config

    def resize(self, client: Client, units: int) -> None:
        """Give a running process another size, as its law would."""
        provision = self.provisions.get(client.process)
        if provision is None:
            return  # it has not begun
        self.loop.note(f"{client.process.name} has {units} units")
        with self.loop.inside(client.process):
            provision.resize(units)

    def process(self, number: int) -> Process | None:
        """The process that was started as this one, from 0; None when it was not yet."""
        return self.clients[number].process if number < len(self.clients) else None

    def _process_ended(self, task: "asyncio.Task[object]") -> None:
        """Its error is looked at by whoever waits for the process."""
        if not task.cancelled():
            task.exception()
        self.ended.set()

    def _write(self, line: Line) -> None:
        self.lines.append(line)
        self.on_line(line)

    def _reported(self, client: Client, event: str, facts: Mapping[str, object]) -> None:
        if event == "state":
            client.state = str(facts["state"])
        self.loop.note(f"{event} {dict(facts)}")

    def crash(self, client: Client) -> None:
        """Kill -9: nothing of the process runs any more; what it had sent is decided here."""
        self.loop.note(f"crash of {client.process.name}")
        self.on_crash(client)
        self.crashes += 1
        self.loop.kill(client.process)
        for server, session in list(self.decider.committing.items()):
            if client.target.owns(session):
                del self.decider.committing[server]
                self.decider.decide_commit(self.target, server, session)
        delay = self.chance.uniform(0.0, self.half_open_seconds_max)
        if self.half_open_seconds_max and self.chance.random() < 0.5:
            with self.loop.inside(None):
                self.loop.call_later(delay, client.target.sever)
        else:
            client.target.sever()
        client.source.sever()
        self.disk.crash(self.chance)
        self.ended.set()

    def freeze(self, client: Client) -> None:
        """SIGSTOP: it stands still and holds on to everything; a successor takes over."""
        self.loop.note(f"{client.process.name} stands still")
        self.loop.stop_process(client.process)
        self.zombies.append(client)
        self.ended.set()

    def thaw(self, client: Client) -> None:
        self.loop.note(f"{client.process.name} goes on")
        self.loop.continue_process(client.process)

    def terminate(self, client: Client) -> None:
        """SIGTERM: it is asked to end by itself."""
        self.loop.note(f"{client.process.name} is asked to stop")
        self.reached["stop-in-load" if client.state == "loading" else "stop-in-stream"] += 1
        client.stop.set()

    def cancel(self, client: Client) -> None:
        """Its task is cancelled: it ends without a drain, but not without its `finally`."""
        self.loop.note(f"{client.process.name} is cancelled")
        client.cancelled = True
        client.task.cancel()

    def rival(self, *, take_over: bool) -> None:
        """Somebody starts the replication a second time."""
        self.rivals.append(self.start(take_over=take_over))
        self.loop.note(f"{self.rivals[-1].process.name} is a rival; take over: {take_over}")

    def has(self, situation: str) -> bool:
        """Whether it was reached in this run."""
        return bool(self.reached[situation])

    @property
    def calm(self) -> bool:
        """Whether nothing befalls links and processes in this run."""
        alone = len(self.clients) == 1 and not self.current.stop.is_set()
        return alone and not self.faults.source_cut

    @property
    def contested(self) -> bool:
        """Whether more than one process may believe that it is the owner."""
        return bool(self.zombies or self.rivals)

    def _may_start_again(self, error: BaseException) -> bool:
        """Whether whoever watches the process starts it again. A target that lost the tables just
        made, between making and loading them, ends the process with an error about them."""
        if not isinstance(error, PenstockError):
            return False
        if self.lossy_target and type(error) is TargetError:
            return True
        return error.retry not in (Retry.NEVER, Retry.QUARANTINE)

    async def bury(self) -> None:
        """Every process that is not the owner must learn it by itself."""
        deadline = self.loop.time() + PATIENCE_SECONDS
        for client in [*self.zombies, *self.rivals]:
            while client.process.alive and client is not self.current and not client.task.done():
                if self.loop.time() > deadline:
                    raise ViolationError(f"{client.process.name} never noticed")
                await asyncio.sleep(RESTART_SECONDS)
            error = _error_of(client)
            if isinstance(error, FencedError):
                self.reached["zombie-fenced" if client in self.zombies else "rival-refused"] += 1
            if error is None or isinstance(error, FencedError):
                continue
            # One that was asked to end does not come to claim, and so not to learn it.
            must_learn = client in self.zombies and not client.stop.is_set()
            if must_learn or not self._may_start_again(error):
                raise ViolationError(f"{client.process.name} ended with {error!r}") from error

    async def lose_commits(self) -> None:
        """The target fails over to a copy that lacks the newest commits. Only commits are lost
        whose positions the source was not told of yet: the delay of acknowledging is for that."""
        delay = self.configs[0].apply.acknowledge_delay_seconds
        oldest_us = (SimulatedClock(self.loop).wall() - delay * 0.5) * 1_000_000
        newest = [t for t in self.target.history if t.committed_at_us > oldest_us]
        count = self.chance.randint(0, len(newest))
        self.loop.note(f"the target loses {count} commits")
        self.checked.clear()
        before = sum(row.seq for row in self.lanes().values())
        self.target.lose_commits(count)
        self.rewound |= sum(row.seq for row in self.lanes().values()) < before

    async def supervise(self, until: asyncio.Event) -> None:
        """Keep one process running until `until` is set, then stop it and wait for its end."""
        client = self.current = self.start()
        while True:
            await self._wait(until)
            self.ended.clear()
            if client.process.alive and not client.process.stopped and not client.task.done():
                if not until.is_set():
                    continue  # a predecessor ended
                client.stop.set()
                await self._finish(client)
                return
            winner = self._judge_end(client)
            if winner is not None:
                client = self.current = winner
                continue
            self.restarts += 1
            if self.restarts > RESTARTS_MAX:
                raise ViolationError(f"restarted {RESTARTS_MAX} times")
            await asyncio.sleep(RESTART_SECONDS)
            client = self.current = self.start(take_over=self.contested)

    async def _wait(self, until: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self.ended, until)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _finish(self, client: Client) -> None:
        """The drain; a crash in it counts as the end."""
        while client.process.alive and not client.task.done():
            self.ended.clear()
            await self.ended.wait()
        if client.process.alive:
            self._judge_end(client)

    def _judge_end(self, client: Client) -> Client | None:
        """Raise what must not end a replication. Gives the other process that may have won it: one
        that stood still before its first claim comes back as a newcomer."""
        if not client.process.alive or client.process.stopped:
            return None
        error = _error_of(client)
        if isinstance(error, FencedError) and self.contested:
            self.reached["owner-replaced"] += bool(self.rivals)
            running = [c for c in self.clients if c.process.alive and not c.task.done()]
            return next((c for c in running if not c.process.stopped), None)
        if error is None:
            if not client.stop.is_set() and not client.cancelled:
                raise ViolationError("the replication ended although nobody asked it to")
        elif not self._may_start_again(error):
            raise ViolationError(f"{client.process.name} gave up: {error!r}") from error
        return None

    # --- what is looked at --------------------------------------------------------------------

    def _deliver(self, position: LogPosition) -> None:
        self.delivered = max(self.delivered, position)

    def _acknowledged(self, client: Client, position: LogPosition) -> None:
        stored = self.frontier
        if position < client.acknowledged:
            self.violation = ViolationError(f"told {position} after {client.acknowledged}")
        elif position > stored:
            self.violation = ViolationError(f"told {position}, stored is only {stored}")
        if self.violation is not None:
            raise self.violation
        client.acknowledged = position

    @property
    def frontier(self) -> LogPosition:
        """The stored frontier, as committed now."""
        row = self.lanes().get(FRONTIER)
        return LogPosition.parse(row.position) if row is not None else LogPosition(0)

    def lanes(self) -> dict[str, LaneRow]:
        rows = self.target.visible_rows(CHECKPOINT)
        return {cast(str, row[1]): cast(LaneRow, row[2]) for row in rows}

    def records(self) -> list[TableRecord]:
        return [cast(TableRecord, row[2]) for row in self.target.visible_rows(TABLES)]

    def states(self) -> dict[TableName, TableState]:
        return {record.table: record.state for record in self.records()}

    def _committed(self, _: ServerTransaction) -> None:
        """After every commit on the target: each table equals the source at its position."""
        self._look_at_owner()
        self._look_at_states()
        lanes = self.lanes()
        if lanes == self.checked:
            return
        before, self.checked = self.checked, lanes
        self._note_moves(before, lanes)
        try:
            _check_order(before, lanes)
            self._check_owner(before, lanes)
            self._check_lanes(lanes)
            if self.extra_check is not None:
                self.extra_check(self)
        except ViolationError as violation:
            self.violation = self.violation or violation
            raise

    def _note_moves(self, before: Mapping[str, LaneRow], lanes: Mapping[str, LaneRow]) -> None:
        if self.loop.trace is not None:
            moved = {lane: str(row) for lane, row in lanes.items() if row != before.get(lane)}
            self.loop.note(f"commit {moved}")

    def _look_at_owner(self) -> None:
        """A claim has asked what became of every COMMIT whose outcome was not known."""
        epoch = self._epoch()
        if epoch == self.epoch:
            return
        self.epoch = epoch
        for transaction in self.decider.unknown:
            landed = transaction.state is State.COMMITTED
            late = landed and transaction in self.decider.late
            name = "commit-late" if late else f"commit-unknown-{'landed' if landed else 'lost'}"
            self.reached[name] += 1
        self.decider.unknown.clear()
        if self.rewound:
            self.reached["target-rewound"] += 1
            self.rewound = False

    def _epoch(self) -> int:
        rows = self.target.visible_rows(OWNER)
        return cast(Owner, rows[0][1]).epoch if rows else 0

    def _look_at_states(self) -> None:
        before, self.seen_states = self.seen_states, self.states()
        for table, state in self.seen_states.items():
            was = before.get(table)
            if was is TableState.SUSPENDED and state is TableState.NEEDS_RELOAD:
                self.reached["waiting-lost"] += 1
            if was not in (None, TableState.PENDING) and state is TableState.PENDING:
                self.reached["table-reshaped"] += 1

    def _check_owner(self, before: Mapping[str, LaneRow], lanes: Mapping[str, LaneRow]) -> None:
        """Only the newest owner moves anything: I-20."""
        for lane, row in lanes.items():
            if row != before.get(lane) and row.epoch != self.epoch:
                raise ViolationError(f"{lane} was moved by {row.epoch}, the owner is {self.epoch}")

    def _check_lanes(self, lanes: dict[str, LaneRow]) -> None:
        frontier = self.frontier
        stored = StoredNames(lanes)
        if frontier > self.delivered:
            raise ViolationError(f"stored {frontier}, received only {self.delivered}")
        untils = self._untils()
        for table, state in self.states().items():
            stands = state in (TableState.STREAMING, TableState.SUSPENDED)
            if not stands or self.target.locks.is_exclusive(table):
                continue  # a table that is being altered shows what nobody else may see yet
            names = [WHOLE] if WHOLE in lanes else stored.of(table)
            stand = [LogPosition.parse(lanes[name].position) for name in names]
            if WHOLE in lanes and stand[0].ordinal:
                raise ViolationError(f"a source transaction was cut at {stand[0]}")
            if state is TableState.STREAMING:
                stand = [max(position, frontier) for position in stand]
            if stand and min(stand) >= untils.get(table, LogPosition(0)):
                self.handed_over.add(table)
                self.tables.check(table, *stand)
            else:
                self.handed_over.discard(table)

    def _untils(self) -> dict[TableName, LogPosition]:
        """Where each table's hand-over ends: before that its rows are of several moments."""
        untils: dict[TableName, LogPosition] = {}
        for row in self.target.visible_rows(CHUNKS):
            done = cast(ChunkDone, row[3])
            if done.until:
                until = LogPosition.parse(done.until)
                untils[done.table] = max(until, untils.get(done.table, LogPosition(0)))
        return untils

    def check_end(self) -> None:
        """Every table whole and equal, nothing set aside."""
        end = LogPosition(self.source.offset)
        self.tables.check_models(end)
        for table in self.models:
            self.tables.check(table, end)
        kept = self.target.visible_rows(QUARANTINE)
        if kept and not self.refuses:
            raise ViolationError(f"{len(kept)} rows in quarantine: {kept[0][1]}")
        counted = sum(sum(client.metrics.quarantined.values()) for client in self.clients)
        if self.calm and counted != len(kept):
            raise ViolationError(f"{len(kept)} rows in quarantine, {counted} were counted")


def _error_of(client: Client) -> BaseException | None:
    """What ended it; None also while it has not ended."""
    if not client.task.done() or client.task.cancelled():
        return None
    return client.task.exception()


def _check_order(before: Mapping[str, LaneRow], lanes: Mapping[str, LaneRow]) -> None:
    """No stored position moves back, and none moves without its number. (A target that loses
    commits is looked at anew.)"""
    for lane, row in lanes.items():
        was = before.get(lane)
        if was is None or was == row or not was.position or lane == LATE_KEYS:
            continue
        if LogPosition.parse(row.position) < LogPosition.parse(was.position):
            raise ViolationError(f"{lane} went back from {was.position} to {row.position}")
        if row.position != was.position and row.seq <= was.seq:
            raise ViolationError(f"{lane} came to {row.position} with seq {was.seq} to {row.seq}")
