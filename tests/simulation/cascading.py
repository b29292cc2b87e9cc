"""Stories of foreign keys that delete: on either side a parent takes its children along."""

import asyncio
from typing import Final

from connectors.memory.definitions import References, table
from connectors.memory.storage import Table
from connectors.memory.transaction import ServerTransaction
from engine.config.replication import ApplyMode
from engine.model.relation import TableName
from tests.simulation.application import Application, Step, insert, mixed, remove
from tests.simulation.scenario import KEYS, Scenario, audit, public
from tests.simulation.world import World

OWNERS, OWNED, PARTS = public("owners"), public("owned"), public("parts")
PEOPLE = public("people")


def _tables() -> list[Table]:
    owner, whole = _goes_with("owner", OWNERS), _goes_with("whole", OWNED)
    return [
        table("public.owners", ["id", "a"], key=["id"]),
        table("public.owned", ["id", "owner"], key=["id"], references=[owner]),
        table("public.parts", ["id", "whole"], key=["id"], references=[whole]),
        table("public.people", ["id", "boss"], key=["id"], references=[_goes_with("boss", PEOPLE)]),
        audit(),
    ]


def _goes_with(column: str, parent: TableName) -> References:
    return References((column,), str(parent), cascade=True)


async def _cascade(world: World, application: Application) -> None:
    """Owners come and go, and with them what is theirs; keys are taken again at once."""

    def under(table: TableName, parent: TableName) -> Step:
        def step(server: ServerTransaction) -> None:
            parents = list(server.scan(parent))
            if parents:
                row = (application.chance.choice(KEYS), application.chance.choice(parents).row[0])
                server.insert(table, row)

        return step

    def moved(table: TableName, parent: TableName) -> Step:
        """It belongs to another one, and its old parent may go."""

        def step(server: ServerTransaction) -> None:
            rows, parents = list(server.scan(table)), list(server.scan(parent))
            if rows and parents:
                row = application.chance.choice(rows)
                key, before = row.row
                server.update(table, row, (key, application.chance.choice(parents).row[0]))
                if application.chance.random() < 0.5:
                    remove(parent, (before,))(server)

        return step

    async def writer() -> None:
        for _ in range(15):
            steps = [mixed(application, OWNERS, KEYS), under(OWNED, OWNERS), under(PARTS, OWNED)]
            steps += [insert(PEOPLE, (application.chance.choice(KEYS), None))]
            steps += [under(PEOPLE, PEOPLE), moved(PEOPLE, PEOPLE), moved(PEOPLE, PEOPLE)]
            steps += [moved(OWNED, OWNERS), moved(PARTS, OWNED)]
            steps += [remove(OWNERS, (application.chance.choice(KEYS),)), under(OWNED, OWNERS)]
            application.chance.shuffle(steps)
            await application.transaction(*steps)
            await application.pause(1.2)

    await asyncio.gather(writer(), writer())


CASCADING: Final = (
    Scenario("cascade", _tables, _cascade),
    Scenario("cascade-transactional", _tables, _cascade, mode=ApplyMode.TRANSACTIONAL),
)
