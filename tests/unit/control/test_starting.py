"""What a start makes of a store that is away for a moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.control.keeping import Keeper
from engine.control.resources.replication import Compute, Config, Replication
from engine.control.starting import StartError, Starting
from engine.control.store.errors import StoreConnectionError
from engine.control.store.sqlite import SqliteStore
from engine.observe.log import Line, Log
from engine.seams import SystemClock


class Away(SqliteStore):
    """Cannot be reached the first two times."""

    tries = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        self.tries += 1
        if self.tries <= 2:
            raise StoreConnectionError("the store's server is away")
        async with super().read() as reading:
            yield reading


async def _enter(*_words: object) -> None:
    """No status is looked at here."""


async def test_a_store_that_is_away_for_a_moment_ends_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.control.keeping.PAUSE_SECONDS", 0.0)
    lines: list[Line] = []
    log = Log(lines.append, SystemClock())
    compute = Compute(units_max=1)
    config = Config(name="a", source="S", target="T", type="cdc", compute=compute, mappings="{}")
    async with Away(tmp_path / "store.db") as store:
        means: Any = SimpleNamespace(store=store, vault=None, environment={})
        starting = Starting("a", means, Keeper(store, "a", log), _enter)
        with pytest.raises(StartError, match="there is no endpoint S"):
            await starting.files(Replication(config=config))
    assert store.tries == 3
    assert [line.fields["action"] for line in lines] == ["replication.store"] * 2
