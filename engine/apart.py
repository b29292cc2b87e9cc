"""Whether source and target are two databases. A table that is carried into itself never ends."""

from typing import Final

from engine.abilities import MarkingSource, SeeingTarget
from engine.contracts import Source, Target
from engine.errors import (
    ConfigError,
    SourceConnectionError,
    SourceError,
    TargetConnectionError,
    TargetError,
)
from engine.machine import Random
from engine.observe.log import Log

MARK_BYTES: Final = 7
"""Of the random number that marks the source: two at one moment are never the same."""


_LOOK: Final = "see that source.url and target.url do not lead to one database"


async def require_apart(source: Source, target: Target, random: Random) -> None:
    """Check it by a mark in the source, whatever names and addresses lead there. Both are open.

    Raises:
        ConfigError: the target is the database that is read.
        SourceConnectionError, SourceError, TargetConnectionError, TargetError.
    """
    if not isinstance(source, MarkingSource) or not isinstance(target, SeeingTarget):
        return
    number = int.from_bytes(random.key(MARK_BYTES))
    async with source.marked(number):
        if await target.sees(number):
            raise ConfigError(
                "target.url",
                "leads to the database that source.url leads to: its tables would be carried into"
                " themselves",
                hint="name another database",
            )


async def apart_where_told(source: Source, target: Target, random: Random, log: Log) -> None:
    """The same before a run, which a server that allows no marks does not keep from.

    Raises:
        ConfigError, SourceConnectionError, TargetConnectionError.
    """
    try:
        await require_apart(source, target, random)
    except (SourceConnectionError, TargetConnectionError):
        raise
    except (SourceError, TargetError) as error:
        log.warning(
            "whether source and target are one database could not be found out",
            action="same-database",
            error=error,
            hint="; or ".join([*filter(None, [error.hint]), _LOOK]),
        )
