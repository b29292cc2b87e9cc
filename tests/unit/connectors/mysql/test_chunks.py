"""Where a table is cut: by walking its key, so that no chunk is empty."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.mysql.chunks import cut
from connectors.mysql.types import parse_type
from engine.model.relation import Column, ColumnType, Relation, TableName

RELATION = Relation(1, "shop", "t", (Column("id", ColumnType("bigint")),), key=(0,))


def described(*identity: str) -> Any:
    column = SimpleNamespace(name="id", type=parse_type("bigint", None, None))
    return SimpleNamespace(identity=identity, columns=[column], table=TableName("shop", "t"))


class Index:
    """Answers the walk over an index of these keys."""

    def __init__(self, keys: Sequence[int]) -> None:
        self.keys = sorted(keys)
        self.walked = 0

    async def ask(self, _doing: str, query: str) -> Sequence[Sequence[str | None]]:
        if "MIN" in query:
            return [[str(self.keys[0]), str(self.keys[-1])] if self.keys else [None, None]]
        self.walked += 1
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
    chunks = await cut(Index(keys).ask, described("id", "line"), RELATION, len(keys), 10)
    assert [chunk.high and chunk.high[0] for chunk in chunks] == highs
    assert [chunk.low for chunk in chunks] == [None, *[chunk.high for chunk in chunks[:-1]]]
    assert [chunk.ordinal for chunk in chunks] == list(range(len(highs)))


@pytest.mark.parametrize(
    ("keys", "highs"),
    [
        (range(1, 31), ["10", "20", None]),
        (range(-15, 16), ["-6", "4", "14", None]),
        (range(0, 40, 2), ["9", "19", "29", None]),
        (range(2**63 - 21, 2**63), [str(2**63 - 12), str(2**63 - 2), None]),
    ],
)
async def test_a_key_with_few_gaps_is_cut_evenly(
    keys: Sequence[int], highs: list[str | None]
) -> None:
    index = Index(keys)
    chunks = await cut(index.ask, described("id"), RELATION, len(keys), 10)
    assert [chunk.high and chunk.high[0] for chunk in chunks] == highs
    assert not index.walked


@pytest.mark.parametrize(
    ("keys", "rows"), [([*range(40), 10**15], 41), (range(0, 400, 10), 40), ((), 100)]
)
async def test_one_with_many_is_walked(keys: Sequence[int], rows: int) -> None:
    index = Index(keys)
    chunks = await cut(index.ask, described("id"), RELATION, rows, 10)
    assert index.walked
    held = [
        sum((low is None or k > int(low[0])) and (high is None or k <= int(high[0])) for k in keys)
        for low, high in ((chunk.low, chunk.high) for chunk in chunks)
    ]
    assert sum(held) == len(keys)
    assert max(held) <= 11
