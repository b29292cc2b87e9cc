"""Engines that are configured alike: their URL, settings and the keys only they have. (pure)"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.config.endpoint_settings import (
    POSTGRES_NO_EFFECT,
    REPLICA_SCRIPT,
    AddressSettings,
    PostgresSourceSettings,
    PostgresTargetSettings,
)
from engine.config.kind import Kind
from engine.config.mysql_settings import (
    KEYS_OFF_SCRIPT,
    MYSQL_NO_EFFECT,
    MysqlAddressSettings,
    MysqlSourceSettings,
    MysqlTargetSettings,
)
from engine.config.mysql_url import MYSQL_FORM, SCHEMES, as_mysql
from engine.config.section import Section
from engine.config.url import FORM, ConnectionUrl, as_postgres


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """What the engines of one family take."""

    title: str
    """In the reference."""
    settings_field: str
    """Of `SourceConfig` and `TargetConfig`: where the settings that have effect are."""
    source_settings: type[Section]
    target_settings: type[Section]
    address: type[AddressSettings]
    no_effect: Mapping[str, Kind[Any]]
    """Settings of AWS that are accepted and do nothing yet."""
    narrow: Callable[[ConnectionUrl, str], ConnectionUrl]
    """Checks a URL for an engine. Raises ValueError."""
    form: str
    """A URL, as an example."""
    scheme: str
    names_database: bool
    """Whether a connection is to one database, so that its name cannot be missing."""
    keys_off_script: re.Pattern[str]
    """The `AfterConnectScript` that means `session_replication_role = "replica"`."""
    keys: frozenset[str]
    """Keys of `[source]` and `[target]` that mean nothing to any other family."""
    intervals: frozenset[str] = frozenset()
    """Keys of `[intervals]` that mean nothing where the source is of any other family."""
    promises: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Of these, values that no other family may ignore: other rows would arrive."""


def _as_postgres(url: ConnectionUrl, _engine: str) -> ConnectionUrl:
    return as_postgres(url)


POSTGRES_FAMILY: Final = Family(
    title="engine postgres",
    settings_field="settings",
    source_settings=PostgresSourceSettings,
    target_settings=PostgresTargetSettings,
    address=AddressSettings,
    no_effect=POSTGRES_NO_EFFECT,
    narrow=_as_postgres,
    form=FORM,
    scheme="postgresql",
    names_database=True,
    keys_off_script=REPLICA_SCRIPT,
    keys=frozenset(
        {
            "catalog_xmin_age_warn",
            "failover_slot",
            "heartbeat",
            "origin",
            "publication",
            "publication_inserts",
            "replication_origin",
            "stream_form",
            "synchronous_commit",
            "wal_retained_max",
            "wal_retained_policy",
            "wal_retained_warn",
            "watch_partitions",
        }
    ),
    intervals=frozenset({"partitions"}),
    promises={
        "origin": frozenset({"none", "except-penstock"}),
        "replication_origin": frozenset({"required"}),
    },
)

MYSQL_FAMILY: Final = Family(
    title="engines mysql, mariadb, aurora",
    settings_field="mysql",
    source_settings=MysqlSourceSettings,
    target_settings=MysqlTargetSettings,
    address=MysqlAddressSettings,
    no_effect=MYSQL_NO_EFFECT,
    narrow=as_mysql,
    form=MYSQL_FORM,
    scheme="mysql",
    names_database=False,
    keys_off_script=KEYS_OFF_SCRIPT,
    keys=frozenset({"prepared_memory", "server_id", "snapshot", "zero_dates"}),
)

FAMILIES: Final[Mapping[str, Family]] = {
    "postgres": POSTGRES_FAMILY,
    **dict.fromkeys(SCHEMES, MYSQL_FAMILY),
}
"""By engine. An engine without one takes any URL and no settings."""


def foreign_keys(engine: str) -> frozenset[str]:
    """Keys that belong to other families than the engine's."""
    own = FAMILIES.get(engine)
    others = (family for family in FAMILIES.values() if family is not own)
    return frozenset(name for family in others for name in family.keys)


def foreign_intervals(engine: str) -> frozenset[str]:
    """Keys of `[intervals]` that only sources of other families have."""
    own = FAMILIES.get(engine)
    others = (family for family in FAMILIES.values() if family is not own)
    return frozenset(name for family in others for name in family.intervals)


def foreign_promises(engine: str) -> Mapping[str, frozenset[str]]:
    """Their values that cannot be ignored."""
    own = FAMILIES.get(engine)
    return {
        name: values
        for family in FAMILIES.values()
        if family is not own
        for name, values in family.promises.items()
    }
