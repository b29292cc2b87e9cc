"""Texts into plain documents: TOML and JSON with limits, duplicate keys refused. (pure)"""

import json
import tomllib
from typing import Final, NoReturn, TypeAlias

from engine.config.problems import Problems, shown

Document: TypeAlias = dict[str, object]

DOCUMENT_CHARACTERS_MAX: Final = 2 * 1024 * 1024
"""Longest file. A mapping with a rule for each of 10,000 tables has 1.5 million characters."""

DEPTH_MAX: Final = 32
"""Deepest nesting. AWS's own deepest document (object mapping) has about ten levels."""


class _RefusedError(ValueError):
    pass


def read_toml(text: str, problems: Problems) -> Document | None:
    """Parse TOML; None after a problem was recorded. TOML itself refuses duplicate keys."""
    if not _length_allowed(text, problems):
        return None
    try:
        document: Document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        problems.add("syntax", _syntax("TOML", error))
        return None
    return document if _depth_allowed(document, problems) else None


def read_json(text: str, problems: Problems) -> Document | None:
    """Parse a JSON object; None after a problem was recorded."""
    if not _length_allowed(text, problems):
        return None
    try:
        document = json.loads(
            text.removeprefix("\ufeff"), object_pairs_hook=_object, parse_constant=_constant
        )
    except (RecursionError, ValueError) as error:
        problems.add("syntax", _syntax("JSON", error))
        return None
    if not isinstance(document, dict):
        problems.add("syntax", "must be a JSON object")
        return None
    return document if _depth_allowed(document, problems) else None


def _object(pairs: list[tuple[str, object]]) -> Document:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RefusedError(f"key {shown(twice)} is written twice in one object")
    return document


def _constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not JSON")


def _syntax(language: str, error: Exception) -> str:
    """The parser's own sentence. Both parsers name places and characters, not values."""
    if isinstance(error, RecursionError):
        return f"is nested deeper than {DEPTH_MAX} levels"
    if isinstance(error, tomllib.TOMLDecodeError | json.JSONDecodeError | _RefusedError):
        return f"not valid {language}: {shown(error)}"
    return f"not valid {language}: a number or date in it is out of range"


def _length_allowed(text: str, problems: Problems) -> bool:
    if len(text) > DOCUMENT_CHARACTERS_MAX:
        problems.add("syntax", f"must have at most {DOCUMENT_CHARACTERS_MAX:,} characters")
        return False
    return True


def _depth_allowed(document: Document, problems: Problems) -> bool:
    level: list[object] = [document]
    for _ in range(DEPTH_MAX):
        level = [
            child
            for node in level
            for child in (
                node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
            )
        ]
        if not level:
            return True
    problems.add("syntax", f"is nested deeper than {DEPTH_MAX} levels")
    return False
