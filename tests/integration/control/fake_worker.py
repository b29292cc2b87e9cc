"""A worker process whose pipeline is a fake that behaves as `FAKE_PIPELINE` says.

Everything else is real: loop, signals, log, probes, report pipe, exit code.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import errors
from engine.config.load import load_replication
from engine.config.replication import ReplicationConfig
from engine.contracts import Clock, Random
from engine.model.batch import TableCounts
from engine.model.relation import TableName
from engine.seams import LocalDisk
from engine.worker import Parts, main

CANARY = "canary-7f3a"


class Side:
    """Nothing to connect to."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


def connect(config: ReplicationConfig, clock: Clock, random: Random) -> Any:
    return Side(), Side()


async def pipeline(config: ReplicationConfig, source: Any, target: Any, **given: Any) -> None:
    behaviour, _, detail = os.environ["FAKE_PIPELINE"].partition(":")
    await BEHAVIOURS[behaviour](detail, given)


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


async def crash_until(detail: str, given: Mapping[str, Any]) -> None:
    """Killed on each start until the file `detail` has two lines; then done."""
    lives = Path(detail)
    with lives.open("a") as file:
        file.write("life\n")
    if len(lives.read_text().splitlines()) < 3:
        os.kill(os.getpid(), signal.SIGKILL)


async def fail_until(detail: str, given: Mapping[str, Any]) -> None:
    """The source is away on the first start."""
    lives = Path(detail)
    if not lives.exists():
        lives.write_text("life\n")
        raise errors.SourceConnectionError("the source is away", hint="start it")


BEHAVIOURS = {
    "until-stopped": until_stopped,
    "hang": hang,
    "done": done,
    "fail": fail,
    "defect": defect,
    "group": group,
    "block": block,
    "crash-until": crash_until,
    "fail-until": fail_until,
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
