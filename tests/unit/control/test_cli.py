"""The commands over fake ends: what they say, what they do, and their exit codes."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine import registry
from engine.control import control_rows
from engine.control.cli import run as run_command
from engine.control.cli.app import COMMANDS, app
from engine.control.cli.arguments import parse_table
from engine.errors import (
    ConfigError,
    InvariantError,
    SourceConnectionError,
    SourceError,
    TargetConnectionError,
)
from engine.model.finding import Finding, Severity
from engine.model.relation import TableName
from engine.model.state import Owner, TableRecord, TableState
from engine.observe.report import Outcome
from tests.unit.control import fake_ends
from tests.unit.control.fake_ends import World, relation

FILE = """
[replication]
id = "orders"
[source]
engine = "memory"
[target]
engine = "memory"
[capacity]
max = 1
"""

ROOT = Path(__file__).parents[3]

CANARY = "canary-c0de"

Penstock = Callable[..., Result]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(fake_ends, "current", world)
    monkeypatch.setattr(control_rows, "PAUSE_SECONDS", 0.0)
    fake = registry.Connector(
        source="tests.unit.control.fake_ends:source", target="tests.unit.control.fake_ends:target"
    )
    monkeypatch.setitem(registry.CONNECTORS, "memory", fake)
    return world


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "orders.toml"
    file.write_text(FILE)
    return file


@pytest.fixture
def penstock(file: Path, world: World) -> Penstock:
    def penstock(command: str, *arguments: str, input: str | None = None) -> Result:
        result = CliRunner().invoke(app, [command, str(file), *arguments], input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        assert CANARY not in result.output
        return result

    return penstock


# --- every command ---


@pytest.mark.parametrize("command", ["check", "run", "compare", "cleanup", "reload"])
def test_a_wrong_file_exits_2_and_names_every_problem(
    penstock: Penstock, file: Path, command: str
) -> None:
    file.write_text(FILE + '[load]\nparalel_tables = 3\n[apply]\nmode = "fast"\n')
    arguments = ("public.a",) if command == "reload" else ()
    result = penstock(command, *arguments)
    assert result.exit_code == 2
    assert "parallel_tables" in result.stderr
    assert "apply.mode" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["frob"], ["run"], ["check", "a", "b"], ["run", "a", "--frob"], ["reload", "a"]]
)
def test_a_wrong_command_line_exits_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_the_version_and_every_help_text() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("penstock ")
    assert "Exit codes" in CliRunner().invoke(app, ["--help"]).stdout
    for command in ("check", "run", "compare", "reload", "cleanup"):
        result = CliRunner().invoke(app, [command, "--help"])
        assert (result.exit_code, "FILE" in result.stdout) == (0, True)


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    listed = CliRunner().invoke(app, ["--help"]).stdout
    for command, text in COMMANDS.items():
        says = CliRunner().invoke(app, [command, "--help"]).stdout
        assert f"Usage: penstock {command} " in says.replace("Usage: root", "Usage: penstock")
        assert text in " ".join(says.split())
        assert f"{command} {text}" in " ".join(listed.split())


def test_a_defect_ends_with_a_report_and_no_value(penstock: Penstock, world: World) -> None:
    world.errors["source.preflight"] = ValueError(CANARY)  # type: ignore[assignment]
    result = penstock("check")
    assert result.exit_code == 1
    assert "control/fake_ends.py" in result.stderr
    assert "report" in result.stderr.splitlines()[-1]


def test_a_broken_invariant_asks_for_a_report(penstock: Penstock, world: World) -> None:
    world.errors["source.open"] = InvariantError("the frontier went back")
    result = penstock("cleanup", "--yes")
    assert result.exit_code == 1
    assert "the frontier went back" in result.stderr.splitlines()[-1]
    assert "defect" in result.stderr.splitlines()[-1]


# --- check ---


def test_a_clean_preflight_exits_0(penstock: Penstock, world: World) -> None:
    result = penstock("check")
    assert (result.exit_code, result.stdout) == (0, "nothing blocks\n")
    assert world.looked_at == {
        "source": [TableName("public", "a")],
        "target": [TableName("public", "a")],
    }
    assert set(world.done) == {"source.close", "target.close"}


def test_findings_stand_by_severity_each_with_its_remedy(penstock: Penstock, world: World) -> None:
    statement = "ALTER SYSTEM SET wal_level = logical;"
    world.findings["source"] = [
        Finding("slots", Severity.TELLS, "3 of 10 slots are in use"),
        Finding("wal-level", Severity.BLOCKS, "wal_level is replica", statement),
    ]
    world.findings["target"] = [
        Finding("triggers", Severity.WARNS, "has triggers", subject="public.a")
    ]
    result = penstock("check")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["blocks", "wal-level", "wal_level", "is", "replica"]
    assert lines[1].strip() == f"-> {statement}"
    assert lines[2].split()[:3] == ["warns", "triggers", "public.a:"]
    assert lines[-1] == "1 blocks, 1 to be warned of, 1 to know"


def test_json_carries_the_same_findings(penstock: Penstock, world: World) -> None:
    world.findings["source"] = [Finding("a", Severity.WARNS, "b", "c", "d")]
    result = penstock("check", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        {"check": "a", "severity": "warns", "subject": "d", "message": "b", "remedy": "c"}
    ]


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_side_that_cannot_be_reached_blocks_and_the_other_is_checked(
    penstock: Penstock, world: World, side: str
) -> None:
    world.errors[f"{side}.open"] = SourceConnectionError("nobody answers", hint="start it")
    result = penstock("check")
    assert result.exit_code == 1
    assert f"{side}-connection" in result.stdout
    assert "nobody answers" in result.stdout
    assert "-> start it" in result.stdout
    assert set(world.looked_at) == {"source", "target"} - {side}


def test_a_check_that_could_not_run_blocks_nothing(penstock: Penstock, world: World) -> None:
    world.errors["target.preflight"] = SourceError("not allowed to look")
    result = penstock("check")
    assert result.exit_code == 0
    assert "1 could not be checked" in result.stdout


def test_a_table_without_identity_is_looked_at_and_a_mapping_without_tables_blocks(
    penstock: Penstock, world: World
) -> None:
    world.relations = [relation("nokey", key=False)]
    result = penstock("check")
    assert result.exit_code == 1
    assert "mapping-empty" in result.stdout
    assert world.looked_at["source"] == [TableName("public", "nokey")]
    assert world.looked_at["target"] == []


def test_a_rule_that_matches_nothing_is_a_warning(
    penstock: Penstock, file: Path, world: World
) -> None:
    file.write_text(FILE + '[mapping]\ninclude = ["public.%", "pubic.b"]\n')
    result = penstock("check")
    assert result.exit_code == 0
    assert "mapping-unmatched" in result.stdout


# --- reload ---


def _known(world: World) -> TableRecord:
    record = TableRecord(
        TableName("public", "a"), TableState.SUSPENDED, "0/10", "row refused", '{"v":1}'
    )
    world.records[record.table] = record
    return record


def test_reload_notes_the_request_beside_the_state_and_changes_nothing_else(
    penstock: Penstock, world: World
) -> None:
    known = _known(world)
    result = penstock("reload", "public.a")
    assert result.exit_code == 0
    assert world.records[TableName("public", "a")] == replace(known, asked=1)


def test_reload_waits_for_a_busy_owner_row(penstock: Penstock, world: World) -> None:
    _known(world)
    world.busy = 3
    assert penstock("reload", "public.a").exit_code == 0
    world.busy = 100
    result = penstock("reload", "public.a")
    assert result.exit_code == 1
    assert "locked" in result.stderr


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("public.aa", "did you mean public.a?"),
        ("a", "must be schema.table"),
        ("public.", "must be schema.table"),
        ('public."a', "must be schema.table"),
    ],
)
def test_an_unknown_table_is_refused(
    penstock: Penstock, world: World, table: str, said: str
) -> None:
    before = {**world.records, TableName("public", "a"): _known(world)}
    result = penstock("reload", table)
    assert result.exit_code == 2
    assert said in result.stderr
    assert world.records == before


def test_reload_before_the_first_run_says_so(penstock: Penstock) -> None:
    result = penstock("reload", "public.a")
    assert result.exit_code == 2
    assert "has not run yet" in result.stderr


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("public.orders", TableName("public", "orders")),
        ('"My.Schema"."a ""b"""', TableName("My.Schema", 'a "b"')),
        ("Public.Größe", TableName("Public", "Größe")),
    ],
)
def test_table_names_are_taken_as_written(text: str, table: TableName) -> None:
    assert parse_table(text) == table


@pytest.mark.parametrize("text", ["", ".", "a", "a.b.c", '"a.b"', 'a."'])
def test_what_is_no_table_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_table(text)


# --- cleanup ---


def test_cleanup_lists_and_drops_the_slot_first(penstock: Penstock, world: World) -> None:
    world.owner = Owner(3, "x", "y", "host:1")
    world.made = ["replication slot penstock_orders"]
    result = penstock("cleanup", "--yes")
    assert result.exit_code == 0
    assert "source: replication slot penstock_orders" in result.stdout
    assert "1 lanes, 0 tables, 2 finished chunks" in result.stdout
    assert [step for step in world.done if step in ("detach", "remove")] == ["detach", "remove"]


def test_cleanup_says_when_nothing_was_made_on_the_source(penstock: Penstock) -> None:
    assert "source: nothing was made there" in penstock("cleanup", "--yes").stdout


def test_cleanup_asks_nobody_where_nobody_is(penstock: Penstock, world: World) -> None:
    result = penstock("cleanup")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert "detach" not in world.done
    assert "remove" not in world.done


def test_cleanup_of_a_running_replication_is_refused(penstock: Penstock, world: World) -> None:
    world.reader = "process 4711 on host db2"
    result = penstock("cleanup", "--yes")
    assert result.exit_code == 3
    assert "4711" in result.stderr
    assert "detach" not in world.done


def test_cleanup_that_cannot_reach_the_target_drops_nothing(
    penstock: Penstock, world: World
) -> None:
    world.errors["target.open"] = TargetConnectionError("nobody answers", hint="start it")
    result = penstock("cleanup", "--yes")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: nobody answers - start it"
    assert "detach" not in world.done


# --- compare ---


def test_a_comparison_that_cannot_be_made_exits_3(penstock: Penstock, world: World) -> None:
    result = penstock("compare")
    assert result.exit_code == 3
    assert "cannot be compared" in result.stderr
    world.relations = []
    result = penstock("compare")
    assert result.exit_code == 3
    assert "nothing was compared" in result.stderr
    world.errors["source.open"] = SourceConnectionError("nobody answers")
    assert penstock("compare").exit_code == 3


# --- run ---


@pytest.mark.parametrize(("option", "value"), [("--metrics", "nowhere"), ("--log-format", "xml")])
def test_a_wrong_option_of_run_exits_2(penstock: Penstock, option: str, value: str) -> None:
    assert penstock("run", option, value).exit_code == 2


def test_the_last_line_of_a_failure_is_its_reason_and_remedy(
    penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Outcome(3, reason="another owner", remedy="stop it")
    monkeypatch.setattr(run_command, "_watch", lambda *_: outcome)
    result = penstock("run")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1] == "error: another owner - stop it"
    result = penstock("run", "--log-format=json")
    assert json.loads(result.stderr.splitlines()[-1]) == {
        "level": "error",
        "message": "another owner",
        "hint": "stop it",
    }


def test_a_malformed_stop_position_is_found_before_anything_starts(
    penstock: Penstock, file: Path
) -> None:
    postgres = 'engine = "postgres"\nurl = "postgresql://u@localhost/d"'
    file.write_text(FILE.replace('engine = "memory"', postgres))
    result = penstock("run", "--stop-at", "soon")
    assert result.exit_code == 2
    assert "commit_time:MOMENT, or a position): must be a position of" in result.stderr
    assert "such as 16/B374D848" in result.stderr
    result = penstock("run", "--stop-at", "commit_time:soon")
    assert result.exit_code == 2
    assert "--stop-at: is no moment such as 2026-02-09T12:12:12" in result.stderr


def test_a_command_that_there_is_not_is_told_with_one_that_there_is() -> None:
    result = CliRunner().invoke(app, ["rnu"])
    assert result.exit_code == 2
    assert "Did you mean 'run'?" in result.output


def test_only_the_command_that_is_called_is_imported() -> None:
    code = (
        "import sys; from engine.control.cli import main; from engine.control.cli import run;"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    assert "engine.control.cli.run" in loaded
    assert not loaded & {"rich", "engine.control.cli.compare", "engine.worker", "connectors"}
    assert not loaded & {"botocore", "starlette", "uvicorn", "engine.control.api"}
