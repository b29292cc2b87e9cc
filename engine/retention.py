"""The log that a source keeps for us: measured, alarmed, bounded by a declared policy."""

from engine.config.endpoint import SourceConfig, WalRetainedPolicy
from engine.errors import PositionLostError
from engine.observe.log import Log


class SlotGivenUpError(PositionLostError):
    """The declared policy gave the source's log up to save its disk."""


class Retention:
    """Judges each measurement. Raises SlotGivenUpError when the declared policy is to let go."""

    def __init__(self, config: SourceConfig, log: Log) -> None:
        self._config = config
        self._log = log

    def judge(self, retained: int) -> None:
        config = self._config
        if retained > config.wal_retained_warn_bytes:
            self._log.warning(
                "the source keeps much log for this replication",
                action="source.retained",
                bytes=retained,
                limit_bytes=config.wal_retained_warn_bytes,
                hint="see why the target does not keep up; the source's disk fills meanwhile",
            )
        over = 0 < config.wal_retained_max_bytes < retained
        if over and config.wal_retained_policy is WalRetainedPolicy.GIVE_UP_SLOT:
            raise SlotGivenUpError(
                f"the source kept {retained >> 20} MiB of log for this replication, more than "
                f"wal_retained_max ({config.wal_retained_max_bytes >> 20} MiB): the slot is "
                "given up, as wal_retained_policy says",
                hint="mend what held the target up, then load again: `penstock cleanup FILE`, "
                "`penstock run FILE`",
            )
