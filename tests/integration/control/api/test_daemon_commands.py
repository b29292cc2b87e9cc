"""The commands that ask the daemon, in front of the real operations."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from engine.control.acting import Figures
from engine.control.happenings import LEFT_BEHIND, SourceType
from engine.control.lifecycle import Status
from engine.control.logs.files import Stream
from engine.control.logs.lines import ENGINE_STREAM, GROUP, ORCHESTRATOR_STREAM
from engine.control.resources.table import TableFacts
from engine.model.state import TableState
from tests.integration.control.api.daemon import READER
from tests.integration.control.api.replicating import CONFIG, MAPPINGS, SOURCE, TARGET, add_pair
from tests.integration.control.api.shell import Town, in_town


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    async with in_town(tmp_path, monkeypatch) as town:
        yield town


# --- status ---


async def test_nothing_yet(town: Town) -> None:
    assert "no replications; `penstock apply FILE` makes one" in await town.done("status")
    assert await town.told("status") == []


async def test_status_of_all_and_of_one(town: Town) -> None:
    key = await town.orders()
    first, row = (await town.done("status")).splitlines()
    assert first.split() == ["ID", "STATUS", "PHASE", "LAG", "UNITS", "ROWS", "SINCE"]
    assert row.split()[:6] == ["Orders", "created", "-", "-", "-", "-"]
    await town.done("start", "orders")
    told = {"state": "streaming", "latency_target_seconds": 0.012, "units": 2, "load_rows": 1_000}
    town.daemon.idle.told[key] = Figures({**told, "target_rows": 234}, unit_hours=1.5)
    row = (await town.done("status")).splitlines()[1]
    assert row.split()[:7] == ["Orders", "running", "streaming", "12", "ms", "2", "1,234"]
    details = await town.done("status", "ORDERS")
    for line in ("from        shop", "lag         12 ms", "unit-hours  1.50 this month"):
        assert line in details, details
    found = await town.told("status", key)
    assert (found["identifier"], found["rows_applied"]) == ("Orders", 234)
    town.daemon.idle.told[key] = Figures({"state": "loading", "load_rows": 10})
    await town.fleet.tables(
        key, TableFacts(schema="a", table="b", state="loading", loaded=1, estimated=4)
    )
    assert "loading 25%" in await town.done("status")


async def test_a_table_that_stands_is_seen_everywhere(town: Town) -> None:
    """With why and what to do; AWS's statistics have no place for it."""
    key = await town.orders()
    await town.done("start", "orders")
    town.daemon.idle.told[key] = Figures({"state": "streaming", "verdict": "idle"})
    why = "public.b, constraint k: a constraint forbids it (mend the row)"
    await town.fleet.tables(
        key,
        TableFacts(schema="public", table="a", state="streaming"),
        TableFacts(schema="public", table="b", state="suspended", error=why),
        TableFacts(schema="public", table="c", state="needs-reload"),
    )
    assert "streaming, 2 tables errored" in (await town.done("status")).splitlines()[1]
    details = (await town.done("status", "orders")).splitlines()
    mend = "its changes wait on disk, and it goes on once that is mended"
    assert f"errored     {why} - {mend}" in details
    assert (
        "errored     public.c: needs a new load - load it again with `penstock reload`" in details
    )
    assert not [line for line in details if line.startswith("limited by")], "nothing limits it"
    assert (await town.done("tables", "orders")).splitlines()[-2:] == [
        f"{why} - {mend}",
        "public.c: needs a new load - load it again with `penstock reload`",
    ]
    found = await town.told("status", "orders")
    assert [each["table"] for each in found["tables_stopped"]] == ["public.b", "public.c"]
    await town.done("stop", "orders")
    assert "  2 tables errored  " in (await town.done("status")).splitlines()[1]


async def test_what_runs_is_not_deleted_and_the_way_is_told(town: Town) -> None:
    await town.orders()
    await town.done("start", "orders")
    said = await town.refused(1, "delete", "orders", "--yes")
    assert said == (
        "error: Orders is running: what is deleted must not run - `penstock stop Orders` first"
    )


async def test_a_replication_that_failed_says_why(town: Town) -> None:
    key = await town.orders()
    await town.fleet.life(key, status=Status.INITIALIZING)
    await town.fleet.life(key, status=Status.FAILED, failures=("Test connection failed for x",))
    assert "failure  " in await town.done("status", "orders")
    assert "Test connection failed for x" in await town.done("status", "orders")


async def test_watching_needs_a_terminal_or_json(town: Town) -> None:
    said = await town.refused(2, "status", "--watch")
    assert said == (
        "error: --watch: redraws a terminal, and there is none - use it with --output json"
    )


def looks(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Ctrl-C comes after so many looks."""
    left = [None] * (count - 1)

    def sleep(_seconds: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()

    monkeypatch.setattr("engine.control.cli.status.time.sleep", sleep)


async def test_watching_in_json_is_a_line_for_each_look(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.orders()
    looks(monkeypatch, 3)
    lines = (await town.done("status", "--watch", "--output", "json")).splitlines()
    assert [json.loads(line)[0]["identifier"] for line in lines] == ["Orders"] * 3


async def test_watching_on_a_terminal_outlives_a_daemon_that_is_started_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.orders()
    monkeypatch.setattr("engine.control.cli.status.on_terminal", lambda: True)
    looks(monkeypatch, 2)
    assert "Orders  created" in await town.done("status", "--watch")
    looks(monkeypatch, 2)
    result = await town.penstock("status", "--watch", "--endpoint-url", "http://127.0.0.1:1")
    assert result.exit_code == 0
    assert "nobody listens at http://127.0.0.1:1" in " ".join(result.stdout.split())


# --- wrong input, the same for all ---


EVERY: Final = (
    ("status",),
    ("status", "orders"),
    ("logs", "orders"),
    ("start", "orders"),
    ("stop", "orders"),
    ("reload", "orders", "public.a"),
    ("tables", "orders"),
    ("events",),
    ("events", "orders"),
    ("delete", "orders", "--yes"),
)


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
async def test_a_wrong_url_a_wrong_key_and_nobody_there(town: Town, words: tuple[str, ...]) -> None:
    said = await town.refused(2, *words, "--endpoint-url", "localhost:8628")
    assert "--endpoint-url: must be a URL such as https://penstock.example:8628" in said
    said = await town.refused(2, *words, PENSTOCK_SECRET_ACCESS_KEY="wrong")
    assert "InvalidSignatureException" in said
    assert "check PENSTOCK_ACCESS_KEY_ID and PENSTOCK_SECRET_ACCESS_KEY" in said
    said = await town.refused(2, *words, PENSTOCK_ACCESS_KEY_ID="")
    assert "PENSTOCK_ACCESS_KEY_ID: is not set, but PENSTOCK_SECRET_ACCESS_KEY is" in said
    said = await town.refused(1, *words, "--endpoint-url", "http://127.0.0.1:1")
    assert "nobody listens at http://127.0.0.1:1 - is `penstock serve` running there?" in said


@pytest.mark.parametrize(
    "words", [words for words in EVERY if "orders" in words], ids=lambda words: words[0]
)
async def test_an_unknown_id(town: Town, words: tuple[str, ...]) -> None:
    said = await town.refused(2, *words)
    assert "has no replication orders - it has none yet: `penstock apply FILE`" in said
    await town.orders()
    wrong = ["ordres" if word == "orders" else word for word in words]
    said = await town.refused(2, *wrong)
    assert f"ID: http://127.0.0.1:{town.daemon.port} has no replication ordres" in said
    assert said.endswith("did you mean Orders?")
    wrong = ["zzz" if word == "orders" else word for word in words]
    assert (await town.refused(2, *wrong)).endswith("`penstock status` lists them")


@pytest.mark.parametrize(
    "words",
    [("start", "orders"), ("reload", "orders", "public.a"), ("delete", "orders", "--yes")],
    ids=lambda words: words[0],
)
async def test_a_key_that_may_only_read(town: Town, words: tuple[str, ...]) -> None:
    await town.orders()
    reader = {
        "PENSTOCK_ACCESS_KEY_ID": READER.id,
        "PENSTOCK_SECRET_ACCESS_KEY": READER.secret.reveal(),
    }
    said = await town.refused(2, *words, **reader)
    assert "is not authorized to perform: dms:" in said
    assert said.endswith("use a key with the role admin")


# --- start, stop ---


async def test_from_the_first_start_to_the_next(town: Town) -> None:
    key = await town.orders()
    first = (await town.done("start", "orders")).splitlines()
    assert first[-1] == "Orders  running"
    assert await town.done("start", "orders") == "Orders is running already\n"
    assert (await town.done("stop", "orders")).splitlines()[-1] == "Orders  stopped"
    assert await town.done("stop", "orders") == "Orders does not run: it is stopped\n"
    assert "stopped by  NORMAL" in await town.done("status", "orders")
    found = await town.told("start", "orders", "--resume")
    assert found["status"] == "running"
    await town.done("stop", "orders")
    await town.done("start", "orders", "--reload")
    async with town.daemon.store.read() as reading:
        record = await reading.get("replication", key)
    assert record is not None
    assert record.document["life"]["wish"]["begin"] == "reload"


async def test_not_waiting(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await town.orders()
    monkeypatch.setattr(town.daemon.idle, "wake", lambda _id: None)
    assert (await town.told("start", "orders", "--no-wait"))["status"] == "initializing"
    assert (await town.told("stop", "orders", "--no-wait"))["status"] == "stopping"
    assert await town.done("stop", "orders", "--no-wait") == "Orders  stopping\n"
    assert await town.fleet.settle(key) == [Status.STOPPED]


async def test_a_start_that_fails_says_why(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await town.orders()
    monkeypatch.setattr(town.daemon.idle, "wake", lambda _id: None)
    starting = asyncio.create_task(town.penstock("start", "orders"))
    while not town.daemon.audit or town.daemon.audit[-1].operation != "StartReplication":
        await asyncio.sleep(0.01)
    await town.fleet.life(key, status=Status.FAILED, failures=("no pg_hba.conf entry for host",))
    result = await starting
    assert result.exit_code == 1
    assert result.stderr == (
        "error: Orders has failed: no pg_hba.conf entry for host"
        " - `penstock logs Orders` has more\n"
    )


async def test_a_classic_task_is_shown_and_driven_by_its_own_operations(town: Town) -> None:
    await add_pair(town.daemon)
    made = await town.daemon.call(
        "create_replication_task",
        ReplicationTaskIdentifier="old",
        SourceEndpointArn=SOURCE,
        TargetEndpointArn=TARGET,
        ReplicationInstanceArn="arn:aws:dms:us-east-1:000000000000:rep:penstock",
        MigrationType="full-load-and-cdc",
        TableMappings=MAPPINGS,
    )
    arn = made["ReplicationTask"]["ReplicationTaskArn"]
    assert "old  " in await town.done("status")
    assert f"arn         {arn}" in await town.done("status", "old")
    assert "nothing yet: old has not been started" in await town.done("logs", "old")
    assert (await town.done("start", "OLD")).splitlines()[-1] == "old  running"
    assert await town.told("tables", "old") == []
    await town.fleet.tables(
        arn.rpartition(":")[2], TableFacts(schema="public", table="t", state="streaming")
    )
    assert "public.t" in await town.done("tables", "old")
    await town.done("reload", "old", "public.t")
    assert (await town.done("stop", arn)).splitlines()[-1] == "old  stopped"
    assert "running" in (await town.done("start", "old", "--reload")).splitlines()[-1]
    await town.done("stop", "old")
    assert "  replication-task  old  " in await town.done("events", "old")
    assert await town.done("delete", "old", "--yes") == "deleted  old\n"
    assert await town.told("status") == []
    done = [entry.operation for entry in town.daemon.audit]
    for operation in ("StartReplicationTask", "StopReplicationTask", "DeleteReplicationTask"):
        assert operation in done


async def test_one_of_two_by_the_same_name_is_told_apart_by_its_arn(town: Town) -> None:
    """A task may be called what a serverless replication is."""
    await town.orders()
    made = await town.daemon.call(
        "create_replication_task",
        ReplicationTaskIdentifier="orders",
        SourceEndpointArn=SOURCE,
        TargetEndpointArn=TARGET,
        ReplicationInstanceArn="arn:aws:dms:us-east-1:000000000000:rep:penstock",
        MigrationType="cdc",
        TableMappings=MAPPINGS,
    )
    arn = made["ReplicationTask"]["ReplicationTaskArn"]
    assert (await town.done("start", arn)).splitlines()[-1] == "orders  running"
    statuses = {each["arn"]: each["status"] for each in await town.told("status")}
    assert statuses.pop(arn) == "running"
    assert list(statuses.values()) == ["created"]
    said = await town.refused(2, "status", arn.replace(":task:", ":task:NO"))
    assert "has no replication arn:" in said


async def test_two_ways_to_start_at_once(town: Town) -> None:
    said = await town.refused(2, "start", "orders", "--reload", "--resume")
    assert said == "error: --reload: and --resume exclude each other"


# --- logs ---


def write(town: Town, key: str, stream: str, *lines: str) -> None:
    path = Stream(GROUP.format(id=key), stream).path(town.daemon.logs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


async def test_logs_of_both_streams(town: Town) -> None:
    key = await town.orders()
    assert "nothing yet: Orders has not been started" in await town.done("logs", "orders")
    orchestrator = ORCHESTRATOR_STREAM.format(id=key)
    engine = ENGINE_STREAM.format(run="serv-res-id-1700000000000-abc")
    write(town, key, orchestrator, "{'replication_state': 'initializing'}")
    write(town, key, engine, "1", "2", "3\x1b[31m")
    assert await town.done("logs", "orders", "-n", "2") == (
        f"==> {orchestrator} <==\n"
        "{'replication_state': 'initializing'}\n\n"
        f"==> {engine} <==\n2\n3\\x1b[31m\n"
    )
    only = await town.done("logs", "orders", "-n", "1", "--stream", "engine", "--output", "json")
    assert json.loads(only) == {"stream": engine, "line": "3\x1b[31m"}


async def test_following_a_log(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await town.orders()
    orchestrator = ORCHESTRATOR_STREAM.format(id=key)
    write(town, key, orchestrator, "a")
    shown: list[str] = []
    came = asyncio.Event()
    loop = asyncio.get_running_loop()

    def echo(text: object = "", **_: object) -> None:
        shown.append(str(text))
        loop.call_soon_threadsafe(came.set)
        if shown[-1] == "c":
            raise KeyboardInterrupt

    monkeypatch.setattr("engine.control.cli.logs.typer.echo", echo)
    following = asyncio.create_task(town.penstock("logs", "orders", "-f"))
    for line in ("b", "c"):
        while shown[-1:] not in (["a"], ["b"]):
            await came.wait()
            came.clear()
        write(town, key, orchestrator, line)
        if line == "b":
            while shown[-1:] != ["b"]:
                await came.wait()
                came.clear()
    assert (await following).exit_code == 0
    assert shown[:4] == [f"==> {orchestrator} <==", "a", "b", "c"]


# --- tables, reload ---


async def test_tables_and_reloading_some(town: Town) -> None:
    key = await town.orders()
    said = await town.done("tables", "orders")
    assert said == "none yet: Orders has not read its source's catalog\n"
    await town.done("start", "orders")
    await town.fleet.tables(
        key,
        TableFacts(
            schema="public", table="a", state=TableState.STREAMING.value, loaded=1_500, inserts=3
        ),
        TableFacts(schema="public", table="B c", state=TableState.SUSPENDED.value),
    )
    heading, *rows = (await town.done("tables", "orders")).splitlines()
    assert heading.split()[0] == "TABLE"
    assert rows.pop().startswith("public.B c: stopped; the log says why - its changes wait")
    assert [row.split("  ")[0] for row in rows] == ["public.B c", "public.a"]
    assert "1,500" in rows[1]
    assert len(await town.told("tables", "orders")) == 2
    said = await town.done("reload", "orders", "public.a", 'public."B c"')
    assert said == "public.a, public.B c will be copied again: the daemon begins within seconds\n"
    assert town.daemon.idle.asked[-1] == ("reload", key, "public.a", "public.B c")
    await town.done("stop", "orders")
    said = await town.refused(1, "reload", "orders", "public.a")
    assert "InvalidResourceStateFault" in said
    assert "is stopped" in said


async def test_a_file_that_is_not_there_is_no_id(town: Town) -> None:
    for name in ("orders.toml", "./orders"):
        said = await town.refused(2, "reload", name, "public.a")
        assert "cannot be read: No such file or directory" in said


# --- events, delete ---


async def test_events_of_one_and_of_all(town: Town) -> None:
    assert await town.done("events", "--since", "90min") == "nothing happened in the last 90min\n"
    await town.orders()
    await town.done("start", "orders")
    heading, *rows = (await town.done("events", "orders")).splitlines()
    assert heading.split() == ["TIME", "OF", "ID", "CATEGORY", "MESSAGE"]
    assert "replication  Orders  creation" in rows[0]
    assert len(await town.told("events")) == len(rows)
    said = await town.refused(2, "events", "--since", "soon")
    assert said.startswith("error: --since: ")


async def test_delete_asks_and_waits(town: Town) -> None:
    await town.orders()
    said = await town.refused(2, "delete", "orders")
    assert said == (
        "error: --yes: is missing: there is no terminal to ask on - nothing was changed"
    )
    await town.done("start", "orders")
    said = await town.refused(1, "delete", "orders", "--yes")
    assert "`penstock stop Orders` first" in said
    await town.done("stop", "orders")
    said = await town.done("delete", "orders", "--yes", "--with-endpoints")
    assert said == "deleted  Orders\ndeleted  shop\ndeleted  store\n"
    assert await town.told("status") == []
    found = await town.daemon.call("describe_endpoints")
    assert found["Endpoints"] == []


async def test_what_could_not_be_removed_is_said(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leave() -> None:
        async with town.daemon.store.write() as writing:
            slot = "A slot penstock_orders"
            await writing.add_event(LEFT_BEHIND.event(SourceType.REPLICATION, "Orders", slot))

    async def end(key: str) -> None:
        await leave()
        await town.fleet.settle(key)

    await town.orders()
    await leave()  # of another one, which had its name
    assert await town.done("delete", "orders", "--yes") == "deleted  Orders\n"
    assert "DMS replication is being deleted." in await town.done("events", "Orders")
    said = await town.refused(2, "events", "nobody")
    assert "has no replication nobody" in said
    await town.daemon.call("create_replication_config", **CONFIG)
    tasks: list[asyncio.Task[None]] = []
    monkeypatch.setattr(
        town.daemon.idle, "wake", lambda key: tasks.append(asyncio.create_task(end(key)))
    )
    result = await town.penstock("delete", "orders", "--yes")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "deleted  Orders",
        "A call to clean up what the replication made has failed. A slot penstock_orders",
    ]


async def test_an_endpoint_that_others_use_is_kept_and_named(town: Town) -> None:
    await town.orders()
    others = {**CONFIG, "ReplicationConfigIdentifier": "others"}
    await town.daemon.call("create_replication_config", **others)
    said = (await town.done("delete", "orders", "--yes", "--with-endpoints")).splitlines()
    assert said[0] == "deleted  Orders"
    assert said[1:] == [f"kept     {each}, which others use" for each in ("shop", "store")]


async def test_a_person_says_no(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    await town.orders()
    monkeypatch.setattr("engine.control.cli.reach.on_terminal", lambda: True)
    result = await town.penstock("delete", "orders", input="n\n")
    assert result.exit_code == 1
    assert result.stdout.startswith("Delete Orders (created) with its slot and its position? [y/N]")
    assert result.stdout.endswith("nothing was deleted\n")
    assert [each["identifier"] for each in await town.told("status")] == ["Orders"]
