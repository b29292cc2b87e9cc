"""`penstock import`: what the AWS CLI prints, as replication files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from engine.config.load import load_replication, parse_replication
from engine.control.cli.app import app
from engine.control.translate.described import read_described
from engine.control.translate.importing import imported
from engine.errors import ConfigError
from tests.unit.config.damage import JSON, damaged

GOLDEN: Final = Path(__file__).parent / "golden" / "import"

INPUTS: Final = ("endpoints", "configs", "tasks", "certificates")

ENVIRONMENT: Final = {
    "ORDERS_DB_PASSWORD": "canary",
    "SHOP_MYSQL_PASSWORD": "canary",
    "WAREHOUSE_USERNAME": "loader",
    "WAREHOUSE_HOST": "warehouse.example.com",
    "WAREHOUSE_PORT": "5432",
    "WAREHOUSE_PASSWORD": "canary",
}

Import = Callable[..., Result]


@pytest.fixture
def penstock(tmp_path: Path) -> Import:
    def penstock(*arguments: str, input: str | None = None) -> Result:
        command = ["import", *arguments, "--directory", str(tmp_path / "made")]
        result = CliRunner().invoke(app, command, input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        return result

    return penstock


def documents() -> dict[str, Any]:
    return {name: json.loads((GOLDEN / f"{name}.json").read_text()) for name in INPUTS}


@pytest.mark.parametrize("order", [INPUTS, tuple(reversed(INPUTS))])
def test_files_are_written_and_read_by_our_reader(
    penstock: Import, tmp_path: Path, order: tuple[str, ...]
) -> None:
    result = penstock(*(str(GOLDEN / f"{name}.json") for name in order))
    assert result.exit_code == 1
    expected = GOLDEN / "written"
    made = tmp_path / "made"
    names = [sorted(file.name for file in folder.iterdir()) for folder in (made, expected)]
    assert names[0] == names[1]
    for file in made.iterdir():
        assert file.read_text() == (expected / file.name).read_text(), file.name
    orders = load_replication(made / "orders-to-warehouse.toml", ENVIRONMENT)
    assert orders.source.url is not None
    assert orders.source.url.option("sslrootcert") == str(made / "rds-ca.pem")
    assert orders.capacity.units_max == 8
    assert orders.load.prepare == "truncate"
    assert len(orders.mapping.rules) == 2
    shop = load_replication(made / "shop-changes.toml", ENVIRONMENT)
    assert shop.start_position == "file=mysql-bin-changelog.000024:373"


def test_it_says_what_is_not_carried_and_which_variables_are_wanted(penstock: Import) -> None:
    text = "".join((GOLDEN / f"{name}.json").read_text() for name in INPUTS)
    result = penstock("-", input=text)
    lines = result.stdout.splitlines()
    assert "blocks  erp-to-warehouse: source erp: Oracle (oracle) is not run by Penstock" in lines
    assert any("TargetMetadata.LobMaxSize: accepted, but has no effect" in line for line in lines)
    assert any("shop-mysql: EventsPollInterval: accepted, but" in line for line in lines)
    wanted = [line.split()[1].rstrip(":") for line in lines if line.startswith("wants")]
    assert sorted(wanted) == sorted(ENVIRONMENT)
    assert lines[-2].startswith("2 of 3 replications written, 1 block")
    assert "penstock check" in lines[-1]


def test_of_what_nobody_wrote_nothing_is_said_and_of_an_endpoint_once(penstock: Import) -> None:
    """AWS answers every key, and fills what it was not told."""
    result = penstock(*(str(GOLDEN / f"{name}.json") for name in INPUTS))
    told = [line for line in result.stdout.splitlines() if line.startswith("tells")]
    quiet = ("MapJsonbAsClob", "MapLongVarcharAs", "TrimSpaceInChar", "KmsKeyId", "Maintenance")
    assert [line for line in told if any(name in line for name in quiet)] == []
    (once,) = (line for line in told if "MaxFileSize" in line)
    assert once.startswith("tells   target warehouse: MaxFileSize: accepted, but has no effect")


def slotted(**task: object) -> str:
    """A task whose source names a slot."""
    found = documents()
    source = {"SlotName": "awsdms_1", "HeartbeatEnable": True}
    found["endpoints"]["Endpoints"][0]["PostgreSQLSettings"] |= source
    config = found["configs"]["ReplicationConfigs"][0]
    one = {
        "ReplicationTaskArn": "arn:aws:dms:eu-central-1:123456789012:task:T2",
        "ReplicationTaskIdentifier": "taken",
        "MigrationType": "cdc",
        "SourceEndpointArn": config["SourceEndpointArn"],
        "TargetEndpointArn": config["TargetEndpointArn"],
        "TableMappings": config["TableMappings"],
        **task,
    }
    return json.dumps([found["endpoints"], found["certificates"], {"ReplicationTasks": [one]}])


def test_a_copy_does_not_take_the_slot_that_awss_task_may_still_read(
    penstock: Import, tmp_path: Path
) -> None:
    result = penstock("-", input=slotted())
    assert result.exit_code == 0, result.output
    assert "tells   source orders-db: SlotName: awsdms_1 is left out" in result.stdout
    made = load_replication(tmp_path / "made" / "taken.toml", ENVIRONMENT)
    assert made.source.settings.slot_name == ""
    assert made.source.settings.heartbeat_enable is True


def test_a_slot_is_kept_for_who_says_so(penstock: Import, tmp_path: Path) -> None:
    result = penstock("-", "--keep-slots", input=slotted(CdcStartPosition="0/1A"))
    assert result.exit_code == 0, result.output
    assert "SlotName" not in result.stdout
    made = load_replication(tmp_path / "made" / "taken.toml", ENVIRONMENT)
    assert (made.source.settings.slot_name, made.start_position) == ("awsdms_1", "0/1A")


def test_a_position_in_the_log_of_a_slot_that_is_left_out_has_to_be_decided(
    penstock: Import,
) -> None:
    result = penstock("-", input=slotted(CdcStartPosition="0/1A"))
    assert result.exit_code == 1
    assert "blocks  taken: CdcStartPosition: is in the log that the slot awsdms_1" in result.stdout


def test_a_name_too_long_for_the_end_of_an_arn_is_told(penstock: Import) -> None:
    result = penstock("-", input=slotted(ReplicationTaskIdentifier="t" * 32))
    assert f"tells   {'t' * 32}: identifier: has more than 31 characters" in result.stdout


def test_json_holds_the_same(penstock: Import) -> None:
    result = penstock(*(str(GOLDEN / f"{name}.json") for name in INPUTS), "--json")
    document = json.loads(result.stdout)
    assert len(document["written"]) == 7
    assert [note["subject"] for note in document["not_carried"] if note["blocks"]] == [
        "erp-to-warehouse: source erp"
    ]
    assert {variable["name"] for variable in document["variables"]} == ENVIRONMENT.keys()


def test_nothing_is_written_over_without_force(penstock: Import, tmp_path: Path) -> None:
    inputs = [str(GOLDEN / f"{name}.json") for name in INPUTS]
    made = tmp_path / "made"
    made.mkdir()
    (made / "shop-changes.toml").write_text("mine")
    result = penstock(*inputs)
    assert result.exit_code == 2
    assert "shop-changes.toml is there already; nothing was written" in result.stderr
    assert "--force" in result.stderr
    assert [file.name for file in made.iterdir()] == ["shop-changes.toml"]
    assert penstock(*inputs, "--force").exit_code == 1
    assert "[replication]" in (made / "shop-changes.toml").read_text()


def test_what_blocks_nothing_is_exit_code_0(penstock: Import) -> None:
    found = documents()
    del found["configs"]["ReplicationConfigs"][1]
    result = penstock("-", input=json.dumps(list(found.values())))
    assert result.exit_code == 0, result.output
    assert "endpoint erp: no replication uses it" in result.stdout


def test_single_resources_and_pages_are_taken_too(penstock: Import) -> None:
    found = documents()
    endpoints = found["endpoints"]["Endpoints"]
    page = {"Endpoints": endpoints[:2], "Marker": "next"}
    task = found["tasks"]["ReplicationTasks"][0]
    text = "\n".join(map(json.dumps, [task, page, endpoints[2:], {"Marker": "x"}]))
    result = penstock("-", input=text)
    assert "1 of 1 replications written" in result.stdout, result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no endpoint and no replication"),
        ("- Endpoints:", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "nested deeper"),
        ('{"Endpoints": {}}', "Endpoints: expected a list"),
        ('{"Endpoints": [3]}', "Endpoints[0]: expected an object"),
        ('{"Endpoints": [{"EngineName": "mysql"}]}', "EndpointArn: is missing"),
        ('{"Replications": []}', "Replications is no answer that can be imported"),
        ('"x"', "must be JSON objects"),
        ('{"Endpoints": [{"EndpointArn": "a", "EngineName": "\\ud800"}]}', "not Unicode"),
        ('{"Endpoints": [{"EndpointArn": "a", "EngineName": "mysql"}]}', "holds no replication"),
    ],
)
def test_wrong_input_is_exit_code_2_and_says_what_is_expected(
    penstock: Import, tmp_path: Path, text: str, words: str
) -> None:
    result = penstock("-", input=text)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "made").exists()


def test_a_file_that_cannot_be_read_or_written_is_exit_code_2(
    penstock: Import, tmp_path: Path
) -> None:
    assert "cannot be read" in penstock(str(tmp_path / "none.json")).stderr
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in penstock(str(tmp_path / "latin.json")).stderr
    (tmp_path / "made").write_text("a file")
    result = penstock(*(str(GOLDEN / f"{name}.json") for name in INPUTS))
    assert result.exit_code == 2
    assert "cannot write into" in result.stderr


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(INPUTS), st.lists(st.integers(0, 20), min_size=2, max_size=5), JSON
        ),
        max_size=3,
    )
)
def test_any_damage_is_refused_or_listed_or_read_by_our_reader(
    damage: list[tuple[str, list[int], Any]],
) -> None:
    found = documents()
    for name, path, change in damage:
        found[name] = damaged(found[name], path, change)
    try:
        made = imported(read_described(json.dumps(list(found.values())), "input"))
    except ConfigError as error:
        assert error.constraint  # noqa: PT017 - or a replication comes of it
        return
    environment = {variable.name: "7" for variable in made.variables}
    for each in made.replications:
        if any(note.blocks for note in each.notes):
            continue
        parse_replication(
            each.texts[f"{each.id}.toml"],
            environment,
            file=Path("r.toml"),
            read_bytes=lambda path: made.texts[path.name].encode(),
        )
