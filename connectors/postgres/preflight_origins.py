"""Whether the sessions that write can be marked with replication origins. Reads only."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from connectors._sql.quoting import literal
from connectors.postgres import origins
from connectors.postgres.link import cells
from connectors.postgres.session import PostgresSession
from engine.config.endpoint import ReplicationOrigin
from engine.model.finding import Finding, Severity


async def findings(session: PostgresSession) -> Sequence[Finding]:
    """What would keep `Origins.prepare` from marking; it blocks where marking is required.

    Raises TargetError.
    """
    config = session.config
    if config.replication_origin is ReplicationOrigin.OFF:
        return ()
    found = await _found(session, config.writers, two_way=config.two_way)
    if config.replication_origin is ReplicationOrigin.REQUIRED:
        return [replace(finding, severity=Severity.BLOCKS) for finding in found]
    return found


async def _found(session: PostgresSession, writers: int, *, two_way: bool) -> Sequence[Finding]:
    version = session.version
    allowed = _GRANTED if version >= origins.FUNCTIONS_FROM else _SUPERUSER
    base = origins.base_name(session.config.replication)
    setting = literal(origins.limit_setting(version))
    (result,) = await session.run(_STATE.format(allowed=allowed, setting=setting, base=base))
    role, may, free = cells(result)[0]
    if may != "t":
        return [origins.denied(version, role or "", two_way=two_way)]
    if int(free or 0) < writers:
        return [origins.no_room(writers, version, two_way=two_way)]
    return []


_GRANTED: Final = (
    "(SELECT pg_catalog.bool_and(pg_catalog.has_function_privilege('pg_catalog.' || f, 'EXECUTE'))"
    f" FROM unnest(ARRAY[{', '.join(map(literal, origins.FUNCTIONS))}]) f)"
)

_SUPERUSER: Final = "(SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)"

_STATE: Final = (
    "SELECT current_user, {allowed}, pg_catalog.current_setting({setting})::int4"
    " - (SELECT count(*) FROM pg_catalog.pg_replication_origin"
    " WHERE NOT pg_catalog.starts_with(roname, {base}))"
)
"""An origin that was never used takes no place, and only superusers may see which those are."""
