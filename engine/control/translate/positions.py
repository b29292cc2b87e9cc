"""AWS's CDC start and stop positions as positions and times of our sources. (pure)

A position of AWS's is a date, a native position, or a checkpoint around one:
`checkpoint:V1#1#000004AF/B00000D0#0#0#*#0#0`. Ours are taken as they are, alone and in a
checkpoint: those are the checkpoints that we answer.
"""

import re
from dataclasses import dataclass
from typing import Final

from engine.model.moment import EXAMPLE, moment_text, moment_us

SERVER_TIME: Final = "server_time"
COMMIT_TIME: Final = "commit_time"

_CHECKPOINT: Final = re.compile(r"checkpoint:V1#[0-9]+#(?P<native>[^#]+)#.*", re.DOTALL)
_LSN: Final = re.compile(r"(?P<high>[0-9A-Fa-f]{1,8})/(?P<low>[0-9A-Fa-f]{1,8})", re.ASCII)
_OURS: Final = re.compile(r"(?:gtid|maria|file)=[^\s#]{1,4000}", re.ASCII)
_BINLOG: Final = re.compile(r"(?P<file>[^\s:;]+\.[0-9]{1,18}):(?P<offset>[0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Start:
    """Where changes begin: a position of the source, or a time as `replication.start_time` takes
    it; neither: now."""

    position: str = ""
    time: str = ""


def start(text: str, ours: str, time: float | None = None) -> Start:
    """AWS's CDC start position for a source of our engine `ours`, which may be a date; or, where
    there is one, its start time, in seconds since 1970.

    Raises:
        ValueError: why it cannot be carried.
    """
    if time is not None:
        return Start(time=moment_text(round(time * 1_000_000)))
    if not text:
        return Start()
    try:
        return Start(time=moment_text(moment_us(text)))
    except ValueError:
        return Start(position=start_position(text, ours))


def start_position(text: str, ours: str) -> str:
    """The position for a source of our engine `ours`.

    Raises:
        ValueError: why it cannot be carried.
    """
    match = _CHECKPOINT.fullmatch(text)
    native = match["native"] if match else text
    if ours == "postgres":
        return _lsn(native)
    if _OURS.fullmatch(native):
        return native
    if match:
        raise ValueError("a checkpoint of MySQL's log is AWS's own; give its file:offset instead")
    place = _BINLOG.fullmatch(native)
    if place is None:
        raise ValueError(f"is no file:offset of a binary log, nor a date such as {EXAMPLE}")
    return f"file={place['file']}:{place['offset']}"


def _lsn(text: str) -> str:
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError(f"is no log sequence number, nor a date such as {EXAMPLE}")
    return f"{int(match['high'], 16):X}/{int(match['low'], 16):X}"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a replication is to stop by itself: a position of its source; a moment (seconds since
    1970) by this machine's clock; or a commit time by the source's, as `--stop-at` takes it. None
    of them: nowhere."""

    position: str = ""
    moment: float | None = None
    commit_time: str = ""


def stop_position(text: str, ours: str) -> Stop:
    """AWS's CDC stop position for a source of our engine `ours`: `server_time:` or `commit_time:`
    with a moment in UTC, or a position as `start_position` reads it.

    Raises:
        ValueError: why it cannot be carried.
    """
    if not text:
        return Stop()
    kind, _, moment = text.partition(":")
    if kind not in (SERVER_TIME, COMMIT_TIME):
        return Stop(position=start_position(text, ours))
    try:
        us = moment_us(moment)
    except ValueError:
        raise ValueError(f"{kind} is of the form {kind}:{EXAMPLE}") from None
    if kind == COMMIT_TIME:
        return Stop(commit_time=f"{kind}:{moment_text(us)}")
    return Stop(moment=us / 1_000_000)


def recovery_checkpoint(position: str) -> str:
    """Our position of any source as AWS's `RecoveryCheckpoint`, which `start_position` takes back;
    '' for none."""
    match = _LSN.fullmatch(position)
    if match is not None:
        position = f"{int(match['high'], 16):08X}/{int(match['low'], 16):08X}"
    # Only the name of a file may have the mark, and then its position stands alone.
    return position if not position or "#" in position else f"checkpoint:V1#1#{position}#0#0#*#0#0"
