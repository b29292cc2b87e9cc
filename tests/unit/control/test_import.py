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
