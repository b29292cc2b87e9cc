"""(pure) What the tables of the log are like at every place of it.

A row in the log says neither what its columns are called nor, mostly, what they hold: it is decoded
with the description that was in force when it was written. Descriptions begin with what the target
was told last, or with the catalog at a known place, and go on with the log's own statements.

Of a table that is new to the stream, what was written before the place at which the catalog
described it is not told: whoever loads it reads it later than that.

A wanted table is unknown behind a statement that took it away, until a statement or the catalog
tells of another one with its name. What comes for that one in between cannot be told; that it came
is told, as one more leaving: who has heard of the first one knows, and who took it for the table's
past, because its rows were read behind it, must load again what it has read.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.mysql import ddl_steps as steps
from connectors.mysql.absent import REPLACED, Absent, absent_values
from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.events import Query, RowsEvent
from connectors.mysql.binlog.rows import IMAGES_MAX, RowsDecoder
from connectors.mysql.binlog.table_map import TableMap
from connectors.mysql.ddl import WRITES, parse
from connectors.mysql.ddl_tokens import Speech
from connectors.mysql.description import Description, restore
from connectors.mysql.flavour import Flavour
from connectors.mysql.position import AnyPosition, FileCoordinate, GtidCoordinate, parse_position
from connectors.mysql.schema_change import altered, described_column, unique_keys
from connectors.mysql.temporal import ZeroDates
from engine.config.endpoint import ZeroDate
from engine.errors import DecodeError, SourceError
from engine.model.change import INSERT, Event, SchemaChanged, SchemaStep, Truncate
from engine.model.relation import Relation, ReplicaIdentity, TableName

STRICT: Final = 0x200000 | 0x400000
"""STRICT_TRANS_TABLES and STRICT_ALL_TABLES in `sql_mode`."""

Coordinate = GtidCoordinate | FileCoordinate


@dataclass(slots=True)
class Version:
    """A table from a place of the log on. `since`: None once the stream is past it. `remembered`:
    what the target was told last; the catalog may have described the table as another one since,
    when it is loaded again after a change that nobody could follow. `to_load`: it is being read,
    at a later place, so nothing is missed before its own."""

    description: Description
    relation: Relation
    since: AnyPosition | None = None
    remembered: bool = False
    to_load: bool = False


@dataclass(slots=True)
class _Plan:
    """How rows of one TABLE_MAP are read. `version` None: they are only counted. `images`: what
    was made of row images met so far."""

    table: TableMap
    version: Version | None
    decoder: RowsDecoder
    counting: RowsDecoder
    images: dict[tuple[int, bytes, bytes], Absent] = field(
        default_factory=dict[tuple[int, bytes, bytes], Absent]
    )

    def count(self, event: RowsEvent) -> int:
        """How many rows an event has; 0 where it has nothing of them, which nobody can count."""
        if not any(event.after if event.kind == INSERT else event.before):
            return 0
        return len(self.counting.decode(event, _NOBODY))


@dataclass(slots=True)
class History:
    """See `assembler.LogTables`. `defaults`: charset and collation of new tables, by database.
    `lower_names`: see `Server.lower_names`."""

    form: Form
    zero: ZeroDates
    flavour: Flavour
    lower_names: bool = False
    defaults: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    _wanted: Collection[TableName] = ()
    _insert_only: Collection[TableName] = ()
    _versions: dict[TableName, Version] = field(default_factory=dict[TableName, Version])
    _described: dict[TableName, list[Version]] = field(
        default_factory=dict[TableName, list[Version]]
    )
    _plans: dict[int, _Plan] = field(default_factory=dict[int, _Plan])
    _reached: Coordinate | None = None
    """How far the stream is; `_stated`: the newest statement about tables that it has read."""
    _stated: Coordinate | None = None
    _missed: dict[TableName, Coordinate] = field(default_factory=dict[TableName, Coordinate])
    """The newest transaction that has something of a table that is unknown there."""

    # --- what is known ----------------------------------------------------------------------------

    def want(
        self, streamed: Collection[TableName], insert_only: Collection[TableName] = ()
    ) -> None:
        """Rows of these tables are told from now on, of `insert_only` those that are new, and of no
        others."""
        self._insert_only = frozenset(insert_only)
        self._wanted = self._insert_only.union(streamed)
        self._plans.clear()

    def unknown(self) -> Sequence[TableName]:
        """Wanted tables that nobody has described."""
        return [t for t in self._wanted if not (t in self._versions or self._described.get(t))]

    def remember(self, known: Mapping[TableName, Relation]) -> None:
        """Begin anew with stored versions. Raises StateError for those of another source."""
        self._plans.clear()
        self._versions = {
            table: Version(
                restore(relation),
                relation,
                parse_position(relation.since) if relation.since else None,
                remembered=True,
            )
            for table, relation in known.items()
        }
        self._reached = self._stated = None
        self._missed.clear()
        for versions in self._described.values():
            for version in versions:
                version.to_load = False  # of a load that has ended, or goes on with what it has

    def outruns(self, at: AnyPosition) -> bool:
        """Whether the stream has read a statement from behind this place. A description of it comes
        too late then: what the statement did to it is not known here."""
        return self._stated is not None and not at.covers(self._stated, 1)

    def describe(
        self, description: Description, at: AnyPosition, *, to_load: bool = False
    ) -> Relation:
        """The catalog described a table at this position; gives the version that it is there.
        `to_load`: it is read from here on, and has to be known from here on, whatever stands in the
        log before: another table with this name may have been described in the same words. Kept is
        what the stream has not come to: what the catalog said since, and where loads began."""
        known = self._described.setdefault(description.table, [])
        self._forget_passed(known)
        same = bool(known) and known[-1].description == description
        if same and not to_load:
            return known[-1].relation
        if same:
            relation = replace(known[-1].relation, since=str(at))
            version = Version(known[-1].description, relation)
        else:
            version = self._version(description, str(at))
        version.since, version.to_load = at, to_load
        known.append(version)
        return version.relation

    def _forget_passed(self, known: list[Version]) -> None:
        """Of those that the stream is past, the last one is the table as it is."""
        reached = self._reached
        passed = [v for v in known if reached is not None and _passed(v, reached)]
        if passed:
            del known[: len(passed) - 1]

    def _version(self, description: Description, since: str) -> Version:
        keeps = self.zero.policy is ZeroDate.ERROR
        return Version(description, description.relation(self.form, since, zero_dates=keeps))

    # --- rows -------------------------------------------------------------------------------------

    def rows(self, event: RowsEvent, coordinate: object) -> tuple[int, Sequence[Event] | None]:
        """See `assembler.LogTables`. Raises DecodeError."""
        table = event.table
        assert table is not None
        assert isinstance(coordinate, Coordinate)
        self._reached = coordinate
        plan = self._plans.get(id(table))
        before: list[Event] = []
        if plan is None or plan.table is not table:
            plan, before = self._plan(table, coordinate)
        version = plan.version
        untold = event.kind != INSERT and version and version.relation.table in self._insert_only
        if version is None or untold or not _reached(version, coordinate):
            return plan.count(event), before or None
        absent = plan.images.get((event.kind, event.before, event.after))
        if absent is None:
            absent = self._absent(plan, event, version)
        if absent.lost:
            return plan.count(event), [*before, self._unreadable(version, absent.lost)]
        changes = plan.decoder.decode(event, version.relation)
        if absent.refused(changes):
            return len(changes), [*before, self._unreadable(version, REPLACED)]
        told = absent.filled(changes)
        return len(told), [*before, *told] if before else told

    def _absent(self, plan: _Plan, event: RowsEvent, version: Version) -> Absent:
        found = absent_values(
            event.kind,
            (event.before, event.after),
            version.description,
            self.form,
            self.zero,
            mariadb=self.flavour.mariadb,
        )
        if len(plan.images) >= IMAGES_MAX:
            plan.images.clear()
        plan.images[event.kind, event.before, event.after] = found
        return found

    def _unreadable(self, version: Version, what: str) -> SchemaChanged:
        """The table stops: it is as if it were not known from here on."""
        del self._versions[version.relation.table]
        self._plans.clear()
        return self._lost(version, what)

    def _plan(self, table: TableMap, coordinate: Coordinate) -> tuple[_Plan, list[Event]]:
        name = TableName(table.schema, table.name)
        version = self._at(name, coordinate) if name in self._wanted else None
        told: list[Event] = []
        decoder = counting = RowsDecoder(table, [None] * len(table.types), self.form, self.zero)
        if version is not None and not _reached(version, coordinate):
            # Rows that come again from before a change that is known: it says nothing of them.
            return _Plan(table, None, decoder, counting), told
        while version is not None:
            try:
                decoder = self._decoder(table, version)
                break
            except DecodeError as error:
                what = f"its rows are not as it is known ({error.message})"
                told = [self._lost(version, what)]
                del self._versions[name]
            # A table that is loaded again has been described since it was remembered.
            version = self._at(name, coordinate)
            told = [] if version is not None else told
        if version is None and not told:
            told = [*self._missing(name, coordinate)]
        plan = _Plan(table, version, decoder, counting)
        lasting = version is None or not self._may_be_replaced(name, version)
        if lasting and (version is not None or name not in self._wanted):
            self._plans[id(table)] = plan
        return plan, told

    def _decoder(self, table: TableMap, version: Version) -> RowsDecoder:
        """Raises DecodeError when the version does not fit to the rows."""
        types = [column.type for column in version.description.columns]
        _check_names(table, version.description)
        return RowsDecoder(table, types, self.form, self.zero, _old_key(version.relation))

    def _at(self, name: TableName, coordinate: Coordinate) -> Version | None:
        """The version of a wanted table at a place of the log; None before any that is known."""
        version = self._versions.get(name)
        if version is None or self._may_be_replaced(name, version):
            described = self._described.get(name, [])
            passed = [v for v in described if _passed(v, coordinate)]
            if not passed:
                return version
            newest = passed[-1]
            version = self._versions[name] = replace(newest, since=None)
            del described[: described.index(newest) + 1]
        return version

    def _let_go(self, name: TableName, coordinate: Coordinate) -> None:
        """What the catalog said before a statement does not hold behind it."""
        described = self._described.get(name, [])
        described[:] = [v for v in described if not _passed(v, coordinate)]

    def _missing(self, name: TableName, coordinate: Coordinate) -> Iterator[Event]:
        """Something comes for a table that may be unknown here; told once in a transaction."""
        if name not in self._wanted or self._at(name, coordinate) is not None:
            return
        if any(version.to_load for version in self._described.get(name, ())):
            return
        if self._missed.get(name) is not coordinate:  # sent again, it is another object
            self._missed[name] = coordinate
            yield SchemaChanged(name, None, None, True, (SchemaStep("drop-table"),))

    def _may_be_replaced(self, name: TableName, version: Version) -> bool:
        """Whether the catalog has said otherwise, and later, of a table that no statement of the
        log has changed since."""
        if not version.remembered:
            return False
        told = version.relation.since
        return any(
            other.description != version.description
            and (not told or other.since is None or other.since.reaches(parse_position(told)))
            for other in self._described.get(name, ())
        )

    def _lost(self, version: Version, what: str) -> SchemaChanged:
        """Rows of a table cannot be told any more."""
        relation = version.relation
        step = SchemaStep("other", detail=what)
        return SchemaChanged(relation.table, relation, relation, True, (step,))

    def undone(self, tables: Sequence[str], coordinate: object) -> Sequence[Event]:
        """See `assembler.LogTables`."""
        names = [TableName(*table.split(".", 1)) for table in tables]
        return [
            self._lost(self._versions[name], "a transaction that was partly rolled back")
            for name in names
            if name in self._versions
        ]

    # --- statements -------------------------------------------------------------------------------

    def statement(self, query: Query, coordinate: object) -> Sequence[Event]:
        """See `assembler.LogTables`.

        Raises:
            SourceError: rows were changed in statement form, or in a way that nobody can tell.
        """
        assert isinstance(coordinate, Coordinate)
        self._reached = coordinate
        speech = Speech(self.flavour, query.sql_mode or 0)
        found = parse(query.sql, query.schema, speech)
        if isinstance(found, steps.NotUnderstood) or found.steps:
            self._stated = coordinate
        if isinstance(found, steps.NotUnderstood):
            return self._not_understood(found, coordinate)
        strict = bool((query.sql_mode or 0) & STRICT)
        told: list[Event] = []
        for step in found.steps:
            if not isinstance(step, steps.CreateTable | steps.CreateLike):
                for table in step.tables[:1]:
                    told += self._missing(self._name(table), coordinate)
            told += self._take(step, coordinate, strict)
        if told:
            self._plans.clear()
        return told

    def _not_understood(
        self, found: steps.NotUnderstood, coordinate: Coordinate
    ) -> Sequence[Event]:
        if found.kind.split(" ", maxsplit=1)[0] in WRITES:
            raise SourceError(
                f"the source's binary log has a change in statement form ({found.kind}): its rows"
                " are not known",
                hint="set binlog_format = ROW on the source, for every session; then load again",
            )
        if found.tables is None:
            raise SourceError(
                f"the source's binary log has a statement that is not understood ({found.kind}),"
                " which may concern any table",
                hint="report its form; then load again",
            )
        what = f"a statement that is not understood ({found.kind})"
        told: list[Event] = []
        for name in map(self._name, found.tables):
            told += self._missing(name, coordinate)
            version = self._current(name, coordinate)
            if version is not None:
                told.append(self._lost(version, what))
        return told

    def _current(self, name: TableName, coordinate: Coordinate) -> Version | None:
        """The version of a table that a statement concerns; None where nobody is to be told."""
        version = self._at(name, coordinate) if name in self._wanted else None
        if version is None:
            return None
        self._let_go(name, coordinate)
        return version if _reached(version, coordinate) else None

    def _take(self, step: steps.Step, coordinate: Coordinate, strict: bool) -> Iterator[Event]:
        if isinstance(step, steps.AlterTable):
            yield from self._alter(step, coordinate, strict)
        elif isinstance(step, steps.RenameTable):
            yield from self._rename(self._name(step.table), self._name(step.to), coordinate)
        elif isinstance(step, steps.DropTable):
            yield from self._drop(self._name(step.table), coordinate)
        elif isinstance(step, steps.TruncateTable):
            version = self._current(self._name(step.table), coordinate)
            if version is not None:
                yield Truncate((version.relation,))
        elif isinstance(step, steps.DropDatabase):
            schema = step.name.lower() if self.lower_names else step.name
            for name in sorted(name for name in self._wanted if name.schema == schema):
                yield from self._missing(name, coordinate)
                yield from self._drop(name, coordinate)
        elif isinstance(step, steps.CreateTable | steps.CreateLike):
            yield from self._create(step, coordinate)
        elif isinstance(step, steps.CreateDatabase | steps.AlterDatabase):
            self._database(step)

    def _alter(
        self, step: steps.AlterTable, coordinate: Coordinate, strict: bool
    ) -> Iterator[Event]:
        name = self._name(step.table)
        version = self._current(name, coordinate)
        actions = [a for a in step.actions if not isinstance(a, steps.RenameTo)]
        if version is not None and actions:
            try:
                change = altered(version.description, actions, self.form, strict=strict)
            except ValueError as error:
                yield self._lost(version, f"an ALTER TABLE that does not fit to it ({error}),")
                del self._versions[name]
                return
            after = self._version(change.description, str(_after(coordinate)))
            self._versions[name] = after
            yield SchemaChanged(name, version.relation, after.relation, True, change.steps)
        for action in step.actions:
            if isinstance(action, steps.RenameTo):
                yield from self._rename(name, self._name(action.to, name.schema), coordinate)

    def _rename(self, name: TableName, to: TableName, coordinate: Coordinate) -> Iterator[Event]:
        version = self._current(name, coordinate)
        self._let_go(to, coordinate)
        there = self._versions.get(to)
        if there is not None and not _reached(there, coordinate):
            return  # the log comes again: what is known is from behind the statement
        if version is None:
            self._versions.pop(to, None)
            return
        del self._versions[name]
        description = replace(version.description, table=to)
        after = self._version(description, str(_after(coordinate)))
        self._versions[to] = after
        step = (SchemaStep("rename-table"),)
        yield SchemaChanged(name, version.relation, after.relation, True, step)
        if to in self._wanted:
            yield SchemaChanged(to, None, after.relation, True)

    def _drop(self, name: TableName, coordinate: Coordinate) -> Iterator[Event]:
        version = self._current(name, coordinate)
        if version is not None:
            del self._versions[name]
            step = (SchemaStep("drop-table"),)
            yield SchemaChanged(name, version.relation, None, True, step)

    def _create(
        self, step: steps.CreateTable | steps.CreateLike, coordinate: Coordinate
    ) -> Iterator[Event]:
        name = self._name(step.table)
        if name not in self._wanted or (step.if_not_exists and name in self._versions):
            return
        if step.replace:
            yield from self._drop(name, coordinate)
        description = self._created(name, step)
        if description is None:
            return
        after = self._versions[name] = self._version(description, str(_after(coordinate)))
        yield SchemaChanged(name, None, after.relation, True, (SchemaStep("create-table"),))

    def _created(
        self, name: TableName, step: steps.CreateTable | steps.CreateLike
    ) -> Description | None:
        """None where it is made of what is not known here: the catalog will describe it."""
        if isinstance(step, steps.CreateLike):
            like = self._versions.get(self._name(step.like))
            return None if like is None else replace(like.description, table=name)
        charset, collation = step.charset, step.collation
        if not charset and not collation:
            charset, collation = self.defaults.get(name.schema, ("", ""))
        charset = charset or collation.partition("_")[0]
        try:
            columns = [described_column(column, charset, collation) for column in step.columns]
        except ValueError:
            return None
        if any(column.type.text and not column.type.charset for column in columns):
            return None  # the database's own, which no statement has told
        keys = unique_keys(step.keys, step.columns)
        primary = keys.get("PRIMARY", ())
        columns = [replace(c, nullable=False) if c.name in primary else c for c in columns]
        return Description(name, tuple(columns), keys, charset, collation)

    def _database(self, step: steps.CreateDatabase | steps.AlterDatabase) -> None:
        charset, collation = step.charset, step.collation
        if charset or collation:
            self.defaults[step.name] = (charset or collation.partition("_")[0], collation)

    def _name(self, table: TableName, schema: str = "") -> TableName:
        """A name of a statement as the log's rows have it."""
        name = TableName(table.schema or schema, table.name)
        return TableName(name.schema.lower(), name.name.lower()) if self.lower_names else name


_NOBODY: Final = Relation(0, "", "", ())


def _old_key(relation: Relation) -> Sequence[int]:
    """The columns of which old rows are told; none for all of them."""
    return () if relation.replica_identity is ReplicaIdentity.FULL else relation.key


def _passed(version: Version, coordinate: Coordinate) -> bool:
    """Whether the place of a description is behind the stream."""
    return version.since is not None and not version.since.covers(coordinate, 1)


def _reached(version: Version, coordinate: Coordinate) -> bool:
    """Whether the stream is past the place from which on the version holds."""
    if version.since is None:
        return True
    if version.since.covers(coordinate, 1):
        return False
    version.since = None
    return True


def _after(coordinate: Coordinate) -> AnyPosition:
    """The position behind a transaction. A statement is nearly always one by itself."""
    if isinstance(coordinate, GtidCoordinate):
        return coordinate.end(coordinate.log)
    return coordinate.at(1)


def _check_names(table: TableMap, description: Description) -> None:
    """Where the log tells names, they are those that are known. Raises DecodeError."""
    try:
        told = [column.name for column in table.described.columns]
    except ValueError as error:
        raise DecodeError(f"{table.qualified} is described in a way that is not known") from error
    known = [column.name for column in description.columns]
    if None not in told and told != known:
        raise DecodeError(f"{table.qualified} has other columns in the binary log")
