"""Which tables a replication carries: selection rules, in AWS's form or the short one. (pure)"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.config.kind_text import ListOf, Text
from engine.config.pattern import NamePattern, literal
from engine.config.section import Section, key


class RuleAction(StrEnum):
    INCLUDE = "include"
    EXCLUDE = "exclude"
    EXPLICIT = "explicit"
    """Exactly one table, no wildcards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectionRule:
    """One selection rule. `id` names it in messages. Higher `load_order` loads first."""

    id: str
    action: RuleAction
    schema: NamePattern
    table: NamePattern
    load_order: int = 0

    def matches(self, schema: str, table: str) -> bool:
        return self.schema.matches(schema) and self.table.matches(table)


@dataclass(frozen=True, kw_only=True)
class TableMapping:
    """Selection rules in the order written. Exclude wins over include whatever the order."""

    rules: tuple[SelectionRule, ...]


EVERYTHING: Final = TableMapping(
    rules=(
        SelectionRule(
            id="default", action=RuleAction.INCLUDE, schema=NamePattern("%"), table=NamePattern("%")
        ),
    )
)
"""Used when the file says nothing: every user table."""

_SHORT: Final = re.compile(r'("(?:[^"]|"")+"|[^".]+)\.("(?:[^"]|"")+"|[^".]+)')


def parse_short(text: object) -> tuple[NamePattern, NamePattern]:
    """Read `schema.table`, where `%` is any run of characters.

    Unlike in AWS's rules `_` is an ordinary character here, table names are full of them. A part in
    double quotes is literal throughout, so it may hold dots and `%`.

    Raises:
        ValueError: what is wrong.
    """
    match = _SHORT.fullmatch(text) if isinstance(text, str) and len(text) <= 600 else None
    if match is None:
        raise ValueError(
            'expected schema.table such as "public.%" or "public.orders";'
            " a name with a dot goes into double quotes"
        )
    return _short_part(match[1]), _short_part(match[2])


def _short_part(text: str) -> NamePattern:
    if text.startswith('"'):
        return literal(text[1:-1].replace('""', '"'))
    return NamePattern("".join(f"[{c}]" if c in "_[" else c for c in text))


def _short_text(value: object) -> str:
    parse_short(Text("schema.table").read(value))
    return str(value)


_SHORT_PATTERNS: Final = ListOf(_short_text, 'patterns such as "public.%"')


@dataclass(frozen=True, kw_only=True)
class MappingConfig(Section):
    """The `[mapping]` table as written; `TableMapping` is what it means."""

    TABLE = "mapping"

    include: tuple[str, ...] = key(
        _SHORT_PATTERNS,
        "Tables to carry, as `schema.table` with `%` for any run of characters; `_` is literal."
        " Without it, and without `file`: every user table.",
        default=(),
    )
    exclude: tuple[str, ...] = key(
        _SHORT_PATTERNS, "Tables to leave out of those included.", default=()
    )
    file: str = key(
        Text("a path", empty=True),
        "AWS DMS table-mapping JSON with selection rules, instead of `include` and `exclude`."
        " Relative to this file.",
        default="",
    )


def short_mapping(include: tuple[str, ...], exclude: tuple[str, ...]) -> TableMapping:
    """The rules that `include` and `exclude` stand for. Rule ids are the keys and item numbers."""
    rules = [
        SelectionRule(id=f"{action}[{number}]", action=action, schema=schema, table=table)
        for action, texts in ((RuleAction.INCLUDE, include), (RuleAction.EXCLUDE, exclude))
        for number, (schema, table) in enumerate(map(parse_short, texts), 1)
    ]
    return TableMapping(rules=(*(() if include else EVERYTHING.rules), *rules))
