"""A replication of a daemon, made with AWS's own client, between two databases of PostgreSQL."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database

RULES = {
    "rules": [
        {
            "rule-type": "selection",
            "rule-id": "1",
            "rule-name": "everything",
            "object-locator": {"schema-name": "public", "table-name": "%"},
            "rule-action": "include",
        }
    ]
}


@dataclass
class Replicated:
    """One replication: `arn` is its own."""

    arn: str
    source: Database
    target: Database

    @property
    def id(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def slot(self) -> str:
        return f"penstock_{self.id.lower().replace('-', '_')}"

    def slots(self) -> list[tuple[Any, ...]]:
        """The slot of it, if there is one."""
        return self.source.execute(
            "SELECT slot_name FROM pg_replication_slots WHERE slot_name = %s", self.slot
        )

    def rows(self, table: str) -> Callable[[], bool]:
        """Whether both sides have the same rows of a table."""
        sql = f"SELECT * FROM {table} ORDER BY 1"

        def same() -> bool:
            there = self.target.execute("SELECT to_regclass(%s) IS NOT NULL", table)[0][0]
            return there is True and self.source.execute(sql) == self.target.execute(sql)

        return same


def endpoint(dms: Any, name: str, side: str, database: Database, **members: Any) -> str:
    """An endpoint's ARN."""
    url = urlsplit(database.dsn)
    given = {
        "ServerName": url.hostname,
        "Port": url.port,
        "Username": "postgres",
        "Password": "nobody asks for it",
        "DatabaseName": database.name,
        "SslMode": "none",
        **members,
    }
    answer = dms.create_endpoint(
        EndpointIdentifier=name, EndpointType=side, EngineName="postgres", **given
    )
    return str(answer["Endpoint"]["EndpointArn"])


def replicated(
    daemon: Serving,
    name: str,
    source: Database,
    target: Database,
    *,
    kind: str = "full-load-and-cdc",
    units: Sequence[int] = (1, 1),
    settings: dict[str, Any] | None = None,
    **members: Any,
) -> Replicated:
    """A replication with endpoints of its own; it does not run yet."""
    dms = daemon.client()
    given = {"ReplicationSettings": json.dumps(settings)} if settings else {}
    answer = dms.create_replication_config(
        ReplicationConfigIdentifier=name,
        ResourceIdentifier=name,
        SourceEndpointArn=endpoint(dms, f"{name}-source", "source", source, **members),
        TargetEndpointArn=endpoint(dms, f"{name}-target", "target", target),
        ComputeConfig={"MinCapacityUnits": units[0], "MaxCapacityUnits": units[1]},
        ReplicationType=kind,
        TableMappings=json.dumps(RULES),
        **given,
    )
    arn = answer["ReplicationConfig"]["ReplicationConfigArn"]
    return Replicated(arn, source, target)


def start(daemon: Serving, arn: str, how: str = "start-replication", **members: Any) -> None:
    """Ask for a start."""
    daemon.client().start_replication(ReplicationConfigArn=arn, StartReplicationType=how, **members)
