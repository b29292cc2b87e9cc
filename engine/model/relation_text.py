"""A relation version as text, for the target's control tables (pure)."""

import orjson

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
        "number": column.number,
    }


def parse(text: str) -> Relation:
    """Raises ValueError or KeyError for anything `dump` did not write."""
    raw = orjson.loads(text)
    return Relation(
        id=raw["id"],
        schema=raw["schema"],
        name=raw["name"],
        key=tuple(raw["key"]),
        replica_identity=ReplicaIdentity(raw["replica_identity"]),
        wire=raw["wire"],
        columns=tuple(
            Column(
                name=c["name"],
                type=ColumnType(c["type"], c["oid"], c["modifier"], c["definition"]),
                format=Format(c["format"]),
                nullable=c["nullable"],
                identity=c["identity"],
                number=c.get("number", 0),
            )
            for c in raw["columns"]
        ),
    )
