"""The event triggers on the source: looked for, made where the role may, dropped with the last
replication.

They belong to the database: every replication from it reads the same messages. Only a superuser may
make event triggers (providers let their own administrator role); whoever may not goes on without,
and the preflight says what that costs and how to have them made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connectors._sql.quoting import identifier
from connectors.postgres.ddl_capture_sql import (
    FIND,
    NOTE,
    OTHERS,
    ROLE,
    SCHEMA_DROPPABLE,
    SCHEMA_NOTE,
    TRIGGERS,
    grants,
    install,
    remove,
    token_query,
)
from connectors.postgres.sql import Sql
from engine.errors import SourceError
from engine.model.finding import Finding, Severity

MESSAGES_FROM: Final = 140_000
"""First server version whose pgoutput passes logical messages on."""

INSUFFICIENT_PRIVILEGE: Final = "42501"
UNDEFINED_TABLE: Final = "42P01"

WITHOUT: Final = (
    "schema changes are then read from the stream alone: added columns with a constant default and"
    " wider types are followed, anything else stops its table, and values computed by ALTER TABLE"
    " (USING) go unnoticed"
)
"""What it costs to have no event triggers."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Event triggers that were found. `current`: of our version, all there, all enabled."""

    schema: str
    current: bool
    ours: bool
    """The role may drop them."""


ONE_AT_A_TIME: Final = "SELECT pg_catalog.pg_advisory_xact_lock(5783248192534577239)"
"""Replications that start together make the same triggers."""

MADE_MEANWHILE: Final = frozenset({"23505", "42710", "42P06", "42P07"})
"""What it is when another was first: a unique violation, or an object, schema or relation that is
there already. It has committed then, as it held the lock."""


class DdlCapture:
    """`schema`: where the function is made. `publications` and `slot`: those of this
    replication."""

    def __init__(self, sql: Sql, schema: str, publications: Sequence[str], slot: str) -> None:
        self._sql = sql
        self._schema = schema
        self._publications = list(publications)
        self._slot = slot

    async def find(self) -> Capture | None:
        """The event triggers as they are; None when there are none of ours."""
        rows = await self._sql.fetch("looking for event triggers", FIND)
        if not rows:
            return None
        row = rows[0]
        complete = len(rows) == 1 and set(row["triggers"]) == set(TRIGGERS)
        current = complete and bool(row["enabled"]) and row["note"] == NOTE
        return Capture(row["schema"], current, bool(row["ours"]))

    async def token(self) -> bytes | None:
        """What every message of the event triggers begins with; None when schema changes are not
        captured, or the role may not know.

        Raises:
            SourceConnectionError, SourceError.
        """
        found = await self.find()
        if found is None or not found.current:
            return None
        try:
            text = await self._sql.value("reading the token", token_query(found.schema))
        except SourceError as error:
            if error.context.get("sqlstate") not in (INSUFFICIENT_PRIVILEGE, UNDEFINED_TABLE):
                raise
            return None
        return None if text is None else str(text).encode()

    async def ensure(self) -> bytes | None:
        """Make what is missing, as far as the role may; then as `token`.

        Raises:
            SourceConnectionError, SourceError.
        """
        found = await self.find()
        if found is not None and found.current:
            return await self.token()
        schema = self._schema if found is None else found.schema
        role = (await self._sql.fetch("looking at the role", ROLE, schema))[0]
        statements = install(schema, make_schema=not role["schema"])
        try:
            await self._sql.execute("making event triggers", ONE_AT_A_TIME, *statements)
        except SourceError as error:
            state = error.context.get("sqlstate")
            if state == INSUFFICIENT_PRIVILEGE:
                return None
            if state not in MADE_MEANWHILE:
                raise
        return await self.token()

    async def remove(self) -> None:
        """Drop them when no other replication needs them and the role may."""
        found = await self.find()
        if found is None or not found.ours:
            return
        known = self._publications, self._slot
        if await self._sql.value("looking for other replications", OTHERS, *known):
            return
        await self._sql.execute("dropping event triggers", *remove(found.schema))
        droppable = "looking at the schema", SCHEMA_DROPPABLE, found.schema, SCHEMA_NOTE
        if await self._sql.value(*droppable):
            await self._sql.execute(
                "dropping the schema", f"DROP SCHEMA {identifier(found.schema)}"
            )

    async def expected(self, version: int) -> bool:
        """Whether schema changes will be told once the replication runs. Reads only."""
        if version < MESSAGES_FROM:
            return False
        found = await self.find()
        if found is not None and found.current:
            return await self.token() is not None
        role = (await self._sql.fetch("looking at the role", ROLE, self._schema))[0]
        return bool(role["superuser"] or role["provider"])

    async def findings(self, version: int) -> Sequence[Finding]:
        """What the preflight says. Reads only."""
        if version < MESSAGES_FROM:
            text = f"PostgreSQL 13 does not pass the event triggers' messages on; {WITHOUT}"
            return [Finding("schema-changes", Severity.TELLS, text)]
        found = await self.find()
        role = (await self._sql.fetch("looking at the role", ROLE, self._schema))[0]
        if found is not None and found.current:
            if await self.token() is not None:
                return []
            text = f"role {role['role']} may not read the event triggers' token; {WITHOUT}"
            remedy = grants(found.schema, role["role"])
            return [Finding("schema-changes", Severity.WARNS, text, remedy)]
        if role["superuser"] or role["provider"]:
            text = "event triggers that tell of schema changes are made when the replication starts"
            return [Finding("schema-changes", Severity.TELLS, text)]
        text = f"role {role['role']} may not make event triggers; {WITHOUT}"
        return [Finding("schema-changes", Severity.WARNS, text, REMEDY)]


REMEDY: Final = (
    "as a superuser run the script in docs/guide/schema-changes.md once in this database and let"
    " the role read its token, as that page says, or set"
    " CaptureDdls = false in [source.settings] to go on without"
)
