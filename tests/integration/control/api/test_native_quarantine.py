"""Our own route to rows that were kept aside: with values, for admins."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from engine.config.secret import Secret
from engine.control import quarantine_keys
from engine.control.client.errors import FaultError, WrongRequestError
from engine.control.quarantine_keys import USE
from engine.errors import TargetConnectionError
from engine.model.relation import TableName
from engine.model.state import QuarantinedRow, RejectedRow
from engine.quarantine import Sealer
from engine.seams import SystemRandom
from tests.integration.control.api.daemon import READER, Daemon, serving
from tests.integration.control.api.test_native import asked, client, put

PLAIN = (
    '{"operation":"insert","wire":"postgres","columns":[{"name":"v","type":"text",'
    '"format":"text"}],"new":{"v":"Y2FuYXJ5"},"old":null}'
)
"""`v` is "canary"."""

ROW = RejectedRow(
    TableName("public", "t"), "public.t", "0/15", "insert", "rejected-row", "23514", "no", PLAIN
)


def kept(*rows: RejectedRow) -> list[QuarantinedRow]:
    return [QuarantinedRow(n, f"2026-01-0{n}", row) for n, row in enumerate(rows, 1)]


async def key_of(daemon: Daemon, id: str) -> Secret:
    services = daemon.services
    return await quarantine_keys.current(daemon.store, services.vault, services.random, id)


async def test_rows_come_in_pages_each_opened_with_whatever_key_it_has(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        own = Sealer("ORDERS7", await key_of(daemon, "ORDERS7"), SystemRandom())
        text = base64.b64encode(daemon.services.vault.derived(USE)).decode()
        before = Sealer("ORDERS7", Secret(text), SystemRandom())
        sealed = own.sealed(ROW)
        daemon.idle.kept = kept(ROW, sealed, before.sealed(ROW))
        first = await asked(client(daemon).get, "replications", "orders", "quarantine")
        rest = await asked(
            client(daemon).get, "replications", "orders", "quarantine", after=first["after"]
        )
        end = await asked(
            client(daemon).get, "replications", "orders", "quarantine", after=rest["after"]
        )
    assert daemon.idle.asked == [("rows", "ORDERS7", "lake", after) for after in ("0", "2", "3")]
    assert end == {"rows": []}
    rows = [*first["rows"], *rest["rows"]]
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert [row["new"] for row in rows] == [{"v": "Y2FuYXJ5"}] * 3
    assert rows[0]["table"] == {"schema": "public", "name": "t"}
    assert rows[0]["position"] == "0/15"
    assert [(entry.operation, entry.resource, entry.result) for entry in daemon.audit] == [
        ("GetReplicationQuarantine", "orders", "done")
    ] * 3
    assert "canary" not in daemon.log
    assert "Y2FuYXJ5" not in daemon.log


async def test_what_no_key_opens_is_told_beside_what_one_does(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        await put(daemon, "people")
        own = Sealer("ORDERS7", await key_of(daemon, "ORDERS7"), SystemRandom())
        theirs = Sealer("PEOPLE7", await key_of(daemon, "PEOPLE7"), SystemRandom())
        daemon.idle.kept = kept(theirs.sealed(ROW), own.sealed(ROW))
        answer = await asked(client(daemon).get, "replications", "orders", "quarantine")
        foreign, mine = answer["rows"]
        assert "new" not in foreign
        assert "which is not here" in foreign["sealed"]
        assert mine["new"] == {"v": "Y2FuYXJ5"}
        daemon.idle.kept = kept(replace(own.sealed(ROW), position="0/16"))
        (moved,) = (await asked(client(daemon).get, "replications", "orders", "quarantine"))["rows"]
        assert "were changed since they were kept" in moved["sealed"]


async def test_who_may_only_read_sees_no_values(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        daemon.idle.kept = kept(ROW)
        with pytest.raises(WrongRequestError, match="penstock:GetReplicationQuarantine"):
            await asked(client(daemon, READER).get, "replications", "orders", "quarantine")
        assert daemon.idle.asked == []
        (entry,) = daemon.audit
        assert (entry.who, entry.result) == ("dashboard", "AccessDeniedException")


async def test_a_target_that_cannot_be_read_is_the_callers_to_know_of(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        daemon.idle.unreadable = TargetConnectionError("db does not answer", hint="see to it")
        with pytest.raises(FaultError, match=r"db does not answer \(see to it\)") as refused:
            await asked(client(daemon).get, "replications", "orders", "quarantine")
        assert (refused.value.code, refused.value.exit_code) == ("FailedDependencyFault", 1)


@pytest.mark.parametrize("after", ["-1", "x", "9223372036854775808", "٣"])
async def test_a_number_that_no_row_has(tmp_path: Path, after: str) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        with pytest.raises(WrongRequestError, match="after must be a whole number"):
            await asked(client(daemon).get, "replications", "orders", "quarantine", after=after)
