"""Counts how often sessions of a target describe its tables."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.model.relation import TableName


class Readings:
    """`of`: the session of each, in their order; `session_type` has a method `table_now`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, session_type: type) -> None:
        self.of: list[Any] = []
        describe: Callable[..., Any] = session_type.table_now  # type: ignore[attr-defined]

        async def counted(session: object, name: TableName) -> object:
            self.of.append(session)
            return await describe(session, name)

        monkeypatch.setattr(session_type, "table_now", counted)
