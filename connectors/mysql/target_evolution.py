"""Schema changes of the source on the target."""

from typing import TYPE_CHECKING

from engine.model.change import SchemaChanged

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession


async def evolve(session: "MysqlSession", change: SchemaChanged) -> None:
    raise NotImplementedError
