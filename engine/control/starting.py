"""A start up to the moment a worker can be forked: files, both databases looked at, memory held.

Each of AWS's statuses on the way does what its name says. What stands in the way ends the start
with a `StartError`, whose text is what AWS would put among `FailureMessages`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.config.capacity import CapacityConfig
from engine.config.quantity import format_size
from engine.config.secret import Secret
from engine.config.settings_effect import BY_DAEMON, changed_without_effect
from engine.control import errand, quarantine_keys
from engine.control.endpoint_side import Reached, reach
from engine.control.happenings import WITHOUT_EFFECT
from engine.control.keeping import Keeper
from engine.control.ledger import TooLargeError
from engine.control.lifecycle import Begin, Status
from engine.control.means import Means
from engine.control.reports import NOT_STARTED, not_started
from engine.control.resources import endpoint
from engine.control.resources.document import decode
from engine.control.resources.endpoint import Endpoint
from engine.control.resources.replication import Replication
from engine.control.resources.table import ERRORED, TableFacts
from engine.control.resources.table import PREFIX as TABLES
from engine.control.size import Size
from engine.control.store.errors import GoneError
from engine.control.store.records import Record
from engine.control.translate.key_name import plain_name
from engine.control.worker_files import WorkerInput
from engine.errors import ConfigError, Retry, StateError
from engine.observe.report import Outcome

PROBE: Final = "engine.control.probe"

PROBE_SECONDS: Final = 600.0
"""Time to look at both databases: a catalog of 100,000 tables is read in minutes."""

STATUS_OF_STEP: Final[Mapping[str, Status]] = {
    "connections": Status.TESTING_CONNECTION,
    "metadata": Status.FETCHING_METADATA,
    "capacity": Status.CALCULATING_CAPACITY,
}
"""Which status a step of the probe (`preflight.Step`) is."""

BLOCKS: Final = "blocks"

CONNECTION: Final = "-connection"
"""End of the name of a finding about one side's connection."""

MEMBERS: Final[Mapping[str, str]] = {
    ".mapping.json": "TableMappings ",
    ".settings.json": "ReplicationSettings ",
}
"""By the end of a worker's file: AWS's member that it was written from."""

PASSING: Final = (Retry.BACKOFF.value, Retry.WAIT.value, Retry.RESTART.value)
"""`Outcome.retry` of what may pass by itself."""

FAILURES_MAX: Final = 20
"""Blocking findings that `FailureMessages` hold; a schema of a thousand tables without a key is one
mistake."""

NAMED_MAX: Final = 12
"""Settings without effect that an event names."""

Enter = Callable[..., Awaitable[None]]
"""Enters a status, with a message for the orchestrator's log stream."""


class StartError(Exception):
    """The start came to nothing; each of `failures` is a sentence for `FailureMessages`. What may
    pass by itself is `recoverable`."""

    def __init__(self, *failures: str, recoverable: bool = False) -> None:
        super().__init__(*failures)
        self.failures = failures
        self.recoverable = recoverable


class NotNowError(StartError):
    """What stands in the way is on this machine: no room, no process to be had. It passes, or
    somebody mends it for all; the start is wanted all the same."""

    def __init__(self, failure: str) -> None:
        super().__init__(failure, recoverable=True)


def refused(outcome: Outcome) -> StartError:
    """What a process that failed means for the start that needed it."""
    reason = sentence(outcome.reason or outcome.error, outcome.remedy)
    if outcome.error == NOT_STARTED:
        return NotNowError(reason)
    return StartError(reason, recoverable=outcome.retry in PASSING)


@dataclass(slots=True)
class Found:
    """What a probe has told so far."""

    units: int = 0
    """To begin with; 0 where nothing was told."""
    reckoned: str = ""
    """How, from catalog and log; empty where these do not tell."""
    blocking: list[Mapping[str, object]] = field(default_factory=list[Mapping[str, object]])
    """The first `FAILURES_MAX` findings that block, as `preflight.document` makes them."""
    blocked: int = 0
    """How many block."""
    stand: frozenset[str] = frozenset()
    """Tables that stand already: what is found of them is in the log, and keeps no other table from
    going on, as it kept none before."""
    whole: bool = False
    """Whether it looked at everything."""


class Starting:
    """One start of one replication."""

    def __init__(self, id: str, means: Means, keeper: Keeper, enter: Enter) -> None:
        self._id = id
        self._means = means
        self._keeper = keeper
        self._enter = enter

    async def files(self, replication: Replication) -> WorkerInput:
        """What the worker will read, written. Raises StartError."""
        means, ends = self._means, (replication.config.source, replication.config.target)
        try:
            source, target = [await self._reach(end) for end in ends]
            key = await self._quarantine_key(replication)
            return await asyncio.to_thread(
                means.files.write, self._id, replication, source, target, key
            )
        except ConfigError as error:
            raise StartError(*map(_told, error.problems)) from None
        except StateError as error:
            kind = NotNowError if error.retry is Retry.BACKOFF else StartError
            raise kind(str(error)) from None
        except GoneError as error:
            raise StartError(str(error)) from None
        except RuntimeError as error:  # no thread is to be had
            raise refused(not_started(error)) from error

    async def _quarantine_key(self, replication: Replication) -> Secret:
        means, named = self._means, plain_name(replication.config.compute.kms_key)
        return await self._keeper.until_stored(
            lambda: quarantine_keys.current(means.store, means.vault, means.random, self._id, named)
        )

    async def _reach(self, end: str) -> Reached:
        """A store that is away for a moment ends no start."""
        means = self._means
        return await self._keeper.until_stored(
            lambda: reach(means.store, end, means.vault, means.environment)
        )

    async def tell_of_effect(self, replication: Replication, given: WorkerInput) -> None:
        """An event that names what was written and does nothing: never in silence."""
        settings = [
            name
            for name in changed_without_effect(given.config.settings, replication.config.type)
            if not name.startswith(BY_DAEMON)
        ]
        idle = [*settings, *(note.subject for note in given.notes)]
        if idle:
            more = f" and {len(idle) - NAMED_MAX} more" if len(idle) > NAMED_MAX else ""
            await self._keeper.tell(WITHOUT_EFFECT, ", ".join(idle[:NAMED_MAX]) + more + ".")

    async def look(self, replication: Replication, given: WorkerInput) -> Found:
        """Both databases looked at, by a process of its own; what it found. Raises StartError."""
        await self._enter(Status.PREPARING_METADATA_RESOURCES)
        found = Found(stand=await self._standing(replication))
        told: asyncio.Queue[Mapping[str, object] | None] = asyncio.Queue()
        looking = asyncio.create_task(
            errand.run(
                PROBE,
                [str(given.file)],
                environment=given.environment,
                told=told.put_nowait,
                seconds=PROBE_SECONDS,
            ),
            name=f"probe {self._id}",
        )
        looking.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (event := await told.get()) is not None:
                await self._take(event, found)
        finally:
            looking.cancel()
            await asyncio.wait((looking,))
        outcome = looking.result()
        if outcome.exit and (found.blocking or not found.whole):
            raise await self._blocked(replication, found, outcome)
        return found

    async def _standing(self, replication: Replication) -> frozenset[str]:
        """Tables that stand in what is to go on."""
        wish = replication.life.wish
        if wish is None or wish.begin is not Begin.RESUME:
            return frozenset()
        facts = await self._keeper.facts(TABLES)
        tables = (decode(TableFacts, document) for document in facts.values())
        return frozenset(f"{t.schema}.{t.table}" for t in tables if t.state in ERRORED)

    async def provision(self, capacity: CapacityConfig, found: Found) -> Size:
        """Memory held for what was found, or as much as the machine has at all. Raises StartError.

        What it grows to later it asks for then.
        """
        unit, room = capacity.unit_memory_bytes, self._means.room
        fitting = [size for size in capacity.ladder if size * unit <= room.ledger.total]
        first = next((size for size in capacity.ladder if size >= found.units), capacity.units_max)
        first = min(first, max(fitting, default=capacity.units_min))
        try:
            await room.hold(self._id, first * unit, lambda: self._wait(first * unit))
        except TooLargeError as error:
            raise StartError(str(error)) from None
        return Size(self._id, room, capacity, first, reckoned=found.reckoned)

    async def _take(self, event: Mapping[str, object], found: Found) -> None:
        match event["event"]:
            case "finding":
                if event.get("severity") == BLOCKS and event.get("subject") not in found.stand:
                    found.blocked += 1
                    if found.blocked <= FAILURES_MAX:
                        found.blocking.append(event)
                if event.get("severity") in (BLOCKS, "warns"):
                    self._means.log.warning(
                        str(event.get("message", "")),
                        action=f"check.{event.get('check', '')}",
                        replication=self._id,
                        subject=str(event.get("subject", "")),
                        hint=str(event.get("remedy", "")),
                    )
            case "found":
                units = event.get("units")
                found.units = units if isinstance(units, int) else 0
                found.reckoned = str(event.get("reckoned", ""))
                found.whole = True
            case "step" if not found.blocking:
                await self._enter(STATUS_OF_STEP[str(event["step"])])

    async def _blocked(
        self, replication: Replication, found: Found, outcome: Outcome
    ) -> StartError:
        """Everything that blocks, not the first of it alone."""
        if not found.blocking:
            return refused(outcome)
        failures: list[str] = []
        for finding in found.blocking:
            failures += await self._failures(replication, finding)
        if found.blocked > FAILURES_MAX:
            failures.append(f"{found.blocked - FAILURES_MAX} more findings are in the log.")
        return StartError(*failures, recoverable=_is_connection(str(found.blocking[0]["check"])))

    async def _failures(
        self, replication: Replication, finding: Mapping[str, object]
    ) -> Sequence[str]:
        check, subject, message, remedy = (
            str(finding.get(name, "")) for name in ("check", "subject", "message", "remedy")
        )
        if subject and not message.startswith(subject):
            message = f"{subject}: {message}"
        reason = sentence(message, remedy)
        if not _is_connection(check):
            return (reason,)
        side = check.removesuffix(CONNECTION)
        name = await self._endpoint_name(getattr(replication.config, side))
        return f"Test connection failed for endpoint {name}.", reason

    async def _endpoint_name(self, id: str) -> str:
        async def read() -> Record | None:
            async with self._means.store.read() as reading:
                return await reading.get(endpoint.KIND, id)

        record = await self._keeper.until_stored(read)
        members: Mapping[str, Any] = decode(Endpoint, record.document).members if record else {}
        return str(members.get("EndpointIdentifier", id))

    async def _wait(self, size: int) -> None:
        ledger = self._means.room.ledger
        await self._enter(
            Status.PROVISIONING_CAPACITY,
            f"Waiting for capacity: {format_size(size)} are needed, {format_size(ledger.free)} of"
            f" {format_size(ledger.total)} are free, {len(ledger.line) - 1} wait before.",
        )


def _told(problem: ConfigError) -> str:
    """By AWS's member: the file of the daemon's own that it stands in is none that a user wrote."""
    member = next((name for end, name in MEMBERS.items() if problem.file.endswith(end)), "")
    return sentence(f"{member}{problem.field}: {problem.constraint}", problem.hint)


def _is_connection(check: str) -> bool:
    return check.removesuffix(CONNECTION) in ("source", "target") and check.endswith(CONNECTION)


def sentence(reason: str, remedy: str) -> str:
    """What happened and what to do about it, as one of `FailureMessages`."""
    return f"{reason} ({remedy})" if remedy else reason
