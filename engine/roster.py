"""Which tables a replication carries, how each is carried, and what is stored about it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.config.replication import ReplicationConfig
from engine.errors import ConfigError
from engine.model import relation_text
from engine.model.relation import Relation, TableName
from engine.model.state import TableRecord, TableState
from engine.observe.log import Log
from engine.plan.tables import UNEXPECTED, LeftOut, select

NO_TABLE_HINT: Final = (
    "check its spelling; views, materialized views and foreign tables are never carried"
)

LOADING_STATES: Final = (TableState.PENDING, TableState.LOADING)


@dataclass(frozen=True, slots=True)
class Roster:
    """`relations` are the selected tables as the source describes them now, in load order.
    `streamed` send every change, `insert_only` only inserts and truncates."""

    relations: Mapping[TableName, Relation]
    streamed: tuple[TableName, ...]
    insert_only: tuple[TableName, ...]
    left_out: tuple[LeftOut, ...]
    unmatched: tuple[str, ...] = ()
    """Ids of including rules that match no table."""

    def refreshed(self, present: Sequence[Relation]) -> "Roster":
        """The same tables as they are described now; without those that are gone, or are other
        tables now: these are for who looks for new tables."""
        now = {relation.table: relation for relation in present}
        kept = {
            table: now[table]
            for table, relation in self.relations.items()
            if table in now and now[table].id == relation.id
        }
        return replace(
            self,
            relations=kept,
            streamed=tuple(table for table in self.streamed if table in kept),
            insert_only=tuple(table for table in self.insert_only if table in kept),
        )

    @property
    def carried(self) -> tuple[TableName, ...]:
        """The tables whose changes come, by name."""
        return tuple(sorted(self.relations))


def build(config: ReplicationConfig, present: Sequence[Relation]) -> Roster:
    """Choose tables by the mapping.

    Raises:
        ConfigError: the mapping selects no table.
    """
    roster = choose(config, present)
    if not roster.relations:
        raise ConfigError(
            "mapping",
            "selects no table that can be carried",
            hint="`penstock check FILE` names each table and why it is left out",
        )
    return roster


def choose(config: ReplicationConfig, present: Sequence[Relation]) -> Roster:
    """The same while the stream runs, when the last table may have been dropped."""
    policy = config.source.without_identity if config.streams else None
    selection = select(present, config.mapping, without_identity=policy)
    return Roster(
        {relation.table: relation for relation in selection.tables},
        tuple(sorted(selection.streamed)),
        tuple(sorted(selection.insert_only)),
        selection.left_out,
        selection.unmatched,
    )


def known_relations(records: Sequence[TableRecord]) -> dict[TableName, Relation]:
    """The relation versions that the target was last told of."""
    return {
        record.table: relation_text.parse(record.relation) for record in records if record.relation
    }


def tell_exceptions(roster: Roster, log: Log, before: Roster | None = None) -> None:
    """Name the tables that are not carried as the mapping asks, and were not so `before`."""
    known: Collection[LeftOut] = () if before is None else before.left_out
    hint = "`penstock check FILE` says what would make it so"
    for out in roster.left_out:
        if out.reason in UNEXPECTED and out not in known:
            log.warning(
                "a selected table is not carried",
                reason=out.reason.value,
                action="select.left-out",
                relation=str(out.table),
                hint=hint,
            )
    for rule in roster.unmatched:
        if before is None:
            log.warning(
                "a mapping rule matches no table",
                action="select.unmatched",
                rule=rule,
                hint=NO_TABLE_HINT,
            )
    for table in roster.insert_only:
        if before is not None and table in before.insert_only:
            continue
        log.warning(
            "only the inserts of a table are carried: no usable replica identity",
            action="select.insert-only",
            relation=str(table),
            hint=hint,
        )
