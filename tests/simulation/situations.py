"""Situations: what a run got into, beside what struck it.

A fault may strike and change nothing. What counts is whether the engine was ever in the place that
a guard of it is for: each such place has a name here, and a tier of runs in which one of them was
never reached has proven nothing about it, and fails (`tests.chaos`).
"""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from connectors.memory.control import CHUNKS
from engine.model.chunk import ChunkDone
from engine.model.position import LogPosition
from engine.model.state import FRONTIER, LaneRow
from engine.observe.log import Line
from engine.spool import SPOOL_PREFIX
from tests.simulation.world import Client, World

SITUATIONS: Final[Mapping[str, str]] = {
    # a process ends
    "crash-after-commit": "killed between a commit on the target and the frontier that tells of it",
    "crash-before-acknowledge": "killed with a frontier stored that the source was not told of",
    "crash-inside-transaction": "killed with one part of a source transaction committed",
    "crash-in-load": "killed with some chunks of a table done and others not",
    "crash-with-overflow": "killed with changes waiting on disk",
    "commit-cut-landed": "ended while a COMMIT was on its way, and it was done",
    "commit-cut-lost": "ended while a COMMIT was on its way, and it never arrived",
    "commit-cut-late": "ended while a COMMIT was on its way, and it was done after the end",
    "stop-in-load": "asked to end while tables were loaded",
    "stop-in-stream": "asked to end while changes were applied",
    "drain-given-up": "asked to end, and what was in flight took longer than the drain may",
    # a process goes on, or the next one does
    "commit-unknown-landed": "the answer to COMMIT was lost, and the claim found it done",
    "commit-unknown-lost": "the answer to COMMIT was lost, and the claim found it not done",
    "commit-late": "a COMMIT was done after its client gave up, before the next claim",
    "target-rewound": "the target lost commits that it had reported, and the next claim met that",
    "replay-suppressed": "a change came again, and the checkpoint said it was applied",
    "replay-divided": "of one transaction that came again a part was applied, the rest was not",
    "repeat-dropped": "a change came again over the same stream, and capture dropped it",
    # owners
    "zombie-fenced": "a process that had stood still found that it was replaced",
    "owner-replaced": "a healthy owner found that another had taken over",
    "rival-refused": "a second process found a healthy owner, and left",
    # the frontier, lanes, memory
    "keepalive-moved-frontier": "an idle position of the source moved the frontier",
    "lane-handed-over": "a lane with work waiting went from one applier to another",
    "share-helped": "an applier took a share of a batch that another had divided",
    "buckets-apart": "a process began with buckets of one table at different places",
    "applier-dismissed": "an applier left as there were more than were wanted, and others went on",
    "queue-over-full": "the queue shrank to less than it held",
    "queue-full": "capture waited for room in the queue",
    "lane-spilled": "a lane that did not move went to disk, and its neighbours flowed on",
    "lane-unspilled": "a lane took back what had gone to disk",
    "spill-refused": "a lane did not move, and the disk had no room for it",
    "stuck-stopped": "the source waited long enough for a lane, and its tables stopped",
    # load and hand-over
    "load-resumed": "a load went on with the chunks that were not done",
    "load-began-anew": "chunks could not be joined with the log, and the table began anew",
    "chunk-refused": "a chunk was not read, as its table had been altered or emptied since",
    "table-reshaped": "a target's table was of an older version, and was loaded from its beginning",
    "chunk-dropped-change": "a change was in the snapshot of its chunk already",
    "chunk-admitted-change": "a change was not in the snapshot of its chunk",
    "chunk-divided-move": "a row moved between chunks of which only one had seen it",
    "reloaded": "a table was loaded again while the stream ran",
    "keys-put-off": "foreign keys waited until tables read at different moments fitted together",
    # refused rows and schema changes
    "table-stopped": "a row was refused, and its table stopped",
    "load-set-aside": "a row was refused in a load, and its table was set aside",
    "table-came-back": "what had waited for a stopped table was applied, and it streams again",
    "stopped-table-resumed": "the stream began again, and went on with what waited on disk",
    "changes-dropped": "what waited for a stopped table was lost, and it needs a reload",
    "waiting-lost": "what waited for a stopped table ended with its process, and it needs a reload",
    "row-kept": "a refused row was kept aside, and its table went on",
    "schema-applied": "a change of columns was applied",
}

BY_ACTION: Final[Mapping[str, str]] = {
    "overflow.spill": "lane-spilled",
    "overflow.no-room": "spill-refused",
    "overflow.table-stopped": "stuck-stopped",
    "apply.table-stopped": "table-stopped",
    "load.table-stopped": "load-set-aside",
    "apply.mended": "table-came-back",
    "apply.changes-dropped": "changes-dropped",
    "apply.schema": "schema-applied",
    "pipeline.drain": "drain-given-up",
    "reload.done": "reloaded",
}
"""Log lines that tell of a situation."""

BY_ERROR: Final[Mapping[str, str]] = {
    "while it was loaded": "chunk-refused",
    "SnapshotLostError": "load-began-anew",
}
"""Errors that an attempt may end with, as `pipeline.retry` names them; the first that fits."""


def attach(world: World) -> None:
    """Count what is seen from outside; `watching` counts what only the engine knows."""
    world.on_line = lambda line: _count(world, [of_line(line)])
    world.on_crash = lambda client: _count(world, of_crash(world, client))


def _count(world: World, names: Sequence[str | None]) -> None:
    world.reached.update([name for name in names if name is not None])


def of_line(line: Line) -> str | None:
    """The situation that a log line tells of."""
    action = str(line.fields.get("action", ""))
    if action != "pipeline.retry":
        return BY_ACTION.get(action)
    error = str(line.fields.get("error", ""))
    return next((name for word, name in BY_ERROR.items() if word in error), None)


def of_crash(world: World, client: Client) -> list[str]:
    """Where a process stands that is about to be killed."""
    lanes = world.lanes()
    stored = world.frontier
    positions = [_position(row) for name, row in lanes.items() if _is_of_tables(name)]
    found = {
        "crash-after-commit": any(position > stored for position in positions),
        "crash-before-acknowledge": FRONTIER in lanes and client.acknowledged < stored,
        "crash-inside-transaction": any(position.ordinal for position in positions),
        "crash-in-load": _partly_loaded(world),
        "crash-with-overflow": any(n.startswith(SPOOL_PREFIX) for n in world.disk.names()),
    }
    return [name for name, is_there in found.items() if is_there]


def _is_of_tables(lane: str) -> bool:
    return lane != FRONTIER and not lane.startswith(("load:", "finish:"))


def _position(row: LaneRow) -> LogPosition:
    return LogPosition.parse(row.position) if row.position else LogPosition(0)


def chunks(world: World) -> list[ChunkDone]:
    """The chunk records stored on the target; with a snapshot when the chunk is done."""
    return [cast(ChunkDone, row[3]) for row in world.target.visible_rows(CHUNKS)]


def _partly_loaded(world: World) -> bool:
    done: dict[str, set[bool]] = {}
    for chunk in chunks(world):
        done.setdefault(str(chunk.table), set()).add(bool(chunk.snapshot))
    return any(len(states) == 2 for states in done.values())
