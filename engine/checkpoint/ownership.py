"""Who may move a replication's checkpoints: claim, and the watch that notices a newer owner.

A claim compares what is stored with what we are, raises the epoch, and in the same transaction
raises every lane's, so a predecessor's next commit fails whatever it is doing. What the lane rows
held at that moment is the only truth that the new owner starts from.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from engine.config.fingerprint import changed_parts
from engine.contracts import TargetSession, TargetTransaction, TransactionalTarget
from engine.errors import (
    ConfigError,
    FencedError,
    SourceIdentityError,
    TargetBusyError,
    TargetRewoundError,
)
from engine.failpoint import hit, register
from engine.model.chunk import ChunkDone
from engine.model.relation import TableName
from engine.model.state import LaneRow, Owner, TableRecord

CLAIMED: Final = register("ownership.claimed", "the epoch is raised, nothing else done")

WATCH_SECONDS: Final = 5.0
"""Time between looks at the owner row. An idle predecessor never commits, so it would not notice a
newer owner by itself; five seconds bound how long it goes on believing."""

LOCK_ATTEMPTS_MAX: Final = 20
"""Tries to lock the owner row, each as long as the session's lock timeout, ending the recorded
sessions of the predecessor in between."""

NO_ANSWERS: Final[Mapping[TableName, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: `identity` is the source's, `fingerprint` the configuration's, `process` words
    for people, `token` this process's own."""

    identity: str
    fingerprint: str
    process: str
    token: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What the control tables held when the epoch was raised."""

    epoch: int
    fresh: bool
    """The target did not know this replication before."""
    lanes: Mapping[str, LaneRow]
    tables: Sequence[TableRecord]
    chunks: Sequence[ChunkDone]


async def claim(
    target: TransactionalTarget,
    session: TargetSession,
    claimant: Claimant,
    *,
    held_epoch: int | None = None,
) -> Claim:
    """Become the owner. `held_epoch`: we were the owner with this epoch and had lost the target.

    Raises:
        SourceIdentityError, ConfigError: stored and present differ; nothing was touched.
        FencedError: another process took the replication over meanwhile.
    """
    for _ in range(LOCK_ATTEMPTS_MAX):
        try:
            result, predecessor = await _claim_once(session, claimant, held_epoch)
        except TargetBusyError:
            await _end_predecessor(target, session)
            continue
        hit(CLAIMED)
        if predecessor is not None and predecessor.sessions:
            # Fenced they do no harm, but those of a process that hangs keep locks and origins.
            await target.terminate(predecessor.sessions)
        return result
    raise TargetBusyError(
        "the owner row of the replication stays locked",
        hint="end the session that holds it in the target (see pg_locks on penstock.owner)",
    )


async def _claim_once(
    session: TargetSession, claimant: Claimant, held_epoch: int | None
) -> tuple[Claim, Owner | None]:
    """The claim, and the owner there was before."""
    async with session.begin() as transaction:
        owner = await transaction.lock_owner()
        if owner is not None:
            _check(owner, claimant, held_epoch)
        epoch = _next_epoch(owner, claimant, held_epoch)
        await transaction.save_owner(
            Owner(epoch, claimant.identity, claimant.fingerprint, claimant.process, claimant.token)
        )
        lanes = await transaction.raise_lanes(epoch)
        tables = await transaction.tables()
        chunks = await transaction.chunks()
        await transaction.commit()
    return Claim(epoch, owner is None, lanes, tables, chunks), owner


def _next_epoch(owner: Owner | None, claimant: Claimant, held_epoch: int | None) -> int:
    """One more than any that is known. When the target has lost claims, another owner may have
    counted up from the same place: a part of our token keeps the two apart."""
    stored = owner.epoch if owner is not None else 0
    if held_epoch is None or stored >= held_epoch:
        return stored + 1
    return held_epoch + 1 + int(claimant.token[:4], 16)


def _check(owner: Owner, claimant: Claimant, held_epoch: int | None) -> None:
    ours = owner.token == claimant.token
    if held_epoch is not None and not ours and owner.epoch >= held_epoch:
        raise fenced(owner)
    if owner.identity != claimant.identity:
        raise SourceIdentityError(
            f"this replication belongs to source {owner.identity}, but {claimant.identity} answers",
            hint="point [source] url back at the first server, or give the replication a new id",
        )
    if owner.fingerprint != claimant.fingerprint:
        changed = ", ".join(changed_parts(owner.fingerprint, claimant.fingerprint))
        raise ConfigError(
            "replication",
            f"what the stored positions mean has changed since the last run: {changed}",
            hint="take the change back, or give the replication a new id",
        )


def fenced(owner: Owner | None) -> FencedError:
    """The error that ends an owner whom another has replaced."""
    who = f"{owner.process} (epoch {owner.epoch})" if owner is not None else "somebody unknown"
    return FencedError(
        f"another process owns this replication now: {who}",
        hint="stop that one first, or start this one with --take-over",
    )


def rewound() -> TargetRewoundError:
    """The error for a target that went back to a state of before."""
    return TargetRewoundError(
        "the target has lost commits it had reported",
        hint="it was restored or failed over; the changes are read again",
    )


def _still_ours(owner: Owner | None, epoch: int) -> Owner:
    """The owner row, when it is as we left it; a target may also have lost our claim."""
    if owner is None or owner.epoch < epoch:
        raise rewound()
    if owner.epoch > epoch:
        raise fenced(owner)
    return owner


async def _end_predecessor(target: TransactionalTarget, session: TargetSession) -> None:
    """End the sessions the predecessor recorded: one of them holds the lock and hangs."""
    async with session.begin() as transaction:
        owner = await transaction.peek_owner()
        await transaction.rollback()
    if owner is not None and owner.sessions:
        await target.terminate(owner.sessions)


async def record_sessions(
    session: TargetSession, epoch: int, sessions: Sequence[tuple[int, str]]
) -> None:
    """Write our sessions beside the epoch: a successor ends them."""
    async with session.begin() as transaction:
        owner = _still_ours(await transaction.lock_owner(), epoch)
        await transaction.save_owner(
            Owner(
                epoch,
                owner.identity,
                owner.fingerprint,
                owner.process,
                owner.token,
                tuple(sessions),
            )
        )
        await transaction.commit()


async def read_rows(control: TargetSession, epoch: int) -> Mapping[str, LaneRow]:
    """Every checkpoint row, after commits in progress, while we are the owner: a row that a
    successor has raised must never be taken for ours, or its epoch would pass our fences."""
    async with control.begin() as transaction:
        rows = await transaction.lanes()
        owner = await transaction.peek_owner()
        await transaction.rollback()
    _still_ours(owner, epoch)
    if any(row.epoch > epoch for row in rows.values()):
        raise fenced(owner)
    if any(row.epoch < epoch for row in rows.values()):
        raise rewound()
    return rows


async def check_owner(control: TargetSession, epoch: int) -> None:
    """Raise FencedError when a newer owner is there."""
    async with control.begin() as transaction:
        stored, _ = await transaction.glance()
        owner = await transaction.peek_owner() if stored > epoch else None
        await transaction.rollback()
    if stored > epoch:
        raise fenced(owner)


@asynccontextmanager
async def owned(control: TargetSession, epoch: int) -> AsyncIterator[TargetTransaction]:
    """A transaction under the owner row, while we are the owner; the caller commits it."""
    async with control.begin() as transaction:
        _still_ours(await transaction.lock_owner(), epoch)
        yield transaction


async def store_rows(
    control: TargetSession,
    epoch: int,
    rows: Mapping[str, LaneRow],
    tables: Sequence[TableRecord] = (),
    answered: Mapping[TableName, int] = NO_ANSWERS,
    instead_of: Collection[str] = (),
) -> None:
    """Store checkpoint rows and table states, while we are the owner. `answered`: the reload
    requests that these states are the answer to, by number. `instead_of`: checkpoint rows that
    these replace, in the same transaction."""
    if not rows and not tables:
        return
    async with owned(control, epoch) as transaction:
        for name in instead_of:
            await transaction.remove_lane(name)
        for name, row in rows.items():
            await transaction.save_lane(name, row)
        for record in tables:
            await transaction.save_table(record)
        for table, number in answered.items():
            await transaction.answer_reload(table, number)
        await transaction.commit()


class SeqSum:
    """Sum of the seqs of everything we committed; never more than the target holds."""

    def __init__(self, start: int) -> None:
        self.committed = start

    def add(self, fences: int) -> None:
        """A transaction with this many fences is durable."""
        self.committed += fences


async def watch(session: TargetSession, epoch: int, seqs: SeqSum) -> None:
    """Look at the owner row every `WATCH_SECONDS`, until cancelled.

    Raises:
        FencedError: a newer owner is there.
        TargetRewoundError: the target holds fewer commits than it reported to us.
    """
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        expected = seqs.committed
        async with session.begin() as transaction:
            stored_epoch, stored = await transaction.glance()
            owner = await transaction.peek_owner() if stored_epoch != epoch else None
            await transaction.rollback()
        if stored_epoch > epoch:
            raise fenced(owner)
        if stored_epoch < epoch or stored < expected:
            raise rewound()
