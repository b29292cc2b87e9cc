"""`penstock apply` in front of the real operations."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from engine.control.client.errors import UnreachableError
from engine.control.client.exchange import exchange
from engine.control.lifecycle import Status
from engine.control.resources.document import decode
from engine.control.resources.endpoint import Endpoint
from engine.control.resources.replication import Replication
from tests.integration.control.api.shell import Town, in_town
from tests.servers.certificates import Authority

CANARY: Final = "s3cr3t-c4n4ry"

ORDERS: Final = """
[replication]
id = "orders"
[source]
engine = "postgres"
url = "postgresql://reader@db.example.com:5433/shop"
password_env = "SOURCE_PASSWORD"
heartbeat = "30s"
[source.settings]
ExecuteTimeout = 90
[target]
engine = "postgres"
url = "postgresql://writer@127.0.0.1/lake"
[mapping]
include = ["public.%"]
[capacity]
max = 8
[apply]
mode = "transactional"
"""

SHARED: Final = """
[endpoint.shop]
engine = "mysql"
url = "mysql://reader@db.example.com/shop"
[endpoint.lake]
engine = "postgres"
url = "postgresql://writer@lake.example.com/lake"
"""

PEOPLE: Final = """
[replication]
id = "people"
[source]
endpoint = "shop"
[target]
endpoint = "lake"
"""


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    async with in_town(tmp_path / "daemon", monkeypatch) as town:
        town.environment["SOURCE_PASSWORD"] = CANARY
        yield town


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "daemon").mkdir(exist_ok=True)
    folder = tmp_path / "files"
    folder.mkdir()
    file = folder / "orders.toml"
    file.write_text(ORDERS)
    return file


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


async def stored(town: Town, kind: str, name: str) -> dict[str, Any]:
    async with town.daemon.store.read() as reading:
        record = await reading.named(kind, name)
    assert record is not None
    return dict(record.document)


async def test_what_is_new_is_made_and_a_second_time_there_is_nothing_to_do(
    file: Path, town: Town
) -> None:
    said = await town.done("apply", str(file), "--yes")
    assert said.splitlines() == [
        "create  endpoint     orders-source  source postgres at db.example.com:5433/shop",
        "create  endpoint     orders-target  target postgres at 127.0.0.1:5432/lake",
        "create  replication  orders",
        "3 to create",
        "created   endpoint orders-source",
        "created   endpoint orders-target",
        "created   replication orders",
        "next: penstock start orders",
    ]
    for words in (("--yes",), ()):
        said = await town.done("apply", str(file), *words)
        assert said.splitlines()[-1] == "nothing to do: 3 as they are"
    kept = decode(Replication, await stored(town, "replication", "orders"))
    assert kept.config.compute.units_max == 8
    assert kept.config.ours == {"apply": {"mode": "transactional"}}
    endpoint = decode(Endpoint, await stored(town, "endpoint", "orders-source"))
    assert endpoint.ours == {"heartbeat": "30s"}
    assert endpoint.members["PostgreSQLSettings"] == {"ExecuteTimeout": 90}
    found = await town.told("status", "orders")
    assert found["arn"].endswith(":replication-config:orders")
    assert (found["source"], found["target"]) == ("orders-source", "orders-target")
    assert CANARY not in said + town.daemon.log + str(town.daemon.audit) + json.dumps(found)


async def test_the_daemon_starts_what_was_applied_with_what_only_files_know(
    file: Path, town: Town
) -> None:
    await town.done("apply", str(file), "--yes")
    assert (await town.done("start", "orders")).splitlines()[-1] == "orders  running"


CHANGES: Final = (
    ("max = 8", "max = 4", ["capacity.max: 8 -> 4"]),
    ("[capacity]", "[capacity]\nmin = 2", ["capacity.min: 1 -> 2"]),
    ('mode = "transactional"', 'mode = "table-parallel"', ["apply.mode: transactional -> table-"]),
    ('[apply]\nmode = "transactional"', "", ["apply.mode: transactional -> (removed)"]),
    ("[apply]", "[load]\nparallel_tables = 3\n[apply]", ["load.parallel_tables: 3"]),
    ("db.example.com", "new.example.com", ["ServerName: db.example.com -> new.example.com"]),
    (":5433", "", ["Port: 5433 -> 5432"]),
    ("reader@", "other@", ["Username: reader -> other"]),
    ("reader@", "", ["Username: reader -> (removed)"]),
    ("/shop", "/store", ["DatabaseName: shop -> store"]),
    ("/shop", "/shop?sslmode=require", ["SslMode: verify-full -> require"]),
    (
        "[source.settings]\nExecuteTimeout = 90\n",
        "",
        ["PostgreSQLSettings.ExecuteTimeout: 90 -> (removed)"],
    ),
    ('heartbeat = "30s"', 'heartbeat = "40s"', ["heartbeat: 30s -> 40s"]),
    ('heartbeat = "30s"', "", ["heartbeat: 30s -> (removed)"]),
    ('password_env = "SOURCE_PASSWORD"', "", ["Password: (removed)"]),
    (
        "127.0.0.1/lake",
        "127.0.0.1/lake?connect_timeout=9",
        ["options.connect_timeout: 9"],
    ),
    (
        '["public.%"]',
        '["public.%", "crm.%"]',
        ['mapping rule 2: {"rule-type": "selection"'],
    ),
)


@pytest.mark.parametrize(("old", "new", "said"), CHANGES, ids=[each[2][0][:25] for each in CHANGES])
async def test_what_differs_is_shown_done_and_then_no_more(
    file: Path, town: Town, old: str, new: str, said: list[str]
) -> None:
    await town.done("apply", str(file), "--yes")
    change(file, old, new)
    dry = await town.penstock("apply", str(file), "--dry-run")
    assert dry.exit_code == 1
    lines = [line.strip() for line in dry.stdout.splitlines() if line.startswith(" " * 10)]
    assert len(lines) == len(said), lines
    assert all(line.startswith(part) for line, part in zip(lines, said, strict=True)), lines
    assert dry.stdout.splitlines()[-1] == "1 to modify, 2 as they are"
    done = await town.done("apply", str(file), "--yes")
    assert "modified  " in done
    assert "created" not in done
    said_again = await town.done("apply", str(file))
    assert said_again.splitlines()[-1] == "nothing to do: 3 as they are"


async def test_a_changed_password_is_found_and_never_shown(file: Path, town: Town) -> None:
    await town.done("apply", str(file), "--yes")
    town.environment["SOURCE_PASSWORD"] = f"{CANARY}-2"
    said = await town.done("apply", str(file), "--yes")
    assert "          Password: (changed)" in said.splitlines()
    assert CANARY not in said
    assert (await town.told("apply", str(file)))["changes"] == []
    change(file, 'password_env = "SOURCE_PASSWORD"', "")
    await town.done("apply", str(file), "--yes")
    change(file, 'heartbeat = "30s"', 'heartbeat = "30s"\npassword_env = "SOURCE_PASSWORD"')
    said = await town.done("apply", str(file), "--yes")
    assert "          Password: (set)" in said.splitlines()


async def test_settings_and_rules_of_aws_in_files_beside(file: Path, town: Town) -> None:
    folder = file.parent
    file.write_text(
        ORDERS.replace('include = ["public.%"]', 'file = "rules.json"')
        + '[settings]\nfile = "settings.json"\n'
    )
    rule = {
        "rule-type": "selection",
        "rule-id": "7",
        "rule-name": "n",
        "rule-action": "include",
        "object-locator": {"schema-name": "public", "table-name": "%"},
    }
    components = [
        {"Id": "SORTER", "Severity": "LOGGER_SEVERITY_DEBUG"},
        {"Id": "COMMON", "Severity": "LOGGER_SEVERITY_DEBUG"},
    ]
    logging = {"EnableLogging": True, "LogComponents": components}

    def write(rule: dict[str, Any], settings: dict[str, Any]) -> None:
        (folder / "rules.json").write_text(json.dumps({"rules": [rule]}))
        (folder / "settings.json").write_text(json.dumps(settings))

    write(rule, {"Logging": logging, "FullLoadSettings": {"CommitRate": 1_000}})
    await town.done("apply", str(file), "--yes")
    assert (await town.told("apply", str(file)))["changes"] == []
    write({**rule, "rule-name": "m"}, {"Logging": {"LogComponents": components[:1]}})
    (changed,) = (await town.told("apply", str(file), "--yes"))["changes"]
    assert [each["member"] for each in changed["members"]] == [
        "mapping rule 7",
        "settings.Logging.EnableLogging",
        "settings.Logging.LogComponents",
        "settings.FullLoadSettings.CommitRate",
    ]
    assert (await town.told("apply", str(file)))["changes"] == []
    kept = decode(Replication, await stored(town, "replication", "orders"))
    assert kept.config.settings["Logging"] == {"LogComponents": components[:1]}


async def test_a_directory_of_files_that_share_endpoints(file: Path, town: Town) -> None:
    folder = file.parent
    (folder / "people.toml").write_text(PEOPLE)
    (folder / "stock.toml").write_text(PEOPLE.replace("people", "stock"))
    (folder / "endpoints.toml").write_text(SHARED)
    said = await town.done("apply", str(folder), "--yes")
    assert "7 to create" in said.splitlines()
    assert "create  endpoint     shop  source mysql at db.example.com:3306/shop" in said
    found = await town.told("status", "stock")
    assert (found["source"], found["target"]) == ("shop", "lake")
    (folder / "endpoints.toml").write_text(SHARED.replace("lake.example", "sea.example"))
    said = await town.done("apply", str(folder), "--yes")
    assert "1 to modify, 6 as they are" in said
    said = await town.done("apply", *map(str, (folder, file, folder / "people.toml")))
    assert said.splitlines()[-1] == "nothing to do: 7 as they are"


async def test_what_runs_is_stopped_only_when_that_is_wanted(file: Path, town: Town) -> None:
    await town.done("apply", str(file), "--yes")
    await town.done("start", "orders")
    assert (await town.done("apply", str(file))).splitlines()[-1].startswith("nothing to do")
    change(file, "max = 8", "max = 4")
    change(file, "reader@", "other@")
    said = await town.refused(1, "apply", str(file), "--yes")
    assert said == (
        "error: orders runs, and what differs can only change while nothing runs - `penstock stop`"
        " first, or add --restart, which stops, modifies and starts again"
    )
    assert (await town.told("status", "orders"))["units_max"] == 8
    said = await town.done("apply", str(file), "--yes", "--restart")
    assert said.splitlines()[-4:] == [
        "stopped   orders",
        "modified  endpoint orders-source",
        "modified  replication orders",
        "started   orders",
    ]
    found = await town.told("status", "orders")
    assert found["units_max"] == 4
    await town.done("start", "orders")
    assert (await town.told("status", "orders"))["status"] == Status.RUNNING


async def test_what_was_stopped_for_it_is_started_again_when_it_cannot_be_done(
    file: Path, town: Town
) -> None:
    await town.done("apply", str(file), "--yes")
    await town.done("start", "orders")
    change(file, "db.example.com", "169.254.169.254")
    said = await town.refused(2, "apply", str(file), "--yes", "--restart")
    assert "169.254.169.254" in said
    await town.done("start", "orders")
    assert (await town.told("status", "orders"))["status"] == Status.RUNNING


async def test_what_cannot_change_once_it_ran(file: Path, town: Town) -> None:
    await town.done("apply", str(file), "--yes")
    change(file, 'id = "orders"', 'id = "orders"\ntype = "cdc"')
    await town.done("apply", str(file), "--yes")  # it has not run yet
    await town.done("start", "orders")
    await town.done("stop", "orders")
    change(file, 'type = "cdc"', 'type = "full-load"')
    said = await town.refused(2, "apply", str(file), "--yes")
    assert "orders.toml: replication.type: cannot change once orders has run" in said
    assert "`penstock delete orders` and apply again" in said


async def test_only_when_asked_to_is_what_no_file_has_deleted(file: Path, town: Town) -> None:
    folder = file.parent
    (folder / "people.toml").write_text(PEOPLE)
    (folder / "endpoints.toml").write_text(SHARED)
    await town.done("apply", str(folder), "--yes")
    (folder / "people.toml").unlink()
    assert (await town.told("apply", str(folder), "--yes"))["changes"] == []
    await town.done("start", "people")
    said = await town.refused(1, "apply", str(folder), "--yes", "--prune")
    assert "people runs" in said
    said = await town.done("apply", str(folder), "--yes", "--prune", "--restart")
    assert said.splitlines()[-4:] == [
        "stopped   people",
        "deleted   replication people",
        "deleted   endpoint lake",
        "deleted   endpoint shop",
    ]
    assert [each["identifier"] for each in await town.told("status")] == ["orders"]


async def test_the_authoritys_certificate_goes_to_the_daemon(file: Path, town: Town) -> None:
    folder = file.parent
    authority = Authority.create(folder)
    change(file, "/shop", f"/shop?sslrootcert={authority.file.name}")
    await town.done("apply", str(file), "--yes")
    assert (await town.told("apply", str(file)))["changes"] == []
    other = Authority.create(folder, "other")
    authority.file.write_bytes(other.file.read_bytes())
    (changed,) = (await town.told("apply", str(file), "--yes"))["changes"]
    assert [each["member"] for each in changed["members"]] == ["CertificateArn"]
    found = await town.daemon.call("describe_certificates")
    (certificate,) = found["Certificates"]
    assert certificate["CertificatePem"].strip() == other.file.read_text().strip()
    assert (await town.told("apply", str(file)))["changes"] == []


async def test_the_authorities_of_the_machine_stay_a_word(file: Path, town: Town) -> None:
    change(file, "/shop", "/shop?sslrootcert=system")
    await town.done("apply", str(file), "--yes")
    kept = decode(Endpoint, await stored(town, "endpoint", "orders-source"))
    assert kept.ours == {"heartbeat": "30s", "options": {"sslrootcert": "system"}}
    assert (await town.told("apply", str(file)))["changes"] == []


# --- wrong input ---


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "orders"', 'id = "orders"\nid = "x"', "orders.toml: syntax: not valid TOML"),
        ("heartbeat", "hartbeat", "source.hartbeat: unknown key"),
        (
            "SOURCE_PASSWORD",
            "NO_SUCH",
            "source.password_env: environment variable NO_SUCH is not set",
        ),
        (
            'id = "orders"',
            'id = "orders_1"',
            "begins with a letter - orders-1 is one; where `penstock run` has run it, drop what",
        ),
        (
            'id = "orders"',
            'id = "7-orders"',
            "replication.id: 7-orders is no name for the API",
        ),
        (
            'id = "orders"',
            f'id = "o{"r" * 31}"',
            f"hyphens, and begins with a letter - o{'r' * 30} is one",
        ),
        (
            ORDERS,
            '[replication]\nid = "o"\n[source]\nengine = "memory"\n[target]\nengine = "memory"\n',
            "source.engine: has no name on AWS",
        ),
    ],
)
async def test_a_file_with_a_mistake_changes_nothing(
    file: Path, town: Town, old: str, new: str, said: str
) -> None:
    change(file, old, new)
    assert said in await town.refused(2, "apply", str(file), "--yes")
    assert await town.told("status") == []


class Cut:
    """The link breaks at the n-th request that changes something: before it is sent, or after it
    was done and before its answer came."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self.after = False
        monkeypatch.setattr("engine.control.client.daemon.exchange", self)

    def __call__(self, *place: Any, **parts: Any) -> Any:
        target = parts["headers"].get("x-amz-target", "")
        changes = parts["method"] == "PUT" or (target and ".Describe" not in target)
        self.left -= bool(changes)
        breaks = bool(changes) and self.left == 0
        if breaks and not self.after:
            raise UnreachableError("cut before")
        answer = exchange(*place, **parts)
        if breaks:
            raise UnreachableError("cut after")
        return answer


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_wherever_it_is_cut_the_next_apply_ends_where_one_would_have(
    file: Path, town: Town, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    cut = Cut(monkeypatch)
    cut.after = after
    changed = ORDERS.replace("max = 8", "max = 4").replace("reader@", "other@")
    changed = changed.replace("30s", "40s").replace("transactional", "key-parallel")
    whole = 0
    for number in range(1, 30):
        whole = 0
        for text in (ORDERS, changed):
            file.write_text(text.replace('"orders"', f'"orders{number}"'))
            cut.left = number
            result = await town.penstock("apply", str(file), "--yes")
            if result.exit_code == 0:
                whole += 1
                continue
            assert "cut " in result.stderr
            cut.left = 0
            await town.done("apply", str(file), "--yes")
            assert (await town.told("apply", str(file)))["changes"] == []
            kept = decode(Replication, await stored(town, "replication", f"orders{number}"))
            assert kept.config.compute.units_max == (4 if text is changed else 8)
            assert kept.config.ours["apply"]["mode"] in text
        if whole == 2:
            break
    assert whole == 2
    assert number > 5


async def test_no_terminal_to_ask(file: Path, town: Town) -> None:
    result = await town.penstock("apply", str(file))
    assert result.exit_code == 2
    assert "3 to create" in result.stdout
    assert result.stderr.splitlines()[-1] == (
        "error: --yes: is missing: there is no terminal to ask on - nothing was changed"
    )


@pytest.mark.parametrize("answer", ["y", "n"])
async def test_a_person_decides(
    file: Path, town: Town, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("engine.control.cli.reach.on_terminal", lambda: True)
    result = await town.penstock("apply", str(file), input=f"{answer}\n")
    assert result.exit_code == (0 if answer == "y" else 1)
    assert "Do it? [y/N]" in result.stdout
    assert bool(await town.told("status")) == (answer == "y")


async def test_files_that_exclude_each_other(file: Path, town: Town) -> None:
    folder = file.parent
    (folder / "again.toml").write_text(ORDERS)
    said = await town.refused(2, "apply", str(folder), "--yes")
    assert "orders.toml: replication.id: is that of" in said
    (folder / "again.toml").write_text(PEOPLE + SHARED)
    other = SHARED.replace("lake.example", "sea.example")
    (folder / "orders.toml").write_text(PEOPLE.replace("people", "stock") + other)
    said = await town.refused(2, "apply", str(folder), "--yes")
    assert "target.endpoint: lake is written otherwise in" in said
    assert said.endswith("write it once, in endpoints.toml")
    swapped = PEOPLE.replace("people", "stock").replace('"lake"', '"shop"')
    (folder / "orders.toml").write_text(swapped.replace('"shop"', '"lake"', 1) + SHARED)
    said = await town.refused(2, "apply", str(folder), "--yes")
    assert "lake is the target of" in said


async def test_a_directory_without_files(file: Path, town: Town) -> None:
    file.unlink()
    said = await town.refused(2, "apply", str(file.parent), "--yes")
    assert said.endswith("holds no replication file (*.toml)")


async def test_an_endpoint_of_the_other_side(file: Path, town: Town) -> None:
    await town.done("apply", str(file), "--yes")
    text = PEOPLE.replace('"shop"', '"orders-target"') + SHARED.replace("shop]", "orders-target]")
    file.write_text(text)
    said = await town.refused(2, "apply", str(file), "--yes")
    assert "source.endpoint: orders-target is a target at the daemon, and cannot be both" in said


async def test_passwords_are_not_sent_in_the_clear(file: Path, town: Town) -> None:
    words = ("apply", str(file), "--yes", "--endpoint-url", "http://penstock.example:8628")
    said = await town.refused(2, *words)
    assert "passwords would be sent to http://penstock.example:8628 for everybody" in said


async def test_a_fault_of_the_daemon_names_the_operation(file: Path, town: Town) -> None:
    change(file, "db.example.com", "169.254.169.254")
    said = await town.refused(2, "apply", str(file), "--yes")
    assert f"error: CreateEndpoint at http://127.0.0.1:{town.daemon.port}: " in said
    assert "[InvalidParameterValueException]" in said


async def test_what_was_done_before_a_mistake_stays(file: Path, town: Town) -> None:
    change(file, "127.0.0.1/lake", "169.254.169.254/lake")
    result = await town.penstock("apply", str(file), "--yes")
    assert result.exit_code == 2
    assert "created   endpoint orders-source" in result.stdout
    warning, error = result.stderr.splitlines()[-2:]
    assert warning == "warning: 1 done, and stay so: apply again when this is mended"
    assert error.startswith("error: CreateEndpoint at ")
    change(file, "169.254.169.254/lake", "127.0.0.1/lake")
    assert "2 to create, 1 as they are" in await town.done("apply", str(file), "--yes")


async def test_an_apply_that_was_cut_goes_on(file: Path, town: Town) -> None:
    await town.done("apply", str(file), "--yes")
    async with town.daemon.store.write() as writing:
        record = await writing.named("replication", "orders")
        assert record is not None
        await writing.delete("replication", record.id)
    said = await town.done("apply", str(file), "--yes")
    assert "1 to create, 2 as they are" in said
