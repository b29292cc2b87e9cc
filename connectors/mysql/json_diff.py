"""(pure) Changes of a part of a JSON document, which stand in the log in place of the whole.

See: MySQL source, `sql/json_diff.h`, `json_diff.cc`; the manual, "JSON Path Syntax".
"""

import json
import re
from typing import Final, NamedTuple, NoReturn, TypeAlias

from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.json_binary import Node, parse_json

_REPLACE: Final = 0
_INSERT: Final = 1
_REMOVE: Final = 2

_LEG: Final = re.compile(r'\.("(?:[^"\\]|\\.)*")|\.([^\s."\[\]]+)|\[([0-9]{1,10})\]', re.ASCII)

Leg: TypeAlias = str | int
"""A member of an object, or an element of an array."""


class Diff(NamedTuple):
    operation: int
    path: tuple[Leg, ...]
    value: Node


def parse_diffs(data: bytes) -> list[Diff]:
    """The changes of one document, in order. Raises ValueError."""
    cursor = Cursor(data, 0, len(data))
    found: list[Diff] = []
    while cursor.left:
        operation = cursor.u8()
        if operation > _REMOVE:
            raise ValueError("a JSON document is changed in a way that is unknown")
        path = _path(cursor.packed_bytes().decode())
        value = parse_json(cursor.packed_bytes()) if operation != _REMOVE else ""
        found.append(Diff(operation, path, value))
    return found


def _path(text: str) -> tuple[Leg, ...]:
    if not text.startswith("$"):
        raise ValueError("a path in a JSON document does not begin with $")
    legs: list[Leg] = []
    at = 1
    while at < len(text):
        match = _LEG.match(text, at)
        if match is None:
            raise ValueError("a path in a JSON document has a part that is unknown")
        if match[1] is not None:
            legs.append(str(json.loads(match[1])))
        else:
            legs.append(match[2] if match[2] is not None else int(match[3]))
        at = match.end()
    return tuple(legs)


def apply_diffs(document: Node, diffs: list[Diff]) -> Node:
    """The document after its changes; it may be changed in place.

    Raises:
        ValueError: it is not the document that the changes are of.
    """
    for diff in diffs:
        if diff.path:
            _apply(_parent(document, diff.path), diff)
        elif diff.operation == _REPLACE:
            document = diff.value
        else:
            raise ValueError(_OTHER)
    return document


_OTHER: Final = "a change of a JSON document does not fit the document"


def _parent(node: Node, path: tuple[Leg, ...]) -> Node:
    for leg in path[:-1]:
        node = _child(node, leg)
    return node


def _child(node: Node, leg: Leg) -> Node:
    if isinstance(node, dict) and isinstance(leg, str) and leg in node:
        return node[leg]
    if isinstance(node, list) and isinstance(leg, int) and leg < len(node):
        return node[leg]
    if leg == 0 and not isinstance(node, list):
        return node  # Element 0 of what is no array is the value itself.
    raise ValueError(_OTHER)


def _apply(parent: Node, diff: Diff) -> None:
    leg = diff.path[-1]
    if isinstance(parent, dict) and isinstance(leg, str):
        _apply_member(parent, leg, diff)
    elif isinstance(parent, list) and isinstance(leg, int):
        _apply_element(parent, leg, diff)
    else:
        _refuse()


def _refuse() -> NoReturn:
    raise ValueError(_OTHER)


def _apply_member(parent: dict[str, Node], name: str, diff: Diff) -> None:
    if (name in parent) == (diff.operation == _INSERT):
        _refuse()
    if diff.operation == _REMOVE:
        del parent[name]
    else:
        parent[name] = diff.value


def _apply_element(parent: list[Node], place: int, diff: Diff) -> None:
    if diff.operation == _INSERT:
        parent.insert(place, diff.value)  # Behind the end means at the end.
    elif place >= len(parent):
        raise ValueError(_OTHER)
    elif diff.operation == _REMOVE:
        del parent[place]
    else:
        parent[place] = diff.value
