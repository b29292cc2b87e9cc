"""Where the stream of changes begins, the first time."""

from typing import Final

from engine.abilities import DatedSource, NamingSource
from engine.config.replication import ReplicationConfig
from engine.contracts import Attached, Source
from engine.errors import ConfigError
from engine.goal import check_kind, past
from engine.model.moment import moment_text, moment_us
from engine.model.position import Position

AHEAD_US_MAX: Final = 60_000_000
"""How far a start time may be ahead of the source's clock, which is waited for: two clocks differ,
and who gives "now" means now."""

FIELD: Final = "replication.start_time"

POSITION_FIELD: Final = "replication.start_position"


async def beginning(config: ReplicationConfig, source: Source, attached: Attached) -> Position:
    """What was asked for, as a position of the source's log; else where its reader begins.

    Raises:
        ConfigError: a time that the source's log does not tell, or has not come to; a position of
            another kind than the source's.
        PositionLostError: the log does not go back to it.
        SourceConnectionError, SlotBusyError, SourceError.
    """
    if config.start_time:
        return await _since(source, moment_us(config.start_time))
    if not config.start_position:
        return attached.start
    position = source.position(config.start_position)
    check_kind(source, position, POSITION_FIELD)
    return await source.named(position) if isinstance(source, NamingSource) else position


async def _since(source: Source, start_us: int) -> Position:
    if not isinstance(source, DatedSource):
        raise ConfigError(FIELD, "the source's log tells no commit times")
    now = await source.now_us()
    if start_us > now + AHEAD_US_MAX:
        raise ConfigError(
            FIELD,
            f"{moment_text(start_us)} is not past by the source's clock, where it is"
            f" {moment_text(now)} (UTC)",
            hint="start the replication then, without a time",
        )
    return await source.committed_from(start_us, now, await past(source, start_us))
