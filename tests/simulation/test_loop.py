"""The simulated loop itself: same program, same trace; processes die as by kill -9."""

import asyncio
import os
import subprocess
import sys

import pytest

from tests.simulation.loop import DeadlockError, Process, RunawayError, SimulatedLoop, run
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.spell import Spell
from tests.simulation.swarm import run as run_spell

TRACE = "from tests.simulation.test_loop import trace_of; import sys; print(trace_of(sys.argv[1]))"


EVERYTHING = Spell(
    5,
    storm=True,
    crashes=2,
    half_open=True,
    slow=True,
    disk=True,
    stops=1,
    cancels=1,
    rivals=1,
    jumps=1,
    resized=True,
    resizes=5,
)


def trace_of(scenario: str) -> str:
    """The whole trace of a stormy run with crashes."""
    return "\n".join(run_spell(SCENARIOS[scenario], EVERYTHING, traced=True).trace)


def _in_another_process(scenario: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", TRACE, scenario]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("scenario", ["mixed", "load", "refuse"])
def test_a_seed_gives_the_same_trace_in_every_process(scenario: str) -> None:
    first = _in_another_process(scenario, "1")
    second = _in_another_process(scenario, "2")
    assert len(first.splitlines()) > 20
    assert first == second
    assert first.strip() == trace_of(scenario)


def test_time_jumps_to_the_next_timer_and_timers_of_one_moment_keep_their_order() -> None:
    async def work(loop: SimulatedLoop) -> list[str]:
        order: list[str] = []
        for name in ("a", "b", "c"):
            loop.call_later(1000.0, order.append, name)
        loop.call_later(10.0, order.append, "first")
        await asyncio.sleep(1000.0)
        assert loop.time() == 1000.0
        return order

    assert run(work) == ["first", "a", "b", "c"]


def test_timeouts_and_cancellation_are_asyncios_own() -> None:
    async def work(loop: SimulatedLoop) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60.0):
                await asyncio.Event().wait()
        task = asyncio.create_task(asyncio.sleep(1e6))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return loop.time()

    assert run(work) == 60.0


def test_a_deadlock_is_an_error_that_names_the_tasks() -> None:
    async def work(loop: SimulatedLoop) -> None:
        forgotten = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
        assert not forgotten.done()
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match="forgotten"):
        run(work)


def test_a_run_without_end_is_an_error() -> None:
    async def work(loop: SimulatedLoop) -> None:
        while True:
            await asyncio.sleep(3600.0)

    with pytest.raises(RunawayError):
        run(work)


def test_an_error_nobody_looked_at_is_raised() -> None:
    async def broken() -> None:
        raise KeyError("unseen")

    async def work(loop: SimulatedLoop) -> None:
        unseen = asyncio.create_task(broken())
        await asyncio.sleep(1.0)
        assert unseen.done()

    with pytest.raises(KeyError, match="unseen"):
        run(work)


def test_sockets_are_refused_and_blocking_work_takes_no_time() -> None:
    async def work(loop: SimulatedLoop) -> int:
        with pytest.raises(RuntimeError):
            loop.add_reader(0, print)
        result: int = await loop.run_in_executor(None, lambda: 42)
        return result

    assert run(work) == 42


def test_a_killed_process_does_nothing_more_not_even_finally() -> None:
    done: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(5.0)
            done.append("slept")
        finally:
            done.append("finally")

    async def victim() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(child())
            await asyncio.sleep(100.0)

    async def work(loop: SimulatedLoop) -> list[str]:
        process, _ = loop.spawn("victim", victim())
        other, task = loop.spawn("other", child())
        await asyncio.sleep(1.0)
        loop.kill(process)
        await task
        await asyncio.sleep(200.0)
        assert other.alive
        return list(done)

    assert run(work) == ["slept", "finally"]


def test_a_stopped_process_goes_on_where_it_stood() -> None:
    async def work(loop: SimulatedLoop) -> list[float]:
        seen: list[float] = []

        async def ticking() -> None:
            for _ in range(4):
                await asyncio.sleep(1.0)
                seen.append(loop.time())

        process, task = loop.spawn("ticking", ticking())
        await asyncio.sleep(1.5)
        loop.stop_process(process)
        await asyncio.sleep(10.0)
        loop.continue_process(process)
        await task
        return seen

    assert run(work) == [1.0, 11.5, 12.5, 13.5]


def test_steps_are_counted_per_process_and_told_before_they_run() -> None:
    told: list[int] = []

    async def work(loop: SimulatedLoop) -> int:
        async def three() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        process, task = loop.spawn("counted", three())

        def before(stepping: Process) -> None:
            if stepping is process:
                told.append(process.steps)

        loop.before_step = before
        await task
        return process.steps

    assert run(work) == len(told) == 4
