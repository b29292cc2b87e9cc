"""Refused rows are kept whatever their number, as far as the server takes each by itself."""

from dataclasses import replace

import pytest

from engine.errors import RowRejectedError, TargetError
from engine.model.state import RejectedRow
from tests.contract.writing import a_rejected_row
from tests.integration.mysql_target.conftest import Rig

MEGABYTE = 1 << 20


def kept(rig: Rig, size: int) -> RejectedRow:
    payload = '{"new": "' + "x" * size + '"}'
    return replace(a_rejected_row(), table=rig.name(), payload=payload)


def packet_bytes(rig: Rig) -> int:
    ((size,),) = rig.execute("SELECT @@global.max_allowed_packet")
    return int(size)


def sizes(rig: Rig) -> list[tuple[int]]:
    return rig.execute(
        "SELECT LENGTH(payload) > 1048576 FROM penstock.quarantine WHERE schema_name = %s",
        rig.database.name,
    )


async def test_more_of_them_than_fit_into_one_packet_are_kept(rig: Rig) -> None:
    number = packet_bytes(rig) // MEGABYTE + 2
    async with rig.session.begin([rig.fence]) as transaction:
        for _ in range(number):
            await transaction.reject(kept(rig, MEGABYTE))
        await transaction.commit()
    assert sizes(rig) == [(1,)] * number


async def test_one_that_no_packet_holds_ends_it_with_the_reason(rig: Rig) -> None:
    async with rig.session.begin([rig.fence]) as transaction:
        with pytest.raises(TargetError, match="cannot be kept") as refused:
            await transaction.reject(kept(rig, packet_bytes(rig)))
    assert not isinstance(refused.value, RowRejectedError)
    assert str(rig.name()) in refused.value.message
    assert "max_allowed_packet" in refused.value.hint
    assert not rig.session.broken
    assert not sizes(rig)
