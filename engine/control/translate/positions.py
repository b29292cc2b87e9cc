"""AWS's CDC start positions as positions of our sources. (pure)

A position of AWS's is a date, a native position, or a checkpoint around one:
`checkpoint:V1#1#000004AF/B00000D0#0#0#*#0#0`. Ours are taken as they are, alone and in a
checkpoint: those are the checkpoints that we answer.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_CHECKPOINT: Final = re.compile(r"checkpoint:V1#[0-9]+#(?P<native>[^#]+)#.*", re.DOTALL)
_LSN: Final = re.compile(r"(?P<high>[0-9A-Fa-f]{1,8})/(?P<low>[0-9A-Fa-f]{1,8})", re.ASCII)
_OURS: Final = re.compile(r"(?:gtid|maria|file)=[^\s#]{1,4000}", re.ASCII)
_BINLOG: Final = re.compile(r"(?P<file>[^\s:;]+\.[0-9]{1,18}):(?P<offset>[0-9]{1,18})", re.ASCII)


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
        raise ValueError("is no file:offset of a binary log; a date cannot be carried")
    return f"file={place['file']}:{place['offset']}"


def _lsn(text: str) -> str:
    match = _LSN.fullmatch(text)
    if match is None:
        raise ValueError("is no log sequence number; a date cannot be carried")
    return f"{int(match['high'], 16):X}/{int(match['low'], 16):X}"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a replication is to stop by itself: a position of its source, or a moment (seconds
    since 1970, by this machine's clock); neither: nowhere."""

    position: str = ""
    moment: float | None = None


def stop_position(text: str, ours: str) -> Stop:
    """AWS's CDC stop position for a source of our engine `ours`: `server_time:` with a moment in
    UTC, or a position as `start_position` reads it.

    Raises:
        ValueError: why it cannot be carried.
    """
    if not text:
        return Stop()
    kind, _, moment = text.partition(":")
    if kind == "commit_time":
        raise ValueError("a time of commit is not looked for; give server_time:, or a position")
    if kind != "server_time":
        return Stop(position=start_position(text, ours))
    try:
        at = datetime.fromisoformat(moment.strip())
    except ValueError:
        raise ValueError("server_time is of the form server_time:2026-02-09T12:12:12") from None
    return Stop(moment=(at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def recovery_checkpoint(position: str) -> str:
    """Our position of any source as AWS's `RecoveryCheckpoint`, which `start_position` takes back;
    '' for none."""
    match = _LSN.fullmatch(position)
    if match is not None:
        position = f"{int(match['high'], 16):08X}/{int(match['low'], 16):08X}"
    # Only the name of a file may have the mark, and then its position stands alone.
    return position if not position or "#" in position else f"checkpoint:V1#1#{position}#0#0#*#0#0"
