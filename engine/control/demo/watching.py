"""What both scenes do alike: wait for the load, compare at the end."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.control.demo.processes import Compared, Penstock, RunFailedError, compared
from engine.control.demo.view import View

LOAD_SECONDS_MAX: Final = 120.0
"""A load that takes longer than this on a slow machine has failed."""

LOOK_SECONDS: Final = 0.25

FINAL_ATTEMPTS: Final = 5
"""Comparisons at the end, until one could be made: the last changes may still be on their way."""


async def watch_load(view: View, penstock: Penstock, expected: Mapping[str, int]) -> None:
    """Until the stream has begun and every table is loaded. `expected`: rows by table, about."""
    began = time.monotonic()
    while True:
        figures = await penstock.figures()
        if figures is not None:
            loaded = figures.loaded
            view.loading({name: (loaded.get(name, 0), expected[name]) for name in expected})
            if figures.state == "streaming":
                break
        seconds = time.monotonic() - began
        if seconds > LOAD_SECONDS_MAX:
            raise RunFailedError(
                f"the load did not end in {seconds:.0f} s: {penstock.last_lines()}"
            )
        await asyncio.sleep(LOOK_SECONDS)
    view.loading({name: (loaded.get(name, 0),) * 2 for name in expected})
    rows, seconds = sum(loaded.values()), time.monotonic() - began
    view.say(f"Loaded {rows:,} rows in {seconds:.1f} s, start-up included; writers never stopped.")


async def verify(folder: Path) -> Compared:
    """Compare at rest, again while something is still on its way."""
    for _ in range(FINAL_ATTEMPTS):
        result = await compared(folder)
        if result.code in (0, 1):
            break
    return result


def sentence(result: Compared) -> str:
    if result.code == 0:
        return f"Verified: 0 differences in {result.rows:,} rows."
    if result.code == 1:
        return f"NOT equal: {result.differences:,} differences in {result.rows:,} rows."
    return f"NOT verified: {result.problem or f'penstock compare ended with {result.code}'}"
