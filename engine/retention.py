"""What a source keeps for us: measured, alarmed, and its log bounded by a declared policy."""

import asyncio
from typing import Final, NoReturn

from engine.config.endpoint import SourceConfig, WalRetainedPolicy
from engine.contracts import Source
from engine.errors import PositionLostError, SourceConnectionError
from engine.model.retained import Retained
from engine.observe.log import Log
from engine.observe.metrics import Metrics

SOURCE_SECONDS: Final = 10.0
"""Time between two looks at the source's head and the log it keeps for us: two cheap queries, and a
disk that fills at 1 GB/s grows by no more than 10 GB between them."""


class SlotGivenUpError(PositionLostError):
    """The declared policy gave the source's log up to save its disk."""


class Retention:
    """Judges each measurement. Raises SlotGivenUpError when the declared policy is to let go."""

    def __init__(self, config: SourceConfig, log: Log) -> None:
        self._config = config
        self._log = log

    def judge(self, retained: Retained) -> None:
        self._judge_catalogs(retained.transactions or 0)
        self._judge_log(retained.bytes or 0)

    def _judge_catalogs(self, transactions: int) -> None:
        limit = self._config.catalog_xmin_age_warn
        if 0 < limit < transactions:
            self._log.warning(
                "the source keeps dead rows of its catalogs for this replication",
                action="source.catalog-xmin",
                transactions=transactions,
                limit=limit,
                hint="see why the target does not keep up, or what transaction on the source has"
                " been open for so long; its catalogs grow meanwhile and VACUUM cannot help",
            )

    def _judge_log(self, retained: int) -> None:
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

    async def watch(self, source: Source, metrics: Metrics) -> NoReturn:
        """Measure and judge every ten seconds, until cancelled, while nothing streams. Raises
        SlotGivenUpError, and what the source raises but for a broken connection: who else asks it
        meets that too."""
        while True:
            try:
                retained = await source.retained()
            except SourceConnectionError:
                retained = Retained()
            metrics.retained(retained.bytes, retained.transactions)
            self.judge(retained)
            await asyncio.sleep(SOURCE_SECONDS)
