"""A first start begins with what catalog and log of its source speak for, and waits for nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from engine.config.capacity import CapacityConfig
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.replication import ReplicationConfig, ReplicationType
from engine.contracts import Source
from engine.errors import SourceConnectionError, SourceError
from engine.model.position import LogPosition
from engine.sizing import BEGIN_SECONDS, SHORTEST_SECONDS, FirstStart, Growth, first_size

MIB = 1 << 20


class Clock:
    """A clock that the loop's own time drives: sleeps are real, and short."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 0.0


class Log:
    """A source that tells the end of its log; what is no number is raised."""

    def __init__(self, *heads: int | Exception) -> None:
        self._heads = list(heads)
        self.asked = 0

    async def head(self) -> LogPosition:
        self.asked += 1
        head = self._heads.pop(0)
        if isinstance(head, Exception):
            raise head
        if head < 0:
            await asyncio.Event().wait()
        return LogPosition(head)


def config(kind: ReplicationType = ReplicationType.CDC, **capacity: Any) -> ReplicationConfig:
    return ReplicationConfig(
        id="r",
        type=kind,
        source=SourceConfig(engine="memory"),
        target=TargetConfig(engine="memory"),
        capacity=CapacityConfig(**capacity),
    )


async def started(source: Log, given: ReplicationConfig | None = None) -> Sequence[tuple[int, str]]:
    begun: list[tuple[int, str]] = []
    first = FirstStart(given or config(), Clock(), lambda units, why: begun.append((units, why)))
    await first.look(cast(Source, source))
    await first.settle(cast(Source, source), [])
    await first.settle(cast(Source, source), [])  # a second attempt of the same process
    return begun


async def test_the_log_between_two_looks_speaks_for_a_size() -> None:
    ((units, why),) = await started(Log(0, 1000 * MIB))
    assert units == 16
    assert "queue: " in why
    assert "memory: " in why
    assert "appliers: " in why


async def test_a_quiet_log_and_one_that_does_not_tell_how_far_it_has_come_ask_for_the_least() -> (
    None
):
    assert [units for units, _ in await started(Log(500, 600))] == [1]
    assert [units for units, _ in await started(Log(600, 500), config(units_min=4))] == [4]


async def test_a_load_alone_looks_at_no_log() -> None:
    source = Log()
    ((units, why),) = await started(source, config(ReplicationType.FULL_LOAD))
    assert (units, source.asked) == (1, 0)
    assert "queue" not in why


@pytest.mark.parametrize("heads", [(SourceError("it may not"),), (0, SourceError("it may not"))])
async def test_a_source_that_does_not_tell_has_the_smallest_size(heads: tuple[Any, ...]) -> None:
    ((units, why),) = await started(Log(*heads), config(units_min=2))
    assert units == 2
    assert why == "the source does not tell what speaks for another size: it may not"


async def test_a_source_that_is_slow_to_tell_holds_no_start_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert BEGIN_SECONDS <= 2.0
    monkeypatch.setattr("engine.sizing.BEGIN_SECONDS", 0.01)
    ((units, why),) = await started(Log(0, -1))
    assert units == 1
    assert "too long" in why


async def test_a_link_that_broke_is_the_attempt_s_and_the_next_one_asks_again() -> None:
    begun: list[int] = []
    first = FirstStart(config(), Clock(), lambda units, _: begun.append(units))
    source = cast(Source, Log(0, SourceConnectionError("gone"), 0, 0))
    await first.look(source)
    with pytest.raises(SourceConnectionError):
        await first.settle(source, [])
    assert begun == []
    await first.look(source)
    await first.settle(source, [])
    assert begun == [1]


async def test_where_a_size_was_decided_before_nothing_is_asked() -> None:
    source = Log()
    first = FirstStart(config(), Clock(), None)
    await first.look(cast(Source, source))
    await first.settle(cast(Source, source), [])
    assert source.asked == 0


async def test_check_reckons_the_same() -> None:
    source, log = cast(Source, Log(0, 1000 * MIB)), Growth(Clock())
    await log.look(source)
    found = await first_size(config(), source, [], log)
    assert found.units == 16


async def test_time_that_passed_between_two_looks_is_not_waited_for_again() -> None:
    source, log = cast(Source, Log(0, 1000)), Growth(Clock())
    await log.look(source)
    await asyncio.sleep(2 * SHORTEST_SECONDS)
    looking = asyncio.create_task(log.rate(source))
    await asyncio.sleep(0)
    assert looking.done()
    assert 0 < (await looking or 0) <= 1000 / (2 * SHORTEST_SECONDS)
