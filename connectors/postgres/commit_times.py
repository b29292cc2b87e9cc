"""Looks through a slot's log for the first transaction that was committed at a moment or later.

Rows go by undecoded: the message that begins a transaction tells when it was committed, and where.

See: PostgreSQL manual, Logical Replication Message Formats (Begin).
"""

import struct
from dataclasses import dataclass
from typing import Final

from connectors.postgres.feedback import Feedback
from connectors.postgres.lsn import EPOCH_OFFSET_US
from connectors.postgres.replication import DATA_HEADER_BYTES, ReplicationConnection
from engine.errors import DecodeError

_BEGIN: Final = struct.Struct(f">{DATA_HEADER_BYTES}xcQq")

WAIT_SECONDS: Final = 0.1
"""For more of the log, before the server is asked how far it is."""


@dataclass(frozen=True, slots=True)
class FirstCommit:
    """Where its commit record begins, or the end of what was looked through; `earlier`: whether
    something before it was committed earlier than the moment."""

    lsn: int
    earlier: bool


async def first_commit(
    connection: ReplicationConnection,
    feedback: Feedback,
    moment_us: int,
    end: int,
    bytes_max: int,
) -> FirstCommit:
    """Read a stream that has begun, up to `end` at most.

    Raises:
        SourceConnectionError, SourceError, DecodeError.
    """
    earlier = False
    while True:
        drained = connection.drain(bytes_max)
        for message in drained.messages:
            if message[DATA_HEADER_BYTES : DATA_HEADER_BYTES + 1] != b"B":
                continue
            commit, committed_us = _begun(message)
            if commit >= end:
                return FirstCommit(end, earlier)
            if committed_us >= moment_us:
                return FirstCommit(commit, earlier)
            earlier = True
        if drained.all_sent >= end:
            return FirstCommit(end, earlier)
        if drained.ended:
            raise await connection.failure()
        feedback.check()
        if not drained.messages and not await connection.readable(WAIT_SECONDS):
            feedback.ask()


def _begun(message: bytes) -> tuple[int, int]:
    try:
        _, commit, time_us = _BEGIN.unpack_from(message)
    except struct.error as error:
        raise DecodeError("a Begin message ends too early") from error
    return commit, time_us + EPOCH_OFFSET_US
