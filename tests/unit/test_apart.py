"""A target that is the source itself is refused; a server that cannot tell is not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from unittest.mock import create_autospec

import pytest

from engine.abilities import MarkingSource, SeeingTarget
from engine.apart import apart_where_told
from engine.errors import ConfigError, PenstockError, SourceConnectionError, SourceError
from engine.observe.log import Line, Log
from engine.seams import SystemClock, SystemRandom


async def look(*, seen: bool = False, error: PenstockError | None = None) -> list[str]:
    """The lines that were logged."""
    lines: list[Line] = []

    @asynccontextmanager
    async def marked(_number: int) -> AsyncIterator[None]:
        if error is not None:
            raise error
        yield

    source, target = create_autospec(MarkingSource), create_autospec(SeeingTarget)
    source.marked = marked
    target.sees.return_value = seen
    await apart_where_told(source, target, SystemRandom(), Log(lines.append, SystemClock()))
    return [f"{line.message} {line.fields}" for line in lines]


async def test_two_databases_are_carried_without_a_word() -> None:
    assert await look() == []


async def test_one_database_is_refused() -> None:
    with pytest.raises(ConfigError, match="into themselves"):
        await look(seen=True)


async def test_a_server_that_allows_no_marks_is_carried_and_it_is_said() -> None:
    (line,) = await look(error=SourceError("GET_LOCK is not allowed here"))
    assert "could not be found out" in line
    assert "GET_LOCK is not allowed here" in line
    assert "see that source.url and target.url do not lead to one database" in line


async def test_a_link_that_broke_is_no_answer() -> None:
    with pytest.raises(SourceConnectionError):
        await look(error=SourceConnectionError("gone"))
