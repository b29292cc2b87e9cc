"""Everything that can be known of a replication before its first row moves. Writes nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from engine.abilities import ResumingTarget
from engine.apart import require_apart
from engine.bucketing import source_obstacles, target_obstacles
from engine.capacity.predict import Prediction
from engine.config.quantity import format_size
from engine.config.replication import ApplyMode, ReplicationConfig
from engine.config.settings_effect import why_idle
from engine.contracts import Checked, SchemaTarget, Source, Target
from engine.errors import ConfigError, PenstockError
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation, TableName
from engine.observe.redact import clean
from engine.plan.buckets import obstacles
from engine.plan.emptiness import HINT as NONEMPTY_HINT
from engine.plan.emptiness import must_be_empty, refusal
from engine.plan.lanes import groups
from engine.plan.tables import UNEXPECTED, LeftOut, Reason, Selection, select
from engine.roster import NO_TABLE_HINT
from engine.seams import SystemClock, SystemRandom
from engine.sizing import Growth, first_size


class Step(StrEnum):
    """What a preflight is at, in this order."""

    CONNECTIONS = "connections"
    METADATA = "metadata"
    CAPACITY = "capacity"


@dataclass(slots=True)
class Preflight:
    """Everything that can be known before the first row moves."""

    config: ReplicationConfig
    memory_bytes: int
    """What this machine has."""
    findings: list[Finding] = field(default_factory=list[Finding])
    against: list[Mapping[TableName, str]] = field(default_factory=list[Mapping[TableName, str]])
    """What each side says against splitting tables by key."""
    entered: Callable[[Step], None] = lambda _: None
    """Called as each step begins."""
    selection: Selection | None = None
    """The tables, once the source has told them."""
    prediction: Prediction | None = None
    """The size that it will begin with, unless it is fixed or the source does not tell."""
    log: Growth = field(default_factory=lambda: Growth(SystemClock()))

    async def run(self, source: Source, target: Target) -> list[Finding]:
        """Look at both sides; what cannot be reached is a finding, not an error."""
        self._file()
        self._size()
        self.entered(Step.CONNECTIONS)
        async with (
            self._opened("source", source) as read,
            self._opened("target", target) as written,
        ):
            if read and written:
                await self._apart(source, target)
            self.entered(Step.METADATA)
            if read:
                await self._log(source)
                await self._source(source)
            tables = self.selection.tables if self.selection else ()
            if written:
                await self._side("target", target, tables)
                await self._rows(target, tables)
                await self._lanes(target, tables)
            self.entered(Step.CAPACITY)
            if self.selection and self._sized:
                await self._first_size(source, tables)
        return list(dict.fromkeys(self.findings))  # both sides may say the same

    def _file(self) -> None:
        for warning in self.config.warnings:
            self.findings.append(Finding("file", Severity.WARNS, warning))
        for key in self.config.no_effect:
            reason = why_idle(key)
            message = "accepted, but has no effect yet" + (f": {reason}" if reason else "")
            self.findings.append(Finding("file", Severity.TELLS, message, subject=key))

    def _size(self) -> None:
        """Whether the machine has room for what is asked for."""
        written = self.config.capacity
        try:
            fits = written.within(self.memory_bytes)
        except ConfigError as error:
            self._add("capacity", Severity.BLOCKS, error)
            return
        if fits != written:
            self.findings.append(
                Finding(
                    "capacity",
                    Severity.TELLS,
                    f"this machine, or the container, has {self.memory_bytes / (1 << 30):.1f} GiB:"
                    f" at most {fits.units_max} units of {format_size(fits.unit_memory_bytes)}"
                    f" instead of {written.units_max} of {format_size(written.unit_memory_bytes)}",
                    subject="capacity.max",
                )
            )

    @asynccontextmanager
    async def _opened(self, side: str, end: Source | Target) -> AsyncIterator[bool]:
        try:
            try:
                await end.open()
            except PenstockError as error:
                self._add(f"{side}-connection", Severity.BLOCKS, error)
                yield False
            else:
                yield True
        finally:
            await end.close()

    async def _apart(self, source: Source, target: Target) -> None:
        try:
            await require_apart(source, target, SystemRandom())
        except ConfigError as error:
            self._add("same-database", Severity.BLOCKS, error)
        except PenstockError as error:
            self._add("same-database", Severity.UNCHECKED, error)

    async def _source(self, source: Source) -> None:
        try:
            relations = await source.relations()
        except PenstockError as error:
            self._add("source-tables", Severity.BLOCKS, error)
            await self._side("source", source, ())  # a missing right is named with its statement
            return
        policy = self.config.source.without_identity if self.config.streams else None
        selection = select(relations, self.config.mapping, without_identity=policy)
        self.selection = selection
        self.findings += _selection_findings(selection)
        await self._side("source", source, _looked_at(relations, selection))
        if self._by_key:
            await self._against("source", source_obstacles(source, selection.tables))

    @property
    def _sized(self) -> bool:
        """Whether there is a size to choose."""
        return len(self.config.capacity.ladder) > 1

    async def _log(self, source: Source) -> None:
        """The first of two looks at the end of the source's log."""
        if self.config.streams and self._sized:
            try:
                await self.log.look(source)
            except PenstockError as error:
                self._add("capacity-predicted", Severity.UNCHECKED, error)

    async def _first_size(self, source: Source, tables: Sequence[Relation]) -> None:
        """The size that it will begin with, and how that was reckoned."""
        try:
            self.prediction = prediction = await first_size(self.config, source, tables, self.log)
        except PenstockError as error:
            self._add("capacity-predicted", Severity.UNCHECKED, error)
            return
        units = f"{prediction.units} unit" + ("" if prediction.units == 1 else "s")
        reckoned = "; ".join(prediction.arithmetic)
        message = f"catalog and log speak for {units}, with which a first start begins. {reckoned}"
        self.findings.append(Finding("capacity-predicted", Severity.TELLS, message))

    @property
    def _by_key(self) -> bool:
        return self.config.streams and self.config.apply.mode is ApplyMode.KEY_PARALLEL

    async def _lanes(self, target: Target, tables: Sequence[Relation]) -> None:
        """Which tables are applied by one lane although the mode is key-parallel, and why."""
        if not self._by_key:
            return
        await self._against("target", target_obstacles(target, tables))
        keys = await target.foreign_keys() if isinstance(target, SchemaTarget) else ()
        tied = groups([r.table for r in tables], [(key.child, key.parent) for key in keys])
        for table, reason in obstacles(tables, tied, *self.against).items():
            self.findings.append(
                Finding(
                    "key-parallel",
                    Severity.TELLS,
                    f"is applied by one lane: {reason}",
                    subject=str(table),
                )
            )

    async def _against(self, side: str, found: Awaitable[Mapping[TableName, str]]) -> None:
        try:
            self.against.append(await found)
        except PenstockError as error:
            self._add(f"{side}-keys", Severity.UNCHECKED, error)

    async def _side(self, side: str, end: Source | Target, tables: Sequence[Relation]) -> None:
        if not isinstance(end, Checked):
            return
        try:
            self.findings += await end.preflight(tables)
        except PenstockError as error:
            self._add(f"{side}-preflight", Severity.UNCHECKED, error)

    async def _rows(self, target: Target, tables: Sequence[Relation]) -> None:
        """Whether a load would begin with a table that has rows; one that was begun may."""
        if not must_be_empty(self.config) or not isinstance(target, ResumingTarget):
            return
        try:
            begun = set(await target.begun())
            fresh = [relation.table for relation in tables if relation.table not in begun]
            full = [table for table in fresh if not await _empty(target, table)]
        except PenstockError as error:
            self._add("target-rows", Severity.UNCHECKED, error)
            return
        if full:
            finding = Finding("target-rows", Severity.BLOCKS, refusal(full), NONEMPTY_HINT)
            self.findings.append(finding)

    def _add(self, check: str, severity: Severity, error: PenstockError) -> None:
        self.findings.append(Finding(check, severity, error.message, error.hint))


async def _empty(target: Target, table: TableName) -> bool:
    return not isinstance(target, SchemaTarget) or await target.empty(table)


def _looked_at(relations: Iterable[Relation], selection: Selection) -> list[Relation]:
    """What is carried, and what would be if its rows could be identified: each of those is named
    with the statement that makes it so."""
    wanted = {r.table for r in selection.tables}
    wanted |= {out.table for out in selection.left_out if out.reason in UNEXPECTED}
    return [relation for relation in relations if relation.table in wanted]


def _selection_findings(selection: Selection) -> list[Finding]:
    found = [
        Finding(
            "mapping-unmatched",
            Severity.WARNS,
            "this rule matches no table",
            NO_TABLE_HINT,
            subject=rule,
        )
        for rule in selection.unmatched
    ]
    found += [_left_out(out) for out in selection.left_out if out.reason is Reason.EXCLUDED]
    if not selection.tables:
        found.append(
            Finding(
                "mapping-empty",
                Severity.BLOCKS,
                "no table would be carried",
                "widen [mapping] include, or the selection rules, or mend what leaves the tables"
                " out",
            )
        )
    return found


def _left_out(out: LeftOut) -> Finding:
    message = f"{out.reason.value} (rule {out.rule})" if out.rule else out.reason.value
    return Finding("left-out", Severity.TELLS, message, subject=str(out.table))


def document(finding: Finding) -> dict[str, str]:
    """A finding as JSON shows it."""
    return {
        "check": finding.check,
        "severity": finding.severity.value,
        "subject": finding.subject,
        "message": clean(finding.message),
        "remedy": finding.remedy,
    }
