"""What no source file may do, read from the text: a run must be repeatable from its seed.

Time, randomness, files and tasks come through the seams (`engine.machine`: Clock, Random, Disk; a
TaskGroup), so that a simulation decides them. A set of strings is walked in another order in every
process, so nothing walks one unsorted.
"""

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import pytest

Rule: TypeAlias = Callable[[ast.Module], Iterator[str]]
"""What a module's text breaks, each with its line."""

ROOT: Final = Path(__file__).resolve().parents[2]

SOURCES: Final = {
    str(path.relative_to(ROOT)): path
    for package in ("engine", "connectors")
    for path in sorted((ROOT / package).rglob("*.py"))
}

OUTERMOST: Final = ("engine/seams.py", "engine/worker.py", "engine/control/")
"""The process around an engine: it makes the seams, reads the user's files, starts processes."""

EXCEPTIONS: Final = {
    # A thread sees a loop that stands still; nothing in the loop could.
    "engine/observe/watchdog.py": {"threading.Thread()"},
    # Log lines leave by a thread, so that a full pipe never stalls the loop.
    "engine/observe/writer.py": {"threading.Thread()"},
    # The order in which probe connections are closed at the end decides nothing.
    "engine/observe/http.py": {"walks self._tasks"},
}
"""What single files may do, and why."""

MAY_READ_FILES: Final = (*OUTERMOST, "engine/config/")
"""The user's configuration is files; it is read before anything runs."""

CLOCKS_AND_CHANCE: Final = {"time", "random", "uuid", "secrets"}

FORBIDDEN_CALLS: Final = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "datetime.datetime.now",
    "datetime.date.today",
    "os.urandom",
    "os.getrandom",
    "os.times",
    "asyncio.create_task",
    "asyncio.ensure_future",
    "asyncio.to_thread",
    "threading.Thread",
}

FILE_CALLS: Final = re.compile(
    r"^(open|io\.open|os\.open|tempfile\.\w+)$"
    r"|\.(read_text|write_text|read_bytes|write_bytes)$"
    r"|(Path\(.*\)|path|file|directory|folder)\.open$"
)
"""Other things have an `open` too: a source, a target, a connection."""

LINES_MAX: Final = 600
"""Past this a noun is hiding in the module."""

VAGUE_NAMES: Final = {"utils", "util", "common", "helpers", "helper", "misc"}

REGISTRY_HOST: Final = re.compile(
    r"py~pi\.org|python~hosted\.|npm~js\.|index~-url|cra~tes\.io|ma~ven\.org|deb\.deb~ian".replace(
        "~", ""
    )
)
"""Where packages come from is the machine's setting, not the repository's.

Spelled with gaps, so that this file names none itself.
"""


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every call as dotted text and line; `a().b()` is `a().b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def broken(name: str) -> list[str]:
    """What the rules for a source file object to, without that file's exceptions."""
    tree = ast.parse(SOURCES[name].read_text())
    rules = (rule for rule, free in RULES if not name.startswith(free))
    objections = (text for rule in rules for text in rule(tree))
    allowed = EXCEPTIONS.get(name, set())
    return [text for text in objections if text.partition(": ")[2] not in allowed]


def clocks_and_chance(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names: Iterable[str] = (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        found = CLOCKS_AND_CHANCE.intersection(names)
        yield from (f"line {node.lineno}: import {name}" for name in sorted(found))
    for call, line in calls(tree):
        task_outside_a_group = call.endswith("create_task") and "loop" in call.lower()
        if call in FORBIDDEN_CALLS or task_outside_a_group:
            yield f"line {line}: {call}()"


def files(tree: ast.AST) -> Iterator[str]:
    for call, line in calls(tree):
        if FILE_CALLS.search(call):
            yield f"line {line}: {call}()"


ORDER_FREE: Final = {"sorted", "set", "frozenset", "any", "all", "sum", "min", "max", "len"}

COMPREHENSIONS: Final = (ast.ListComp, ast.GeneratorExp, ast.DictComp)


def unsorted_sets(tree: ast.Module) -> Iterator[str]:
    """Loops and comprehensions over a set whose order could matter."""
    sets = set(set_names(tree))
    free = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ORDER_FREE
        for argument in node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.For):
            walked = [node.iter]
        elif (
            isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp)
            and id(node) not in free
        ):
            walked = [generator.iter for generator in node.generators]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("list", "tuple", "iter"):
            walked = node.args
        else:
            continue
        for expression in walked:
            if is_set(expression, sets):
                yield f"line {node.lineno}: walks {ast.unparse(expression)}"


def is_set(node: ast.expr, sets: set[str]) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub):
        return is_set(node.left, sets) or is_set(node.right, sets)
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("set", "frozenset")
    return isinstance(node, ast.Set | ast.SetComp) or ast.unparse(node) in sets


def set_names(tree: ast.Module) -> Iterator[str]:
    """Names and attributes that are sets by annotation or by assignment, anywhere in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            if re.match(r"(set|frozenset|AbstractSet|MutableSet)\b", ast.unparse(node.annotation)):
                yield ast.unparse(node.target)
                yield f"self.{ast.unparse(node.target)}"
        elif isinstance(node, ast.arg) and node.annotation is not None:
            if re.match(r"(set|frozenset|AbstractSet)\b", ast.unparse(node.annotation)):
                yield node.arg
        elif isinstance(node, ast.Assign) and is_set(node.value, set()):
            yield from (ast.unparse(target) for target in node.targets)


RULES: Final[Sequence[tuple[Rule, tuple[str, ...]]]] = (
    (clocks_and_chance, OUTERMOST),
    (files, MAY_READ_FILES),
    (unsorted_sets, OUTERMOST),
)
"""Each with the beginnings of the names that it does not hold for."""


def test_no_source_file_breaks_a_rule() -> None:
    found = {name: broken(name) for name in SOURCES}
    assert {name: objections for name, objections in found.items() if objections} == {}


FOREIGN: Final = {".git", ".venv", ".cache", "__pycache__", "node_modules", "dist", "build"}


@cache
def texts() -> Mapping[str, str]:
    """Every text file of the checkout; what is installed, cached or git's own is not ours."""
    found = {}
    for folder, within, names in os.walk(ROOT):
        within[:] = sorted(set(within) - FOREIGN)
        for path in (Path(folder, name) for name in sorted(set(names) - FOREIGN)):
            if path.is_file() and path.stat().st_size < 4_000_000:
                with suppress(UnicodeDecodeError):
                    found[str(path.relative_to(ROOT))] = path.read_text()
    return found


def test_no_file_names_a_package_registry() -> None:
    found = {
        f"{name}: {match.group()}"
        for name, text in texts().items()
        if (match := REGISTRY_HOST.search(text))
    }
    assert found == set()


def test_no_module_has_grown_past_its_limit() -> None:
    modules = {name: text for name, text in texts().items() if name.endswith(".py")}
    lengths = {name: len(text.splitlines()) for name, text in modules.items()}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


def test_every_module_is_named_after_something() -> None:
    modules = [Path(name) for name in texts() if name.endswith(".py")]
    vague = [str(path) for path in modules if VAGUE_NAMES.intersection((*path.parts, path.stem))]
    assert vague == []


@pytest.mark.parametrize(
    ("rule", "text", "objects"),
    [
        (clocks_and_chance, "import time", True),
        (clocks_and_chance, "from random import choice", True),
        (clocks_and_chance, "x = datetime.now(UTC)", True),
        (clocks_and_chance, "asyncio.get_running_loop().create_task(work())", True),
        (clocks_and_chance, "tasks.create_task(work())", False),
        (clocks_and_chance, "await asyncio.sleep(clock.monotonic())", False),
        (files, "open('x')", True),
        (files, "Path('x').read_text()", True),
        (files, "self._path.open()", True),
        (files, "await self._source.open()", False),
        (files, "await Link.open(settings)", False),
        (unsorted_sets, "for x in {1, 2}: pass", True),
        (unsorted_sets, "self.busy: set[str] = set()\nfor x in self.busy: pass", True),
        (unsorted_sets, "def f(names: set[str]): return [n for n in names]", True),
        (unsorted_sets, "a = set(b)\nc = list(a - d)", True),
        (unsorted_sets, "a = set(b)\nfor x in sorted(a): pass", False),
        (unsorted_sets, "a = set(b)\nc = any(x for x in a)", False),
    ],
)
def test_the_rules_themselves_tell_right_from_wrong(rule: Rule, text: str, objects: bool) -> None:
    assert bool(list(rule(ast.parse(text)))) is objects
