"""The replication slot: what the server says of it, and what that means for us."""

import json
from dataclasses import dataclass
from typing import Any, Final

from connectors.postgres.errors import LOAD_AGAIN
from connectors.postgres.lsn import lsn_text, parse_lsn
from connectors.postgres.sql import Sql
from engine.errors import PositionLostError, SlotBusyError, SourceConnectionError, SourceError
from engine.model.retained import Retained

PLUGIN: Final = "pgoutput"

_MORE_LOG: Final = "raise max_slot_wal_keep_size on the source"
_MENDED: Final = {
    "idle_timeout": "raise idle_replication_slot_timeout on the source above the longest time that"
    " the replication may be stopped, or set it to 0",
    "wal_level_insufficient": "set wal_level = logical on the source and restart it",
}
"""What keeps it from happening again, by the server's reason (17+)."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A row of pg_replication_slots. `confirmed` is what was acknowledged, None while it is being
    made; `lost` says in the server's words why it cannot be read any more. Every transaction before
    `catalog_xmin` had ended when the log was written that the slot was last told to let go of."""

    name: str
    plugin: str
    database: str
    temporary: bool
    active_pid: int | None
    confirmed: int | None
    restart: int | None
    catalog_xmin: int | None
    lost: str

    def check(self, database: str) -> None:
        """Refuse what is not a usable slot of ours.

        Raises:
            SourceError: it is somebody else's.
            PositionLostError: the server has given it up.
            SourceConnectionError: it is being made just now.
        """
        if self.plugin != PLUGIN or self.database != database or self.temporary:
            kind = f"plugin {self.plugin or 'none'}, database {self.database or 'none'}"
            raise SourceError(
                f"replication slot {self.name} exists and is of another kind ({kind})",
                hint="choose another replication id, or give SlotName",
            )
        if self.lost:
            raise PositionLostError(
                f"replication slot {self.name} was given up by the server ({self.lost})",
                hint=f"{_MENDED.get(self.lost, _MORE_LOG)}, then {LOAD_AGAIN}",
            )
        if self.confirmed is None:
            raise SourceConnectionError(f"replication slot {self.name} is still being made")

    def check_position(self, after: int) -> None:
        """Refuse a slot that was moved past what is stored on our side.

        The server would begin later without a word. Raises PositionLostError.
        """
        if self.confirmed is not None and self.confirmed > after:
            raise PositionLostError(
                f"replication slot {self.name} stands at {lsn_text(self.confirmed)}, past the"
                f" stored position {lsn_text(after)}: it was moved, or dropped and made again, or"
                " read by another consumer",
                hint=f"the changes between cannot be had any more; {LOAD_AGAIN}",
            )


class Slots:
    """Questions and orders about the one slot of a replication."""

    def __init__(self, sql: Sql, name: str) -> None:
        self._sql = sql
        self._name = name

    async def find(self) -> Slot | None:
        text = await self._sql.value("reading the replication slot", _SLOT, self._name)
        return None if text is None else _slot(json.loads(text))

    async def owner(self) -> str | None:
        """Who reads the slot now, as far as we may see; None when nobody does."""
        rows = await self._sql.fetch("reading the slot's owner", _OWNER, self._name)
        if not rows:
            return None
        pid, application, user, address, since = rows[0]
        who = f"pid {pid}" + (f", application {application}" if application else "")
        return f"{who}, user {user or '?'} from {address or 'a local socket'} since {since or '?'}"

    async def check_free(self) -> None:
        """Raises SlotBusyError naming the reader."""
        owner = await self.owner()
        if owner is not None:
            raise SlotBusyError(
                f"replication slot {self._name} is in use by {owner}",
                hint="end that reader, or take over with --take-over",
                context={"owner": owner},
            )

    async def evict(self) -> None:
        """End the session that reads the slot."""
        await self._sql.fetch("ending the slot's reader", _EVICT, self._name)

    async def drop(self) -> None:
        """Drop the slot. Idempotent. Raises SlotBusyError."""
        if await self.find() is None:
            return
        await self.check_free()
        await self._sql.fetch(
            f"dropping slot {self._name}",
            "SELECT pg_catalog.pg_drop_replication_slot($1::text::name)",
            self._name,
        )

    async def retained(self) -> Retained:
        """What the server keeps for the slot; nothing is known without one, or of one that the
        server gave up."""
        rows = await self._sql.fetch("measuring what is kept for the slot", _RETAINED, self._name)
        return Retained(*rows[0]) if rows else Retained()


def _slot(row: dict[str, Any]) -> Slot:
    lost = row.get("invalidation_reason") or ""
    if not lost and row.get("wal_status") == "lost":
        lost = "its log was removed"
    return Slot(
        name=row["slot_name"],
        plugin=row["plugin"] or "",
        database=row["database"] or "",
        temporary=row["temporary"],
        active_pid=row["active_pid"],
        confirmed=_lsn(row["confirmed_flush_lsn"]),
        restart=_lsn(row["restart_lsn"]),
        catalog_xmin=None if row["catalog_xmin"] is None else int(row["catalog_xmin"]),
        lost=lost,
    )


def _lsn(text: str | None) -> int | None:
    return None if text is None else parse_lsn(text)


_SLOT: Final = (
    "SELECT pg_catalog.to_jsonb(s)::text FROM pg_catalog.pg_replication_slots s"
    " WHERE s.slot_name = $1::text"
)

_OWNER: Final = """
SELECT s.active_pid, a.application_name, a.usename::text,
  coalesce(host(a.client_addr), ''), a.backend_start::text
FROM pg_catalog.pg_replication_slots s
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
WHERE s.slot_name = $1::text AND s.active_pid IS NOT NULL
"""

_EVICT: Final = """
SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots
WHERE slot_name = $1::text AND active_pid IS NOT NULL
"""

_RETAINED: Final = """
SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN greatest(
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn), 0)::int8 END,
  pg_catalog.age(catalog_xmin)::int8
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1::text
"""
