"""A replication while a worker carries it: what that tells becomes status, events and facts."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from engine.config.replication import ReplicationConfig, ReplicationType
from engine.control import predecessor, tallies, unit_hours
from engine.control.happenings import SCALING_DOWN, SCALING_UP
from engine.control.keeping import Keeper, Note, SupersededError, having
from engine.control.lifecycle import Provision, Status, StopReason
from engine.control.listening import Listener
from engine.control.logs.lines import run_id
from engine.control.means import Means
from engine.control.memory_group import WorkerMemory
from engine.control.recording import Recording
from engine.control.resources.document import decode
from engine.control.resources.replication import Provisioned, Replication
from engine.control.resources.table import PREFIX as TABLES
from engine.control.resources.table import TableFacts
from engine.control.size import Size
from engine.control.streams import Streams
from engine.control.supervisor import Supervisor, WorkerArguments
from engine.control.tallies import Tallies
from engine.control.translate.positions import Stop, stop_position
from engine.control.unit_hours import UnitHours, UnitSeconds
from engine.control.worker_files import WorkerInput
from engine.observe.report import Outcome

KEEP_SECONDS: Final = 2.0
"""Statistics in the store are no older than that."""

METRICS: Final = "127.0.0.1:0"
"""Where a worker serves its metrics to the daemon: a free port."""

CAUGHT_UP: Final = "caught-up"

MOVING: Final = ("loading", "catching-up", "streaming")
"""A worker's states in which AWS says `running`."""

LOADED: Final = ("catching-up", "streaming", "stopped")
"""Those in which no first load is left to do."""

AFTER_LOAD: Final = "FullLoadSettings.StopTaskCachedChangesNotApplied"
AFTER_CACHED: Final = "FullLoadSettings.StopTaskCachedChangesApplied"

Enter = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Carried:
    """How it ended; `reason` where that was as it should be."""

    outcome: Outcome
    reason: StopReason | None = None


class Carrying:
    """One worker after the other, of one start."""

    def __init__(
        self,
        means: Means,
        keeper: Keeper,
        streams: Streams,
        replication: Replication,
        given: WorkerInput,
        size: Size,
        tables: Tallies,
        hours: UnitHours,
    ) -> None:
        life = replication.life
        self.given = given
        self._config: ReplicationConfig = given.config
        self._means = means
        self._keeper = keeper
        self._streams = streams
        self._size = size
        self.hours = hours
        self._listener = Listener(tables, streams, size)
        self._life = life
        self._times = life.times
        self._anew = not life.ran
        self._moving = False
        self._recording = Recording(keeper, means.clock, tables, hours, life.checkpoint)
        self._added_at = means.clock.monotonic()
        self._run = run_id(int(means.clock.wall() * 1000), _letters(means))
        streams.begin(self._run, given.config.settings)
        text = life.wish.stop_position if life.wish else ""
        self._stop = stop_position(text, given.config.source.engine)
        self._reason: StopReason | None = None
        self._supervisor = Supervisor(
            WorkerArguments(
                file=given.file,
                stop_at=self._stop_at(self._stop),
                # Whoever holds the lease may end what another daemon has left running.
                take_over=life.worker is not None,
                state_dir=means.overflow,
                reckoned=size.reckoned or None,
                metrics=METRICS,
                log_format="json",
            ),
            self._listener,
            means.clock,
            means.random,
            means.worker,
            environment=given.environment,
            held=self._held(),
            granted=lambda: size.units,
            moved=life.ran,
            forked=self._forked,
        )
        size.grant = self._supervisor.grant

    def _held(self) -> WorkerMemory | None:
        capacity, memory = self._config.capacity, self._means.memory
        if memory is None:
            return None
        return memory.worker(lambda units: capacity.budget(units).memory_bytes, capacity.units_max)

    @classmethod
    async def begin(
        cls,
        means: Means,
        keeper: Keeper,
        streams: Streams,
        replication: Replication,
        given: WorkerInput,
        size: Size,
    ) -> Self:
        """With what is known of its tables and its cost. No worker runs yet."""
        known = _decoded(TableFacts, await keeper.facts(TABLES))
        spent = _decoded(UnitSeconds, await keeper.facts(unit_hours.PREFIX))
        counted = Tallies(tallies.by_name(known), means.clock.wall)
        hours = UnitHours(spent)
        return cls(means, keeper, streams, replication, given, size, counted, hours)

    def stop(self) -> None:
        """Let the worker drain; it is not started again."""
        self._reason = self._reason or StopReason.NORMAL
        self._supervisor.stop()

    @property
    def told(self) -> Mapping[str, object]:
        """The worker's newest figures; empty while there are none."""
        return self._listener.figures

    @property
    def address(self) -> str:
        """Where the worker's metrics are; empty while there is none."""
        return self._listener.address

    async def run(self, enter: Enter) -> Carried:
        """Start workers until one is done, fails for good, or `stop` is called. Cancelled, the
        worker is killed."""
        try:
            outcome = await self._follow(enter)
        except BaseExceptionGroup as group:
            raise _first(group) from None
        await self._keep(last=True)
        return Carried(outcome, self._why(outcome))

    async def _follow(self, enter: Enter) -> Outcome:
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(enter), name="listen")
            keeping = tasks.create_task(self._keep_on(), name="keep")
            timing = tasks.create_task(self._end_in_time(), name="stop time")
            outcome = await self._supervisor.run()
            self._listener.ended()
            await listening
            keeping.cancel()
            timing.cancel()
        return outcome

    def _why(self, outcome: Outcome) -> StopReason | None:
        if outcome.exit or self._reason:
            return self._reason
        if self._config.type is ReplicationType.FULL_LOAD:
            return StopReason.FULL_LOAD_ONLY_FINISHED
        if self._stop.commit_time:
            return StopReason.STOPPED_AT_COMMIT_TIME
        caught_up = self._stop_at(self._stop) == CAUGHT_UP
        return StopReason.STOPPED_AFTER_CACHED_EVENTS if caught_up else StopReason.NORMAL

    # --- ends that were asked for before -------------------------------------------------------

    def _stop_at(self, stop: Stop) -> str | None:
        if stop.position or stop.commit_time:
            return stop.position or stop.commit_time
        return CAUGHT_UP if self._loads_first(AFTER_CACHED) else None

    def _loads_first(self, setting: str) -> bool:
        """Whether a setting about the end of the load holds in this start."""
        both = self._config.type is ReplicationType.FULL_LOAD_AND_CDC
        return both and self._anew and self._config.settings.value(setting) is True

    async def _end_in_time(self) -> None:
        if self._stop.moment is not None:
            await asyncio.sleep(max(0.0, self._stop.moment - self._means.clock.wall()))
            self._end(StopReason.STOPPED_AT_SERVER_TIME)

    def _end(self, reason: StopReason) -> None:
        if self._reason is None:
            self._reason = reason
            self._supervisor.stop()

    # --- what the worker tells -----------------------------------------------------------------

    def _forked(self, pid: int) -> None:
        """What it will be known by is read now: the store may take it later, when another process
        has the number."""
        worker = predecessor.known(pid, self._run)
        self._listener.event({"event": "forked", "worker": worker})

    async def _listen(self, enter: Enter) -> None:
        while (event := await self._listener.events.get()) is not None:
            with contextlib.suppress(SupersededError):  # a stop is on its way
                await self._take(event, enter)

    async def _take(self, event: Mapping[str, object], enter: Enter) -> None:
        match event["event"]:
            case "forked":
                await self._keeper.change(having(worker=event["worker"]))
            case "state":
                await self._keep()  # who is told `running` finds its tables
                await self._state(str(event["state"]), enter)
            case "restarting":
                self._moving = False
                reason = str(event.get("reason") or "it does not say why")
                text = f"The worker ended ({reason}) and is started again."
                await enter(Status.REPLICATION_STARTING, text, detail=text, failures=(text,))
            case "capacity":
                await self._resized(event)

    async def _state(self, state: str, enter: Enter) -> None:
        now = self._means.clock.wall()
        times: dict[str, Any] = {}
        if state == "loading" and self._times.load_start is None:
            times |= {"load_start": now}
        if state in LOADED and self._times.load_start and self._times.load_end is None:
            times |= {"load_end": now}
        begins = state in MOVING and not self._moving
        if begins:
            times |= {"start": now, "stop": None} | ({"fresh_start": now} if self._anew else {})
        self._times = msgspec.structs.replace(self._times, **times)
        if begins:
            self._moving = True
            await enter(Status.RUNNING, ran=True, failures=(), times=self._times)
        elif times:
            await self._keeper.change(having(times=self._times))
        if state == "catching-up" and self._loads_first(AFTER_LOAD):
            self._end(StopReason.STOPPED_AFTER_FULL_LOAD)

    async def _resized(self, event: Mapping[str, object]) -> None:
        before, after = _whole(event.get("units_from")), _whole(event.get("units_to"))
        if before == after:
            return
        now = self._means.clock.wall()
        has = Provisioned(state=Provision.PROVISIONED, units=after, at=now)
        happening = SCALING_UP if after > before else SCALING_DOWN
        detail = f"{before} to {after} capacity units: {event.get('reason', '')}."
        await self._keeper.change(having(provisioned=has), Note(happening, detail))

    # --- what is kept --------------------------------------------------------------------------

    async def _keep_on(self) -> None:
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            await self._keep()

    async def _keep(self, *, last: bool = False) -> None:
        """Store what has changed, if anything has."""
        self._spend(self._means.clock.monotonic())
        await self._recording.store(self._listener.position, last=last)

    def _spend(self, now: float) -> None:
        units = self._listener.units or self._size.units
        self.hours.add(units, now - self._added_at, self._means.clock.wall())
        self._added_at = now


def _decoded(kind: type[Any], facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: decode(kind, document) for name, document in facts.items()}


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _letters(means: Means) -> str:
    return "".join(chr(ord("a") + byte % 26) for byte in means.random.key(3))


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
