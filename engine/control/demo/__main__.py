"""The demo's story, from two empty servers to a verified copy.

python -m engine.control.demo
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console

from engine.control.demo import workload as bank
from engine.control.demo.processes import (
    Compared,
    Ends,
    Figures,
    Penstock,
    compared,
    replicating,
)
from engine.control.demo.second_scene import STREAM_SECONDS as SECOND_SECONDS
from engine.control.demo.second_scene import second_scene
from engine.control.demo.server import free_port, programs, running
from engine.control.demo.view import Bars, Lines, View
from engine.control.demo.watching import sentence, verify, watch_load
from engine.control.demo.workload import Workload
from engine.errors import PenstockError

STREAM_SECONDS: Final = 40.0
"""How long the stream is shown; with preparation and the load the demo takes about a minute."""

LOOK_SECONDS: Final = 0.25

PAUSE_SECONDS: Final = 3.0
"""Between two comparisons of the running copy."""


@dataclass(frozen=True, slots=True)
class Size:
    """How long the stream is shown, and how many rows are loaded."""

    seconds: float
    accounts: int


def main() -> int:
    """Run the demo; 0 when the copy was verified."""
    size = _size()
    console = Console()
    view: View = Bars(console) if console.is_terminal else Lines(console, time.monotonic)
    try:
        return asyncio.run(_until_signal(view, size))
    except PenstockError as error:
        view.say(f"The demo failed: {error}")
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        view.say("Stopped.")
        return 130
    finally:
        view.close()


def _size() -> Size:
    parser = argparse.ArgumentParser(prog="python -m engine.control.demo", description=__doc__)
    parser.add_argument(
        "--seconds",
        type=float,
        default=STREAM_SECONDS,
        help="of streaming; the second scene has 8 at most",
    )
    parser.add_argument("--accounts", type=int, default=bank.ACCOUNTS, help="rows to load")
    arguments = parser.parse_args()
    return Size(arguments.seconds, arguments.accounts)


async def _until_signal(view: View, size: Size) -> int:
    """SIGTERM ends it like Ctrl-C: everything started is stopped first."""
    task = asyncio.current_task()
    assert task is not None
    # Where a loop has no signal handlers (Windows), Ctrl-C alone ends the demo.
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with _folder() as folder:
        started = time.monotonic()
        verified = await _first_scene(view, folder, size)
    with _folder() as folder:
        verified &= await second_scene(view, folder, min(size.seconds, SECOND_SECONDS))
    view.say(f"Took {time.monotonic() - started:.0f} s; nothing is left running.")
    return 0 if verified else 1


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A temporary directory that servers of another account may enter."""
    with tempfile.TemporaryDirectory(prefix="penstock-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def _first_scene(view: View, folder: Path, size: Size) -> bool:
    installations = programs()
    view.say("Starting two PostgreSQL servers ...")
    async with (
        running(installations[0], folder / "source") as source,
        running(installations[-1], folder / "target") as target,
    ):
        view.say(f"  source: PostgreSQL {source.release}, target: PostgreSQL {target.release}")
        work = Workload(source.url(), size.accounts)
        await work.prepare()
        view.say(f"  {size.accounts:,} accounts on the source, nothing on the target")
        view.say(f"Writers begin: {bank.TRANSACTIONS_PER_SECOND:.0f} transactions a second.")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work.run(), name="workload")
            try:
                return await _replicate(view, folder, (source.url(), target.url()), work, size)
            finally:
                work.stop.set()


async def _replicate(
    view: View, folder: Path, urls: tuple[str, str], work: Workload, size: Size
) -> bool:
    view.say("penstock run: full load, then every change")
    expected = {"branches": bank.BRANCHES, "accounts": size.accounts, "history": 0}
    expected["tellers"] = bank.BRANCHES * bank.TELLERS_PER_BRANCH
    async with replicating(folder, Ends(*urls), free_port()) as penstock:
        await watch_load(view, penstock, {name: expected[name] for name in bank.TABLES})
        await _watch_stream(view, folder, penstock, work, size.seconds)
        view.say(f"Writers stop after {work.transactions:,} transactions.")
        work.stop.set()
        result = await verify(folder)
    view.say(sentence(result))
    return result.code == 0


@dataclass(slots=True)
class _Recent:
    """The last few looks at the figures."""

    seen: "deque[tuple[float, Figures]]" = field(default_factory=lambda: deque(maxlen=12))

    def add(self, figures: Figures) -> None:
        self.seen.append((time.monotonic(), figures))

    @property
    def rows_per_second(self) -> float:
        (first, before), (last, after) = self.seen[0], self.seen[-1]
        return (after.rows - before.rows) / (last - first) if last > first else 0.0

    @property
    def lag_seconds(self) -> float:
        """The largest; at the moment of a look there is often nothing on its way."""
        return max(figures.lag_seconds or 0.0 for _, figures in self.seen)


async def _watch_stream(
    view: View, folder: Path, penstock: Penstock, work: Workload, seconds: float
) -> None:
    """Show the stream for a while, and compare the two databases all the time."""
    recent, comparisons = _Recent(), list[Compared]()
    comparing = asyncio.create_task(_compare_again_and_again(folder, comparisons))
    try:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            figures = await penstock.figures()
            if figures is not None:
                recent.add(figures)
                view.streaming(_status(recent, comparisons, work))
            if comparing.done():
                comparing.result()
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        comparing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await comparing


async def _compare_again_and_again(folder: Path, comparisons: list[Compared]) -> None:
    while True:
        comparisons.append(await compared(folder))
        await asyncio.sleep(PAUSE_SECONDS)


def _status(recent: _Recent, comparisons: list[Compared], work: Workload) -> str:
    parts = [
        f"{recent.rows_per_second:,.0f} rows/s",
        f"lag {recent.lag_seconds * 1000:,.1f} ms",
        f"{work.transactions:,} transactions written",
    ]
    if comparisons:
        parts.append(_running_comparison(comparisons[-1]))
    return " | ".join(parts)


def _running_comparison(last: Compared) -> str:
    if last.problem or last.code not in (0, 1):
        return f"comparison not possible now: {last.problem or last.code}"
    return (
        f"compared {last.rows:,} rows while they change: {last.differences} differences"
        f" (rows on their way: {last.on_their_way})"
    )


if __name__ == "__main__":
    sys.exit(main())
