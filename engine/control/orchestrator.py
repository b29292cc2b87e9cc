"""One replication, from what is wanted of it to what it is: AWS's statuses, each doing what its
name says.

What is wanted stands in the store, written by operations; this reads it, acts, and writes what came
of it. It can be cut at any moment: the next daemon reads the same record and goes on from there.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec

from engine.control import errand, predecessor
from engine.control.acting import Figures
from engine.control.carrying import Carried, Carrying
from engine.control.chores import MODULE as CHORES
from engine.control.happenings import (
    DELETED,
    LEFT_BEHIND,
    STEPS,
    TASK_DELETED,
    TASK_FAILED,
    TASK_STARTED,
    TASK_STOPPED,
    Happening,
)
from engine.control.keeping import Keeper, Note, SupersededError, entering, having
from engine.control.lifecycle import STARTING, Begin, Provision, Status, StopReason
from engine.control.means import Means
from engine.control.reports import NOT_STARTED
from engine.control.resources.replication import Face, Life, Progress, Provisioned, Replication
from engine.control.resources.table import PREFIX as TABLES
from engine.control.restart import FAILING_SECONDS_MAX
from engine.control.resting import Resting
from engine.control.size import Size
from engine.control.starting import (
    PASSING,
    Found,
    NotNowError,
    StartError,
    Starting,
    refused,
    sentence,
)
from engine.control.store.errors import GoneError, LeaseLostError
from engine.control.streams import Streams
from engine.control.unit_hours import UnitHours
from engine.control.worker_files import WorkerInput
from engine.errors import InvariantError, PenstockError, StateError
from engine.observe.report import Outcome
from engine.retry import Backoff, Policy

CHORE_SECONDS: Final = 120.0
"""Time to drop what a replication made, or to empty its tables."""

OF_TASKS: Final = {
    Status.REPLICATION_STARTING: TASK_STARTED,
    Status.STOPPED: TASK_STOPPED,
    Status.FAILED: TASK_FAILED,
}
"""What is said of a classic task in the place of what is said of a replication."""

TAKEN_UP: Final = (Status.REPLICATION_STARTING, Status.RUNNING)
"""Where a daemon before was at least at forking a worker: another one is forked, and tries for as
long as a worker does whose server went away."""

PAUSE_SECONDS: Final = 1.0
"""Between two tries, at least."""

WAITING: Final = Policy(
    first_delay_seconds=2.0, delay_seconds_max=30.0, budget_seconds=FAILING_SECONDS_MAX
)
"""For a machine without room or processes: a start waits for it as a worker does for a server."""

LEAVING: Final = Policy(first_delay_seconds=2.0, delay_seconds_max=10.0, budget_seconds=60.0)
"""The same for a deletion, which leaves behind then what it cannot drop."""

LOW_MEMORY: Final = ("OutOfMemory", "OutOfMemoryError")

RETAINED: Final = "retained_bytes"
"""As a worker's `metrics` call it."""

T = TypeVar("T")


class Orchestrator:
    """One replication, by the id of its record."""

    def __init__(self, id: str, means: Means) -> None:
        self.id = id
        self._means = means
        self._log = means.log.bind(replication=id)
        self._keeper = Keeper(means.store, id, self._log)
        self._streams = Streams(means.logs, self._log, means.clock, id)
        self._starting = Starting(id, means, self._keeper, self._enter)
        self._resting = Resting(id, means, self._keeper, self._starting)
        self._woken = asyncio.Event()
        self._carrying: Carrying | None = None
        self._face = Face.CONFIG
        self._leaving = False
        self.hours: UnitHours | None = None
        """What it was provisioned with so far; None while no worker carried it here."""
        self.name = id
        """As its user calls it, once it was read."""
        self.status = ""
        """The newest that was read or stored."""

    def wake(self) -> None:
        """The record was changed."""
        self._woken.set()

    def figures(self) -> Figures:
        """How it does at the moment."""
        kept = self._resting.bytes
        told: Mapping[str, object] = {} if kept is None else {RETAINED: kept}
        told = self._carrying.told if self._carrying else told
        now = self._means.clock.wall()
        return Figures(told, None if self.hours is None else self.hours.of_month(now))

    @property
    def kept_bytes(self) -> int | None:
        """Log that its source keeps for it while it rests; None: unknown, or none."""
        return self._resting.bytes

    @property
    def carrying(self) -> Carrying | None:
        """The worker that carries it now."""
        return self._carrying

    def leave(self) -> None:
        """The daemon ends: let the worker drain. What is wanted stays so, for the next one."""
        self._leaving = True
        self._woken.set()

    async def run(self) -> None:
        """Act until the record is gone or `leave` was called.

        Raises LeaseLostError when another daemon acts: its worker has been ended.
        """
        with contextlib.suppress(GoneError):
            while not self._leaving:
                self._woken.clear()
                replication = await self._keeper.read()
                if await self._act(replication):
                    continue
                await self._rest(replication)

    async def _rest(self, replication: Replication) -> None:
        """Until the record was changed; what its source keeps for it is looked at meanwhile."""
        watching = asyncio.create_task(self._resting.watch(replication), name=f"rest {self.id}")
        try:
            await self._woken.wait()
        finally:
            watching.cancel()
            await asyncio.wait((watching,))

    async def _act(self, replication: Replication) -> bool:
        """Do what is to be done; whether to look again at once."""
        life, self._face = replication.life, replication.config.face
        self.name, self.status = replication.config.name, life.status.value
        if life.status is Status.DELETING:
            await self._delete(replication)
        elif life.wanted:
            await self._carry(replication)
        elif life.status is Status.STOPPING or life.status in (*STARTING, Status.RUNNING):
            await predecessor.gone(life.worker)
            await self._stopped(StopReason.NORMAL)
        else:
            return False
        return True

    # --- running -------------------------------------------------------------------------------

    async def _carry(self, replication: Replication) -> None:
        """Start it and follow it to its end, unless something else is wanted meanwhile."""
        work = asyncio.create_task(self._whole(replication), name=f"carry {self.id}")
        try:
            while not work.done():
                waking = asyncio.create_task(self._woken.wait(), name=f"wake {self.id}")
                await asyncio.wait((work, waking), return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
                if self._woken.is_set() and not work.done():
                    self._woken.clear()
                    if self._leaving or not (await self._keeper.read()).life.wanted:
                        self._end(work)
        finally:
            work.cancel()
            await asyncio.wait((work,))
        if not work.cancelled():
            work.result()

    def _end(self, work: asyncio.Task[None]) -> None:
        """A worker is asked to drain; a start that has not come to one ends at once."""
        if self._carrying is not None:
            self._carrying.stop()
        else:
            work.cancel()

    async def _whole(self, replication: Replication) -> None:
        try:
            with self._unexpected():
                carried = await self._waiting(self._start_and_carry, replication, WAITING)
                await self._ended(carried)
        except StartError as error:
            await self._failed(error)
        except SupersededError:
            if (await self._keeper.read()).life.wanted:
                raise InvariantError(f"{self.id} is at {self.status} and cannot go on") from None
        finally:
            self._means.room.release(self.id)
            self._carrying = None

    async def _waiting(
        self,
        work: Callable[[Replication], Awaitable[T]],
        replication: Replication,
        policy: Policy,
    ) -> T:
        """What `work` gives, once this machine has what it needs; why it waits is told meanwhile.
        Raises StartError, that of the machine when the policy's time is over."""
        waits = Backoff(policy, self._means.clock, self._means.random)
        while True:
            try:
                return await work(replication)
            except NotNowError as error:
                delay = waits.next_delay()
                if delay is None:
                    raise
                await self._tell_of_waiting(error)
            self._means.room.release(self.id)
            self._carrying = None
            await asyncio.sleep(max(delay, PAUSE_SECONDS))
            replication = await self._keeper.read()

    async def _tell_of_waiting(self, error: NotNowError) -> None:
        text = f"{' '.join(error.failures)} It is tried again."
        if self.status == Status.RUNNING:
            await self._enter(
                Status.REPLICATION_STARTING, text, detail=text, failures=error.failures
            )
        else:
            await self._keeper.change(having(failures=error.failures))
            self._streams.entered(Status(self.status), text)

    @contextlib.contextmanager
    def _unexpected(self) -> Iterator[None]:
        """A defect of ours ends this replication, with a line of the log, and no other."""
        try:
            yield
        except (StartError, SupersededError, GoneError, LeaseLostError):
            raise
        except Exception as error:
            outcome = Outcome.of(error)
            self._log.exception(
                "the replication could not be carried", action="replication.failed", error=error
            )
            raise StartError(_sentence(outcome), recoverable=True) from error

    async def _start_and_carry(self, replication: Replication) -> Carried:
        life = replication.life
        await predecessor.gone(life.worker)
        if life.status in TAKEN_UP:
            given = await self._starting.files(replication)
            found = Found(units=life.provisioned.units if life.provisioned else 0)
        else:
            given, found = await self._prepare(replication)
        size = await self._provision(replication, given, found)
        await self._enter(Status.REPLICATION_STARTING)
        if life.wish is not None and life.wish.begin is Begin.RELOAD:
            await self._begin_anew(given)
        replication = await self._keeper.read()
        self._carrying = await Carrying.begin(
            self._means, self._keeper, self._streams, replication, given, size
        )
        self.hours = self._carrying.hours
        carried = await self._carrying.run(self._enter)
        if carried.outcome.error == NOT_STARTED:
            raise refused(carried.outcome)
        return carried

    async def _prepare(self, replication: Replication) -> tuple[WorkerInput, Found]:
        """Up to the size that it is to begin with."""
        if not replication.life.ran:
            await self._keeper.change(having(), Note(forget=TABLES))
        await self._enter(Status.INITIALIZING, stop_reason=None)
        given = await self._starting.files(replication)
        await self._starting.tell_of_effect(replication, given)
        return given, await self._starting.look(replication, given)

    async def _provision(self, replication: Replication, given: WorkerInput, found: Found) -> Size:
        if replication.life.status not in TAKEN_UP:
            await self._enter(
                Status.PROVISIONING_CAPACITY,
                provisioned=self._provisioned(Provision.PROVISIONING, found.units),
            )
        size = await self._starting.provision(given.config.capacity, found)
        provisioned = self._provisioned(Provision.PROVISIONED, size.units)
        await self._keeper.change(having(provisioned=provisioned))
        return size

    def _provisioned(self, state: Provision, units: int) -> Provisioned:
        return Provisioned(state=state, units=units, at=self._means.clock.wall())

    async def _begin_anew(self, given: WorkerInput) -> None:
        """Forget what earlier starts left, once: the wish is one for a first start from then on."""
        outcome = await self._chore(given, "anew")
        if outcome.exit:
            raise refused(outcome)

        def begun(life: Life) -> Life:
            return msgspec.structs.replace(
                life,
                wish=life.wish and msgspec.structs.replace(life.wish, begin=Begin.FRESH),
                ran=False,
                checkpoint="",
                progress=Progress(),
                times=msgspec.structs.replace(life.times, load_start=None, load_end=None),
            )

        await self._keeper.change(begun, Note(forget=TABLES))

    async def _chore(self, given: WorkerInput, chore: str, *words: str) -> Outcome:
        return await errand.run(
            CHORES,
            [f"--chore={chore}", *words, str(given.file)],
            environment=given.environment,
            seconds=CHORE_SECONDS,
        )

    # --- ends ----------------------------------------------------------------------------------

    async def _ended(self, carried: Carried) -> None:
        """A worker has ended for good."""
        outcome, reason = carried.outcome, carried.reason
        if self._leaving:
            await self._keeper.change(having(worker=None))
        elif outcome.exit == 0:
            await self._stopped(reason or StopReason.NORMAL)
        else:
            passing = outcome.retry in PASSING
            why = StopReason.RECOVERABLE_ERROR if passing else StopReason.FATAL_ERROR
            if outcome.error in LOW_MEMORY:
                why = StopReason.STOPPED_DUE_TO_LOW_MEMORY
            await self._enter_failed(why, _sentence(outcome))

    async def _stopped(self, reason: StopReason) -> None:
        await self._enter(
            Status.STOPPED,
            wanted=False,
            worker=None,
            failures=(),
            stop_reason=reason,
            detail="" if reason is StopReason.NORMAL else f"{reason}.",
        )

    async def _failed(self, error: StartError) -> None:
        reason = StopReason.RECOVERABLE_ERROR if error.recoverable else StopReason.FATAL_ERROR
        await self._enter_failed(reason, *error.failures)

    async def _enter_failed(self, reason: StopReason, *failures: str) -> None:
        with contextlib.suppress(SupersededError):
            await self._enter(
                Status.FAILED,
                wanted=False,
                worker=None,
                stop_reason=reason,
                failures=failures,
                failure=" ".join(failures),
                detail=" ".join(failures),
            )

    async def _enter(
        self,
        status: Status,
        message: str = "",
        *,
        failure: str = "",
        detail: str = "",
        **members: object,
    ) -> None:
        """Store that it is in that status now, and say so. Raises SupersededError."""

        def change(life: Life) -> Life:
            ends = status in (Status.STOPPED, Status.FAILED)
            changed = entering(status, **members)(life)
            return self._at_rest(changed) if ends else changed

        happening = self._happening(status)
        await self._keeper.change(change, Note(happening, detail) if happening else Note())
        self.status = status.value
        self._streams.entered(status, message, failure)

    def _at_rest(self, life: Life) -> Life:
        """Nothing runs: what it had of the machine is free again."""
        now = self._means.clock.wall()
        provisioned = life.provisioned
        if provisioned is not None:
            never = provisioned.state is Provision.PROVISIONING and life.status is Status.FAILED
            state = Provision.FAILED if never else Provision.DEPROVISIONED
            provisioned = msgspec.structs.replace(provisioned, state=state)
        times = msgspec.structs.replace(life.times, stop=now)
        return msgspec.structs.replace(life, provisioned=provisioned, times=times)

    def _happening(self, status: Status) -> Happening | None:
        if self._face is Face.TASK:
            return OF_TASKS.get(status)
        return STEPS.get(status)

    # --- deletion ------------------------------------------------------------------------------

    async def _delete(self, replication: Replication) -> None:
        """Remove what it made, as far as its databases can be reached, and the record for good."""
        begun = replication.life.provisioned is not None
        failure = await self._cleaned(replication) if begun else ""
        with contextlib.suppress(StateError):
            await asyncio.to_thread(self._means.files.remove, self.id)
        deleted = TASK_DELETED if self._face is Face.TASK else DELETED
        left = [Note(LEFT_BEHIND, failure)] if failure else []
        await self._keeper.remove(*left, Note(deleted))

    async def _cleaned(self, replication: Replication) -> str:
        """Why something was left behind; empty when nothing was."""
        try:
            return await self._waiting(self._clean, replication, LEAVING)
        except StartError as error:
            return " ".join(error.failures)

    async def _clean(self, replication: Replication) -> str:
        """The same. Raises StartError."""
        given = await self._starting.files(replication)
        outcome = await self._chore(given, "clean")
        if not outcome.exit:
            return ""
        if outcome.error == NOT_STARTED:
            raise refused(outcome)
        slot = given.config.slot_name
        left = (
            f"A slot {slot} of a PostgreSQL source keeps its log until somebody drops it:"
            f" SELECT pg_drop_replication_slot('{slot}')."
        )
        return f"{_sentence(outcome)}. {left}" if given.config.slot_is_ours else _sentence(outcome)

    async def reload(self, *tables: str) -> None:
        """Ask for tables to be loaded again. Raises PenstockError when that could not be noted."""
        if self._carrying is None:
            raise PenstockError("no worker carries the replication now", hint="try again later")
        words = [f"--table={table}" for table in tables]
        outcome = await self._chore(self._carrying.given, "reload", *words)
        if outcome.exit:
            raise PenstockError(outcome.reason, hint=outcome.remedy)


def _sentence(outcome: Outcome) -> str:
    return sentence(outcome.reason or outcome.error, outcome.remedy)
