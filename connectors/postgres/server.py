"""Who the server is and how it stands, checked at every connect."""

from dataclasses import dataclass
from typing import Final

from connectors.postgres.errors import LOAD_AGAIN
from connectors.postgres.lsn import lsn_text, parse_lsn
from connectors.postgres.replication import ReplicationConnection
from connectors.postgres.sql import Sql
from engine.errors import (
    PositionLostError,
    SourceError,
    SourceIdentityError,
    SourceSwitchedError,
)

VERSION_MIN: Final = 130_000
BINARY_FROM: Final = 140_000
"""pgoutput's option `binary`, and `messages`."""
ORIGIN_FROM: Final = 160_000
FAILOVER_FROM: Final = 170_000


@dataclass(frozen=True, slots=True)
class Server:
    """`version` as in server_version_num, `sender_timeout_ms` 0 when switched off; `next_xid` and
    `timeline` 0 on a standby."""

    version: int
    system_id: str
    database: str
    recovering: bool
    wal_level: str
    sender_timeout_ms: int
    next_xid: int
    timeline: int

    @property
    def identity(self) -> str:
        """What a stored position belongs to."""
        return f"{self.system_id}/{self.database}"

    def check(self) -> None:
        """Refuse a server that cannot be a source. Raises SourceError."""
        if self.version < VERSION_MIN:
            raise SourceError(f"the source is PostgreSQL {self.version // 10000}; 13 is the oldest")
        if self.recovering:
            raise SourceError(
                "the source is a standby: it cannot hold our publication, and its snapshots do not"
                " list running transactions",
                hint="give the address of the primary",
            )
        if self.wal_level != "logical":
            raise SourceError(
                f"the source has wal_level = {self.wal_level}",
                hint="ALTER SYSTEM SET wal_level = logical; then restart it",
            )


async def read_server(sql: Sql) -> Server:
    """Ask the server about itself. Raises SourceConnectionError, SourceError."""
    row = (await sql.fetch("identifying the source", _SERVER))[0]
    return Server(*row)


async def check_log(
    connection: ReplicationConnection, expected: Server, timeline: int, after: int
) -> None:
    """Check on the stream's own connection that the log to be read is the one that was checked.

    Raises:
        SourceIdentityError: another server, or another database.
        SourceSwitchedError: another timeline.
        PositionLostError: the server's log ends before `after`.
    """
    (row,) = await connection.query("identifying the source", "IDENTIFY_SYSTEM")
    found = f"{row['systemid']}/{row['dbname']}"
    if found != expected.identity:
        raise SourceIdentityError(
            f"the source is {found}, the stored position belongs to {expected.identity}",
            hint="restore the old address, or start a new replication",
        )
    now = int(row["timeline"] or 0)
    if now != timeline:
        raise SourceSwitchedError(
            f"the source went on to timeline {now}; it was on timeline {timeline}"
        )
    head = parse_lsn(row["xlogpos"] or "0/0")
    if after > head:
        raise PositionLostError(
            f"the source's log ends at {lsn_text(head)}, before the stored position"
            f" {lsn_text(after)}: it was restored, or a standby that was behind took over",
            hint="the target holds changes that the source has lost: compare, then load again",
        )


async def check_fork(connection: ReplicationConnection, left: int, now: int, reached: int) -> None:
    """Check that timeline `now` comes from timeline `left`, and left it at `reached` or later.

    Raises:
        SourceIdentityError: it does not come from it.
        PositionLostError: it left it before.
    """
    for line in (await _history(connection, now)).splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0] == str(left):
            if parse_lsn(fields[1]) >= reached:
                return
            raise PositionLostError(
                f"a standby took over at {fields[1]}, before {lsn_text(reached)}, up to which the"
                " target was told",
                hint="the target holds changes that the source has lost: compare, then"
                f" {LOAD_AGAIN}",
            )
    raise SourceIdentityError(
        f"the source is on timeline {now}, which did not come from timeline {left} of the stored"
        " positions",
        hint="an old primary came back, or a backup: give the address of the server that took over,"
        f" or {LOAD_AGAIN}",
    )


async def _history(connection: ReplicationConnection, timeline: int) -> str:
    """Where the timelines before it ended, a line each; the first one has none."""
    if timeline <= 1:
        return ""
    (row,) = await connection.query("reading the timeline", f"TIMELINE_HISTORY {timeline}")
    return row["content"] or ""


# The control file names the timeline of the last checkpoint, maybe of before a promotion; the
# name of the segment that is written to begins with the present one.
_SERVER: Final = """
SELECT pg_catalog.current_setting('server_version_num')::int4,
  (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
  pg_catalog.current_database()::text, pg_catalog.pg_is_in_recovery(),
  pg_catalog.current_setting('wal_level'),
  (SELECT setting::int4 FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'),
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0
    ELSE pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 END,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0
    ELSE ('x' || pg_catalog.substr(
      pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int8 END
"""
