"""Every session of an owner is on record while it is open, and refused once another owns."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from engine.checkpoint.ownership import claim
from engine.checkpoint.sessions import Sessions
from engine.contracts import TargetSession
from engine.errors import FencedError, TargetRewoundError
from tests.unit.checkpoint.test_ownership import FIRST, SECOND, Server


async def recorded(session: TargetSession) -> tuple[tuple[int, str], ...]:
    async with session.begin() as transaction:
        owner = await transaction.peek_owner()
        await transaction.rollback()
    assert owner is not None
    return owner.sessions


async def test_sessions_are_on_record_while_they_are_open() -> None:
    server = Server()
    async with server.process() as (target, control):
        claimed = await claim(target, control, FIRST)
        sessions = Sessions(target, claimed.epoch, control)
        async with sessions.open() as (first,):
            async with sessions.open() as (second,):
                opened = (control.identity, first.identity, second.identity)
                assert await recorded(control) == opened
            async with sessions.open() as (third,):
                assert await recorded(control) == (*opened[:2], third.identity)


async def test_sessions_that_are_opened_at_once_are_all_on_record_by_few_transactions() -> None:
    server = Server()
    async with server.process() as (target, control):
        claimed = await claim(target, control, FIRST)
        before = len(server.database.history)
        sessions = Sessions(target, claimed.epoch, control)
        async with AsyncExitStack() as stack:
            opening = [stack.enter_async_context(sessions.open()) for _ in range(8)]
            opened = [session for (session,) in await asyncio.gather(*opening)]
            identities = {control.identity, *(session.identity for session in opened)}
            assert set(await recorded(control)) == identities
        assert len(server.database.history) - before <= 2


async def test_a_claim_ends_every_session_on_record() -> None:
    server = Server()
    async with server.process() as (target, control), server.process() as (other, second):
        claimed = await claim(target, control, FIRST)
        async with Sessions(target, claimed.epoch, control).open(2) as (loader, other_loader):
            await claim(other, second, SECOND)
            assert loader.broken
            assert other_loader.broken
            assert control.broken
            assert not second.broken


async def test_a_session_that_comes_after_another_claim_is_refused() -> None:
    server = Server()
    async with server.process() as (target, control), server.process() as (other, second):
        claimed = await claim(target, control, FIRST)
        sessions = Sessions(target, claimed.epoch, control)
        await claim(other, second, SECOND)
        with pytest.raises(FencedError):
            async with sessions.open():
                pytest.fail("a session of an owner that was replaced")


async def test_a_target_that_lost_our_claim_is_not_taken_for_one_of_another_owner() -> None:
    server = Server()
    async with server.process() as (target, control):
        claimed = await claim(target, control, FIRST)
        sessions = Sessions(target, claimed.epoch + 1, control)
        with pytest.raises(TargetRewoundError):
            async with sessions.open():
                pytest.fail("a session of an owner that the target does not know")
