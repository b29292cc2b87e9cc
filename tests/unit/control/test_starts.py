"""What a start imports: each process only what it needs, asked of a new interpreter at its end."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]

FILE: Final = """
[replication]
id = "orders"
[source]
engine = "mysql"
url = "mysql://reader@127.0.0.1/shop"
[target]
engine = "postgres"
url = "postgresql://writer@127.0.0.1/shop"
"""

POSTGRES: Final = {"asyncpg", "psycopg", "psycopg_binary", "connectors.postgres"}

MYSQL: Final = {"aiomysql", "pymysql", "zstandard", "connectors.mysql"}

PRETTY: Final = {"rich", "markdown_it", "pygments"}
"""For terminals."""

SERVING: Final = {"prometheus_client", "http", "wsgiref"}

WATCHING: Final = {
    *POSTGRES,
    *MYSQL,
    *PRETTY,
    *SERVING,
    *("connectors", "cryptography", "uvloop", "argparse", "email", "importlib.metadata"),
    *("engine.contracts", "engine.registry", "engine.worker", "engine.pipeline", "engine.capacity"),
    *("engine.model.change", "engine.observe.metrics"),
}
"""What a process that only watches another needs nothing of."""

TELLING: Final = {
    *WATCHING,
    *("asyncio", "ssl", "tomllib", "orjson", "dataclasses"),
    *("engine.config", "engine.errors", "engine.model", "engine.control.supervisor"),
}
"""What a command needs nothing of that only tells what there is."""

ASKING: Final = {
    *POSTGRES,
    *MYSQL,
    *PRETTY,
    *("connectors", "cryptography", "uvloop", "asyncio", "botocore", "starlette", "uvicorn"),
    *("msgspec", "sqlite3", "prometheus_client", "engine.registry", "engine.worker"),
    *(f"engine.control.store.{name}" for name in ("choice", "transaction", "sqlite", "postgres")),
    "engine.control.supervisor",
}
"""What a command needs nothing of that asks the daemon."""

WORKING: Final = {*PRETTY, *SERVING, "typer", "engine.control", "connectors.memory", "sqlite3"}

TELL: Final = """
import os, sys
end = os._exit
def tell(code):
    print("imported", *sys.modules, file=sys.stderr, flush=True)
    end(code)
os._exit = tell
"""
"""A process ends by `os._exit`, see `engine.leaving`."""

COMMAND: Final = "from engine.control.cli import main; main()"

WATCH: Final = f"""
from functools import partial
from engine.control.cli import run
run.Supervisor = partial(run.Supervisor, command=["true"])
{COMMAND}
"""
"""Its worker does nothing."""

CONNECT: Final = """
from engine import leaving, worker
source, target = sys.argv[1:]
worker.system_parts()
from engine import registry
registry.source(source)
registry.target(target)
leaving.leave(0)
"""


def imported(code: str, *arguments: str) -> set[str]:
    """Everything that a new interpreter imports until it ends, however that is."""
    done = subprocess.run(
        [sys.executable, "-c", TELL + code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    told, *modules = done.stderr.splitlines()[-1].split()
    assert told == "imported"
    return set(modules)


def among(modules: set[str], names: set[str]) -> set[str]:
    """Those that are one of these, or within one."""
    return {module for module in modules for name in names if f"{module}.".startswith(f"{name}.")}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"]])
def test_what_tells_what_there_is(arguments: list[str]) -> None:
    modules = imported(COMMAND, *arguments)
    assert "typer" in modules
    unneeded = TELLING if len(arguments) == 1 else PRETTY
    assert among(modules, unneeded) == set()


def test_what_watches_a_worker_knows_no_database(tmp_path: Path) -> None:
    file = tmp_path / "orders.toml"
    file.write_text(FILE)
    modules = imported(WATCH, "run", str(file))
    assert {"asyncio.subprocess", "engine.control.supervisor", "engine.config.load"} <= modules
    assert among(modules, WATCHING) == set()


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["logs", "orders"],
        ["start", "orders"],
        ["stop", "orders"],
        ["reload", "orders", "public.a"],
        ["tables", "orders"],
        ["delete", "orders", "--yes"],
    ],
    ids=lambda words: words[0],
)
def test_what_asks_the_daemon_needs_little(words: list[str]) -> None:
    modules = imported(COMMAND, *words, "--endpoint-url", "http://127.0.0.1:1")
    assert {"engine.control.client.daemon", "http.client"} <= modules
    assert among(modules, ASKING) == set()


def test_what_applies_files_knows_no_database(tmp_path: Path) -> None:
    file = tmp_path / "orders.toml"
    file.write_text(FILE)
    modules = imported(COMMAND, "apply", str(file), "--endpoint-url", "http://127.0.0.1:1")
    assert {"engine.control.client.applying", "engine.config.load"} <= modules
    assert among(modules, ASKING) == set()


@pytest.mark.parametrize(
    ("source", "target", "unneeded"),
    [
        ("postgres", "postgres", {*MYSQL, "cryptography"}),
        ("mysql", "mysql", POSTGRES),
        ("mariadb", "postgres", set[str]()),
    ],
)
def test_a_worker_imports_the_drivers_of_its_own_ends(
    source: str, target: str, unneeded: set[str]
) -> None:
    modules = imported(CONNECT, source, target)
    assert "engine.pipeline" in modules
    families = {f"connectors.{name.replace('mariadb', 'mysql')}" for name in (source, target)}
    assert families <= modules
    assert among(modules, unneeded | WORKING) == set()
