"""Reaching a replication's control rows in its target, for commands that change them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from engine.contracts import Target, TargetSession, TargetTransaction, TransactionalTarget
from engine.errors import ConfigError, TargetBusyError

ATTEMPTS_MAX: Final = 5
"""Tries for the owner's row lock: a worker holds it for milliseconds at a time."""

PAUSE_SECONDS: Final = 0.5


@asynccontextmanager
async def control_session(target: Target) -> AsyncIterator[TargetSession]:
    """A session of an opened target whose control tables are there; closes the target.

    Raises:
        ConfigError: the target keeps no control rows; TargetError: it cannot be reached.
    """
    if not isinstance(target, TransactionalTarget):
        raise ConfigError("target.engine", "keeps no state that this command could change")
    try:
        await target.open()
        await target.prepare_control()
        async with target.session() as session:
            yield session
    finally:
        await target.close()


@asynccontextmanager
async def owner_locked(session: TargetSession) -> AsyncIterator[TargetTransaction]:
    """A transaction that holds the replication's owner row, so no worker changes it meanwhile.

    Raises:
        TargetBusyError: the lock was not to be had.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        async with session.begin() as transaction:
            try:
                await transaction.lock_owner()
            except TargetBusyError:
                if attempt == ATTEMPTS_MAX:
                    raise
            else:
                yield transaction
                return
        await asyncio.sleep(PAUSE_SECONDS)
