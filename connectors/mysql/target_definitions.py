"""The target's tables as its catalog has them now, with indexes and foreign keys."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.mysql.catalog import CatalogTable, read_tables
from connectors.mysql.control import cells
from connectors.mysql.server import read_server
from engine.model.relation import TableName

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession


async def read_catalog(
    session: "MysqlSession", tables: Sequence[TableName]
) -> dict[TableName, CatalogTable]:
    """Those of these tables that are there.

    Raises:
        TargetConnectionError, TargetError.
    """

    async def ask(_doing: str, query: str) -> Sequence[Sequence[str | None]]:
        (result,) = await session.run(query.encode())
        return cells(result)

    server = await read_server(ask)
    return {table.name: table for table in await read_tables(ask, server, tables)}
