"""Whether the user may do what a source is asked for; each finding with its GRANT.

Rights come by many ways (roles, patterns, partial revokes), so the act itself is tried wherever
that changes nothing; the lock of MySQL's snapshot alone is looked up.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from connectors.mysql.connecting import Link, close
from connectors.mysql.dump import register
from connectors.mysql.errors import DENIED, DRIVER_ERRORS, source_error
from connectors.mysql.flavour import Flavour
from connectors.mysql.grants import read
from connectors.mysql.quoting import identifier, literal, qualified
from connectors.mysql.server import Ask, Server
from engine.errors import SourceError
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation

BLOCKS = Severity.BLOCKS

_EVERYWHERE: Final = re.compile(r"GRANT (.+) ON \*\.\* TO ", re.IGNORECASE)
_LOCKING: Final = frozenset({"ALL PRIVILEGES", "RELOAD", "FLUSH_TABLES"})
"""Rights of which each allows FLUSH TABLES WITH READ LOCK."""


async def grantee(ask: Ask) -> str:
    """The account, as GRANT writes it. Raises what `ask` raises."""
    ((account,),) = await ask("asking who we are", "SELECT CURRENT_USER()")
    user, _, host = (account or "").rpartition("@")
    return f"{literal(user)}@{literal(host)}"


def denied(error: SourceError) -> bool:
    return error.context.get("error") in DENIED


async def stream(
    ask: Ask, open_link: Callable[[], Awaitable[Link]], server_id: int
) -> Sequence[Finding]:
    """Whether the log may be read. Raises SourceError for what is no refusal."""
    link = await open_link()
    try:
        await register(link, server_id)
    except DRIVER_ERRORS as error:
        refused = source_error(error, "registering as a replica")
        if not denied(refused):
            raise refused from error
        remedy = f"GRANT REPLICATION SLAVE ON *.* TO {await grantee(ask)}"
        return [Finding("replication-right", BLOCKS, refused.message, remedy)]
    finally:
        await close(link)
    return []


async def head(
    ask: Ask, server: Server, asked: Callable[[], Awaitable[object]]
) -> Sequence[Finding]:
    """Whether the end of the log may be asked for: `asked` does it. Raises SourceError."""
    try:
        await asked()
    except SourceError as error:
        if not denied(error):
            raise
        right = "BINLOG MONITOR" if server.mariadb else "REPLICATION CLIENT"
        remedy = f"GRANT {right} ON *.* TO {await grantee(ask)}"
        return [Finding("monitor-right", BLOCKS, error.message, remedy)]
    return []


async def tables(ask: Ask, relations: Sequence[Relation]) -> Sequence[Finding]:
    """Whether every column of these tables may be read. Raises SourceError."""
    found: list[Finding] = []
    for relation in relations:
        if not relation.published:
            continue
        name = qualified(relation.schema, relation.name)
        columns = ", ".join(identifier(column.name) for column in relation.columns)
        try:
            await ask(f"reading {relation.qualified}", f"SELECT {columns} FROM {name} LIMIT 0")
        except SourceError as error:
            if not denied(error):
                raise
            remedy = f"GRANT SELECT ON {name} TO {await grantee(ask)}"
            found.append(Finding("select-right", BLOCKS, error.message, remedy, relation.qualified))
    return found


async def lock(ask: Ask, text: str, severity: Severity) -> Sequence[Finding]:
    """Whether all readers may share a snapshot: `text` says what it means that they may not. Raises
    what `ask` raises."""
    rights = {
        right.strip().upper()
        for line in await _grants(ask)
        for match in [_EVERYWHERE.match(line)]
        if match is not None
        for right in match[1].split(",")
    }
    if rights & _LOCKING:
        return []
    remedy = f"GRANT RELOAD ON *.* TO {await grantee(ask)}"
    return [Finding("lock-right", severity, text, remedy)]


async def table_locks(ask: Ask, relations: Sequence[Relation]) -> Sequence[Finding]:
    """Whether each of these tables may be locked, for a user who may not lock everything. Raises
    what `ask` raises."""
    if not await lock(ask, "", BLOCKS):
        return []
    grants = read(await _grants(ask))
    schemas = sorted({relation.schema for relation in relations if relation.published})
    text = (
        "the source has no GTIDs, so without RELOAD each chunk's snapshot is opened under a lock of"
        " its table, which the user may not take"
    )
    return [
        Finding(
            "table-lock-right",
            BLOCKS,
            text,
            f"GRANT LOCK TABLES ON {identifier(schema)}.* TO {await grantee(ask)}",
            schema,
        )
        for schema in schemas
        if grants.missing(["LOCK TABLES"], schema)
    ]


async def _grants(ask: Ask) -> list[str]:
    doing = "looking at grants"
    ((version, roles),) = await ask(doing, "SELECT @@version, CURRENT_ROLE()")
    if Flavour.of(version or "").mariadb:  # it shows those of roles by itself
        return [row[0] or "" for row in await ask(doing, "SHOW GRANTS")]
    using = "" if roles in (None, "", "NONE") else f" USING {roles}"
    rows = await ask(doing, f"SHOW GRANTS FOR CURRENT_USER(){using}")
    return [row[0] or "" for row in rows]
