"""A worker process whose pipeline is a fake that behaves as `FAKE_PIPELINE` says.

Everything else is real: loop, signals, log, probes, report pipe, exit code.
"""

import asyncio
import os
import signal
import sys
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import errors
from engine.config.load import load_replication
from engine.config.replication import ReplicationConfig
from engine.contracts import SnapshotSource, TransactionalTarget
from engine.machine import Clock, Random
from engine.model.batch import TableCounts
from engine.model.relation import TableName
from engine.seams import LocalDisk
from engine.worker import Parts, main

CANARY = "canary-7f3a"


def _uncalled(*arguments: object) -> None:
    raise AssertionError("the fake pipeline calls nothing")


class _Nothing:
    """Nothing to connect to."""

    async def close(self) -> None: ...


def _side(contract: type) -> Any:
    """An object that has every method of a contract, as `isinstance` looks for them."""
    names = {name for name in dir(contract) if not name.startswith("_")} - {"close"}
    return type("Side", (_Nothing,), dict.fromkeys(names, _uncalled))()


def connect(config: ReplicationConfig, clock: Clock, random: Random) -> Any:
    return _side(SnapshotSource), _side(TransactionalTarget)


async def pipeline(config: ReplicationConfig, source: Any, target: Any, **given: Any) -> None:
    behaviour, _, detail = os.environ["FAKE_PIPELINE"].partition(":")
    await BEHAVIOURS[behaviour](detail, given)


async def growing(detail: str, given: Mapping[str, Any]) -> None:
    """Ask for capacity until it is granted, then end."""
    allowance = given["allowance"]
    allowance.keep(1)
    while allowance.units < int(detail):
        allowance.ask(int(detail))
        await asyncio.sleep(0.01)


async def until_stopped(detail: str, given: Mapping[str, Any]) -> None:
    _flow(given)
    await given["stop"].wait()
    await asyncio.sleep(float(detail or 0))
    given["log"].info("finished what was begun", action="fake.finished")


async def hang(detail: str, given: Mapping[str, Any]) -> None:
    """Neither the stop event nor cancellation ends it."""
    _flow(given)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


async def done(detail: str, given: Mapping[str, Any]) -> None:
    _flow(given)
    given["report"]("caught-up", {})


async def fail(detail: str, given: Mapping[str, Any]) -> None:
    raise getattr(errors, detail)("it broke", hint="mend it")


async def defect(detail: str, given: Mapping[str, Any]) -> None:
    raise ValueError(f"a driver quotes a row: {CANARY}")


async def group(detail: str, given: Mapping[str, Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail(detail, given))
        tasks.create_task(asyncio.sleep(3600))


async def block(detail: str, given: Mapping[str, Any]) -> None:
    _flow(given)
    await asyncio.sleep(0.2)
    time.sleep(float(detail))
    await given["stop"].wait()


async def crash_twice(detail: str, given: Mapping[str, Any]) -> None:
    """Killed on the first two starts, as the file `detail` counts them; then done."""
    if _life(detail) < 3:
        os.kill(os.getpid(), signal.SIGKILL)


async def crash_always(detail: str, given: Mapping[str, Any]) -> None:
    _life(detail)
    os.kill(os.getpid(), signal.SIGKILL)


async def hungry(detail: str, given: Mapping[str, Any]) -> None:
    """Takes memory until the kernel ends it, in the control group that the folder `detail` is, if
    any; done when it is told that the one before was ended so."""
    if given["out_of_memory"]:
        return
    if detail:
        (Path(detail) / "cgroup.procs").write_text(str(os.getpid()))
    taken = bytearray()
    while True:
        taken += b"x" * (8 << 20)


async def killed_full(detail: str, given: Mapping[str, Any]) -> None:
    """Killed so many seconds after it has said how full its memory is, and left a file just before
    (`detail`); done when it is told that the one before ran out of memory."""
    if given["out_of_memory"]:
        return
    memory, seconds, file = detail.split(":")
    given["metrics"].utilization(float(memory), {"memory": float(memory)})
    await asyncio.sleep(float(seconds))
    Path(file).touch()
    os.kill(os.getpid(), signal.SIGKILL)


async def source_away_once(detail: str, given: Mapping[str, Any]) -> None:
    """Rows flow, then the source goes away for longer than the pipeline waits."""
    _flow(given)
    if _life(detail) == 1:
        raise errors.SourceConnectionError("the source is away", hint="start it")


async def announce(detail: str, given: Mapping[str, Any]) -> None:
    """Writes its process id to the file `detail`, then runs until it is stopped."""
    _life(detail)
    Path(detail).with_suffix(".pid").write_text(str(os.getpid()))
    await until_stopped("", given)


def _life(detail: str) -> int:
    lives = Path(detail)
    count = len(lives.read_text()) + 1 if lives.exists() else 1
    lives.write_text("x" * count)
    return count


async def attempts(detail: str, given: Mapping[str, Any]) -> None:
    """One that failed, and left what it held in a cycle; then another."""
    held = _Nothing()
    vars(held)["itself"] = held
    left = weakref.ref(held)
    del held
    given["report"]("state", {"state": "retrying"})
    before = left() is not None
    given["report"]("state", {"state": "starting"})
    given["log"].info("counted", action="fake.counted", before=before, after=left() is not None)


BEHAVIOURS = {
    "until-stopped": until_stopped,
    "growing": growing,
    "hang": hang,
    "done": done,
    "fail": fail,
    "defect": defect,
    "group": group,
    "block": block,
    "crash-twice": crash_twice,
    "crash-always": crash_always,
    "hungry": hungry,
    "killed-full": killed_full,
    "source-away-once": source_away_once,
    "announce": announce,
    "attempts": attempts,
}


def _flow(given: Mapping[str, Any]) -> None:
    given["metrics"].received(10, 1000)
    given["metrics"].applied(TableName("public", "a"), TableCounts(inserts=7, updates=3), 900)
    given["report"]("state", {"state": "streaming"})


if __name__ == "__main__":
    sys.exit(
        main(
            sys.argv[1:],
            lambda: Parts(
                load=load_replication,
                connect=connect,
                disk=LocalDisk,
                pipeline=pipeline,
            ),
        )
    )
