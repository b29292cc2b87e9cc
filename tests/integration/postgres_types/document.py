"""Writes connectors/postgres/TYPES.md from what a full load of every type proves.

python -m tests.integration.postgres_types.document
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from connectors.postgres.load_form import BINARY
from tests.integration.postgres_types.loading import Loaded, load
from tests.integration.postgres_types.values import CASES, EVERY_CASE
from tests.servers.postgres import Cluster, Database

PATH: Final = Path(__file__).parents[3] / "connectors" / "postgres" / "TYPES.md"

HEAD: Final = """# Types from PostgreSQL to PostgreSQL

Written by `python -m tests.integration.postgres_types.document`; a test keeps it true. Every type
below was loaded with extreme values (infinities, NaN, years BC, empty and very long ones, NULL)
from one server into another, PostgreSQL 15 and 18 in all four directions, and both print the same
text.

*binary*: the bytes of the source's binary form go into the target untouched, given that the
target's column has the same type. *text*: the value travels in its text form, with every setting
that shapes it pinned on both sides. One such column makes its table travel as text; a target column
of another, wider type does too. Whatever the form, a value arrives as the value it was.

| type | kind | copied as | remark |
| --- | --- | --- | --- |
"""

_BY_DECLARATION: Final = {case.declaration: case for case in CASES}


def line(declaration: str, form: str) -> str:
    """The table's line for a type and the form it was loaded in."""
    case = _BY_DECLARATION[declaration.removesuffix("[]")]
    kind = f"array of {case.kind}" if declaration.endswith("[]") else case.kind
    word = "binary" if form == BINARY else "text"
    return f"| `{declaration}` | {kind} | {word} | {case.note} |"


def render(forms: Mapping[str, str]) -> str:
    """The whole document, in the order of the list."""
    order = [case.declaration for case in EVERY_CASE]
    return HEAD + "".join(f"{line(name, forms[name])}\n" for name in order if name in forms)


async def measure(source: Cluster, target: Cluster) -> Loaded:
    return await load(Database.create(source, "types_a"), Database.create(target, "types_b"))


def main() -> None:
    """Run on PostgreSQL 15, whose package has every extension."""
    with Cluster("15") as cluster:
        PATH.write_text(render(asyncio.run(measure(cluster, cluster)).forms))


if __name__ == "__main__":
    main()
