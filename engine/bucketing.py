"""Which tables `key-parallel` splits, asked of both sides, and the move of a table's position from
one checkpoint to one for each bucket, or back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from engine.contracts import KeyedSource, KeyedTables, Source, Target
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.state import LaneRow

UNKNOWN: Final = "this {} cannot tell whether its keys can be told apart"

UNEQUAL: Final = "equal keys may have different bytes"


async def source_obstacles(
    source: Source, relations: Sequence[Relation]
) -> Mapping[TableName, str]:
    """What the source says against splitting its tables, in words, for those that cannot be."""
    if not isinstance(source, KeyedSource):
        return {relation.table: UNKNOWN.format("source") for relation in relations}
    unequal = {r.table: UNEQUAL for r in relations if r.key and source.key_hash(r) is None}
    return unequal | dict(await source.key_obstacles(relations))


async def target_obstacles(
    target: Target, relations: Sequence[Relation]
) -> Mapping[TableName, str]:
    """What the target says against splitting these tables; one that is not there yet is none."""
    if not isinstance(target, KeyedTables):
        return {relation.table: UNKNOWN.format("target") for relation in relations}
    found = await target.key_obstacles(relations)
    return {table: f"on the target: {reason}" for table, reason in found.items()}


def moved(
    rows: Sequence[LaneRow],
    names: Sequence[str],
    epoch: int,
    frontier: Position,
    parse: Callable[[str], Position],
) -> Mapping[str, LaneRow] | None:
    """Checkpoint rows of these names that stand where a table's present `rows` stand, all at one
    place; None when those do not. Below the frontier all of a table is durable, so what stands
    there may as well stand at the frontier. What all rows have counted goes on with the first."""
    text = _one_place([row.position for row in rows], frontier, parse)
    if text is None:
        return None
    counted = sum([row.seq for row in rows])
    return {name: LaneRow(epoch, 0 if n else counted, text) for n, name in enumerate(names)}


def _one_place(
    texts: Sequence[str], frontier: Position, parse: Callable[[str], Position]
) -> str | None:
    if not texts:
        return str(frontier)
    if len(set(texts)) == 1:
        return texts[0]
    return str(frontier) if all(frontier.reaches(parse(text)) for text in texts) else None
