"""What is told of tables while they are loaded: to the log, the metrics and whoever listens."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from engine.model.relation import TableName
from engine.model.state import TableRecord, TableState
from engine.surroundings import Surroundings

KNOWN_MAX: Final = 1_000
"""Tables in one line of what is known: some 50 KB."""


@dataclass(slots=True)
class _Load:
    """One load of a table by this process: when it began (monotonic), how many rows there were
    before it."""

    at: float
    rows: int


class LoadTelling:
    """Tells of the tables of one replication. `estimates`: rows by table, as the source guesses."""

    def __init__(self, around: Surroundings) -> None:
        self.estimates: dict[TableName, int] = {}
        self._around = around
        self._rows: dict[TableName, int] = {}
        self._loads: dict[TableName, _Load] = {}

    def known(
        self, states: Mapping[TableName, TableRecord], pending: Collection[TableName]
    ) -> None:
        """What earlier processes left, of which whoever listens may not have heard, and what is to
        be loaded now."""
        known = dict.fromkeys(map(str, pending), TableState.PENDING.value)
        known |= {str(table): record.state.value for table, record in states.items()}
        names = list(known)
        for first in range(0, len(names), KNOWN_MAX):
            part = names[first : first + KNOWN_MAX]
            self._around.report("known", {"tables": {name: known[name] for name in part}})

    def table(self, table: TableName, state: TableState | None) -> None:
        """Where a table is on its way."""
        self._around.report(
            "table",
            {
                "table": str(table),
                "state": state.value if state is not None else "",
                "rows": self._rows.get(table, 0),
                "rows_estimated": self.estimates.get(table, 0),
            },
        )

    def written(self, table: TableName, rows: int, size: int) -> None:
        """A chunk is durable in the target."""
        self._rows[table] = self._rows.get(table, 0) + rows
        self._around.metrics.loaded(table, rows, size)

    def turned(self, table: TableName, state: TableState) -> None:
        """A load began, or all of its rows are there."""
        now, rows = self._around.clock.monotonic(), self._rows.get(table, 0)
        if state is TableState.LOADING:
            self._loads[table] = _Load(now, rows)
            estimate = self.estimates.get(table)
            self._around.log.info(
                "table load begun",
                action="load.begun",
                relation=str(table),
                **({"rows_estimated": estimate} if estimate else {}),
            )
            return
        load = self._loads.pop(table, None)
        # One that an earlier process began is told without what that has copied, and its time.
        facts = {"duration_ms": round(1000 * (now - load.at))} if load else {}
        self._around.log.info(
            "table load ended",
            action="load.ended",
            relation=str(table),
            rows=rows - (load.rows if load else 0),
            **facts,
        )
