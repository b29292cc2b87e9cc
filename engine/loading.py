"""A table's way to the stream: chosen, made, loaded, finished; at the start and while streaming."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from engine.abilities import HoldingSource, OtherTypes
from engine.apply.evolution import LEFT
from engine.checkpoint.ownership import (
    NO_ANSWERS,
    Claim,
    SeqSum,
    check_owner,
    owned,
    store_rows,
)
from engine.checkpoint.sessions import Sessions
from engine.config.replication import ApplyMode, OnSchemaChange, Prepare, ReplicationConfig
from engine.contracts import SchemaTarget, SnapshotSource, TargetSession, TransactionalTarget
from engine.copying import Copying
from engine.errors import (
    PenstockError,
    RowRejectedError,
    SchemaChangeError,
    SchemaMismatchError,
    TablesStoppedError,
)
from engine.load.handover import TableCatchUp
from engine.load.reshape import changed, reshape
from engine.load_telling import LoadTelling
from engine.model import relation_text
from engine.model.chunk import ChunkDone
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.state import LaneRow, TableRecord, TableState
from engine.model.table import Definition, TableDefinition
from engine.plan.buckets import StoredNames
from engine.plan.emptiness import HINT, must_be_empty, refusal
from engine.plan.lanes import WHOLE, groups
from engine.plan.schema import holds
from engine.roster import LOADING_STATES, Roster, known_relations
from engine.surroundings import Surroundings

LATE_KEYS: Final = "finish:foreign-keys"
"""Checkpoint row whose position says `later` while foreign keys are put off."""

LATER: Final = "later"

GIVEN_UP: Final = "its writes did not end, and there was no room left for what waited"
"""`TableRecord.reason` of a table that every other would have waited for."""

NAMED_MAX: Final = 20
"""Tables named in one message."""


class Loading:
    """Loads what the stored states say is not loaded. `relations` and `chunks` grow as tables are
    loaded; the stream takes its filters and known versions from them."""

    def __init__(
        self,
        config: ReplicationConfig,
        source: SnapshotSource,
        target: TransactionalTarget,
        around: Surroundings,
        claimed: Claim,
        seqs: SeqSum,
        sessions: Sessions,
        roster: Roster,
    ) -> None:
        if not isinstance(target, SchemaTarget):
            raise SchemaMismatchError("this target cannot describe its tables")
        self._config = config
        self._source = source
        self._target = target
        self._schema = cast(SchemaTarget, target)
        self._around = around
        self._claimed = claimed
        self.roster = roster
        self.states = {record.table: record for record in claimed.tables}
        self.known = known_relations(claimed.tables)
        self.lost: list[TableName] = []
        """Tables whose changes were dropped and whose record does not say so yet."""
        row = claimed.lanes.get(LATE_KEYS)
        self.late_keys = row is not None and row.position == LATER
        """Foreign keys are to be made once the stream has passed every snapshot."""
        self.keys_wait = False
        """Those that are left to be made are of tables that have stopped."""
        self.late_chunks: Mapping[TableName, Sequence[ChunkDone]] | None = None
        """Whose snapshots these are; None while a load that puts them off is not through."""
        self._copying = Copying(
            config,
            source,
            self._schema,
            around,
            claimed.epoch,
            seqs,
            sessions,
            self,
            self._set_aside_with,
        )
        self._telling = LoadTelling(around)

    # what is loaded, and by whom

    def _pending(self) -> list[TableName]:
        """Selected tables whose existing rows are not all in the target."""
        if not self._config.loads:
            return []
        return [t for t in self.roster.relations if self._unloaded(t)]

    def _unloaded(self, table: TableName) -> bool:
        record = self.states.get(table)
        return record is None or record.state in LOADING_STATES

    async def run(
        self,
        control: TargetSession,
        frontier: Position | None = None,
        again: Sequence[TableName] = (),
        *,
        from_beginning: bool = False,
    ) -> None:
        """Load every pending table, then finish what is loaded. `frontier`: where the stream will
        begin. `again`: tables whose chunks do not fit together with the log; they begin anew.
        `from_beginning`: the log was opened for these tables just now."""
        self._telling.known(self.states, self._pending())
        await self._demote(control)
        await self._make_late_keys(control, frontier)
        again = [t for t in self._again(again) if t in self.roster.relations]
        if again:
            definitions = await self._prepare_each(again, control)
            await self._load_again([d.table for d in definitions], control)
        pending = self._pending()
        if pending:
            self._around.state("loading")
            if not from_beginning and any(table not in self.states for table in pending):
                await self._publish()  # one that was cut short would have left no record
            definitions = await self._prepare_each(pending, control)
            await self._loosen_pending(definitions, control)
            begun = await self._begun(control)
            if begun:
                await self._load_again(begun, control)
            await self.copy([self.roster.relations[t] for t in self._pending()], control)
        if isinstance(self._source, HoldingSource):
            await self._source.let_go()  # where all was loaded before, or nothing was left to load
        await self._finish(control)

    async def _begun(self, control: TargetSession) -> list[TableName]:
        """Pending tables with rows of an earlier load: their shape has changed since."""
        chunks = await self.stored_chunks(control)
        return [
            table
            for table in self._pending()
            if self.states[table].state is TableState.PENDING and chunks.get(table)
        ]

    def _again(self, broken: Sequence[TableName]) -> list[TableName]:
        """Tables to begin anew before the stream. With a stream the others need not wait for those
        that somebody asked for."""
        asked = [] if self._config.streams else [t for t, r in self.states.items() if r.requested]
        return list(dict.fromkeys((*broken, *asked)))

    async def _prepare_each(
        self, tables: Sequence[TableName], control: TargetSession
    ) -> Sequence[TableDefinition]:
        """The same of a start. A table that is loaded again and does not fit stops with those that
        would share its lane, as it would while the others stream; a first load says so at once."""
        begun = set(self.states)
        try:
            return await self.prepare(tables, control)
        except (SchemaMismatchError, SchemaChangeError):
            if self._config.apply.mode is ApplyMode.TRANSACTIONAL:
                raise
        found: list[TableDefinition] = []
        for table in tables:
            try:
                found += await self.prepare([table], control)
            except (SchemaMismatchError, SchemaChangeError) as error:
                if table not in begun:
                    raise
                await self._stop(table, error, control)
        return [d for d in found if not self.states[d.table].stopped]

    async def _stop(self, table: TableName, error: PenstockError, control: TargetSession) -> None:
        records = [
            TableRecord(name, TableState.NEEDS_RELOAD, reason=error.message)
            for name in await self._set_aside_with(table)
        ]
        await self.save(control, records)
        self.set_aside(records, error)

    async def prepare(
        self, tables: Sequence[TableName], control: TargetSession
    ) -> Sequence[TableDefinition]:
        """Make target tables, and bring those to the present shape that were made before; returns
        what is still there to load."""
        definitions = await self._definitions(tables, to_load=True)
        self.roster = self.roster.refreshed(_described(self.roster, tables, definitions))
        definitions = [d for d in definitions if d.table in self.roster.relations]
        await self._fit(definitions, control)
        await self.make(definitions, control)
        return definitions

    async def _definitions(
        self, tables: Sequence[TableName], *, to_load: bool = False
    ) -> Sequence[TableDefinition]:
        with self._around.stalls.questions.asking("the definitions of its tables"):
            return await self._source.definitions(tables, to_load=to_load)

    async def _fit(self, definitions: Sequence[TableDefinition], control: TargetSession) -> None:
        """Change target tables that were made from another version of their source tables, which
        are about to be loaded from their beginning."""
        if self._config.apply.on_schema_change is not OnSchemaChange.APPLY:
            return
        async with control.begin() as transaction:
            records = {record.table: record for record in await transaction.tables()}
            await transaction.rollback()
        for definition in definitions:
            table = definition.table
            record, relation = records.get(table), self.roster.relations.get(table)
            if record is not None and relation is not None:
                change = changed(record, relation, definition.types)
                if change is not None:
                    there = await self._schema.relation(table)
                    exists, takes = there is not None, await self._takes(relation, there)
                    async with owned(control, self._claimed.epoch) as transaction:
                        reshaped = reshape(transaction, record, change, exists=exists, takes=takes)
                        self.note(await reshaped)
                        await transaction.commit()
                    self.known[table] = relation

    async def _takes(self, relation: Relation, there: Relation | None) -> bool:
        """Whether the target's table has what the source's has now."""
        if there is None or there.wire == relation.wire:
            return there is not None and holds(there, relation)
        return isinstance(self._schema, OtherTypes) and await self._schema.takes(relation)

    async def _load_again(self, tables: Sequence[TableName], control: TargetSession) -> None:
        """Changes of theirs may have been applied that a snapshot of now would not see yet."""
        await self._publish()
        await self.copy([self.roster.relations[table] for table in tables], control, again=True)

    async def _publish(self) -> None:
        if self._config.streams:
            roster = self.roster
            async with self._around.stalls.questions.meanwhile(self._source.head):
                await self._source.publish(
                    roster.streamed, roster.insert_only, waiting=self._around.waiting
                )

    async def _demote(self, control: TargetSession) -> None:
        """What comes for a table that is not carried is passed over: it may be selected again
        later."""
        left = [r for r in self.states.values() if self._config.loads and self._has_left(r)]
        state = TableState.NEEDS_RELOAD
        await self.save(control, [replace(record, state=state, reason=LEFT) for record in left])

    def _has_left(self, record: TableRecord) -> bool:
        kept = (TableState.PENDING, TableState.NEEDS_RELOAD)
        return record.table not in self.roster.relations and record.state not in kept

    async def make(self, definitions: Sequence[TableDefinition], control: TargetSession) -> None:
        """Create target tables and record them as ours to load."""
        fresh = [d for d in definitions if d.table not in self.states]
        begun = [d for d in definitions if d.table in self.states]
        if must_be_empty(self._config):
            await self._refuse_nonempty(control, fresh)
        await check_owner(control, self._claimed.epoch)
        if begun:
            await self._schema.ensure(begun, Prepare.DO_NOTHING.value)
        if fresh:
            # Recorded before they are made: whoever finds one then knows of which version it is.
            absent = [d for d in fresh if await self._schema.relation(d.table) is None]
            await self.save(control, [self._fresh(d.table) for d in absent])
            await self._schema.ensure(fresh, self._config.load.prepare.value)
            await self.save(control, [self._fresh(d.table) for d in fresh if d not in absent])
        for definition in definitions:
            self._telling.estimates[definition.table] = definition.rows_estimated

    def _fresh(self, table: TableName) -> TableRecord:
        relation = self.roster.relations.get(table)
        text = "" if relation is None else relation_text.dump(relation)
        return TableRecord(table, TableState.PENDING, relation=text)

    async def _refuse_nonempty(
        self, control: TargetSession, definitions: Sequence[TableDefinition]
    ) -> None:
        full = [
            d.table
            for d in definitions
            if await self._schema.relation(d.table) is not None
            and not await self._schema.empty(d.table)
        ]
        if full:
            await check_owner(control, self._claimed.epoch)  # they may be a successor's
            raise SchemaMismatchError(refusal(full), hint=HINT)

    async def described(self, table: TableName) -> Relation | None:
        """The target's table as it is now."""
        return await self._schema.relation(table)

    async def save(
        self,
        control: TargetSession,
        records: Sequence[TableRecord],
        answered: Mapping[TableName, int] = NO_ANSWERS,
    ) -> None:
        """Store table states, while we are the owner; see `store_rows`."""
        await store_rows(control, self._claimed.epoch, {}, records, answered)
        for record in records:
            self.note(record)

    async def give_up(self, tables: Sequence[TableName], control: TargetSession) -> None:
        """Stop tables for which neither memory nor disk could hold what the target did not take."""
        await self.save(
            control,
            [TableRecord(table, TableState.NEEDS_RELOAD, reason=GIVEN_UP) for table in tables],
        )
        for table in tables:
            self._around.log.error(
                "a table that did not move was stopped, and its changes are dropped",
                action="overflow.table-stopped",
                relation=str(table),
                hint=f"mend what held it up, then run `penstock reload FILE {table}`",
            )

    def note(self, record: TableRecord) -> None:
        """A table's state is durable."""
        self.states[record.table] = record
        self._telling.table(record.table, record.state)

    # copying

    async def copy(
        self, relations: Sequence[Relation], control: TargetSession, *, again: bool = False
    ) -> Mapping[TableName, RowRejectedError]:
        """Copy tables with loaders of their own; `again` empties them first. Returns those that
        were set aside, with the reason."""
        if not relations:
            return {}
        if again:
            await self._loosen([relation.table for relation in relations], control)
        stored = await self.stored_chunks(control)
        return await self._copying.copy(relations, stored, control, again=again)

    async def _loosen(self, tables: Sequence[TableName], control: TargetSession) -> None:
        """Take the foreign keys of loaded tables away: no table that another refers to could be
        emptied, and what is read now does not fit to the others yet."""
        if not await self.tied(tables):
            return
        definitions = await self._definitions(self.roster.carried)
        if self._config.streams:
            await self.put_off_keys(control)
        await check_owner(control, self._claimed.epoch)
        await self._schema.loosen(definitions, tables)

    async def _loosen_pending(
        self, definitions: Sequence[TableDefinition], control: TargetSession
    ) -> None:
        """Take the foreign keys away that were on the target already: tables are filled side by
        side, a child maybe before its parent. `_finish` makes them again."""
        tables = [definition.table for definition in definitions]
        if any(key.child in tables for key in await self._schema.foreign_keys()):
            await check_owner(control, self._claimed.epoch)
            await self._schema.loosen(definitions, tables)

    async def _set_aside_with(self, table: TableName) -> Sequence[TableName]:
        """A table and those tied to it, as far as they are not loaded: they would share a lane."""
        tied = [name for group in await self._groups() if table in group for name in group]
        return [table, *(name for name in tied if name != table and self._unfinished(name))]

    async def _groups(self) -> Sequence[tuple[TableName, ...]]:
        """The carried tables, those that foreign keys tie on either side together."""
        definitions = await self._definitions(self.roster.carried)
        pairs = [(d.table, k.parent) for d in definitions for k in d.foreign_keys if k.parent]
        pairs += [(key.child, key.parent) for key in await self._schema.foreign_keys()]
        return groups(self.roster.carried, pairs)

    def _unfinished(self, table: TableName) -> bool:
        record = self.states.get(table)
        return record is None or record.state in (*LOADING_STATES, TableState.LOADED)

    async def stored_chunks(
        self, control: TargetSession
    ) -> Mapping[TableName, Sequence[ChunkDone]]:
        """The stored chunk records by table, in order."""
        async with control.begin() as transaction:
            chunks = await transaction.chunks()
            await transaction.rollback()
        by_table: dict[TableName, list[ChunkDone]] = {}
        for chunk in sorted(chunks, key=lambda c: (c.table, c.ordinal)):
            by_table.setdefault(chunk.table, []).append(chunk)
        return by_table

    # after the copy

    async def _finish(self, control: TargetSession) -> None:
        """Indexes, keys and sequences of loaded tables; then they are ready for the stream."""
        loaded = [t for t, r in self.states.items() if r.state is TableState.LOADED]
        loaded = [t for t in sorted(loaded) if t in self.roster.relations]
        if loaded:
            chunks = await self.stored_chunks(control)
            snapshots = {chunk.snapshot for table in loaded for chunk in chunks.get(table, ())}
            gone = [t for t, r in self.states.items() if r.state is TableState.NEEDS_RELOAD]
            rest = set(self.roster.carried).difference(loaded, gone)
            apart = len(snapshots) > 1 or bool(rest)
            if apart and self._config.streams and await self.tied(loaded):
                await self.put_off_keys(control)
            await self.finish(loaded if self._config.streams else await self._with_tied(loaded))
        await self.save(control, self._ready(loaded))

    async def _with_tied(self, tables: Collection[TableName]) -> list[TableName]:
        """Without a stream nobody else makes the foreign keys that were taken from the others."""
        found = [group for group in await self._groups() if not set(group).isdisjoint(tables)]
        return [name for group in found for name in group if name in self.states]

    async def require_whole(self, control: TargetSession) -> None:
        """Raises TablesStoppedError where a carried table has stopped."""
        async with control.begin() as transaction:
            records = await transaction.tables()
            await transaction.rollback()
        stopped = sorted(r.table for r in records if r.stopped and r.table in self.roster.relations)
        if stopped:
            more = f" and {n} more" if (n := len(stopped) - NAMED_MAX) > 0 else ""
            raise TablesStoppedError(
                "not all is in the target, as tables have stopped: "
                f"{', '.join(map(str, stopped[:NAMED_MAX]))}{more}",
                hint="the log and penstock.table_state on the target say why; mend that, then run"
                " `penstock reload FILE TABLE` for each and `penstock run FILE` again",
            )

    async def tied(self, tables: Collection[TableName]) -> bool:
        """Whether a foreign key starts from or leads to one of these tables, here or there."""
        definitions = await self._definitions(self.roster.carried)
        ends = [(d.table, key.parent) for d in definitions for key in d.foreign_keys]
        if any(child in tables or parent in tables for child, parent in ends):
            return True
        keys = await self._schema.foreign_keys()
        return any(key.child in tables or key.parent in tables for key in keys)

    async def put_off_keys(self, control: TargetSession) -> None:
        """Tables read at different moments do not fit together until the stream has passed the
        last of them: a foreign key would refuse valid rows until then."""
        rows = {LATE_KEYS: LaneRow(self._claimed.epoch, 0, LATER)}
        await store_rows(control, self._claimed.epoch, rows)
        self.late_keys = True
        self.late_chunks = None

    async def _make_late_keys(self, control: TargetSession, frontier: Position | None) -> None:
        """Make the foreign keys that were put off, when every table stands at the frontier."""
        if not self.late_keys or frontier is None or not await self._settled(control, frontier):
            return
        self.late_keys = False
        await self.finish([t for t in self.roster.carried if t in self.states])
        suspended = [r for r in self.states.values() if r.state is TableState.SUSPENDED]
        self.keys_wait = self.late_keys = any(r.table in self.roster.relations for r in suspended)
        if not self.keys_wait:
            rows = {LATE_KEYS: LaneRow(self._claimed.epoch, 0, "")}
            await store_rows(control, self._claimed.epoch, rows)

    async def _settled(self, control: TargetSession, frontier: Position) -> bool:
        rows = self._claimed.lanes
        stored = StoredNames(rows)
        known = [name for table in self.roster.relations for name in stored.of(table)]
        held = [rows[name].position for name in (*known, WHOLE) if name in rows]
        if not all(frontier.reaches(self._source.position(text)) for text in held):
            return False
        return self.handed_over(await self.stored_chunks(control), frontier)

    def handed_over(
        self, chunks: Mapping[TableName, Sequence[ChunkDone]], frontier: Position
    ) -> bool:
        """Whether the stream has passed every snapshot that tables were read at. Those that have
        stopped get no foreign keys now, so they hold nobody up."""
        read = [done for table, done in chunks.items() if not self._has_stopped(table)]
        untils = sorted({chunk.until for done in read for chunk in done})
        return all(text and frontier.reaches(self._source.position(text)) for text in untils)

    async def finish(self, tables: Sequence[TableName]) -> None:
        """Make what the load left for later; what cannot be made is logged, not fatal. A table
        that is not whole gets nothing, and no foreign key leads to it: it would refuse valid rows
        of others."""
        whole = [table for table in tables if not self._has_stopped(table)]
        definitions = await self._definitions(whole)
        definitions = [
            replace(d, foreign_keys=tuple([k for k in d.foreign_keys if self._is_due(k)]))
            for d in definitions
        ]
        with self._around.stages.load.finish:
            findings = await self._schema.finish(definitions)
        for finding in findings:
            self._around.log.warning(
                finding.message,
                action="load.finish",
                relation=finding.subject,
                hint=finding.remedy,
            )

    def _is_due(self, key: Definition) -> bool:
        return not self.late_keys and (key.parent is None or not self._has_stopped(key.parent))

    def _has_stopped(self, table: TableName) -> bool:
        record = self.states.get(table)
        return record is not None and record.stopped

    def _ready(self, loaded: Sequence[TableName]) -> list[TableRecord]:
        """Records of tables that stream from now on."""
        new = [t for t in self.roster.carried if t not in self.states and not self._config.loads]
        return [self.streaming_record(table) for table in (*loaded, *new)]

    def streaming_record(self, table: TableName) -> TableRecord:
        """The record of a table that streams, with the version it was made from."""
        relation = self.roster.relations[table]
        if not self._config.loads:
            # Nothing is read later than the stream's beginning: all that it has is wanted.
            relation = replace(relation, since="")
        self.known.setdefault(table, relation)
        return TableRecord(
            table, TableState.STREAMING, relation=relation_text.dump(self.known[table])
        )

    # hand-over

    def catch_up(
        self, chunks: Mapping[TableName, Sequence[ChunkDone]], lane_tables: Sequence[TableName]
    ) -> dict[TableName, TableCatchUp]:
        """The filters that a lane's tables still need."""
        return {
            table: TableCatchUp(
                chunks[table], self._source.visible, self._source.chunk_of, self._source.position
            )
            for table in lane_tables
            if chunks.get(table) and all(chunk.snapshot for chunk in chunks[table])
        }

    # progress

    def chunk(self, table: TableName, rows: int, size: int) -> None:
        self._around.noticed(self._source)
        self._telling.written(table, rows, size)
        record = self.states.get(table)
        self._telling.table(table, record.state if record is not None else None)

    def table(self, table: TableName, state: TableState) -> None:
        self._telling.turned(table, state)
        self.note(TableRecord(table, state))

    def rejected(self, table: TableName, reason: str, rows: int) -> None:
        if rows:
            self._around.metrics.rejected(table, reason, rows)

    def set_aside(self, records: Sequence[TableRecord], error: PenstockError) -> None:
        for record in records:
            self.states[record.table] = record
            remedy, command = error.hint, f"penstock reload FILE {record.table}"
            if command not in remedy:
                remedy = f"{remedy}, then run `{command}`"
            self._around.log.error(
                "table stopped in its load",
                action="load.table-stopped",
                relation=str(record.table),
                error=error,
                hint=remedy,
            )
            facts = {"table": str(record.table), "state": record.state.value}
            self._around.report("table", {**facts, "reason": error.message, "remedy": remedy})


def _described(
    roster: Roster, asked: Sequence[TableName], definitions: Sequence[TableDefinition]
) -> list[Relation]:
    """The roster's relations, younger where they were asked for; without those that are gone."""
    younger = {definition.table: definition.relation for definition in definitions}
    rest = [relation for table, relation in roster.relations.items() if table not in asked]
    return [*rest, *younger.values()]
