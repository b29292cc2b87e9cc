"""One attempt to carry a replication: from opening both ends to the drain or the first error."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Final

from engine.apart import apart_where_told
from engine.beginning import beginning
from engine.branching import keep_branch
from engine.checkpoint.ownership import (
    Claim,
    Claimant,
    SeqSum,
    check_owner,
    claim,
    store_rows,
    watch,
)
from engine.checkpoint.sessions import Sessions
from engine.checkpoint.stored import check_positions
from engine.config.fingerprint import fingerprint
from engine.config.replication import ReplicationConfig
from engine.contracts import (
    Attached,
    ExclusiveSource,
    OriginTarget,
    ReadSource,
    SnapshotSource,
    TargetSession,
    TransactionalTarget,
)
from engine.errors import ConfigError, FencedError, PositionLostError, ReaderUnknownError
from engine.load_judging import LoadJudging
from engine.loading import Loading
from engine.model.finding import Severity
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.state import FRONTIER, LaneRow
from engine.outcome import GOALS, Outcome
from engine.retention import Retention, SlotGivenUpError
from engine.roster import Roster, build, tell_exceptions
from engine.silence import Silence
from engine.stopping import unless_stopped
from engine.streaming import Streaming
from engine.surroundings import Surroundings

READER_WAIT_SECONDS: Final = 10.0
"""How long a newcomer waits for the slot: longer than a server takes to notice that a killed reader
is gone, short enough for a person to wait."""

READER_POLL_SECONDS: Final = 0.25

ATTACH_TOLD_SECONDS: Final = 10.0
"""Between two lines about a source that is not ready yet; mostly it takes a fraction of a second.
"""


class Flow:
    """`epoch` is ours once claimed; `told` is the newest position the source was told of; `flowed`
    tells whether this attempt got as far as streaming."""

    def __init__(
        self,
        config: ReplicationConfig,
        source: SnapshotSource,
        target: TransactionalTarget,
        around: Surroundings,
        stop_at: str | None,
        take_over: bool,
        held_epoch: int | None,
        told: Position | None,
        again: Sequence[TableName] = (),
        stuck: Sequence[TableName] = (),
    ) -> None:
        self._config = config
        self._source = source
        self._target = target
        self._around = around
        self._stop_at = stop_at
        self._take_over = take_over
        self._held_epoch = held_epoch
        self._again = again
        self._stuck = stuck
        self._reader_made = False
        self.epoch: int | None = None
        self.told = told
        self.flowed = False

    async def run(self) -> Outcome:
        """Carry until stopped, done, or the first error (maybe in an exception group)."""
        around = self._around
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._source.close)
            stack.push_async_callback(self._target.close)
            around.state("starting")
            with around.stalls.questions.asking("a connection"):
                identity = await self._source.open()
            await self._target.open()
            await apart_where_told(self._source, self._target, around.random, around.log)
            await self._target.prepare_control()
            await self._prepare_origins()
            newcomer = self._config.streams and self._held_epoch is None
            if newcomer and not self._take_over:
                await self._await_reader()
            control = await stack.enter_async_context(self._target.session())
            claimed = await claim(
                self._target, control, self._claimant(identity), held_epoch=self._held_epoch
            )
            self.epoch = claimed.epoch
            check_positions(claimed, self._source.position)
            if newcomer and self._take_over:
                await self._evict_reader(control, claimed.epoch)
            sessions = Sessions(self._target, claimed.epoch, control)
            (watcher,) = await stack.enter_async_context(sessions.open())
            return await self._watched(claimed, control, watcher, sessions)

    def _claimant(self, identity: str) -> Claimant:
        around = self._around
        return Claimant(identity, fingerprint(self._config), around.process, around.token)

    async def _prepare_origins(self) -> None:
        if not isinstance(self._target, OriginTarget):
            return
        finding = await self._target.prepare_origins()
        if finding is not None and self._held_epoch is None:
            log = self._around.log
            say = log.info if finding.severity is Severity.TELLS else log.warning
            say(finding.message, action="target.origins", hint=finding.remedy)

    async def _await_reader(self) -> None:
        """Wait until nobody reads the log for this replication.

        Not for an owner: the claim tells it whether somebody took over, and who still reads may be
        its own session of before the cut, which the server has not noticed yet.
        """
        source = self._source
        if not isinstance(source, ReadSource):
            return
        clock = self._around.clock
        deadline = clock.monotonic() + READER_WAIT_SECONDS
        while (reader := await _reader(source)) is not None:
            if clock.monotonic() >= deadline:
                raise FencedError(
                    f"another process reads this replication's log: {reader}",
                    hint="stop that one first, or start this one with --take-over",
                )
            await asyncio.sleep(READER_POLL_SECONDS)

    async def _evict_reader(self, control: TargetSession, epoch: int) -> None:
        """End who reads the log for this replication. After the claim: a living predecessor that
        reads again at once has lost the epoch by then, and ends."""
        source = self._source
        if not isinstance(source, ExclusiveSource):
            return
        while await source.reader() is not None:
            await check_owner(control, epoch)
            await source.evict()
            await asyncio.sleep(READER_POLL_SECONDS)

    async def _watched(
        self,
        claimed: Claim,
        control: TargetSession,
        watcher: TargetSession,
        sessions: Sessions,
    ) -> Outcome:
        seqs = SeqSum(sum([row.seq for row in claimed.lanes.values()]))
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch(watcher, claimed.epoch, seqs), name="watch")
            silence = Silence(sessions, self._target, self._around, watcher)
            listening = tasks.create_task(silence.watch(), name="silence")
            try:
                return await self._carry(claimed, control, seqs, sessions, silence)
            finally:
                watching.cancel()
                listening.cancel()

    async def _carry(
        self,
        claimed: Claim,
        control: TargetSession,
        seqs: SeqSum,
        sessions: Sessions,
        silence: Silence,
    ) -> Outcome:
        first = self._around.first_start
        await first.look(self._source)
        roster = build(self._config, await self._relations())
        tell_exceptions(roster, self._around.log)
        start: tuple[Position, LaneRow] | None = None
        if self._config.streams:
            start = await self._start(claimed, control, roster)
            if start is None:
                return Outcome("stopped")
        # Described again: what changed until the reader was made is in no log.
        roster = roster.refreshed(await self._relations())
        await first.settle(self._source, list(roster.relations.values()))
        loading = Loading(
            self._config, self._source, self._target, self._around, claimed, seqs, sessions, roster
        )
        await loading.give_up(self._stuck, control)
        self._around.stalls.reached()
        if not await self._load(loading, control, start[0] if start else None):
            return Outcome("stopped")
        if start is None:
            await loading.require_whole(control)
            self._around.state("stopped")
            return Outcome("loaded")
        outcome = await self._stream(claimed, control, seqs, sessions, silence, loading, start)
        if outcome.reason in GOALS:
            await loading.require_whole(control)
        return outcome

    async def _relations(self) -> Sequence[Relation]:
        with self._around.stalls.questions.asking("its tables"):
            return await self._source.relations()

    async def _load(self, loading: Loading, control: TargetSession, start: Position | None) -> bool:
        """Load what is to be loaded, and watch the log that is kept meanwhile. False: stopped."""
        work = loading.run(control, start, self._again, from_beginning=self._reader_made)
        retention = Retention(self._config.source, self._around.log)
        watches: list[Coroutine[None, None, None]] = [LoadJudging(self._around).run()]
        if start is not None:
            watches.append(retention.watch(self._source, self._around.metrics))
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = [tasks.create_task(watch, name="load-watch") for watch in watches]
                done = await unless_stopped(work, self._around.stop)
                for task in watching:
                    task.cancel()
        except* SlotGivenUpError:
            await self._source.detach()
            raise
        return done

    async def _stream(
        self,
        claimed: Claim,
        control: TargetSession,
        seqs: SeqSum,
        sessions: Sessions,
        silence: Silence,
        loading: Loading,
        start: tuple[Position, LaneRow],
    ) -> Outcome:
        streaming = Streaming(
            self._config,
            self._source,
            self._target,
            self._around,
            seqs,
            sessions,
            silence,
            loading,
            self._stop_at,
            claimed.epoch,
            *start,
        )
        self.flowed = True
        try:
            return await streaming.run(control)
        finally:
            self.told = streaming.told or self.told

    async def _start(
        self, claimed: Claim, control: TargetSession, roster: Roster
    ) -> tuple[Position, LaneRow] | None:
        """Where the stream begins: the stored frontier, or the start of a reader made just now.
        None when a stop was asked for meanwhile."""
        row = claimed.lanes.get(FRONTIER)
        await keep_branch(self._source, control, claimed, roster.relations)
        attached = await self._attach(roster, create=row is None)
        if attached is None:
            return None
        self._reader_made = attached.created
        if row is None:
            self._refuse_lost_start(claimed, attached)
            first = await self._beginning(attached)
            if first is None:
                return None
            row = LaneRow(claimed.epoch, 0, str(first))
            await store_rows(control, claimed.epoch, {FRONTIER: row})
        position = self._source.position(row.position)
        if self.told is not None and not position.reaches(self.told):
            raise PositionLostError(
                f"the target went back to {position}, but the source was told {self.told}",
                hint="the changes between are gone from the source's log; load the tables again "
                "(`penstock cleanup`, then `penstock run`)",
            )
        return position, row

    async def _attach(self, roster: Roster, *, create: bool) -> Attached | None:
        """Make what reading needs; says so when that takes long. None when it was stopped."""
        found: list[Attached] = []

        async def attach() -> None:
            found.append(
                await self._source.attach(roster.streamed, roster.insert_only, create=create)
            )

        questions = self._around.stalls.questions
        async with questions.meanwhile(self._source.head), asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell_of_waiting(), name="attach-slow")
            await unless_stopped(attach(), self._around.stop)
            telling.cancel()
        return found[0] if found else None

    async def _beginning(self, attached: Attached) -> Position | None:
        """Where the stream begins the first time, which may have to be looked for. None when it
        was stopped. Unless it begins, a reader that was made for it is dropped: of one that is
        there without a position the next start would not know what it has let go of."""
        found: list[Position] = []

        async def look() -> None:
            found.append(await beginning(self._config, self._source, attached))

        try:
            await unless_stopped(look(), self._around.stop)
        except* (ConfigError, PositionLostError):
            await self._drop_made(attached)
            raise
        if not found:
            await self._drop_made(attached)
        return found[0] if found else None

    async def _drop_made(self, attached: Attached) -> None:
        if attached.created:
            await self._source.detach()

    async def _tell_of_waiting(self) -> None:
        while True:
            await asyncio.sleep(ATTACH_TOLD_SECONDS)
            self._around.log.warning(
                "the source is still being prepared: a new slot waits until every transaction that"
                " was open has ended",
                action="source.preparing",
                hint="`penstock check FILE` names those that have been open for long",
            )

    def _refuse_lost_start(self, claimed: Claim, attached: Attached) -> None:
        """A reader of ours is there, but the target knows nothing of us: what it had is gone. A
        load makes that whole; without one the changes already acknowledged would be missing."""
        known_before = self.told is not None or (claimed.fresh and not attached.created)
        if known_before and self._config.slot_is_ours and not self._config.loads:
            raise PositionLostError(
                "the source has a slot of this replication, but the target has no position of it",
                hint="if the target was restored, begin anew: `penstock cleanup FILE`, then "
                "`penstock run FILE`",
            )


async def _reader(source: ReadSource) -> str | None:
    """Who reads the log. Where that cannot be told, the claim alone keeps two owners apart."""
    try:
        return await source.reader()
    except ReaderUnknownError:
        return None
