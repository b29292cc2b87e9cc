"""Tables of a replication, whichever face it has: their statistics by pages, and their reload."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.control import happenings, lifecycle
from engine.control.api.call import Call
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    InvalidResourceStateFault,
    ResourceNotFoundFault,
)
from engine.control.api.filters import filters
from engine.control.api.replication_acts import say
from engine.control.api.replication_records import Kept, by_arn, refusals
from engine.control.api.table_answers import matching, table_shown
from engine.control.resources.document import decode
from engine.control.resources.replication import KIND, Face
from engine.control.resources.table import PREFIX, TableFacts, key
from engine.control.store.contract import Reading
from engine.errors import PenstockError

RELOADS_MAX: Final = 10
"""Tables of one request: as many as AWS reloads at once."""

BLOCK: Final = 1_000
"""Facts read at once while a filter looks for those it lets through."""


async def statistics(call: Call, face: Face) -> tuple[Sequence[Mapping[str, object]], str | None]:
    """A page of its tables in the order of their names, and the next page's marker. Raises
    faults."""
    asked = call.services.pages.asked(call.operation, call.request)
    asked_for = filters(call.operation, call.request)
    async with call.services.store.read() as reading:
        kept = await by_arn(reading, call, face)
        tables = await _tables(reading, kept.id, asked_for, asked.after, asked.limit + 1)
    page, marker = call.services.pages.cut(asked, tables, lambda each: key(each.schema, each.table))
    return [table_shown(facts) for facts in page], marker


async def reload(call: Call, face: Face) -> Kept:
    """Ask for tables to be loaded again while the replication runs. Raises faults; of what was
    refused there is no event."""
    _check_option(call.request)
    tables = _tables_to_reload(call.request["TablesToReload"])
    names = [f"{schema}.{table}" for schema, table in tables]
    async with call.services.store.read() as reading:
        kept = await by_arn(reading, call, face)
        with refusals():
            lifecycle.check_reload(kept.life.status, kept.config.type)
        for schema, table in tables:
            if not await _carried(reading, kept.id, schema, table):
                raise ResourceNotFoundFault(
                    f"The table {schema}.{table} is none of the replication {kept.config.name}."
                )
    try:
        await call.services.fleet.reload_tables(kept.id, names)
    except PenstockError as error:
        raise InvalidResourceStateFault(
            f"The tables could not be asked for: {error}. Try again."
        ) from None
    async with call.services.store.write() as writing:
        await say(writing, happenings.RELOADED, kept.config, f"({', '.join(names)})")
    return kept


async def _tables(
    reading: Reading, id: str, asked: Mapping[str, Sequence[str]], after: str, limit: int
) -> list[TableFacts]:
    found: list[TableFacts] = []
    while len(found) < limit:
        size = BLOCK if asked else limit
        block = await reading.facts(KIND, id, prefix=PREFIX, after=after, limit=size)
        found += matching((decode(TableFacts, fact.document) for fact in block), asked)
        if len(block) < size:
            break
        after = block[-1].key
    return found[:limit]


async def _carried(reading: Reading, id: str, schema: str, table: str) -> bool:
    wanted = key(schema, table)
    found = await reading.facts(KIND, id, prefix=wanted, limit=1)
    if not found or found[0].key != wanted:
        return False
    # A name with a dot may read as that of another table.
    facts = decode(TableFacts, found[0].document)
    return (facts.schema, facts.table) == (schema, table)


def _tables_to_reload(given: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    tables = [(each["SchemaName"], each["TableName"]) for each in given]
    if not 1 <= len(tables) <= RELOADS_MAX:
        raise InvalidParameterValueException(
            f"TablesToReload has {len(tables)} tables. Must have between 1 and {RELOADS_MAX}."
        )
    for place, (schema, table) in enumerate(tables):
        if (schema, table) in tables[:place]:
            raise InvalidParameterValueException(
                f"TablesToReload names {schema}.{table} more than once."
            )
    return tables


def _check_option(request: Mapping[str, Any]) -> None:
    if request.get("ReloadOption") == "validate-only":
        raise InvalidParameterCombinationException(
            "ReloadOption validate-only needs validation, which is not enabled for the replication:"
            " rows are compared by penstock compare."
        )
