"""Processes that write to a store until they are killed, and say what was answered.

python -m tests.integration.store.writer sqlite PATH
python -m tests.integration.store.writer postgres URL SCHEMA

With each line it is given it forks a writer, which says its process id and then the number of each
transaction: a fork takes milliseconds, a start half a second.
"""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

from engine.config.secret import Secret
from engine.control.store.contract import Store
from engine.control.store.postgres import PostgresStore
from engine.control.store.records import Event, Record
from engine.control.store.sqlite import SqliteStore


def named_store(kind: str, place: str, *schema: str) -> Store:
    if kind == "sqlite":
        return SqliteStore(Path(place))
    return PostgresStore(Secret(place), schema=schema[0])


async def write(store: Store) -> int:
    """One transaction: two records, a fact and an event more, and what is counted of them."""
    async with store.write() as writing:
        counter = await writing.get("counter", "c")
        if counter is None:
            counter = await writing.insert(Record("counter", "c", "c", {"n": 0}))
        number: int = counter.document["n"] + 1
        await writing.update(replace(counter, document={"n": number}, fields={"n": str(number)}))
        for half in ("left", "right"):
            name = f"{half}-{number}"
            await writing.insert(Record(half, name, name, {"pad": "x" * 2000}, {"n": str(number)}))
        await writing.put_facts("counter", "c", {f"{number:06}": {}})
        await writing.add_event(Event("counter", "c", f"{number}", ("a",)))
    return number


async def keep_writing(*arguments: str) -> None:
    async with named_store(*arguments) as store:
        while True:
            say(await write(store))


def say(number: int) -> None:
    os.write(sys.stdout.fileno(), b"%d\n" % number)


if __name__ == "__main__":
    for _ in sys.stdin:
        if os.fork() == 0:
            say(os.getpid())
            asyncio.run(keep_writing(*sys.argv[1:]))
        os.wait()
        say(0)
