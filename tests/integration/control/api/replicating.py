"""Endpoints in the store, and a fleet that lives in it as the real one does, without databases."""

from typing import Any, Final

import msgspec

from engine.control.lifecycle import STARTING, Provision, Status, StopReason, follows
from engine.control.resources import endpoint, replication, table
from engine.control.resources.document import decode, encode
from engine.control.resources.endpoint import Endpoint
from engine.control.resources.replication import Life, Provisioned, Replication, Times, Worker
from engine.control.resources.table import TableFacts, key, progress
from engine.control.store.records import EVERY_EVENT, Record
from tests.integration.control.api.daemon import Daemon

HOME: Final = "arn:aws:dms:us-east-1:000000000000"
SOURCE: Final = f"{HOME}:endpoint:SHOP"
TARGET: Final = f"{HOME}:endpoint:STORE"

MAPPINGS: Final = (
    '{"rules":[{"rule-type":"selection","rule-id":"1","rule-name":"all","rule-action":"include",'
    '"object-locator":{"schema-name":"public","table-name":"%"}}]}'
)

CONFIG: Final[dict[str, Any]] = {
    "ReplicationConfigIdentifier": "Orders",
    "SourceEndpointArn": SOURCE,
    "TargetEndpointArn": TARGET,
    "ReplicationType": "full-load-and-cdc",
    "ComputeConfig": {"MinCapacityUnits": 1, "MaxCapacityUnits": 8},
    "TableMappings": MAPPINGS,
}


async def add_endpoint(
    daemon: Daemon, id: str, kind: str, engine: str = "postgres", **members: Any
) -> str:
    """Its ARN. Without more, each has a host of its own."""
    whole = {
        "EndpointIdentifier": id.lower(),
        "EndpointType": kind,
        "EngineName": engine,
        "ServerName": f"{id.lower()}.example",
        "Port": 5432,
        "DatabaseName": "app",
        "Username": "u",
        **members,
    }
    document = encode(Endpoint(members=whole))
    fields = {"type": kind, "engine": engine}
    async with daemon.store.write() as writing:
        await writing.insert(Record(endpoint.KIND, id, id.lower(), document, fields))
    return f"{HOME}:endpoint:{id}"


async def add_pair(daemon: Daemon) -> None:
    """`SOURCE` and `TARGET`."""
    await add_endpoint(daemon, "SHOP", "source")
    await add_endpoint(daemon, "STORE", "target")


async def everything(daemon: Daemon) -> list[object]:
    """All that is stored: the same before and after a call that was refused."""
    async with daemon.store.read() as reading:
        kinds = await reading.kinds()
        records = [record for kind in kinds for record in await reading.find(kind)]
        tags = [await reading.tags(record.kind, [record.id]) for record in records]
        return [records, tags, await reading.events(EVERY_EVENT)]


async def events(daemon: Daemon) -> list[tuple[str, str, str]]:
    """Of what, its identifier, and the text, in order."""
    async with daemon.store.read() as reading:
        found = await reading.events(EVERY_EVENT)
    return [(event.source_type, event.source_id, event.message) for event in found]


class ExampleFleet:
    """Does what the daemon's fleet was woken for, when it is told to, through the statuses that
    life has."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.now = 1_700_000_000.0
        self.fails_after: int | None = None
        """Steps of a start until it fails, once."""

    async def life(self, id: str, **changes: Any) -> Life:
        """Change the life of one as the fleet would; it as it is then."""
        async with self._daemon.store.write() as writing:
            record = await writing.get(replication.KIND, id)
            assert record is not None
            whole = decode(Replication, record.document)
            after = changes.get("status", whole.life.status)
            assert after == whole.life.status or follows(whole.life.status, after)
            whole = msgspec.structs.replace(
                whole, life=msgspec.structs.replace(whole.life, **changes)
            )
            await writing.update(
                Record(
                    record.kind,
                    record.id,
                    record.name,
                    encode(whole),
                    record.fields,
                    record.revision,
                )
            )
            return whole.life

    async def tables(self, id: str, *facts: TableFacts) -> None:
        """Store what is known of tables, and of all of them together."""
        async with self._daemon.store.write() as writing:
            stored = {key(each.schema, each.table): encode(each) for each in facts}
            await writing.put_facts(replication.KIND, id, stored)
        async with self._daemon.store.read() as reading:
            found = await reading.facts(replication.KIND, id, prefix=table.PREFIX)
        every = [decode(TableFacts, fact.document) for fact in found]
        await self.life(id, progress=progress(every))

    async def step(self, id: str) -> Status | None:
        """Go on by one status; None when the replication is gone or has nothing to do."""
        async with self._daemon.store.read() as reading:
            record = await reading.get(replication.KIND, id)
        if record is None:
            return None
        life = decode(Replication, record.document).life
        self.now += 1
        if life.status in STARTING:
            return await (self._fail(id) if self._is_to_fail() else self._start(id, life))
        if life.status is Status.STOPPING:
            return await self._stop(id, life)
        if life.status is Status.DELETING:
            async with self._daemon.store.write() as writing:
                await writing.delete(replication.KIND, id)
        return None

    async def settle(self, id: str) -> list[Status]:
        """Go on until there is nothing to do; the statuses on the way."""
        passed: list[Status] = []
        while (status := await self.step(id)) is not None:
            passed.append(status)
        return passed

    async def _start(self, id: str, life: Life) -> Status:
        status = dict(zip(STARTING, (*STARTING[1:], Status.RUNNING), strict=True))[life.status]
        changes: dict[str, Any] = {"status": status}
        if status is Status.REPLICATION_STARTING:
            changes["provisioned"] = Provisioned(state=Provision.PROVISIONED, units=2, at=self.now)
        if status is Status.RUNNING:
            changes |= {
                "ran": True,
                "times": Times(fresh_start=self.now, start=self.now, load_start=self.now),
                "worker": Worker(pid=1, started=self.now, run="serv-res-id-1700000000000-abc"),
                "checkpoint": "4AF/B00000D0",
                "stop_reason": None,
            }
        return (await self.life(id, **changes)).status

    def _is_to_fail(self) -> bool:
        if self.fails_after is None:
            return False
        self.fails_after -= 1
        if self.fails_after:
            return False
        self.fails_after = None
        return True

    async def _fail(self, id: str) -> Status:
        reason, failures = StopReason.FATAL_ERROR, ("Test connection failed for endpoint shop.",)
        life = await self.life(
            id, status=Status.FAILED, stop_reason=reason, failures=failures, wanted=False
        )
        return life.status

    async def _stop(self, id: str, life: Life) -> Status:
        times = msgspec.structs.replace(life.times, stop=self.now)
        reason = StopReason.NORMAL
        stopped = await self.life(id, status=Status.STOPPED, stop_reason=reason, times=times)
        return stopped.status
