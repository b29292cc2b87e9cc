"""What the quarantine table keeps of a row that the target refused (pure)."""

import base64
from typing import Final

import orjson

from engine.model.relation import Relation
from engine.model.value import Row

MISSING: Final = "missing-row"
REJECTED: Final = "rejected-row"
"""`RejectedRow.reason`: a row to change was not there; the target refused it."""


def payload(operation: str, relation: Relation, new: Row | None, old: Row | None) -> str:
    """A row event as JSON, values in base64 of their wire form."""
    return orjson.dumps(
        {
            "operation": operation,
            "wire": relation.wire,
            "columns": [
                {"name": c.name, "type": c.type.name, "format": c.format.value}
                for c in relation.columns
            ],
            "new": _encoded(relation, new),
            "old": _encoded(relation, old),
        }
    ).decode()


def _encoded(relation: Relation, row: Row | None) -> dict[str, str | None] | None:
    """Column name -> base64 or null; columns that were not sent, and values that could not be taken
    over, are left out."""
    if row is None:
        return None
    return {
        column.name: None if value is None else base64.b64encode(value).decode()
        for column, value in zip(relation.columns, row, strict=True)
        if value is None or isinstance(value, bytes)
    }
