"""SQL that reads a chunk's rows. (pure)"""

from connectors._sql.quoting import identifier, literal, qualified
from engine.model.chunk import Chunk
from engine.model.relation import Relation


def rows_query(chunk: Chunk, *, partitioned: bool) -> str:
    """The SELECT of a chunk: its columns in relation order, its range, no order of rows.

    ONLY keeps the rows of inheriting tables out, as the change stream does: they are tables of
    their own. A partitioned table has no rows but those of its partitions.
    """
    condition = _condition(chunk)
    return f"SELECT {column_list(chunk.relation)} FROM {from_item(chunk.relation, partitioned)}" + (
        f" WHERE {condition}" if condition else ""
    )


def from_item(relation: Relation, partitioned: bool) -> str:
    name = qualified(relation.schema, relation.name)
    return name if partitioned else f"ONLY {name}"


def column_list(relation: Relation) -> str:
    """Quoted column names. A relation without columns still has rows: the list is empty."""
    return ", ".join(identifier(column.name) for column in relation.columns)


def _condition(chunk: Chunk) -> str:
    if chunk.by == "ctid":
        bounds = (("ctid >=", chunk.low), ("ctid <", chunk.high))
        parts = [f"{side} {literal(text[0])}::pg_catalog.tid" for side, text in bounds if text]
        return " AND ".join(parts)
    bounds = ((">", chunk.low), ("<=", chunk.high))
    return " AND ".join(_compare(chunk.relation, sign, text) for sign, text in bounds if text)


def _compare(relation: Relation, sign: str, texts: tuple[str, ...]) -> str:
    """Compare the leading key columns, as a row, with bounds in their text form."""
    names = ", ".join(identifier(relation.columns[i].name) for i in relation.key[: len(texts)])
    values = ", ".join(literal(text).lstrip() for text in texts)
    return f"({names}) {sign} ({values})"
