"""A relation version as text, for the target's control tables (pure)."""

from typing import Any

import orjson

from engine.errors import StateError
from engine.model.relation import Column, ColumnType, Format, Relation, ReplicaIdentity


def dump(relation: Relation) -> str:
    """JSON that `parse` reads back to an equal relation."""
    return orjson.dumps(
        {
            "id": relation.id,
            "schema": relation.schema,
            "name": relation.name,
            "key": relation.key,
            "replica_identity": relation.replica_identity.value,
            "wire": relation.wire,
            "since": relation.since,
            "native": relation.native,
            "misfits": relation.misfits,
            "columns": [_column(column) for column in relation.columns],
        }
    ).decode()


def _column(column: Column) -> dict[str, object]:
    return {
        "name": column.name,
        "type": column.type.name,
        "oid": column.type.oid,
        "modifier": column.type.modifier,
        "definition": column.type.definition,
        "format": column.format.value,
        "nullable": column.nullable,
        "identity": column.identity,
        "native": column.native,
        "number": column.number,
    }


def parse(text: str) -> Relation:
    """Raises StateError for anything `dump` did not write."""
    try:
        relation = _parse(orjson.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise StateError("the stored version of a table was not understood") from error
    if not all(0 <= place < len(relation.columns) for place in relation.key):
        raise StateError("the stored version of a table has a key without columns")
    return relation


def _parse(raw: Any) -> Relation:
    return Relation(
        id=raw["id"],
        schema=raw["schema"],
        name=raw["name"],
        key=tuple(map(int, raw["key"])),
        replica_identity=ReplicaIdentity(raw["replica_identity"]),
        wire=raw["wire"],
        since=raw.get("since", ""),
        native=raw.get("native", ""),
        misfits=tuple(map(int, raw.get("misfits", ()))),
        columns=tuple(map(_parse_column, raw["columns"])),
    )


def _parse_column(raw: Any) -> Column:
    return Column(
        name=raw["name"],
        type=ColumnType(raw["type"], raw["oid"], raw["modifier"], raw["definition"]),
        format=Format(raw["format"]),
        nullable=raw["nullable"],
        identity=raw["identity"],
        native=raw.get("native", ""),
        number=raw.get("number", 0),
    )
