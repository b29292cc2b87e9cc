"""Where a table is cut: by walking its key, so that no chunk is empty."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.mysql.chunks import cut
from connectors.mysql.types import parse_type
from engine.model.relation import Column, ColumnType, Relation, TableName

RELATION = Relation(1, "shop", "t", (Column("id", ColumnType("bigint")),), key=(0,))


def described() -> Any:
    column = SimpleNamespace(name="id", type=parse_type("bigint", None, None))
    return SimpleNamespace(identity=("id",), columns=[column], table=TableName("shop", "t"))


class Index:
    """Answers the walk over an index of these keys."""

    def __init__(self, keys: Sequence[int]) -> None:
        self.keys = sorted(keys)

    async def ask(self, _doing: str, query: str) -> Sequence[Sequence[str | None]]:
        words = query.split()
        after = int(words[words.index(">") + 1]) if ">" in words else None
        limit, offset = int(words[words.index("LIMIT") + 1]), int(words[-1])
        left = [key for key in self.keys if after is None or key > after]
        return [[str(key)] for key in left[offset : offset + limit]]


@pytest.mark.parametrize(
    ("keys", "highs"),
    [
        (range(1, 31), ["10", "20", None]),
        (range(1, 32), ["10", "20", "30", None]),
        ([*range(0, 150, 10), 10_000], ["90", None]),
        ([1] * 25 + [2], ["1", None]),
        (range(11), ["9", None]),
    ],
)
async def test_chunks_have_the_wished_size_and_none_is_empty(
    keys: Sequence[int], highs: list[str | None]
) -> None:
    chunks = await cut(Index(keys).ask, described(), RELATION, len(keys), 10)
    assert [chunk.high and chunk.high[0] for chunk in chunks] == highs
    assert [chunk.low for chunk in chunks] == [None, *[chunk.high for chunk in chunks[:-1]]]
    assert [chunk.ordinal for chunk in chunks] == list(range(len(highs)))
