"""Requests that an operation can do something with, of whatever operation: members have values by
their names, of resources that are there."""

from typing import Any, Final, TypeAlias

from engine.control.api.arn import Home, Kind
from engine.control.api.filters import NAMES
from engine.control.resources.document import encode
from engine.control.resources.replication import KIND as REPLICATION
from engine.control.resources.table import TableFacts, key
from engine.control.store.records import Event, Fact, Record
from tests.integration.control.api.daemon import Daemon
from tests.unit.control.api.samples import Path, operation, sample

_HOME: Final = Home()

PEM: Final = """\
-----BEGIN CERTIFICATE-----
MIIBPzCB5aADAgECAhRqUzU7Qae5x2bqa9x9MkxYPPMtgjAKBggqhkjOPQQDAjAU
MRIwEAYDVQQDDAlhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEwMDAxMDEw
MDAwMDBaMBQxEjAQBgNVBAMMCWF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABCjKPLgOwvkxFAezwLc092zsj1ehqFuAHGHLFIdbsRbTBLmyQxk+1pD3
VnV/6av30npr4vDfj7w84a3p087L84KjEzARMA8GA1UdEwEB/wQFMAMBAf8wCgYI
KoZIzj0EAwIDSQAwRgIhANZRkokRw44hlb89nnAPQlWY4R/U9MPBnZ93SN34VAAX
AiEAjVOYUm8D1KmnANMp2t4ZBCwsy6niUWuDu5LajBYPOvs=
-----END CERTIFICATE-----
"""
"""An authority that nobody trusts."""

SOURCE: Final = _HOME.arn(Kind.ENDPOINT, "SOURCE")
TARGET: Final = _HOME.arn(Kind.ENDPOINT, "TARGET")
TOPIC: Final = "arn:aws:sns:us-east-1:000000000000:alarms"

MAPPINGS: Final = (
    '{"rules": [{"rule-type": "selection", "rule-id": "1", "rule-name": "1",'
    ' "object-locator": {"schema-name": "shop", "table-name": "%"}, "rule-action": "include"}]}'
)

KNOWN: Final[dict[str, Any]] = {
    "ApplyAction": "os-patch",
    "CertificateArn": _HOME.arn(Kind.CERTIFICATE, "ca"),
    "CertificateIdentifier": "other",
    "CertificatePem": PEM,
    "DatabaseName": "shop",
    "EndpointArn": SOURCE,
    "EndpointIdentifier": "other",
    "EndpointType": "source",
    "EngineName": "postgres",
    "EventCategories": ["failure"],
    "KmsKeyId": "",
    "Marker": "",
    "MaxCapacityUnits": 4,
    "MaxRecords": 20,
    "MigrationType": "full-load-and-cdc",
    "MinCapacityUnits": 1,
    "OptInType": "immediate",
    "Password": "a password",
    "Port": 5432,
    "PreferredMaintenanceWindow": "sun:01:00-sun:02:00",
    "ReloadOption": "data-reload",
    "ReplicationConfigArn": _HOME.arn(Kind.REPLICATION, "CONFIG"),
    "ReplicationConfigIdentifier": "other",
    "ReplicationInstanceArn": _HOME.arn(Kind.INSTANCE, "INSTANCE"),
    "ReplicationInstanceClass": "dms.t3.medium",
    "ReplicationInstanceIdentifier": "other",
    "ReplicationSettings": '{"Logging": {"EnableLogging": true}}',
    "ReplicationSubnetGroupDescription": "some",
    "ReplicationSubnetGroupIdentifier": "group",
    "ReplicationTaskArn": _HOME.arn(Kind.TASK, "TASK"),
    "ReplicationTaskIdentifier": "other",
    "ReplicationTaskSettings": '{"Logging": {"EnableLogging": true}}',
    "ReplicationType": "full-load-and-cdc",
    "ResourceArn": SOURCE,
    "ResourceArnList": [SOURCE],
    "ResourceIdentifier": "OTHER",
    "SchemaName": "shop",
    "ServerName": "db.example.org",
    "SnsTopicArn": TOPIC,
    "SourceEndpointArn": SOURCE,
    "SourceType": "replication",
    "StartReplicationTaskType": "start-replication",
    "StartReplicationType": "start-replication",
    "SubnetIds": ["a", "b"],
    "SubscriptionName": "alarms",
    "TableMappings": MAPPINGS,
    "TableName": "items",
    "TagKeys": ["a"],
    "Tags": [{"Key": "a", "Value": "b"}],
    "TargetEndpointArn": TARGET,
    "TargetReplicationInstanceArn": _HOME.arn(Kind.INSTANCE, "penstock"),
    "Username": "me",
}
"""Values of members, wherever in a request they are."""

NAMED: Final = ("ReplicationSubnetGroupIdentifier", "SubscriptionName")
"""Members that name what is there, and in a request that creates what is not."""

SEED: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    *(
        (
            "CreateEndpoint",
            {
                "EndpointIdentifier": side,
                "EndpointType": side,
                "EngineName": "postgres",
                "ServerName": "db.example.org",
                "Port": 5432,
                "Username": "me",
                "Password": "a password",
                "DatabaseName": side,
                "ResourceIdentifier": side.upper(),
            },
        )
        for side in ("source", "target")
    ),
    (
        "CreateReplicationConfig",
        {
            "ReplicationConfigIdentifier": "config",
            "SourceEndpointArn": SOURCE,
            "TargetEndpointArn": TARGET,
            "ComputeConfig": {"MaxCapacityUnits": 4},
            "ReplicationType": "full-load-and-cdc",
            "TableMappings": MAPPINGS,
            "ResourceIdentifier": "CONFIG",
        },
    ),
    (
        "CreateReplicationSubnetGroup",
        {
            "ReplicationSubnetGroupIdentifier": "group",
            "ReplicationSubnetGroupDescription": "some",
            "SubnetIds": ["a", "b"],
        },
    ),
    ("ImportCertificate", {"CertificateIdentifier": "ca", "CertificatePem": PEM}),
    (
        "CreateReplicationInstance",
        {
            "ReplicationInstanceIdentifier": "instance",
            "ReplicationInstanceClass": "dms.t3.large",
            "ResourceIdentifier": "INSTANCE",
        },
    ),
    ("CreateEventSubscription", {"SubscriptionName": "alarms", "SnsTopicArn": TOPIC}),
    (
        "CreateReplicationTask",
        {
            "ReplicationTaskIdentifier": "task",
            "SourceEndpointArn": SOURCE,
            "TargetEndpointArn": TARGET,
            "ReplicationInstanceArn": KNOWN["ReplicationInstanceArn"],
            "MigrationType": "full-load-and-cdc",
            "TableMappings": MAPPINGS,
            "ResourceIdentifier": "TASK",
        },
    ),
)
"""Requests that make what `KNOWN` names."""


def plausible(name: str, toward: Path) -> Any:
    """A request of an operation: of the required members, and of those on the way to one."""
    request = _known(sample(operation(name).input_shape, toward))
    if name.startswith("Create"):
        request.update({member: "other" for member in NAMED if member in request})
    if "ComputeConfig" in request:
        request["ComputeConfig"] = {"MaxCapacityUnits": 4, **request["ComputeConfig"]}
    if "Filters" in request and NAMES[name]:
        request["Filters"] = [{"Name": each, "Values": ["other"]} for each in sorted(NAMES[name])]
    return request


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: KNOWN.get(name, _known(inner)) for name, inner in value.items()}
    return [_known(item) for item in value] if isinstance(value, list) else value


async def add_tables(daemon: Daemon) -> None:
    """A table that is known of every replication."""
    facts = encode(TableFacts(schema="shop", table="items", state=""))
    async with daemon.store.write() as writing:
        for record in await writing.find(REPLICATION):
            await writing.put_facts(REPLICATION, record.id, {key("shop", "items"): facts})


Kept: TypeAlias = tuple[list[tuple[Record, dict[str, str], list[Fact]]], list[Event]]


async def kept(daemon: Daemon) -> Kept:
    """Everything that the store holds: records with tags and facts, and events."""
    async with daemon.store.read() as reading:
        records = [
            (
                record,
                dict((await reading.tags(kind, [record.id]))[record.id]),
                list(await reading.facts(kind, record.id)),
            )
            for kind in await reading.kinds()
            for record in await reading.find(kind)
        ]
        return records, list(await reading.events())


async def restore(daemon: Daemon, whole: Kept) -> None:
    """The records that were kept, and no other."""
    async with daemon.store.write() as writing:
        for kind in await writing.kinds():
            for record in await writing.find(kind):
                await writing.delete(kind, record.id)
        for record, tags, facts in whole[0]:
            await writing.insert(record)
            await writing.tag(record.kind, record.id, tags)
            found = {fact.key: fact.document for fact in facts}
            await writing.put_facts(record.kind, record.id, found)
        await writing.drop_events(await writing.now() + 60)
