"""Asking for tables of a replication to be loaded again.

The request is a row in the target's control tables, so it needs no connection to a running worker:
one that runs sees it within seconds, the next one that is started sees it then.
"""

from collections.abc import Sequence

from engine.config.problems import nearest
from engine.contracts import Target
from engine.control.control_rows import control_session, owner_locked
from engine.errors import ConfigError
from engine.model.state import TableRecord


async def request_reload(end: Target, *tables: str) -> None:
    """Note the request beside the state of each table (`schema.table`), where nothing but a load
    takes it away: all of them, or none.

    Raises:
        ConfigError: the replication does not know the table, or has never run.
    """
    async with control_session(end) as session, owner_locked(session) as transaction:
        known = await transaction.tables()
        for record in [_record(known, table) for table in tables]:
            await transaction.request_reload(record.table)
        await transaction.commit()


def _record(records: Sequence[TableRecord], table: str) -> TableRecord:
    known = {str(record.table): record for record in records}
    if (record := known.get(table)) is not None:
        return record
    if not known:
        raise ConfigError("TABLE", "this replication has not run yet, so nothing can be reloaded")
    suggestion = nearest(table, tuple(known))
    raise ConfigError(
        "TABLE",
        f"this replication carries no table {table}",
        hint=f"did you mean {suggestion}?" if suggestion else "",
    )
