"""Compare tables on two sides by row counts and content hashes; name the keys that differ.

The hashes are computed where the rows are. A table whose key both sides order alike is read in key
ranges, any other in hash buckets; only ranges and buckets that differ are listed, and only keys
that differ in the listings are judged one by one (`settle`), because writers may run. Memory is
bounded by one range, one group of buckets and one pool of suspects, whatever the table's size.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from engine.comparable import Comparable
from engine.errors import ComparisonError
from engine.machine import Clock
from engine.model.compared import Digest, Part, Reading, RowKey, Span
from engine.model.relation import TableName
from engine.validate.agree import Readings, agree, common_method
from engine.validate.judge import count_equal, suspects
from engine.validate.report import Report, TableReport
from engine.validate.settle import Settler

SPAN_ROWS: Final = 16_384
"""Rows of one key range: a statement of some 20 ms, and a listing of about 5 MiB."""

LISTED_ROWS_MAX: Final = 65_536
"""Rows listed at once, per side; about 20 MiB."""

SUSPECTS_MAX: Final = 20_000
"""Keys collected before they are judged: one wait for the applied position serves them all."""

WORKERS: Final = 2
"""Key ranges read at the same time."""

PATIENCE_SECONDS: Final = 60.0
"""How long the applied position may take to pass the source's position of a first reading."""

KEYS_MAX: Final = 100
"""Differing keys listed per table; all are counted."""

_T = TypeVar("_T")
_U = TypeVar("_U")


class TablePair(NamedTuple):
    """A table and its copy."""

    source: TableName
    target: TableName


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one table is. `rows_estimated` is the source's estimate, 0 when it has none."""

    table: TableName
    rows: int
    rows_estimated: int
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a comparison may take."""

    span_rows: int = SPAN_ROWS
    listed_rows_max: int = LISTED_ROWS_MAX
    suspects_max: int = SUSPECTS_MAX
    keys_max: int = KEYS_MAX
    patience_seconds: float = PATIENCE_SECONDS
    workers: int = WORKERS


async def compare(
    pairs: Sequence[TablePair],
    source: Comparable,
    target: Comparable,
    *,
    replication: str,
    clock: Clock,
    limits: Limits | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Compare each pair of tables; both sides are open. Writes nothing.

    `replication` is the id under which the target stores how far it has applied; without a stored
    position the target is taken as it is. A table that cannot be read is reported as such and the
    others are compared.

    Raises:
        ComparisonError: the two sides cannot be compared at all.
    """
    limits = limits or Limits()
    started = clock.monotonic()
    method = common_method(*await _both(source.hash_methods(), target.hash_methods()))
    settler = Settler(source, target, clock, replication, limits.patience_seconds, limits.keys_max)
    reports = []
    for pair in pairs:
        comparison = _TableComparison(
            source, target, settler, limits, progress, TableReport(pair.source, pair.target)
        )
        reports.append(await comparison.run(method))
    return Report(reports, method, clock.monotonic() - started)


@dataclass(slots=True)
class _TableComparison:
    source: Comparable
    target: Comparable
    settler: Settler
    limits: Limits
    progress: Callable[[Progress], None]
    report: TableReport
    rows_estimated: int = 0
    rows: int = 0
    pool: list[RowKey] = field(default_factory=list[RowKey])

    async def run(self, method: str) -> TableReport:
        report = self.report
        try:
            readings = await self._agree(method)
            report.keyed, report.left_out = bool(readings.source.key), readings.left_out
            report.uncompared = readings.uncompared
            await (self._by_span(readings) if readings.source.ranged else self._by_bucket(readings))
            if not report.problem:
                await self._settle(readings)
        except ComparisonError as error:
            report.problem = str(error)
        self.progress(Progress(report.source, self.rows, self.rows_estimated, finished=True))
        return report

    async def _agree(self, method: str) -> Readings:
        names = self.report.source, self.report.target
        shapes = await _both(self.source.shape(names[0]), self.target.shape(names[1]))
        if shapes[0] is None or shapes[1] is None:
            side, name = ("source", names[0]) if shapes[0] is None else ("target", names[1])
            raise ComparisonError(f"{side}: there is no table {name}")
        self.rows_estimated = shapes[0].rows_estimated
        return agree(shapes[0], shapes[1], method)

    # --- by key range ---------------------------------------------------------------------------

    async def _by_span(self, readings: Readings) -> None:
        spans = self._spans(self.source, readings.source, Span())
        turn = asyncio.Lock()

        async def work() -> None:
            while not self.report.problem:
                async with turn:
                    span = await anext(spans, None)
                if span is None:
                    return
                await self._span(readings, span)

        async def guarded() -> None:
            try:
                await work()
            except ComparisonError as error:
                self.report.problem = str(error)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.limits.workers):
                tasks.create_task(guarded(), name="compare-span")

    async def _spans(self, side: Comparable, reading: Reading, within: Span) -> AsyncIterator[Span]:
        """Cut a key range into ranges of `span_rows` rows of one side; they cover it without gap,
        so that no row of the other side is passed over."""
        low = within.low
        while (
            high := await side.boundary(reading, Span(low, within.high), self.limits.span_rows)
        ) is not None:
            yield Span(low, high)
            low = high
        yield Span(low, within.high)

    async def _span(self, readings: Readings, span: Span) -> None:
        source, target = await _both(
            self.source.digest(readings.source, span), self.target.digest(readings.target, span)
        )
        if source == target:
            self._equal(source.rows)
        elif target.rows > self.limits.listed_rows_max:
            # Far more rows than in the source: cut by the target's own keys.
            async for part in self._spans(self.target, readings.target, span):
                await self._list(readings, part)
        else:
            await self._list(readings, span)

    # --- by hash bucket -------------------------------------------------------------------------

    async def _by_bucket(self, readings: Readings) -> None:
        source, target = await _both(
            self.source.bucket_digests(readings.source), self.target.bucket_digests(readings.target)
        )
        for bucket, digest in source.items():
            if target.get(bucket) == digest:
                self._equal(digest.rows)
        for group in _groups(source, target, self.limits.listed_rows_max):
            await self._list(readings, group)

    # --- both -----------------------------------------------------------------------------------

    async def _list(self, readings: Readings, part: Part) -> None:
        source, target = await _both(
            self.source.rows(readings.source, part), self.target.rows(readings.target, part)
        )
        keys, equal = suspects(source, target)
        self._equal(equal)
        self.pool += keys
        if len(self.pool) >= self.limits.suspects_max:
            await self._settle(readings)

    async def _settle(self, readings: Readings) -> None:
        keys, self.pool = self.pool, []
        if keys:
            await self.settler.settle(readings, keys, self.report)

    def _equal(self, rows: int) -> None:
        count_equal(self.report, rows)
        self.rows += rows
        self.progress(Progress(self.report.source, self.rows, self.rows_estimated))


def _groups(
    source: Mapping[int, Digest], target: Mapping[int, Digest], rows_max: int
) -> Iterator[frozenset[int]]:
    """Differing buckets, as many at a time as may be listed."""
    group, rows = list[int](), 0
    for bucket in sorted(source.keys() | target.keys()):
        pair = source.get(bucket, Digest(0, 0)), target.get(bucket, Digest(0, 0))
        if pair[0] == pair[1]:
            continue
        size = max(pair[0].rows, pair[1].rows)
        if group and rows + size > rows_max:
            yield frozenset(group)
            group, rows = [], 0
        group.append(bucket)
        rows += size
    if group:
        yield frozenset(group)


async def _both(left: Coroutine[Any, Any, _T], right: Coroutine[Any, Any, _U]) -> tuple[_T, _U]:
    """Await two things at once. An error of one is raised when the other has ended: a statement is
    not broken off in the middle for it."""
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(_caught(left), name="compare-source")
        second = tasks.create_task(_caught(right), name="compare-target")
    results = first.result(), second.result()
    if isinstance(results[0], ComparisonError):
        raise results[0]
    if isinstance(results[1], ComparisonError):
        raise results[1]
    return results[0], results[1]


async def _caught(work: Coroutine[Any, Any, _T]) -> _T | ComparisonError:
    try:
        return await work
    except ComparisonError as error:
        return error
