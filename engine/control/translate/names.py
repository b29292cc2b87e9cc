"""AWS's names of engines, and which of ours speaks with them. (pure)"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.config.family import FAMILIES, Family
from engine.config.problems import nearest, shown
from engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Engine:
    """One of AWS's engines that we run. `settings` is the member of an endpoint that holds its
    settings, `title` AWS's `EngineDisplayName`."""

    name: str
    ours: str
    settings: str
    title: str

    @property
    def family(self) -> Family:
        return FAMILIES[self.ours]


_RUN: Final = (
    Engine("postgres", "postgres", "PostgreSQLSettings", "PostgreSQL"),
    Engine("aurora-postgresql", "postgres", "PostgreSQLSettings", "Amazon Aurora PostgreSQL"),
    Engine(
        "aurora-postgresql-serverless",
        "postgres",
        "PostgreSQLSettings",
        "Amazon Aurora Serverless PostgreSQL",
    ),
    Engine("mysql", "mysql", "MySQLSettings", "MySQL"),
    Engine("gcp-mysql", "mysql", "GcpMySQLSettings", "Google Cloud SQL for MySQL"),
    Engine("mariadb", "mariadb", "MySQLSettings", "MariaDB"),
    Engine("aurora", "aurora", "MySQLSettings", "Amazon Aurora MySQL"),
    Engine("aurora-serverless", "aurora", "MySQLSettings", "Amazon Aurora Serverless MySQL"),
)

ENGINES: Final[Mapping[str, Engine]] = {engine.name: engine for engine in _RUN}
"""By AWS's name. Serverless databases and Google's speak the same protocol as those they are."""

NOT_RUN: Final[Mapping[str, str]] = {
    "azure-sql-managed-instance": "Azure SQL Managed Instance",
    "azuredb": "Azure SQL Database",
    "babelfish": "Babelfish",
    "db2": "Db2 LUW",
    "db2-zos": "Db2 for z/OS",
    "dms-transfer": "DMS transfer",
    "docdb": "DocumentDB",
    "dynamodb": "DynamoDB",
    "elasticsearch": "Elasticsearch",
    "kafka": "Kafka",
    "kinesis": "Kinesis",
    "mongodb": "MongoDB",
    "neptune": "Neptune",
    "opensearch": "OpenSearch",
    "oracle": "Oracle",
    "redis": "Redis",
    "redshift": "Redshift",
    "redshift-serverless": "Redshift Serverless",
    "s3": "S3",
    "sqlserver": "SQL Server",
    "sybase": "SAP ASE",
}
"""AWS's other engines, with the names of their systems."""

OURS: Final[Mapping[str, str]] = {
    engine.ours: engine.name for engine in reversed(_RUN) if engine.name != "gcp-mysql"
}
"""Our engines to the plainest of AWS's names."""


def engine_of(name: object) -> Engine:
    """Raises ConfigError for an engine that we do not run, by its name."""
    if isinstance(name, str) and name in ENGINES:
        return ENGINES[name]
    text = shown(name if isinstance(name, str) else "")
    if text in NOT_RUN:
        raise ConfigError(
            "EngineName",
            f"{NOT_RUN[text]} ({text}) is not run by Penstock",
            hint=f"engines that are: {', '.join(ENGINES)}",
        )
    suggestion = nearest(text, [*ENGINES, *NOT_RUN])
    hint = f"did you mean {suggestion!r}?" if suggestion else f"known: {', '.join(ENGINES)}"
    raise ConfigError("EngineName", f"{text} is no engine", hint=hint)
