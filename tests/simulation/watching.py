"""The engine's own parts, watched while they run.

What a world sees from outside are commits and acknowledgements. What only the engine knows, its
positions between the two, its queue, its lanes, is read here: inside `watched(world)` the engine
makes these classes in place of its own. Each does what its parent does, then looks.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Any, Final
from unittest.mock import patch

from engine.apply.lane import Lane
from engine.apply.scheduler import Help, Scheduler
from engine.apply.suspension import Suspension
from engine.capture.reader import Reader
from engine.checkpoint.frontier import Frontier
from engine.config import capacity
from engine.contracts import TargetSession
from engine.load.chunk_copy import ChunkCopy
from engine.load.handover import TableCatchUp
from engine.model.change import Block, Event, Transaction
from engine.model.chunk import Chunk, ChunkDone
from engine.model.position import LogPosition, Position
from engine.model.relation import Relation
from engine.model.segment import Segment
from engine.observe.stages import Stages
from engine.outcome import Outcome
from engine.provision import Provision
from engine.queue.bounded import Budget
from engine.streaming import Streaming
from tests.simulation.comparing import ViolationError
from tests.simulation.loop import Process, current_process
from tests.simulation.world import World

_WATCH: Final[ContextVar["Watch"]] = ContextVar("watch")


def _reached(name: str) -> None:
    _WATCH.get().world.reached[name] += 1


class WatchedFrontier(Frontier):
    def idle(self, position: Position) -> None:
        before = self.position
        super().idle(position)
        if self.position is position and before != position:
            _reached("keepalive-moved-frontier")


class WatchedScheduler(Scheduler):
    def __init__(self, stages: Stages | None = None) -> None:
        super().__init__(stages)
        self._left_by: dict[str, object] = {}

    async def take(self) -> Lane | Help | None:
        lane = await super().take()
        if isinstance(lane, Help):
            _reached("share-helped")
            return lane
        if lane is None:
            _reached("applier-dismissed")
            return None
        left_by = self._left_by.pop(lane.name, None)
        if left_by is not None and left_by is not asyncio.current_task():
            _reached("lane-handed-over")
        return lane

    def give_back(self, lane: Lane | Help) -> None:
        super().give_back(lane)
        if isinstance(lane, Lane) and lane.waiting:
            self._left_by[lane.name] = asyncio.current_task()


class WatchedLane(Lane):
    def __post_init__(self) -> None:
        super().__post_init__()
        stand = {checkpoint.position for checkpoint in self.every}
        if len(self.every) > len(self.checkpoints) and len(stand) > 1:
            _reached("buckets-apart")

    def _replayed(self, segment: Segment) -> bool:
        before = len(segment.events)
        nothing_left = super()._replayed(segment)
        if len(segment.events) < before:
            _reached("replay-suppressed" if nothing_left else "replay-divided")
        return nothing_left

    def _unspool(self) -> None:
        super()._unspool()
        _reached("lane-unspilled")


class WatchedCatchUp(TableCatchUp):
    def admit(self, transaction: Transaction, event: Event) -> Event | None:
        admitted = super().admit(transaction, event)
        if admitted is None:
            _reached("chunk-dropped-change")
        elif admitted is event:
            _reached("chunk-admitted-change")
        else:
            _reached("chunk-divided-move")
        return admitted


class WatchedChunkCopy(ChunkCopy):
    async def _plan(
        self, relation: Relation, stored: Sequence[ChunkDone], loader: Any, *, again: bool
    ) -> list[Chunk]:
        chunks = await super()._plan(relation, stored, loader, again=again)
        if stored and chunks and not again and len(chunks) < len(stored):
            _reached("load-resumed")
        return chunks


class WatchedReader(Reader):
    def _number_parts(self, block: Block) -> None:
        before = sum(len(part.events) for part in block.parts)
        super()._number_parts(block)
        if sum(len(part.events) for part in block.parts) < before:
            _reached("repeat-dropped")


class WatchedSuspension(Suspension):
    def resume(self, standing: Any, parse: Any, dropped: Any) -> bool:
        resumed = super().resume(standing, parse, dropped)
        if resumed:
            _reached("stopped-table-resumed")
        return resumed


class WatchedBudget(Budget):
    """Also that the limit holds, whatever it was before: I-18."""

    async def reserve(self, size: int) -> None:
        if self._waiting or not self._fits(size):
            _reached("queue-full")
        await super().reserve(size)

    def resize(self, bytes_max: int) -> None:
        super().resize(bytes_max)
        if self.used > self.bytes_max:
            _reached("queue-over-full")

    def _grant(self, size: int) -> None:
        super()._grant(size)
        if self.used > self.bytes_max and self.used != size:
            _fail(f"{self.used} bytes are held where {self.bytes_max} may be")


class WatchedProvision(Provision):
    """Registers itself with its process, so that its size may be changed from outside."""

    def __init__(self, budget_of: Callable[[int], capacity.Budget], units: int) -> None:
        super().__init__(budget_of, units)
        process = current_process()
        assert process is not None
        _WATCH.get().world.provisions[process] = self


class WatchedStreaming(Streaming):
    """Registers itself with its process, so that every step may look at its positions."""

    reader: Reader | None = None

    async def run(self, control: TargetSession) -> Outcome:
        process = current_process()
        assert process is not None
        if self._loading.late_keys:
            _reached("keys-put-off")
        streaming = _WATCH.get().streaming
        streaming[process] = self
        try:
            return await super().run(control)
        finally:
            streaming.pop(process, None)

    def _reader(self) -> Reader:
        self.reader = super()._reader()
        return self.reader

    @property
    def chain(self) -> tuple[Position | None, str, Position, Position]:
        """Acknowledged, stored, applied, dispatched."""
        assert self.reader is not None
        committer = self._committer
        return (
            committer.acknowledged,
            committer.stored,
            self._frontier.position,
            self.reader.passed,
        )

    @property
    def held_bytes(self) -> int:
        return self._budget.used


def _fail(text: str) -> None:
    world = _WATCH.get().world
    violation = ViolationError(text)
    world.violation = world.violation or violation
    raise violation


class Watch:
    """What runs in a world. `step` is to be called before every step of a process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.streaming: dict[Process, WatchedStreaming] = {}
        self._seen: tuple[Process, tuple[object, ...]] | None = None

    def step(self, process: Process) -> None:
        """acknowledged <= stored <= applied <= dispatched <= received, at every step: I-01."""
        streaming = self.streaming.get(process)
        if streaming is None or streaming.reader is None:
            return
        chain = streaming.chain
        if self._seen == (process, chain):
            return
        self._seen = (process, chain)
        acknowledged, stored, *rest = chain
        told = acknowledged or LogPosition(0)
        positions = [told, LogPosition.parse(stored), *rest, self.world.delivered]
        if any(not later.reaches(earlier) for earlier, later in pairwise(positions)):
            names = ", ".join(map(str, positions))
            _fail(f"acknowledged, stored, applied, dispatched, received: {names}")

    def settled(self) -> None:
        """When everything is applied, nothing is held of the memory that rows were given: a byte
        kept is a byte less for good."""
        for process, streaming in self.streaming.items():
            if process.alive and streaming.held_bytes:
                _fail(f"{process.name} holds {streaming.held_bytes} bytes of nothing")


REPLACED: Final[Mapping[str, type]] = {
    "engine.pipeline.Provision": WatchedProvision,
    "engine.flow.Streaming": WatchedStreaming,
    "engine.streaming.Frontier": WatchedFrontier,
    "engine.streaming.Scheduler": WatchedScheduler,
    "engine.streaming.Budget": WatchedBudget,
    "engine.streaming.Reader": WatchedReader,
    "engine.lane_table.Lane": WatchedLane,
    "engine.loading.TableCatchUp": WatchedCatchUp,
    "engine.copying.ChunkCopy": WatchedChunkCopy,
    "engine.apply.suspension.Suspension": WatchedSuspension,
}


@contextmanager
def watched(world: World) -> Iterator[Watch]:
    """What is started in here is watched for this world."""
    watch = Watch(world)
    token = _WATCH.set(watch)
    try:
        with ExitStack() as stack:
            for place, kind in REPLACED.items():
                stack.enter_context(patch(place, kind))
            yield watch
    finally:
        _WATCH.reset(token)
