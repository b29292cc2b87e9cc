"""Writes connectors/postgres/TYPES.md from what a full load and a stream of every type prove.

python -m tests.integration.postgres_types.document
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.postgres.load_form import BINARY
from connectors.postgres.passthrough import ARRAYS_OF_USER_TYPES_FROM
from engine.model.relation import Format
from tests.integration.postgres_types.loading import Loaded, load
from tests.integration.postgres_types.streaming import Streamed, stream
from tests.integration.postgres_types.values import CASES, EVERY_CASE, TypeCase
from tests.servers.postgres import Cluster, Database

PATH: Final = Path(__file__).parents[3] / "connectors" / "postgres" / "TYPES.md"

SERVERS: Final = ("15", "18")
"""Debian's package of 15 has every extension and xml, 18 has the newest values."""

HEAD: Final = """# Types from PostgreSQL to PostgreSQL

Written by `python -m tests.integration.postgres_types.document`; tests keep it true. Every type
below was carried with extreme values (infinities, NaN, years BC, empty and very long ones, NULL)
from one server into another, PostgreSQL 15 and 18 in both directions (nightly every version from 13
on), by the full load and through the stream, and both sides print the same text. In the stream
values were inserted and updated, row by row and as sets, rows were found by their old values under
REPLICA IDENTITY FULL, those loaded in the other form too, and where the column *key* says so by a
key that the value is part of.

*binary*: the bytes of the source's binary form go into the target untouched, given that the
target's column has the same type. *text*: the value travels in its text form, with every setting
that shapes it pinned on both sides. In the full load one such column makes its table travel as
text; a target column of another, wider type does too, and into PostgreSQL 13 an array or composite
of user-defined types (for these the stream needs `stream_form = "text"`, and `penstock check` says
so). *text, whole stream*: one such column makes the whole stream travel as text, and `penstock
check` names it. PostgreSQL 13 has no other stream.

Whatever the form, a value arrives as the value it was, or is refused.

| type | kind | full load | stream | key | remark |
| --- | --- | --- | --- | --- | --- |
"""

ALONE: Final = {Format.BINARY: "binary", Format.TEXT: "text"}
WHOLE: Final = "text, whole stream"

_BY_DECLARATION: Final = {case.declaration: case for case in CASES}


@dataclass(frozen=True, slots=True)
class Proven:
    """How a type travels, in the document's words."""

    load: str
    stream: str
    key: bool


def load_words(loaded: Loaded) -> Mapping[str, str]:
    """How each type was loaded."""
    return {name: "binary" if f == BINARY else "text" for name, f in loaded.forms.items()}


def expected_loads(document: Mapping[str, Proven], loaded: Loaded) -> Mapping[str, str]:
    """How the document says that each of these types is loaded into that target."""
    return {
        name: "text" if _as_text(name, loaded) else document[name].load for name in loaded.forms
    }


def _as_text(declaration: str, loaded: Loaded) -> bool:
    """Whether the type is loaded as text because of these servers' versions."""
    case = _case(declaration)
    numbered = case.kind == "composite" or (case.kind != "built-in" and declaration.endswith("[]"))
    return (
        min(loaded.source, loaded.target) < case.sent_from
        or loaded.target < case.text_before
        or (numbered and loaded.target < ARRAYS_OF_USER_TYPES_FROM)
    )


def stream_words(binary: Streamed) -> Mapping[str, str]:
    """How each type travels, from a stream that could stay binary."""
    alone = {declaration: ALONE[form] for declaration, form in binary.forms.items()}
    return alone | dict.fromkeys(binary.left_out, WHOLE)


def render(proven: Mapping[str, Proven]) -> str:
    """The whole document, in the order of the list."""
    order = [case.declaration for case in EVERY_CASE]
    return HEAD + "".join(f"{_line(name, proven[name])}\n" for name in order if name in proven)


def _line(declaration: str, proven: Proven) -> str:
    case = _case(declaration)
    kind = f"array of {case.kind}" if declaration.endswith("[]") else case.kind
    key = "yes" if proven.key else ""
    return f"| `{declaration}` | {kind} | {proven.load} | {proven.stream} | {key} | {case.note} |"


def _case(declaration: str) -> TypeCase:
    return _BY_DECLARATION[declaration.removesuffix("[]")]


def documented() -> Mapping[str, Proven]:
    """What the document says, by declaration."""
    found: dict[str, Proven] = {}
    for line in PATH.read_text().splitlines():
        if line.startswith("| `"):
            declaration, _, load, stream, key, _ = line[2:-2].split(" | ", 5)
            found[declaration.strip("`")] = Proven(load, stream, key == "yes")
    return found


async def _measure(cluster: Cluster) -> Mapping[str, Proven]:
    def database(name: str) -> Database:
        return Database.create(cluster, name)

    loaded = await load(database("load_a"), database("load_b"))
    binary = await stream(database("binary_a"), database("binary_b"), binary=True)
    text = await stream(database("text_a"), database("text_b"), binary=False)
    assert not binary.wrong, binary.wrong
    assert not text.wrong, text.wrong
    words = stream_words(binary)
    return {
        name: Proven(word, words[name], name in text.keys)
        for name, word in load_words(loaded).items()
    }


def main() -> None:
    """Measure every server, oldest first; they must agree where no version is told apart."""
    proven: dict[str, Proven] = {}
    for major in SERVERS:
        with Cluster(major) as cluster:
            measured = asyncio.run(_measure(cluster))
        differing = {name for name, each in measured.items() if proven.get(name, each) != each}
        assert all(_case(name).text_before for name in differing), differing
        proven |= measured
    PATH.write_text(render(proven))


if __name__ == "__main__":
    main()
