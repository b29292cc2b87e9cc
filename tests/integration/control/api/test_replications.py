"""Serverless replications as they run, through botocore: started, stopped, described, their tables
and their reload."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from engine.control.api.start_wish import POSITIONS
from engine.control.lifecycle import STARTING, Provision, Status, StopReason
from engine.control.resources.document import decode
from engine.control.resources.replication import Provisioned, Replication, Times
from engine.control.resources.table import TableFacts
from engine.control.store.errors import StoreOutcomeUnknownError
from engine.control.store.sqlite import SqliteStore
from engine.errors import StateError
from tests.integration.control.api.daemon import READER, Daemon, serving
from tests.integration.control.api.replicating import (
    CONFIG,
    HOME,
    ExampleFleet,
    add_endpoint,
    add_pair,
    events,
    everything,
)

GONE = f"{HOME}:replication-config:GONE"
START = "start-replication"


class Running:
    """One replication, and those who act on it."""

    def __init__(self, daemon: Daemon, arn: str) -> None:
        self.daemon = daemon
        self.arn = arn
        self.id = arn.rpartition(":")[2]
        self.fleet = ExampleFleet(daemon)

    async def call(self, method: str, **members: Any) -> dict[str, Any]:
        return await self.daemon.call(method, ReplicationConfigArn=self.arn, **members)

    async def start(self, kind: str = START, **members: Any) -> dict[str, Any]:
        answer = await self.call("start_replication", StartReplicationType=kind, **members)
        replication: dict[str, Any] = answer["Replication"]
        return replication

    async def described(self) -> dict[str, Any]:
        filters = [{"Name": "replication-config-arn", "Values": [self.arn]}]
        answer = await self.daemon.call("describe_replications", READER, Filters=filters)
        (replication,) = answer["Replications"]
        found: dict[str, Any] = replication
        return found

    async def stored(self) -> Replication:
        async with self.daemon.store.read() as reading:
            record = await reading.get("replication", self.id)
        assert record is not None
        return decode(Replication, record.document)

    async def refused(self, method: str, **members: Any) -> tuple[str, str]:
        """The fault and its message; nothing of the store has changed, and nobody was told."""
        before, asked = await everything(self.daemon), list(self.daemon.idle.asked)
        with pytest.raises(ClientError) as error:
            await self.call(method, **members)
        assert await everything(self.daemon) == before
        assert self.daemon.idle.asked == asked
        return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with serving(tmp_path) as daemon:
        await add_pair(daemon)
        yield daemon


async def created(daemon: Daemon, **members: Any) -> Running:
    answer = await daemon.call("create_replication_config", **{**CONFIG, **members})
    return Running(daemon, answer["ReplicationConfig"]["ReplicationConfigArn"])


async def test_one_that_never_ran_is_created_and_tells_nothing_more(daemon: Daemon) -> None:
    replication = await (await created(daemon)).described()
    assert replication.pop("ReplicationCreateTime") == replication.pop("ReplicationUpdateTime")
    assert replication.pop("ReplicationConfigArn").startswith(HOME)
    assert replication == {
        "ReplicationConfigIdentifier": "Orders",
        "SourceEndpointArn": f"{HOME}:endpoint:SHOP",
        "TargetEndpointArn": f"{HOME}:endpoint:STORE",
        "ReplicationType": "full-load-and-cdc",
        "Status": "created",
        "IsReadOnly": False,
    }


async def test_a_start_passes_every_status_and_a_stop_ends_it(daemon: Daemon) -> None:
    running = await created(daemon)
    assert (await running.start())["Status"] == "initializing"
    assert daemon.idle.asked == [("wake", running.id)]
    life = (await running.stored()).life
    assert (life.wanted, life.ran) == (True, False)
    assert await running.fleet.settle(running.id) == [*STARTING[1:], Status.RUNNING]
    replication = await running.described()
    assert replication["Status"] == "running"
    assert replication["StartReplicationType"] == START
    assert replication["RecoveryCheckpoint"] == "checkpoint:V1#1#000004AF/B00000D0#0#0#*#0#0"
    assert replication["ProvisionData"]["ProvisionState"] == "provisioned"
    assert replication["ProvisionData"]["ProvisionedCapacityUnits"] == 2
    assert replication["ReplicationStats"]["StartDate"]
    assert "StopReason" not in replication
    stopped = (await running.call("stop_replication"))["Replication"]
    assert stopped["Status"] == "stopping"
    assert (await running.stored()).life.wanted is False
    assert await running.fleet.settle(running.id) == [Status.STOPPED]
    replication = await running.described()
    assert (replication["Status"], replication["StopReason"]) == ("stopped", "Stop Reason NORMAL")
    assert replication["ReplicationLastStopTime"] == replication["ReplicationStats"]["StopDate"]
    assert daemon.idle.asked == [("wake", running.id)] * 2
    texts = [text for _, _, text in await events(daemon)]
    assert texts[1] == "DMS replication is initializing. (start-replication)"
    assert texts[-1] == "DMS replication is being stopped."


async def test_the_settings_name_the_log_once_it_ran(daemon: Daemon) -> None:
    running = await created(daemon)
    await running.start()
    await running.fleet.settle(running.id)
    answer = await daemon.call("describe_replication_configs")
    logging = json.loads(answer["ReplicationConfigs"][0]["ReplicationSettings"])["Logging"]
    assert logging["CloudWatchLogGroup"] == f"dms-serverless-replication-{running.id}"
    assert logging["CloudWatchLogStream"] == "dms-serverless-serv-res-id-1700000000000-abc"


async def test_a_start_says_what_it_does_otherwise(daemon: Daemon) -> None:
    settings = {
        "FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"},
        "TargetMetadata": {"BatchApplyEnabled": True},
    }
    running = await created(
        daemon, ReplicationSettings=json.dumps(settings), SupplementalSettings="{}"
    )
    await running.start()
    other = (await events(daemon))[-1][2]
    assert "SupplementalSettings (TaskData) has no effect: it is for Neptune targets" in other
    assert "TargetTablePrepMode" not in other
    assert "ApplyError...Policy was not set: a row that the target refuses stops" in other


async def test_a_stop_of_a_start_is_one_too(daemon: Daemon) -> None:
    running = await created(daemon)
    await running.start()
    await running.fleet.step(running.id)
    await running.call("stop_replication")
    assert await running.fleet.settle(running.id) == [Status.STOPPED]
    # It never ran, so whatever the next start is called, it is the first.
    assert (await running.start("resume-processing"))["Status"] == "initializing"
    assert (await running.stored()).life.wish.begin == "fresh"  # type: ignore[union-attr]


async def test_terraform_resumes_what_never_ran(daemon: Daemon) -> None:
    running = await created(daemon)
    assert (await running.start("RESUME-PROCESSING"))["StartReplicationType"] == "resume-processing"


async def test_later_starts_go_on_or_load_again(daemon: Daemon) -> None:
    running = await created(daemon)
    starts = {START: "fresh", "resume-processing": "resume", "reload-target": "reload"}
    for kind, begin in starts.items():
        await running.start(kind)
        wish = (await running.stored()).life.wish
        assert wish is not None
        assert wish.begin == begin
        await running.fleet.settle(running.id)
        await running.call("stop_replication")
        await running.fleet.settle(running.id)
    code, message = await running.refused("start_replication", StartReplicationType=START)
    assert code == "InvalidParameterCombinationException"
    assert message.startswith("Start Type : START_REPLICATION, valid only for tasks running for")


async def test_nothing_is_started_stopped_or_deleted_out_of_turn(daemon: Daemon) -> None:
    running = await created(daemon)
    code, message = await running.refused("stop_replication")
    assert (code, message) == (
        "InvalidResourceStateFault",
        "The replication is created: there is nothing to stop.",
    )
    await running.start()
    for _ in range(8):
        status = (await running.stored()).life.status
        code, message = await running.refused(
            "start_replication", StartReplicationType="resume-processing"
        )
        assert (code, f"is {status};" in message) == ("InvalidResourceStateFault", True)
        code, message = await running.refused("delete_replication_config")
        assert (code, f"is {status}: stop it" in message) == ("InvalidResourceStateFault", True)
        await running.fleet.step(running.id)
    await running.call("stop_replication")
    code, message = await running.refused("stop_replication")
    assert (code, "is stopping" in message) == ("InvalidResourceStateFault", True)


@pytest.mark.parametrize(
    ("kind", "members", "code", "message"),
    [
        ("cdc", {"StartReplicationType": "begin"}, "InvalidParameterValueException", "reload-t"),
        (
            "cdc",
            {"StartReplicationType": "reload-target"},
            "InvalidParameterCombinationException",
            "reload-target has nothing to load again",
        ),
        (
            "full-load-and-cdc",
            {"CdcStartTime": 1_700_000_000},
            "InvalidParameterCombinationException",
            "need ReplicationType cdc",
        ),
        (
            "cdc",
            {"CdcStartTime": 1_700_000_000, "CdcStartPosition": "4AF/B00000D0"},
            "InvalidParameterCombinationException",
            "exclude each other",
        ),
        (
            "full-load-and-cdc",
            {"CdcStartPosition": "4AF/B00000D0"},
            "InvalidParameterCombinationException",
            "need ReplicationType cdc",
        ),
        (
            "cdc",
            {"CdcStartPosition": "2018-03-08"},
            "InvalidParameterValueException",
            "CdcStartPosition is not valid for a postgres source: is no log sequence number",
        ),
        (
            "cdc",
            {"CdcStartPosition": "mysql-bin-changelog.000024:373"},
            "InvalidParameterValueException",
            "is no log sequence number",
        ),
        (
            "cdc",
            {"CdcStopPosition": "commit_time:soon"},
            "InvalidParameterValueException",
            "commit_time is of the form commit_time:2026-02-09T12:12:12",
        ),
        (
            "cdc",
            {"CdcStopPosition": "server_time:soon"},
            "InvalidParameterValueException",
            "server_time is of the form server_time:2026-02-09T12:12:12",
        ),
        (
            "cdc",
            {"CdcStopPosition": "tomorrow"},
            "InvalidParameterValueException",
            "CdcStopPosition is not valid for a postgres source",
        ),
        (
            "full-load",
            {"CdcStopPosition": "4AF/B00000D0"},
            "InvalidParameterCombinationException",
            "a full-load replication has none",
        ),
        (
            "cdc",
            {"PremigrationAssessmentSettings": '{"FailOnAssessmentFailure": true}'},
            "InvalidParameterValueException",
            "PremigrationAssessmentSettings is not supported",
        ),
    ],
)
async def test_a_start_that_cannot_be_honoured_is_refused(
    daemon: Daemon, kind: str, members: dict[str, Any], code: str, message: str
) -> None:
    running = await created(daemon, ReplicationType=kind)
    found = await running.refused("start_replication", **{"StartReplicationType": START, **members})
    assert found[0] == code
    assert message in found[1]


@pytest.mark.parametrize(
    ("engine", "start"),
    [
        ("postgres", "4AF/B00000D0"),
        ("postgres", "checkpoint:V1#1#000004AF/B00000D0#0#0#*#0#0"),
        ("mysql", "mysql-bin-changelog.000024:373"),
        ("mysql", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("mariadb", "checkpoint:V1#1#maria=0-1-9#0#0#*#0#0"),
    ],
)
async def test_positions_and_times_are_kept_and_shown_as_given(
    daemon: Daemon, engine: str, start: str | datetime
) -> None:
    source = await add_endpoint(daemon, "LOG", "source", engine)
    running = await created(daemon, ReplicationType="cdc", SourceEndpointArn=source)
    time = isinstance(start, datetime)
    asked: dict[str, Any] = {"CdcStartTime" if time else "CdcStartPosition": start}
    stop = "commit_time:2018-02-09T12:12:12" if time else start
    shown = await running.start(**asked, CdcStopPosition=stop)
    found = {name: shown[name] for name in POSITIONS if name in shown}
    assert found == {**asked, "CdcStopPosition": stop}
    await running.fleet.settle(running.id)
    await running.call("stop_replication")
    await running.fleet.settle(running.id)
    code, message = await running.refused(
        "start_replication", StartReplicationType="resume-processing", **asked
    )
    assert code == "InvalidParameterCombinationException"
    assert "the stored position would be lost" in message


async def test_a_failure_is_told_with_its_messages(daemon: Daemon) -> None:
    running = await created(daemon)
    await running.start()
    failure = "Test connection failed for endpoint shop: the server does not answer"
    await running.fleet.life(
        running.id,
        status=Status.FAILED,
        failures=(failure,),
        stop_reason=StopReason.FATAL_ERROR,
        provisioned=Provisioned(state=Provision.DEPROVISIONED, units=0, at=1_700_000_100.0),
    )
    replication = await running.described()
    assert replication["Status"] == "failed"
    assert replication["FailureMessages"] == [failure]
    assert replication["StopReason"] == "Stop Reason FATAL_ERROR"
    assert replication["ProvisionData"]["ProvisionState"] == "deprovisioned"
    assert replication["ReplicationDeprovisionTime"].timestamp() == 1_700_000_100.0


@pytest.mark.parametrize("method", ["start_replication", "stop_replication"])
async def test_what_is_not_there_is_not_found(daemon: Daemon, method: str) -> None:
    running = Running(daemon, GONE)
    members = {"StartReplicationType": START} if method == "start_replication" else {}
    code, message = await running.refused(method, **members)
    assert (code, message) == ("ResourceNotFoundFault", f"Replication config {GONE} not found.")


# --- tables ---------------------------------------------------------------------------------------


def facts(table: str, state: str, schema: str = "public", **members: Any) -> TableFacts:
    return TableFacts(schema=schema, table=table, state=state, **members)


TABLES = (
    facts("a", "streaming", loaded=9, estimated=9, inserts=3, updates=2, deletes=1, truncations=1),
    facts("b", "loading", loaded=5, estimated=20),
    facts("c", "pending", estimated=70),
    facts("d", "suspended", error="column x is gone", rejected=2),
    facts("e", "loading", reloaded=True, loaded=1, estimated=2),
    facts("f", "", schema="shop"),
    facts("g", "loaded", schema="shop", reloaded=True, loaded=1),
)


async def with_tables(daemon: Daemon) -> Running:
    running = await created(daemon)
    await running.start()
    await running.fleet.settle(running.id)
    await running.fleet.tables(running.id, *TABLES)
    return running


async def statistics(running: Running, **members: Any) -> list[dict[str, Any]]:
    answer = await running.call("describe_replication_table_statistics", **members)
    assert answer["ReplicationConfigArn"] == running.arn
    tables: list[dict[str, Any]] = answer["ReplicationTableStatistics"]
    return tables


async def test_tables_are_told_in_the_words_of_aws(daemon: Daemon) -> None:
    running = await with_tables(daemon)
    tables = await statistics(running)
    assert [(each["SchemaName"], each["TableName"], each["TableState"]) for each in tables] == [
        ("public", "a", "Table completed"),
        ("public", "b", "Full load"),
        ("public", "c", "Before load"),
        ("public", "d", "Table error"),
        ("public", "e", "Table is being reloaded"),
        ("shop", "f", "Before load"),
        ("shop", "g", "Table completed"),
    ]
    first = tables[0]
    assert [first[name] for name in ("FullLoadRows", "Inserts", "Updates", "Deletes", "Ddls")] == [
        9,
        3,
        2,
        1,
        1,
    ]
    assert first["ValidationState"] == "Not enabled"
    assert tables[3]["ValidationStateDetails"] == (
        "column x is gone; 2 rows were not applied, and are kept in the quarantine table"
    )
    assert "ValidationStateDetails" not in first
    assert [each["FullLoadReloaded"] for each in tables[4:]] == [True, False, True]
    stats = (await running.described())["ReplicationStats"]
    assert [stats[f"Tables{word}"] for word in ("Loaded", "Loading", "Queued", "Errored")] == [
        2,
        2,
        2,
        1,
    ]
    # 9 of 9, 5 of 20, 0 of 70, 0 of 1, 1 of 2, 0 of 1, 1 of 1
    assert stats["FullLoadProgressPercent"] == 16 * 100 // 104


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"schema-name": ["shop"]}, "fg"),
        ({"table-name": ["a", "g", "z"]}, "ag"),
        ({"table-state": ["table COMPLETED", "Table error"]}, "adg"),
        ({"schema-name": ["shop"], "table-state": ["Table completed"]}, "g"),
        ({"schema-name": ["hello"]}, ""),
    ],
)
async def test_tables_are_filtered(
    daemon: Daemon, filters: dict[str, list[str]], names: str
) -> None:
    running = await with_tables(daemon)
    asked = [{"Name": name, "Values": values} for name, values in filters.items()]
    found = await statistics(running, Filters=asked)
    assert [each["TableName"] for each in found] == list(names)


async def test_tables_come_by_pages_whatever_the_filter_leaves(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.control.api.table_acts.BLOCK", 2)
    running = await with_tables(daemon)
    asked: list[dict[str, Any]] = [{}, {"Filters": [{"Name": "schema-name", "Values": ["public"]}]}]
    for members, expected in zip(asked, ("abcdefg", "abcde"), strict=True):
        names = ""
        more: dict[str, Any] = {}
        while True:
            answer = await running.call(
                "describe_replication_table_statistics", MaxRecords=2, **members, **more
            )
            found = answer["ReplicationTableStatistics"]
            names += "".join(each["TableName"] for each in found)
            if "Marker" not in answer:
                break
            assert len(found) == 2
            more = {"Marker": answer["Marker"]}
        assert names == expected


async def test_one_that_never_ran_has_no_tables(daemon: Daemon) -> None:
    assert await statistics(await created(daemon)) == []
    code, _ = await Running(daemon, GONE).refused("describe_replication_table_statistics")
    assert code == "ResourceNotFoundFault"
    code, message = await (await created(daemon, ReplicationConfigIdentifier="b")).refused(
        "describe_replication_table_statistics", Filters=[{"Name": "rows", "Values": ["1"]}]
    )
    assert (code, "Unrecognized filter name: rows" in message) == (
        "InvalidParameterValueException",
        True,
    )


def reloads(*tables: str) -> list[dict[str, str]]:
    pairs = [table.split(".") for table in tables]
    return [{"SchemaName": schema, "TableName": table} for schema, table in pairs]


async def test_a_reload_is_noted_and_passed_on(daemon: Daemon) -> None:
    running = await with_tables(daemon)
    tables = reloads("public.a", "shop.g")
    answer = await running.call("reload_replication_tables", TablesToReload=tables)
    assert answer["ReplicationConfigArn"] == running.arn
    assert daemon.idle.asked[-1] == ("reload", running.id, "public.a", "shop.g")
    text = (await events(daemon))[-1][2]
    assert text == "Reload of table details has been requested. (public.a, shop.g)"


@pytest.mark.parametrize(
    ("tables", "option", "code", "message"),
    [
        (["public.none"], "data-reload", "ResourceNotFoundFault", "The table public.none is none"),
        (["public.a", "public.A"], "data-reload", "ResourceNotFoundFault", "public.A"),
        ([], "data-reload", "InvalidParameterValueException", "between 1 and 10"),
        (
            [f"public.t{n}" for n in range(11)],
            "data-reload",
            "InvalidParameterValueException",
            "has 11 tables",
        ),
        (
            ["public.a", "public.b", "public.a"],
            "data-reload",
            "InvalidParameterValueException",
            "names public.a more than once",
        ),
        (
            ["public.a"],
            "validate-only",
            "InvalidParameterCombinationException",
            "validate-only needs validation",
        ),
    ],
)
async def test_a_reload_of_what_cannot_be_loaded_again_is_refused(
    daemon: Daemon, tables: list[str], option: str, code: str, message: str
) -> None:
    running = await with_tables(daemon)
    found = await running.refused(
        "reload_replication_tables", TablesToReload=reloads(*tables), ReloadOption=option
    )
    assert found[0] == code
    assert message in found[1]


async def test_tables_are_loaded_again_while_it_runs_and_where_there_is_a_load(
    daemon: Daemon,
) -> None:
    running = await created(daemon)
    code, message = await running.refused(
        "reload_replication_tables", TablesToReload=reloads("public.a")
    )
    assert (code, "is created: tables are loaded again while" in message) == (
        "InvalidResourceStateFault",
        True,
    )
    running = await created(daemon, ReplicationConfigIdentifier="b", ReplicationType="cdc")
    await running.start()
    await running.fleet.settle(running.id)
    code, message = await running.refused(
        "reload_replication_tables", TablesToReload=reloads("public.a")
    )
    assert (code, "no table was loaded" in message) == ("InvalidResourceStateFault", True)


async def test_a_reload_that_could_not_be_noted_is_told(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await with_tables(daemon)

    async def fail(_replication: str, _tables: object) -> None:
        raise StateError("the target does not answer", hint="see that it runs")

    monkeypatch.setattr(daemon.idle, "reload_tables", fail)
    code, message = await running.refused(
        "reload_replication_tables", TablesToReload=reloads("public.a")
    )
    assert code == "InvalidResourceStateFault"
    assert "could not be asked for: the target does not answer (see that it runs)" in message


async def test_elapsed_time_is_that_of_the_newest_start(daemon: Daemon) -> None:
    running = await with_tables(daemon)
    times = Times(fresh_start=1.0, start=1_700_000_000.0, stop=1_600_000_000.0)
    await running.fleet.life(running.id, times=times)
    assert (await running.described())["ReplicationStats"]["ElapsedTimeMillis"] > 10_000
    await running.call("stop_replication")
    times = Times(fresh_start=1.0, start=1_700_000_000.0, stop=1_700_000_002.5)
    await running.fleet.life(running.id, status=Status.STOPPED, times=times)
    assert (await running.described())["ReplicationStats"]["ElapsedTimeMillis"] == 2_500


async def test_whoever_acts_looks_at_a_stop_whose_commit_was_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link to the store broke during COMMIT: it is stored, and the caller is not told so."""
    monkeypatch.setattr("engine.control.api.replication_acts.SETTLED_SECONDS", 0.0)
    async with serving(tmp_path) as daemon:
        await add_pair(daemon)
        answer = await daemon.call("create_replication_config", **CONFIG)
        running = Running(daemon, answer["ReplicationConfig"]["ReplicationConfigArn"])
        await running.start()
        daemon.idle.asked.clear()
        write = SqliteStore.write

        @asynccontextmanager
        async def unanswered(store: SqliteStore, *, fence: int | None = None) -> Any:
            async with write(store, fence=fence) as writing:
                yield writing
            raise StoreOutcomeUnknownError("the link broke during COMMIT")

        with monkeypatch.context() as patch:
            patch.setattr(SqliteStore, "write", unanswered)
            with pytest.raises(ClientError, match="the link broke"):
                await running.call("stop_replication")
        assert (await running.stored()).life.status is Status.STOPPING
        async with asyncio.timeout(30):
            while ("wake", running.id) not in daemon.idle.asked:
                await asyncio.sleep(0.01)
