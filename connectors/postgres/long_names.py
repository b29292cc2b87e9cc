"""(pure) Names that PostgreSQL would cut to its length, so that two may become one.

It does so with a NOTICE, never with an error: manual, "Identifiers and Key Words".
"""

from collections.abc import Iterable, Iterator
from typing import Final

from connectors.postgres.config import NAME_BYTES_MAX
from engine.model.relation import Relation

LONG_NAME_REMEDY: Final = "give them shorter names on the source, or leave them out by [mapping]"


def long_names(relation: Relation) -> Iterator[str]:
    """A sentence for a table whose own name, or those of columns, have too many bytes."""
    columns = [column.name for column in relation.columns]
    found = list(cut([relation.schema, relation.name, *columns]))
    if found:
        yield (
            f"{relation.qualified}: PostgreSQL's names have at most {NAME_BYTES_MAX} bytes, these"
            f" have more: {', '.join(found)}"
        )


def cut(names: Iterable[str]) -> Iterator[str]:
    """Those that have too many bytes."""
    return (name for name in names if len(name.encode()) > NAME_BYTES_MAX)
