"""What a replication file with `engine = "memory"` reaches."""

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.memory import servers, source, target
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.replication import ReplicationConfig
from engine.config.url import parse_url
from engine.errors import ConfigError
from engine.model.relation import TableName
from engine.model.state import Owner
from engine.seams import SystemClock, SystemRandom


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    for name in ("source", "target", "shop", "copy"):
        servers.forget(name)


def config(on_source: str = "", on_target: str = "") -> ReplicationConfig:
    return ReplicationConfig(
        id="r",
        source=SourceConfig(**_side(on_source)),
        target=TargetConfig(**_side(on_target)),
    )


def _side(name: str) -> dict[str, Any]:
    url = {"url": parse_url(f"memory://here/{name}")} if name else {}
    return {"engine": "memory", **url}


def make(given: ReplicationConfig) -> tuple[source.MemorySource, target.MemoryTarget]:
    clock, random = SystemClock(), SystemRandom()
    return source.create(given, clock, random), target.create(given, clock, random)


@pytest.mark.parametrize("names", [("", ""), ("shop", "copy")], ids=["unnamed", "named"])
async def test_each_side_has_a_server_of_its_own_and_the_target_takes_control_rows(
    names: tuple[str, str],
) -> None:
    _, there = make(config(*names))
    await there.open()
    await there.prepare_control()
    async with there.session() as session, session.begin() as transaction:
        await transaction.save_owner(Owner(1, "source", "f", "p", "t"))
        await transaction.commit()
    other = make(config(*names))[1]
    await other.open()
    async with other.session() as session, session.begin() as transaction:
        owner = await transaction.peek_owner()
        assert owner is not None
        assert owner.epoch == 1
    assert await other.relation(TableName("public", "t")) is None
    await there.close()
    await other.close()


@pytest.mark.parametrize("names", [("shop", "shop"), ("target", ""), ("", "source")])
def test_one_server_for_both_sides_is_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"target\.url: names the memory server .+ is a source"):
        make(config(*names))
