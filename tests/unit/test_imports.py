"""Which module may import which: the layers of the engine, read from the source text."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

LAYERS: Final = (
    {"errors"},
    {"model"},
    {
        "abilities",
        "addresses",
        "contracts",
        "machine",
        "comparable",
        "config",
        "observe",
        "retry",
        "failpoint",
        "quarantine",
        "sealing",
        "spool",
    },
    {"plan"},
    {"capture", "load", "queue", "route", "apply", "checkpoint", "validate", "capacity"},
    {"registry", "pipeline", "seams"},
    {"worker"},
    {"control"},
)
"""The parts of `engine`, lowest first: a part imports lower ones only."""

PIPELINE: Final = 5

PEERS: Final = (2, PIPELINE)
"""Layers whose parts may import each other; the cycle test below keeps them in order."""

SHARED_CONNECTORS: Final = {"_interchange", "_sql", "_aws"}

IMPURE: Final = {
    "asyncio",
    "uvloop",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "asyncpg",
    "psycopg",
    "aiomysql",
    "pymysql",
}

AT_ONE_PLACE: Final = {
    "botocore": "engine.control.api.wire",
    "starlette": "engine.control.api.",
    "uvicorn": "engine.control.api.serving",
}
"""Packages of the daemon's face, with the beginning of the names that may import each."""

MODULES: Final = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("engine", "connectors")
    for path in sorted((ROOT / package).rglob("*.py"))
}


def layer(part: str) -> int:
    """A part's place. A module beside `pipeline` that no layer names is a piece of the pipeline."""
    named = (number for number, parts in enumerate(LAYERS) if part in parts)
    return next(named, PIPELINE)


@dataclass(frozen=True)
class Read:
    """What a module's text says: whether it is marked pure, and every module that import statements
    name, wherever they stand; `from package import module` names the module."""

    pure: bool
    imports: frozenset[str]
    at_run_time: frozenset[str]
    """Without what only a type checker runs."""


@cache
def read(module: str) -> Read:
    """Once for all rules."""
    tree = ast.parse(MODULES[module].read_text())
    return Read(
        pure="(pure)" in (ast.get_docstring(tree) or ""),
        imports=frozenset(imports(tree, typing=True)),
        at_run_time=frozenset(imports(tree, typing=False)),
    )


def imports(tree: ast.Module, *, typing: bool) -> Iterator[str]:
    for node in nodes(tree, typing=typing):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = (f"{base}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else base for name in names)


def nodes(tree: ast.AST, *, typing: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if typing or not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node
            yield from nodes(node, typing=typing)


def objection(module: str, imported: str) -> str:
    """Why a module may not import another; empty when it may."""
    package, _, part = module.partition(".")
    other_package, _, other_part = imported.partition(".")
    part, other_part = part.partition(".")[0], other_part.partition(".")[0]
    if imported.startswith("."):
        return "relative import"
    if other_package not in ("engine", "connectors"):
        return ""
    if MODULES.get(imported, Path("__init__.py")).name == "__init__.py":
        return "a package or nothing: import the module that defines the name"
    if other_package == "connectors":
        own = package == "connectors" and other_part in {part, *SHARED_CONNECTORS}
        return "" if own else "nobody imports a connector but itself"
    if package == "connectors":
        return "" if layer(other_part) <= layer("contracts") else "not for connectors"
    if part == other_part or layer(other_part) < layer(part):
        return ""
    both_peers = layer(other_part) == layer(part) in PEERS
    return "" if both_peers else "stands beside or above"


def misplaced(module: str) -> list[str]:
    """Imports of what stands beside or above, each with the reason."""
    found = ((name, objection(module, name)) for name in sorted(read(module).imports))
    return [f"{name}: {reason}" for name, reason in found if reason]


def impure(module: str) -> list[str]:
    """The event loop or a driver, in a module that is marked pure."""
    found = read(module)
    packages = {name.partition(".")[0] for name in found.imports}
    return sorted(packages & IMPURE) if found.pure else []


def strangers(module: str) -> list[str]:
    """A package of the daemon's face that is imported outside its place."""
    packages = {imported.partition(".")[0] for imported in read(module).imports}
    return sorted(
        package
        for package in packages & AT_ONE_PLACE.keys()
        if not module.startswith(AT_ONE_PLACE[package])
    )


@pytest.mark.parametrize("rule", [misplaced, impure, strangers])
def test_no_module_imports_what_it_may_not(rule: Callable[[str], list[str]]) -> None:
    found = {module: rule(module) for module in MODULES}
    assert {module: objections for module, objections in found.items() if objections} == {}


def test_no_two_modules_import_each_other() -> None:
    graph = {
        module: {name for name in read(module).at_run_time if name in MODULES} for module in MODULES
    }
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)


def test_every_folder_of_the_engine_has_a_layer() -> None:
    folders = {path.parent.name for path in (ROOT / "engine").glob("*/__init__.py")}
    assert folders <= set().union(*LAYERS)


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("engine.apply.fold", "engine.model.change", True),
        ("engine.apply.fold", "engine.apply.lane", True),
        ("engine.apply.fold", "engine.capture.reader", False),
        ("engine.model.change", "engine.contracts", False),
        ("engine.model.change", "engine.model", False),
        ("engine.worker", "connectors.postgres.source", False),
        ("engine.worker", "engine", False),
        ("engine.retry", "engine.contracts", True),
        ("connectors.memory.source", "engine.contracts", True),
        ("connectors.memory.source", "engine.worker", False),
        ("connectors.memory.source", "connectors.postgres.source", False),
        ("connectors.memory.source", ".target", False),
        ("engine.model.change", "dataclasses", True),
    ],
)
def test_the_rule_itself_tells_right_from_wrong(module: str, imported: str, allowed: bool) -> None:
    known = imported in MODULES or not imported.startswith(("engine.", "connectors."))
    assert known or not allowed
    assert (objection(module, imported) == "") is allowed
