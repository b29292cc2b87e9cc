"""The two ends of a replication: `[source]` and `[target]`. (pure)"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final

from engine.config.endpoint_settings import PostgresSourceSettings, PostgresTargetSettings
from engine.config.kind import Duration, Flag, Integer, Size
from engine.config.kind_text import Choice, Text
from engine.config.mysql_settings import MysqlSourceSettings, MysqlTargetSettings
from engine.config.section import Section, key
from engine.config.url import ConnectionUrl, Url
from engine.errors import ConfigError

WAL_RETAINED_WARN_BYTES: Final = 10 << 30
"""Log kept on the source that is worth an alarm: a common data disk has 100 GiB, a tenth of it
leaves time to act."""

CATALOG_XMIN_AGE_WARN: Final = 100_000_000
"""Transactions: half of what `autovacuum_freeze_max_age` is by default. There the server begins to
vacuum its catalogs again and again, to no effect while a slot holds them; as many transactions as
brought it here are left to act."""

PUBLICATION_BYTES_MAX: Final = 63
"""Of a PostgreSQL name: NAMEDATALEN - 1."""

HEARTBEAT_OFF: Final = 0.0

SERVER_ID_MAX: Final = 2**32 - 1
"""MySQL's `server_id` has 32 bits; 0 is nobody."""

PREPARED_MEMORY_BYTES: Final = 8 << 20
"""Some 15,000 rows of prepared transactions, which mostly end within milliseconds; little beside
the smallest unit."""

PREPARED_MEMORY_BYTES_MAX: Final = 1 << 30

_ENGINE: Final = Text("a connector's name", re.compile(r"[a-z][a-z0-9_-]{0,39}"))
_FILE: Final = Text("a path", empty=True)
_PUBLICATION: Final = Text("a publication's name of at most 63 bytes", empty=True)
_VARIABLE: Final = Text(
    "the name of an environment variable", re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), empty=True
)
_URL_MEANING: Final = (
    "Connection URL; needed by every engine but memory and blackhole. Without `sslmode`, loopback"
    " addresses use prefer and other hosts verify-full."
)
_PASSWORD_FILE_MEANING: Final = (
    "File whose first line is the password. Relative to this file. At most one of `password_file`,"
    " `password_env` and a password in `url`."
)


class WalRetainedPolicy(StrEnum):
    """What happens when the source keeps more than `wal_retained_max` for us."""

    ALARM = "alarm"
    GIVE_UP_SLOT = "give-up-slot"


class WithoutIdentity(StrEnum):
    """What happens to a table whose UPDATE and DELETE the log cannot identify."""

    LEAVE_OUT = "leave-out"
    INSERT_ONLY = "insert-only"


class Origin(StrEnum):
    """Which changes the source sends by where they came from."""

    ANY = "any"
    NONE = "none"
    EXCEPT_PENSTOCK = "except-penstock"


class ZeroDate(StrEnum):
    """What becomes of a date that no calendar has."""

    ERROR = "error"
    NULL = "null"
    EARLIEST = "earliest"


class LoadSnapshot(StrEnum):
    """How a MySQL source's rows are read at places of its log that are known."""

    AUTO = "auto"
    LOCK = "lock"
    WATERMARK = "watermark"


class StreamForm(StrEnum):
    """In which form the stream carries values."""

    AUTO = "auto"
    TEXT = "text"


class ReplicationOrigin(StrEnum):
    """Whether what is applied is marked as not made on the target."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class SynchronousCommit(StrEnum):
    """PostgreSQL's setting of that name, as far as it flushes before it confirms."""

    ON = "on"
    LOCAL = "local"
    REMOTE_WRITE = "remote_write"
    REMOTE_APPLY = "remote_apply"


class SessionReplicationRole(StrEnum):
    ORIGIN = "origin"
    REPLICA = "replica"


@dataclass(frozen=True, kw_only=True)
class SourceConfig(Section):
    """Where changes come from. `url` holds the password, wherever it was written."""

    TABLE: ClassVar[str] = "source"

    engine: str = key(_ENGINE, "Connector: postgres, mysql, mariadb, aurora, or memory.")
    url: ConnectionUrl | None = key(Url(), _URL_MEANING, default=None)
    password_file: str = key(_FILE, _PASSWORD_FILE_MEANING, default="")
    password_env: str = key(_VARIABLE, "Environment variable that holds the password.", default="")
    wal_retained_warn_bytes: int = key(
        Size(1 << 20),
        "Log kept for us on the source that raises the alarm; measured every 10 s.",
        default=WAL_RETAINED_WARN_BYTES,
        name="wal_retained_warn",
    )
    wal_retained_max_bytes: int = key(
        Size(),
        "Log kept for us on the source at which `wal_retained_policy` acts; 0 is no limit.",
        default=0,
        name="wal_retained_max",
    )
    wal_retained_policy: WalRetainedPolicy = key(
        Choice(WalRetainedPolicy),
        "alarm: say so and go on. give-up-slot: stop and drop the slot, so that the source's disk"
        " cannot fill up; the replication then has to load again.",
        default=WalRetainedPolicy.ALARM,
    )
    catalog_xmin_age_warn: int = key(
        Integer(0, 2_000_000_000),
        "Transactions for which the slot may keep the source's VACUUM from removing dead rows of"
        " its catalogs before a warning is logged; measured every 10 s; 0 never warns.",
        default=CATALOG_XMIN_AGE_WARN,
    )
    without_identity: WithoutIdentity = key(
        Choice(WithoutIdentity),
        "Tables without a usable replica identity: leave-out, or insert-only (inserts and truncates"
        " are carried, updates and deletes are not).",
        default=WithoutIdentity.LEAVE_OUT,
    )
    origin: Origin = key(
        Choice(Origin),
        "Which changes are carried, by where they were made. any: every change. none: only those"
        " made on the source itself, not by any replication. except-penstock: all but those that"
        " Penstock made there. The last two keep two-way replication from running in a circle.",
        default=Origin.ANY,
    )
    stream_form: StreamForm = key(
        Choice(StreamForm),
        "How the stream carries values. auto: in binary form, in text form where a selected column"
        " needs that. text: all in text form, slower; for a PostgreSQL 13 target, which does not"
        " take arrays of user-defined types in binary form.",
        default=StreamForm.AUTO,
    )
    publication: str = key(
        _PUBLICATION,
        "Publication to read, made by you before the slot. It is checked and never altered or"
        " dropped. Selected tables that it lacks are left out, with a warning. Default:"
        " `penstock_<id>`, made, kept up and dropped by Penstock.",
        default="",
    )
    publication_inserts: str = key(
        _PUBLICATION,
        "The same for the tables of which only inserts are carried (`without_identity`). Default:"
        " `penstock_<id>_inserts`.",
        default="",
    )
    failover_slot: bool = key(
        Flag(),
        "Make the slot one that standbys synchronize, so that the replication goes on when one of"
        " them takes over (PostgreSQL 17+). A slot that is there stays as it is.",
        default=False,
    )
    watch_partitions: bool = key(
        Flag(),
        "Look, as often as [intervals] partitions says, whether a single partition was truncated,"
        " of which no log tells; its table then needs a reload. false: for tools that write"
        " partitions anew (pg_repack), which look the same; such a TRUNCATE then goes unnoticed.",
        default=True,
    )
    heartbeat_interval_seconds: float = key(
        Duration(1.0, 86400.0, or_zero=True),
        "Time between heartbeats written to the source as logical messages; 0 writes none."
        " AWS: HeartbeatEnable and HeartbeatFrequency.",
        default=HEARTBEAT_OFF,
        name="heartbeat",
    )
    zero_dates: ZeroDate = key(
        Choice(ZeroDate),
        "MySQL's dates that no calendar has (0000-00-00, a month or day of zero), for a target that"
        " cannot hold them. error: the row is one that cannot be applied, see `on_row_error`; the"
        " default, since anything else changes data. null: NULL. earliest: 0001-01-01.",
        default=ZeroDate.ERROR,
    )
    snapshot: LoadSnapshot = key(
        Choice(LoadSnapshot),
        "How the full load of MySQL knows the place in the log at which rows were read. lock: all"
        " readers share a snapshot that is opened under FLUSH TABLES WITH READ LOCK, held for"
        " milliseconds; needs RELOAD. watermark: no such lock; each chunk is read at a snapshot of"
        " its own, whose place is found in the log (without GTIDs under a lock of its table). auto:"
        " lock, and where that is not granted or not had, watermark. MariaDB needs neither where a"
        " stream follows.",
        default=LoadSnapshot.AUTO,
    )
    server_id: int = key(
        Integer(0, SERVER_ID_MAX),
        "The `server_id` under which a MySQL source's log is read; no other replica of that server"
        " may have it. 0: made from the replication's id.",
        default=0,
    )
    prepared_memory_bytes: int = key(
        Size(0, PREPARED_MEMORY_BYTES_MAX),
        "Memory for rows of a MySQL source's distributed transactions (XA) that are prepared and"
        " not yet committed. Rows beyond it, and those of a transaction that takes more than a"
        " quarter of it, are read from the log again at the commit; 0 reads all of them again.",
        default=PREPARED_MEMORY_BYTES,
        name="prepared_memory",
    )
    settings: PostgresSourceSettings = field(default_factory=PostgresSourceSettings)
    mysql: MysqlSourceSettings = field(default_factory=MysqlSourceSettings)

    def validate(self) -> None:
        super().validate()
        if 0 < self.wal_retained_max_bytes < self.wal_retained_warn_bytes:
            raise ConfigError("source.wal_retained_max", "must be 0 or at least wal_retained_warn")
        gives_up = self.wal_retained_policy is WalRetainedPolicy.GIVE_UP_SLOT
        if gives_up and not self.wal_retained_max_bytes:
            raise ConfigError(
                "source.wal_retained_max", "must be set when the slot may be given up"
            )
        if gives_up and self.settings.slot_name:
            raise ConfigError(
                "source.wal_retained_policy",
                "cannot be give-up-slot beside SlotName: a slot that is named is never dropped",
            )
        self._validate_publications()
        self.settings.validate()
        self.mysql.validate()

    def _validate_publications(self) -> None:
        names = {"publication": self.publication, "publication_inserts": self.publication_inserts}
        for field_name, name in names.items():
            if len(name.encode()) > PUBLICATION_BYTES_MAX:
                constraint = f"must have at most {PUBLICATION_BYTES_MAX} bytes"
                raise ConfigError(f"source.{field_name}", constraint)
        if self.publication and self.publication == self.publication_inserts:
            raise ConfigError("source.publication_inserts", "must not be that of `publication`")


@dataclass(frozen=True, kw_only=True)
class TargetConfig(Section):
    """Where changes go. `url` holds the password, wherever it was written."""

    TABLE: ClassVar[str] = "target"

    engine: str = key(
        _ENGINE,
        "Connector: postgres, mysql, mariadb, aurora, memory, or blackhole (discards, to measure).",
    )
    url: ConnectionUrl | None = key(Url(), _URL_MEANING, default=None)
    password_file: str = key(_FILE, _PASSWORD_FILE_MEANING, default="")
    password_env: str = key(_VARIABLE, "Environment variable that holds the password.", default="")
    synchronous_commit: SynchronousCommit = key(
        Choice(
            SynchronousCommit,
            refused=(
                (
                    "off",
                    "is refused: what is told to the source as stored could be lost in a crash",
                ),
            ),
        ),
        "PostgreSQL's setting in apply sessions. off is refused.",
        default=SynchronousCommit.ON,
    )
    session_replication_role: SessionReplicationRole = key(
        Choice(SessionReplicationRole),
        "origin: foreign keys and triggers fire as for any session. replica: they do not, and"
        " deferrable unique constraints are not checked at all. For MySQL, replica is"
        " `foreign_key_checks = 0`; triggers fire all the same.",
        default=SessionReplicationRole.ORIGIN,
    )
    replication_origin: ReplicationOrigin = key(
        Choice(ReplicationOrigin),
        "Mark what is applied with a replication origin, so that a replication in the other"
        " direction can leave it out. auto: where the target allows it, and says so where not."
        " required: refuse to run without. off: never.",
        default=ReplicationOrigin.AUTO,
    )
    settings: PostgresTargetSettings = field(default_factory=PostgresTargetSettings)
    mysql: MysqlTargetSettings = field(default_factory=MysqlTargetSettings)

    def validate(self) -> None:
        super().validate()
        self.settings.validate()
        self.mysql.validate()
