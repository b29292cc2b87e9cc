"""A short process of ours that the daemon sends to databases, followed to its end.

Its command line has `--report` and `--parent` before what it is given; it tells events and an
outcome as a worker does, and dies with the daemon.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from engine.control.reports import REFUSALS, next_line, not_started, outcome_of, reading
from engine.errors import Retry
from engine.observe.report import Outcome, parse

ENDING_SECONDS: Final = 2.0
"""How long a process may take to end once it has told its outcome."""

Told = Callable[[Mapping[str, object]], None]


async def run(
    module: str,
    words: Sequence[str],
    *,
    environment: Mapping[str, str],
    told: Told = lambda _: None,
    seconds: float,
) -> Outcome:
    """Run `python -m module` until it ends; `told` is given each event but the outcome.

    Cancelled, or when it takes longer than `seconds`, the process is killed. Never raises for what
    becomes of it: a process that ends without an outcome has one that says so.
    """
    try:
        read_end, write_end = os.pipe()
    except OSError as error:
        return not_started(error)
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            f"--report={write_end}",
            f"--parent={os.getpid()}",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(write_end,),
            process_group=0,
            env=environment,
        )
    except REFUSALS as error:
        os.close(read_end)
        return not_started(error)
    finally:
        os.close(write_end)
    try:
        async with asyncio.timeout(seconds), reading(read_end) as reports:
            outcome = await _follow(reports, told)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), ENDING_SECONDS)
    except TimeoutError:
        outcome = Outcome(
            1,
            retry=Retry.BACKOFF.value,
            error="ErrandTimeout",
            reason=f"looking took longer than {seconds:g} s and was given up",
            remedy="see whether the databases answer",
        )
    finally:
        await _end(child)
    return outcome or _silent(child)


async def _follow(reports: asyncio.StreamReader, told: Told) -> Outcome | None:
    outcome = None
    while line := await next_line(reports):
        event = parse(line)
        if event is None:
            continue
        if event["event"] == "outcome":
            outcome = outcome_of(event)
        else:
            told(event)
    return outcome


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _silent(child: asyncio.subprocess.Process) -> Outcome:
    return Outcome(
        1,
        retry=Retry.BACKOFF.value,
        error="ErrandDied",
        reason=f"the process that was to look ended with exit code {child.returncode}"
        " without saying why",
        remedy="start again; if it stays so, the machine may be out of memory",
    )
