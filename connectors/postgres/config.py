"""(pure) What a PostgreSQL source is told."""

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Self

from connectors.postgres.ddl_capture_sql import DEFAULT_SCHEMA
from engine.config.endpoint import CATALOG_XMIN_AGE_WARN, Origin
from engine.config.endpoint_settings import EXECUTE_TIMEOUT_SECONDS
from engine.config.intervals import PARTITIONS_SECONDS
from engine.errors import ConfigError


class TextMode(Enum):
    """Whether values travel in text form.

    AUTO: binary wherever the server has it (14+) and every published column's type can be sent so.
    """

    AUTO = "auto"
    TEXT = "text"


BLOCK_BYTES_MAX: Final = 1 << 20
"""Wire bytes after which a block is handed on. A mebibyte is about 10,000 narrow rows: large enough
that per-block work disappears, small enough that a block is a small part of the smallest budget."""

HEARTBEAT_SECONDS: Final = 30.0
"""Silence after which the server is asked for a sign of life; after twice that the link is given
up. Half the default `wal_sender_timeout`, when the server speaks by itself; half of a shorter one
where it is shorter."""

STATUS_SECONDS_MAX: Final = 10.0
"""Longest time between two status updates; a third of `wal_sender_timeout` when that is shorter."""

LOCK_TIMEOUT_SECONDS: Final = 0.9
"""Longest wait for a lock on a table of the source, while others queue behind us."""

NAME_BYTES_MAX: Final = 63
"""NAMEDATALEN - 1."""

_SLOT: Final = re.compile(r"\A[a-z0-9_]{1,63}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSourceConfig:
    """`conninfo`: a libpq connection string or URL, never shown. Empty names are derived from the
    replication's id; names that the user gave are used as they are and never dropped.

    `streams`: the log is read; else only rows are, for which no more than SELECT is needed.
    `loads`: rows are read too, so a new slot's snapshot is kept for them.
    `insert_only`: tables that cannot send UPDATE and DELETE are carried with their inserts.
    `origin`: which changes are left out by where they were made, against loops.
    `capture_ddl`: read exact schema changes from the messages (14+) of event triggers, and make
    those, with their function in `ddl_schema`, where the role may.
    `keys_act`: foreign keys act on the target too, where they are made as they are here.
    `watch_partitions`: look for partitions that were truncated by themselves, every
    `partitions_seconds`.
    `failover`: make the slot one that standbys may take over (17+).
    `catalog_xmin_age_warn`: transactions that the slot may hold the catalogs back before the
    preflight warns; 0: any.
    `heartbeat_seconds`: silence after which the server is asked for a sign of life;
    `heartbeat_write_seconds`: between two heartbeats written into its log, 0 writes none.
    `older_seconds_max`: longest wait for transactions that began before a table is read; 0: any.
    `execute_timeout_seconds`: longest time of one catalog question.
    `wal_sender_timeout_ms`: set for our session; None keeps the server's.
    """

    id: str
    conninfo: str = field(repr=False)
    slot: str = ""
    publication: str = ""
    insert_only_publication: str = ""
    streams: bool = True
    loads: bool = True
    insert_only: bool = False
    text_mode: TextMode = TextMode.AUTO
    origin: Origin = Origin.ANY
    capture_ddl: bool = True
    ddl_schema: str = DEFAULT_SCHEMA
    keys_act: bool = True
    watch_partitions: bool = True
    partitions_seconds: float = PARTITIONS_SECONDS
    failover: bool = False
    catalog_xmin_age_warn: int = CATALOG_XMIN_AGE_WARN
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    heartbeat_write_seconds: float = 0.0
    execute_timeout_seconds: float = EXECUTE_TIMEOUT_SECONDS
    older_seconds_max: float = 0.0
    wal_sender_timeout_ms: int | None = None
    block_bytes_max: int = BLOCK_BYTES_MAX
    slot_given: bool = False
    publication_given: bool = False
    insert_only_publication_given: bool = False

    @classmethod
    def of(cls, id: str, conninfo: str, **options: object) -> Self:
        """A configuration with every name filled in, checked.

        Raises:
            ConfigError: an option is out of its range.
        """
        given = cls(id=id, conninfo=conninfo, **options)  # type: ignore[arg-type]
        base = "penstock_" + id.replace("-", "_")
        config = replace(
            given,
            slot=given.slot or base,
            publication=given.publication or base,
            insert_only_publication=given.insert_only_publication or f"{base}_inserts",
            slot_given=bool(given.slot),
            publication_given=bool(given.publication),
            insert_only_publication_given=bool(given.insert_only_publication),
        )
        config.validate()
        return config

    def validate(self) -> None:
        if not _SLOT.match(self.slot):
            raise ConfigError("SlotName", "must be 1 to 63 of a-z, 0-9 and _")
        for name in (self.publication, self.insert_only_publication):
            if not 0 < len(name.encode()) <= NAME_BYTES_MAX or "\0" in name:
                raise ConfigError("source.publication", f"must have 1 to {NAME_BYTES_MAX} bytes")
        if self.publication == self.insert_only_publication:
            raise ConfigError("source.publication_inserts", "must not be that of `publication`")
        if self.heartbeat_seconds <= 0:
            raise ConfigError("heartbeat_seconds", "must be greater than 0")
        if self.heartbeat_write_seconds < 0:
            raise ConfigError("source.heartbeat", "must be 0 or greater")
        if self.execute_timeout_seconds <= 0:
            raise ConfigError("source.settings.ExecuteTimeout", "must be greater than 0")
        if self.block_bytes_max <= 0:
            raise ConfigError("block_bytes_max", "must be greater than 0")
        if self.partitions_seconds <= 0:
            raise ConfigError("intervals.partitions", "must be greater than 0")

    @property
    def publications(self) -> tuple[str, ...]:
        """The publications that the stream names: everything, then inserts only."""
        if self.insert_only:
            return self.publication, self.insert_only_publication
        return (self.publication,)

    @property
    def made(self) -> tuple[str, ...]:
        """The publications that must exist before the slot does. Both, unless the user brings the
        first: `insert_only` may be switched on when it is too late to make the second."""
        if self.publication_given:
            return self.publications
        return self.publication, self.insert_only_publication

    def given(self, publication: str) -> bool:
        """Whether the user named this publication: then it is theirs."""
        if publication == self.publication:
            return self.publication_given
        return self.insert_only_publication_given
