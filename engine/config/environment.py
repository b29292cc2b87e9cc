"""`${NAME}` references to environment variables, in any text value of the TOML file. (pure)

Only values are expanded, not keys; what a variable holds is inserted as it is and not expanded
again. `$${` stands for a literal `${`. JSON files are not expanded: `${...}` is AWS syntax there.
"""

import re
from collections.abc import Mapping
from typing import Final

from engine.config.document import Document
from engine.config.problems import Problems, shown

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def expand_document(
    document: Document, environment: Mapping[str, str], problems: Problems, where: str = ""
) -> Document:
    """A copy with every reference replaced. What cannot be replaced is recorded as a problem;
    `where` is the table's name, when it is one."""
    above = f"{where}." if where else ""
    return {
        name: _expand(value, environment, f"{above}{shown(name)}", problems)
        for name, value in document.items()
    }


def _expand(
    value: object, environment: Mapping[str, str], where: str, problems: Problems
) -> object:
    if isinstance(value, str):
        return expand_text(value, environment, where, problems)
    if isinstance(value, list):
        return [
            _expand(item, environment, f"{where}[{number}]", problems)
            for number, item in enumerate(value)
        ]
    if isinstance(value, dict):
        return {
            name: _expand(item, environment, f"{where}.{shown(name)}", problems)
            for name, item in value.items()
        }
    return value


def expand_text(text: str, environment: Mapping[str, str], where: str, problems: Problems) -> str:
    """One text with its references replaced."""

    def replace(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        name, closed = match.groups()
        if not closed or _NAME.fullmatch(name) is None:
            problems.add(where, "${ must begin a reference such as ${NAME}", hint=_ESCAPE_HINT)
        elif name not in environment:
            problems.add(where, f"environment variable {name} is not set")
        else:
            return environment[name]
        return match.group()

    return _REFERENCE.sub(replace, text)


_ESCAPE_HINT: Final = "write $${ for a literal ${"


def escaped(text: str) -> str:
    """A text as the file has to hold it, so that it is read as it is."""
    return text.replace("${", "$${")


def escaped_document(document: Mapping[str, object]) -> Document:
    """A copy of a table with every text in it as the file has to hold it."""
    return {name: _escaped(value) for name, value in document.items()}


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return escaped_document(value) if isinstance(value, Mapping) else value
