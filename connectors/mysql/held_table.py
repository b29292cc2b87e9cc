"""A table that a reader is about to read, held so that no statement changes it meanwhile."""

from connectors.mysql.catalog import read_tables
from connectors.mysql.connecting import Link
from connectors.mysql.description import Description, describe, restore
from connectors.mysql.quoting import qualified
from connectors.mysql.server import Server
from connectors.mysql.sql import asker
from engine.errors import SnapshotLostError
from engine.model.relation import Relation


async def hold(link: Link, server: Server, relation: Relation) -> Description:
    """The table's description, which is still the relation's: it is held by looking at the table
    inside of the session's transaction, until that ends.

    Raises:
        SnapshotLostError: it is another one by now.
        The driver's errors.
    """
    name = qualified(relation.schema, relation.name)
    await link.run(f"SELECT 1 FROM {name} LIMIT 0")
    tables = await read_tables(asker(link), server, [relation.table])
    known = restore(relation)
    try:
        now = [describe(table) for table in tables]
    except ValueError:
        now = []
    if [d.columns for d in now] != [known.columns]:
        raise changed(relation)
    return known


def changed(relation: Relation) -> SnapshotLostError:
    return SnapshotLostError(
        f"{relation.qualified} was altered, renamed or dropped while it was read",
        hint="it is loaded again from its beginning",
        context={"table": relation.table},
    )
