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

from engine.config.quantity import format_size
from engine.control.reports import REFUSALS, next_line, not_started, outcome_of, reading
from engine.errors import Retry
from engine.observe.report import Outcome, parse

ENDING_SECONDS: Final = 2.0
"""How long a process may take to end once it has told its outcome."""

WRITTEN_BYTES_MAX: Final = 40 << 20
"""Of one process; what the daemon answers of it must fit into an answer that its client takes."""

PIECE_BYTES: Final = 1 << 16

Told = Callable[[Mapping[str, object]], None]


def nobody(_event: Mapping[str, object]) -> None:
    """Is told of nothing."""


async def run(
    module: str,
    words: Sequence[str],
    *,
    environment: Mapping[str, str],
    told: Told = nobody,
    written: bytearray | None = None,
    seconds: float,
) -> Outcome:
    """Run `python -m module` until it ends; `told` is given each event but the outcome. What it
    writes to its standard output goes nowhere, or behind what `written` holds: all of it where the
    outcome is a good one, and never more than `WRITTEN_BYTES_MAX`.

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
            stdout=asyncio.subprocess.DEVNULL if written is None else asyncio.subprocess.PIPE,
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
            outcome, _ = await asyncio.gather(_follow(reports, told), _taken(child, written))
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
    except _TooMuchError:
        outcome = Outcome(
            1,
            retry=Retry.NEVER.value,
            error="TooMuch",
            reason=f"what was found is larger than {format_size(WRITTEN_BYTES_MAX)}",
        )
    finally:
        await _end(child)
    return outcome or _silent(child)


class _TooMuchError(Exception):
    """More was written than may be."""


async def _taken(child: asyncio.subprocess.Process, written: bytearray | None) -> None:
    """Everything that it writes to its standard output. Raises _TooMuchError."""
    if written is None or child.stdout is None:
        return
    while piece := await child.stdout.read(PIECE_BYTES):
        written += piece
        if len(written) > WRITTEN_BYTES_MAX:
            raise _TooMuchError


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
