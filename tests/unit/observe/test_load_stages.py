"""Seconds of copiers by what they wait for, and how long a source has been silent."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from engine.errors import SourceConnectionError
from engine.load_silence import watch_source
from engine.observe.load_stages import SILENT_SECONDS, STAGES, LoadStages
from engine.observe.log import Line, Log
from tests.unit.apply.bench import Clock


class Watch:
    at = 0.0

    def __call__(self) -> float:
        return self.at


async def test_waiting_for_rows_and_bringing_them_to_the_target_are_told_apart() -> None:
    watch = Watch()
    stages = LoadStages(watch)

    async def rows() -> AsyncGenerator[bytes, None]:
        for _ in range(3):
            watch.at += 2
            yield b"rows"

    with stages.copying:
        async for _ in stages.counted(rows(), "t"):
            assert stages.source.count == 0
            watch.at += 5
    seconds = stages.seconds()
    assert tuple(seconds) == STAGES
    assert (seconds["load-source"], seconds["load-target"]) == (6.0, 15.0)


async def test_what_making_rows_takes_is_no_waiting_for_the_source() -> None:
    watch = Watch()
    stages = LoadStages(watch)
    stages.decoded = lambda: 1.5
    with stages.copying, stages.waiting("t"):
        watch.at += 4
    seconds = stages.seconds()
    assert (seconds["load-source"], seconds["load-decode"]) == (2.5, 1.5)
    assert seconds["load-target"] == 0.0


async def test_rows_that_are_closed_early_are_closed_where_they_come_from() -> None:
    closed = False

    async def rows() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            yield b"one"
            yield b"two"
        finally:
            closed = True

    stages = LoadStages()
    async with aclosing(stages.counted(rows(), "t")) as counted:
        await anext(counted)
    assert closed
    assert stages.source.count == 0


async def test_a_source_that_fails_leaves_nobody_waiting() -> None:
    async def rows() -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise SourceConnectionError("cut")

    stages = LoadStages()
    with pytest.raises(SourceConnectionError):
        async for _ in stages.counted(rows(), "t"):
            pass
    assert stages.source.count == 0
    assert stages.silent() == (0.0, "")


def test_idle_copiers_and_tables_that_are_finished_are_counted() -> None:
    watch = Watch()
    stages = LoadStages(watch)
    stages.staff(3)
    watch.at += 2
    stages.staff(1)
    with stages.finish:
        watch.at += 1
    stages.staff(0)
    watch.at += 9
    assert (stages.seconds()["load-idle"], stages.seconds()["load-finish"]) == (7.0, 1.0)


async def test_the_silence_is_that_of_who_waits_longest_and_ends_the_attempt_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.load_silence.LOOK_SECONDS", 0.001)
    assert SILENT_SECONDS < 30.0
    watch = Watch()
    lines: list[Line] = []
    log = Log(lines.append, Clock())
    stages = LoadStages(watch)
    with stages.waiting("public.a"):
        watch.at += 10
        with stages.waiting("public.b"):
            watch.at += SILENT_SECONDS - 10
            assert stages.silent() == (SILENT_SECONDS, "public.a")
            with pytest.raises(SourceConnectionError, match=r"for 20 s while public\.a was read"):
                await watch_source(stages, log)
    assert [line.fields["action"] for line in lines] == ["load.silent"]


async def test_a_silence_that_comes_again_is_borne_for_twice_as_long_until_a_chunk_is_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.load_silence.LOOK_SECONDS", 0.001)
    watch = Watch()
    log = Log(lambda _: None, Clock())
    stages = LoadStages(watch)
    for patience in (SILENT_SECONDS, 2 * SILENT_SECONDS, 4 * SILENT_SECONDS):
        assert stages.patience == patience
        with stages.waiting("t"):
            watch.at += patience
            with pytest.raises(SourceConnectionError):
                await watch_source(stages, log)
    stages.moved()
    assert stages.patience == SILENT_SECONDS
