"""What a start makes of a store that is away for a moment, and of what a probe finds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.control.keeping import Keeper
from engine.control.lifecycle import Begin, StartType
from engine.control.resources.document import encode
from engine.control.resources.replication import KIND, Compute, Config, Life, Replication, Wish
from engine.control.resources.table import TableFacts, key
from engine.control.starting import StartError, Starting
from engine.control.store.errors import StoreConnectionError
from engine.control.store.records import Record
from engine.control.store.sqlite import SqliteStore
from engine.observe.log import Line, Log
from engine.observe.report import Outcome
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


def finding(subject: str) -> dict[str, object]:
    message = f"{subject}: the target has no column v"
    said = {"check": "target-tables", "severity": "blocks", "subject": subject, "message": message}
    return {"event": "finding", **said}


FOUND = {"event": "found", "tables": 2, "units": 3, "reckoned": ""}


@pytest.mark.parametrize(
    ("begin", "told", "fails"),
    [
        (Begin.RESUME, [finding("public.b"), FOUND], ""),
        (Begin.RESUME, [finding("public.b")], "cut short"),
        (Begin.RESUME, [finding("public.a"), finding("public.b"), FOUND], "public.a: the target"),
        (Begin.RELOAD, [finding("public.b"), FOUND], "public.b: the target"),
    ],
)
async def test_a_table_that_stands_keeps_no_other_from_going_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    begin: Begin,
    told: list[dict[str, object]],
    fails: str,
) -> None:
    async def probe(*_words: object, told: Any, **_named: object) -> Outcome:
        for event in script:
            told(event)
        return Outcome(1, error="target-tables", reason="cut short")

    script = told
    monkeypatch.setattr("engine.control.starting.errand.run", probe)
    log = Log(lambda _line: None, SystemClock())
    config = Config(
        name="a", source="S", target="T", type="cdc", compute=Compute(units_max=4), mappings="{}"
    )
    life = Life(ran=True, wish=Wish(type=StartType.RESUME, begin=begin))
    replication = Replication(config=config, life=life)
    tables = {
        key("public", name): encode(TableFacts(schema="public", table=name, state=state))
        for name, state in (("a", "streaming"), ("b", "suspended"))
    }
    async with SqliteStore(tmp_path / "store.db") as store:
        async with store.write() as writing:
            await writing.insert(Record(KIND, "a", "a", encode(replication)))
            await writing.put_facts(KIND, "a", tables)
        means: Any = SimpleNamespace(store=store, log=log)
        starting = Starting("a", means, Keeper(store, "a", log), _enter)
        given: Any = SimpleNamespace(file=tmp_path / "a.toml", environment={})
        if not fails:
            assert (await starting.look(replication, given)).units == 3
            return
        with pytest.raises(StartError, match=fails) as refused:
            await starting.look(replication, given)
    assert len(refused.value.failures) == 1
