"""In which form a table's rows are copied: binary where every byte may pass, else text. (pure)

The text form is lossless for every type, given the settings pinned on both sides, and names what
the binary form numbers: a `regclass` travels in binary as an OID that means another table there.
`aclitem` has no binary form, and at any depth the server finds that out only while it copies. Of
`tsquery`, `int2vector` and `oidvector` the empty value is sent in binary form and not taken back
("operand not found", "invalid int2vector data"). A server before 17 refuses an infinite interval in
text form and takes it for a finite one in binary form.
"""

import re
from typing import Final

from connectors.postgres.newer_values import INFINITE_INTERVALS_FROM, holds_intervals
from connectors.postgres.passthrough import Passage, judge
from engine.model.relation import Column, Format, Relation

BINARY: Final = "postgres-binary"
TEXT: Final = "postgres-text"

_TEXT_ONLY: Final = re.compile(
    r"\b(?:aclitem|tsquery|int2vector|oidvector)\b|\breg(?:class|collation|config|dictionary|namespace|oper|operator|proc|procedure|role|type"
    r"|database)\b"
)

_NESTED_BASE: Final = " = base("
"""In a canonical definition (`type_facts`): a part is of an extension's base type. Some have no
binary form (isbn), which of the part nobody has asked here."""


def load_form(relation: Relation, target: Relation | None, version: int) -> str:
    """The form for rows of the source's `relation` into `target`, the table as it is there.

    `version`: the target's `server_version_num`. A column that the target lacks or has in another
    type gives text; whether it fits at all is for `ensure` to say.
    """
    if target is None or relation.wire != "postgres":
        return TEXT
    there = {column.name: column for column in target.columns}
    passes = all(_passes(column, there.get(column.name), version) for column in relation.columns)
    return BINARY if passes else TEXT


def _passes(column: Column, there: Column | None, version: int) -> bool:
    if there is None or Format.TEXT in (column.format, there.format):
        return False
    definition = column.type.definition
    if _TEXT_ONLY.search(column.type.name) or _TEXT_ONLY.search(definition):
        return False
    if _NESTED_BASE in definition:
        return False
    if version < INFINITE_INTERVALS_FROM and holds_intervals(column):
        return False
    return judge(column.type, there.type, version) is Passage.SAME
