"""Which of several daemons on one store acts: one row, with a fencing number.

    lease = await acquire(store, holder)     # None: another daemon acts; ask again later
    lease = await renew(store, lease)        # every `RENEWAL_SECONDS`; LeaseLostError: stop acting
    async with store.write(fence=lease.number) as writing: ...

Time is the store's, so daemons whose clocks differ agree on who holds it. Whoever renews late may
find that another one has taken over; whatever it still tries to write is refused in the same
transaction, by its number. What it does elsewhere (workers) is fenced by their own epochs.
"""

from dataclasses import replace
from typing import Final

from engine.control.store.contract import Store
from engine.control.store.errors import LeaseLostError
from engine.control.store.records import LeaseRow

LEASE_SECONDS: Final = 10.0
"""A standby takes over this long after the last renewal; 15 s is promised."""

RENEWAL_SECONDS: Final = 3.0
"""Two renewals may be lost to a slow store before a third is too late."""


async def acquire(store: Store, holder: str, *, seconds: float = LEASE_SECONDS) -> LeaseRow | None:
    """Take the lease where it is free, has run out, or is this holder's already: with a number
    greater than any before. None when another holder has it.

    `holder` names one daemon (host and state directory, say), so that one that was killed need not
    wait for its own lease. Two live daemons of one name would take it from each other in turns.
    """
    async with store.write() as writing:
        now = await writing.now()
        held = await writing.lease()
        if held.holder != holder and not held.free(now):
            return None
        lease = LeaseRow(holder, held.number + 1, now, seconds)
        await writing.put_lease(lease)
    return lease


async def renew(store: Store, lease: LeaseRow) -> LeaseRow:
    """The lease, held from now on for its length; also when it had run out but nobody took it.

    Raises LeaseLostError when another daemon has it.
    """
    async with store.write(fence=lease.number) as writing:
        renewed = replace(lease, renewed=await writing.now())
        await writing.put_lease(renewed)
    return renewed


async def release(store: Store, lease: LeaseRow) -> None:
    """Give the lease back, so that a standby need not wait. Lost meanwhile, there is nothing to
    give back."""
    try:
        async with store.write(fence=lease.number) as writing:
            await writing.put_lease(LeaseRow(number=lease.number))
    except LeaseLostError:
        return


async def current(store: Store) -> LeaseRow | None:
    """Who holds it now; None when it is free."""
    async with store.read() as reading:
        held = await reading.lease()
        return None if held.free(await reading.now()) else held
