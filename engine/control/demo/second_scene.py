"""The second scene: from MariaDB to PostgreSQL, where the machine has a MariaDB server."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.control.demo.processes import Ends, Penstock, replicating
from engine.control.demo.server import free_port, programs, running
from engine.control.demo.view import View
from engine.control.demo.watching import LOOK_SECONDS, sentence, verify, watch_load

if TYPE_CHECKING:
    from engine.control.demo.shop import Shop

STREAM_SECONDS: Final = 8.0
"""How long its stream is shown."""

WITHOUT_DRIVER: Final = (
    "Second scene, MariaDB to PostgreSQL: left out, its driver is not installed;"
    " pip install 'penstock[mysql]'"
)
WITHOUT_SERVER: Final = (
    "Second scene, MariaDB to PostgreSQL: left out, this machine has no MariaDB server;"
    " on Debian: apt install mariadb-server"
)


async def second_scene(view: View, folder: Path, seconds: float = STREAM_SECONDS) -> bool:
    """Whether the copy was verified; also where there is nothing to make one from. The stream is
    shown for these seconds."""
    try:
        from engine.control.demo import mariadb, shop
    except ModuleNotFoundError:
        view.say(WITHOUT_DRIVER)
        return True
    program = mariadb.program()
    if program is None:
        view.say(WITHOUT_SERVER)
        return True
    view.say("Second scene. Starting a MariaDB and a PostgreSQL server ...")
    async with (
        mariadb.running(program, folder / "source") as source,
        running(programs()[-1], folder / "target") as target,
    ):
        view.say(f"  source: MariaDB {source.release}, target: PostgreSQL {target.release}")
        work = shop.Shop(source.port)
        await work.prepare()
        view.say(f"  {work.customers:,} customers on the source, nothing on the target")
        view.say(f"Writers begin: {shop.TRANSACTIONS_PER_SECOND:.0f} transactions a second.")
        ends = Ends(source.url(), target.url(), "mariadb", "shop")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work.run(), name="shop")
            try:
                return await _replicate(view, folder, ends, work, seconds)
            finally:
                work.stop.set()


async def _replicate(view: View, folder: Path, ends: Ends, work: "Shop", seconds: float) -> bool:
    view.say("penstock run: full load, then every change")
    async with replicating(folder, ends, free_port()) as penstock:
        await watch_load(view, penstock, {"customers": work.customers, "orders": 0})
        await _watch_stream(view, penstock, work, seconds)
        view.say(f"Writers stop after {work.transactions:,} transactions.")
        work.stop.set()
        result = await verify(folder)
    view.say(sentence(result))
    return result.code == 0


async def _watch_stream(view: View, penstock: Penstock, work: "Shop", seconds: float) -> None:
    """Show the stream for a while."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        figures = await penstock.figures()
        if figures is not None:
            lag = (figures.lag_seconds or 0.0) * 1000
            view.streaming(
                f"{figures.rows:,} rows applied | lag {lag:,.1f} ms |"
                f" {work.transactions:,} transactions written"
            )
        await asyncio.sleep(LOOK_SECONDS)
