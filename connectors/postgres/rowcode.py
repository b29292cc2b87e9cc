"""(pure) Row splitters, made per relation version.

A tuple on the wire is a column count and, per column, a kind byte (`b` binary, `t` text, `n` NULL,
`u` unchanged TOAST) with a length and bytes for the first two. Looping over columns costs more than
anything else in the decoder, so for each relation Python source is generated in which neighbouring
columns of fixed width are read by one `struct` call and checked against constants. Whatever does
not look as expected goes to the plain loop in this module, which also words the errors.

Generated text holds numbers only, never a name from the catalog.

Where the loops in C are there (`compiled.py`) they take the place of the generated functions, with
the same way out to the plain loop.

See: PostgreSQL manual, Logical Replication Message Formats, "TupleData".
"""

import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from connectors._interchange import compiled
from connectors._interchange.compiled import Loops
from engine.errors import DecodeError
from engine.model.change import DELETE, INSERT, UPDATE, Change, Event
from engine.model.relation import Column, Format, Relation
from engine.model.value import UNCHANGED, Row, Value

Action: TypeAlias = Callable[[bytes], Change]
"""From one whole message to its change. Raises DecodeError and nothing else."""

COMPILED_COLUMNS_MAX: Final = 200
"""Wider tables are read by the plain loop: compiling costs more than it is likely to win."""

FIXED_WIDTH_BYTES: Final = {
    16: 1, 18: 1, 20: 8, 21: 2, 23: 4, 26: 4, 27: 6, 28: 4, 29: 4, 600: 16, 601: 32, 603: 32,
    628: 24, 700: 4, 701: 8, 718: 24, 774: 8, 790: 8, 829: 6, 1082: 4, 1083: 8, 1114: 8, 1184: 8,
    1186: 16, 1266: 12, 2950: 16, 3220: 8, 5069: 8,
}  # fmt: skip
"""Bytes of the binary form by type OID (pg_type.dat and the types' send functions). A hint for
speed: another length is read by the plain loop."""

_BINARY: Final = 98
_TEXT: Final = 116
_NULL: Final = 110
_TOAST: Final = 117
_NEW: Final = 78
_LENGTH: Final = struct.Struct(">I").unpack_from
_COUNT: Final = struct.Struct(">H").unpack_from
_KINDS: Final = {Format.BINARY: _BINARY, Format.TEXT: _TEXT}


def actions(relation: Relation, oid: int, start: int) -> dict[bytes, Action]:
    """What to call for each row message of a relation, keyed by the six bytes that begin it:
    message kind, relation OID, tuple kind. `start` is where the message begins in its buffer."""
    name = oid.to_bytes(4, "big")
    made = _plain_actions(relation, start + 6)
    if compiled.LOOPS is not None:
        made = _native_actions(compiled.LOOPS, relation, start + 6, made)
    elif len(relation.columns) <= COMPILED_COLUMNS_MAX:
        made |= _generated_actions(relation, start + 6, made)
    return {head[:1] + name + head[1:]: action for head, action in made.items()}


def read_rows(
    messages: list[bytes],
    first: int,
    start: int,
    actions: dict[bytes, Action],
    events: list[Event],
) -> int:
    """Append the changes of `messages[first:]` to `events`, up to the first message that has no
    action; returns its index, or the number of messages."""
    if compiled.LOOPS is not None:
        return compiled.LOOPS.read_rows(messages, first, start, actions, events)
    get, append = actions.get, events.append
    behind = start + 6
    for index in range(first, len(messages)):
        data = messages[index]
        action = get(data[start:behind])
        if action is None:
            return index
        append(action(data))
    return len(messages)


def _native_actions(
    loops: Loops, relation: Relation, at: int, plain: dict[bytes, Action]
) -> dict[bytes, Action]:
    kinds = bytes([_KINDS[column.format] for column in relation.columns])
    identity = bytes([column.identity for column in relation.columns])
    operations = {b"I": INSERT, b"U": UPDATE, b"D": DELETE}
    return {
        head: loops.RowReader(
            relation,
            action,
            Change,
            UNCHANGED,
            kinds,
            identity,
            operations[head[:1]],
            at,
            head[1:] != b"N",
            head[:1] != b"D",
            head[1:] == b"O",
        )
        for head, action in plain.items()
    }


# --- the plain loop -------------------------------------------------------------------------------


def _plain_actions(relation: Relation, at: int) -> dict[bytes, Action]:
    read = _Reader(relation)

    def insert(data: bytes) -> Change:
        row, end = read.new(data, at, None)
        read.finish(data, end)
        return Change(INSERT, relation, row, None)

    def update(data: bytes) -> Change:
        row, end = read.new(data, at, None)
        read.finish(data, end)
        return Change(UPDATE, relation, row, None)

    def update_old(data: bytes, full: bool) -> Change:
        old, end = read.old(data, at, full)
        if data[end : end + 1] != b"N":
            raise read.error("its new row is missing")
        row, end = read.new(data, end + 1, old)
        read.finish(data, end)
        return Change(UPDATE, relation, row, old)

    def delete(data: bytes, full: bool) -> Change:
        old, end = read.old(data, at, full)
        read.finish(data, end)
        return Change(DELETE, relation, None, old)

    return {
        b"IN": insert,
        b"UN": update,
        b"UK": lambda data: update_old(data, False),
        b"UO": lambda data: update_old(data, True),
        b"DK": lambda data: delete(data, False),
        b"DO": lambda data: delete(data, True),
    }


class _Reader:
    """Reads tuples column by column, checking everything."""

    def __init__(self, relation: Relation) -> None:
        self._name = relation.qualified
        self._kinds = [_KINDS[column.format] for column in relation.columns]
        self._identity = [column.identity for column in relation.columns]

    def error(self, what: str) -> DecodeError:
        return DecodeError(f"row message of {self._name}: {what}")

    def finish(self, data: bytes, end: int) -> None:
        if end != len(data):
            raise self.error(f"{len(data) - end} bytes left over")

    def old(self, data: bytes, at: int, full: bool) -> tuple[Row, int]:
        """An old row. In a key tuple the columns outside the key come as NULL and are unknown."""
        values, end = self._values(data, at)
        if not full:
            for i, sent in enumerate(self._identity):
                if values[i] is None and not sent:
                    values[i] = UNCHANGED
        return tuple(values), end

    def new(self, data: bytes, at: int, old: Row | None) -> tuple[Row, int]:
        """A new row; what it leaves unchanged is taken from the old row, as far as that was sent: a
        full one has everything, a key tuple a key that is stored apart from its row."""
        values, end = self._values(data, at)
        if old is not None and UNCHANGED in values:
            values = [old[i] if value is UNCHANGED else value for i, value in enumerate(values)]
        return tuple(values), end

    def _values(self, data: bytes, at: int) -> tuple[list[Value], int]:
        size = len(data)
        kinds = self._kinds
        if at + 2 > size or _COUNT(data, at)[0] != len(kinds):
            raise self.error(f"its column count is not {len(kinds)}")
        at += 2
        values: list[Value] = []
        append = values.append
        for expected in kinds:
            kind = data[at] if at < size else 0
            if kind == expected and at + 5 <= size:
                end = at + 5 + _LENGTH(data, at + 1)[0]
                if end > size:
                    raise self.error(f"column {len(values) + 1} is longer than the message")
                append(data[at + 5 : end])
                at = end
            elif kind == _NULL:
                append(None)
                at += 1
            elif kind == _TOAST:
                append(UNCHANGED)
                at += 1
            else:
                raise self.error(f"column {len(values) + 1} has kind {kind}, not {expected}")
        return values, at


# --- generated code -------------------------------------------------------------------------------


def _generated_actions(
    relation: Relation, at: int, plain: dict[bytes, Action]
) -> dict[bytes, Action]:
    texts = {
        b"IN": _Writer(relation, at).new("v").end(f"({INSERT}, R, (v), None)"),
        b"UN": _Writer(relation, at).new("v").end(f"({UPDATE}, R, (v), None)"),
        b"DK": _Writer(relation, at).key("o").end(f"({DELETE}, R, None, (o))"),
        b"DO": _Writer(relation, at).new("o").end(f"({DELETE}, R, None, (o))"),
    }
    both = _Writer(relation, at).new("o").marker().new("v", "o")
    texts[b"UO"] = both.end(f"({UPDATE}, R, (v), (o))")
    return {head: _build(writer, relation, plain[head]) for head, writer in texts.items()}


def _build(writer: "_Writer", relation: Relation, plain: Action) -> Action:
    scope: dict[str, object] = {
        "R": relation, "U": UNCHANGED, "C": Change, "new": tuple.__new__, "plain": plain,
        "error": struct.error,
    }  # fmt: skip
    scope |= {f"u{i}": struct.Struct(text).unpack_from for i, text in enumerate(writer.structs)}
    exec(writer.source(), scope)  # noqa: S102 - the text is ours and holds numbers only
    action = scope["action"]
    assert callable(action)
    return action


class _Writer:
    """Writes one function that reads one or two tuples.

    Columns are gathered into one struct call until a column of variable width ends it with its
    length; its bytes are sliced, and the next call starts behind them.
    """

    def __init__(self, relation: Relation, at: int) -> None:
        self.structs: list[str] = []
        self._columns = relation.columns
        self._lines: list[str] = []
        self._at = str(at)
        self._unsent: set[int] = set()
        self._result = ""
        self._gather()

    def new(self, letter: str, fill: str = "") -> "_Writer":
        """A whole tuple into `letter`0, `letter`1 ...; `fill` names the old tuple's letter."""
        self._expect("H", f"{letter}n", len(self._columns))
        for i, column in enumerate(self._columns):
            self._column(f"{letter}{i}", column, f"{fill}{i}" if fill else "U")
        return self

    def key(self, letter: str) -> "_Writer":
        """A key tuple: columns outside the identity come as NULL and are UNCHANGED."""
        self._expect("H", f"{letter}n", len(self._columns))
        for i, column in enumerate(self._columns):
            if column.identity:
                self._column(f"{letter}{i}", column, "U")
            else:
                self._expect("B", f"k{letter}{i}", _NULL)
                self._unsent.add(i)
        return self

    def marker(self) -> "_Writer":
        """The byte that stands between an old and a new tuple."""
        self._expect("B", "m", _NEW)
        return self

    def end(self, result: str) -> "_Writer":
        self._flush()
        for letter in "vo":
            result = result.replace(f"({letter})", f"({self._row(letter)})")
        self._result = result
        return self

    def source(self) -> str:
        body = [
            *self._lines,
            f"if {self._at} != len(data): return plain(data)",
            f"return new(C, {self._result})",
        ]
        lines = "".join(f"        {line}\n" for line in body)
        return (
            f"def action(data):\n    try:\n{lines}    except error:\n        return plain(data)\n"
        )

    def _row(self, letter: str) -> str:
        count = len(self._columns)
        return "".join("U, " if i in self._unsent else f"{letter}{i}, " for i in range(count))

    def _gather(self) -> None:
        self._format, self._size = ">", 0
        self._names: list[str] = []
        self._checks: list[str] = []

    def _take(self, text: str, *names: str) -> None:
        self._format += text
        self._names += names
        self._size += struct.calcsize(f">{text}")

    def _expect(self, text: str, name: str, value: int) -> None:
        self._take(text, name)
        self._checks.append(f"{name} != {value}")

    def _column(self, name: str, column: Column, unchanged: str) -> None:
        kind = _KINDS[column.format]
        width = FIXED_WIDTH_BYTES.get(column.type.oid)
        self._take("BI", f"k{name}", f"l{name}")
        if width is not None and kind == _BINARY:
            self._checks += [f"k{name} != {kind}", f"l{name} != {width}"]
            self._take(f"{width}s", name)
        else:
            self._variable(name, kind, unchanged)

    def _variable(self, name: str, kind: int, unchanged: str) -> None:
        """End the struct call with this column's head and take its bytes, NULL or UNCHANGED."""
        self._flush()
        at = self._at
        begin = f"s = {at}; p = s + l{name}" if at == "p" else f"p = {at} + l{name}"
        first = "s" if at == "p" else at
        self._lines += [
            f"if k{name} == {kind}:",
            f"    {begin}; {name} = data[{first}:p]",
            f"elif k{name} == {_NULL}: {name} = None; p = {at} - 4",
            f"elif k{name} == {_TOAST}: {name} = {unchanged}; p = {at} - 4",
            "else: return plain(data)",
        ]
        self._at = "p"

    def _flush(self) -> None:
        """Write the struct call gathered so far; `_at` becomes the place behind it."""
        if not self._names:
            return
        self._lines.append(f"{', '.join(self._names)}, = u{len(self.structs)}(data, {self._at})")
        self.structs.append(self._format)
        if self._checks:
            self._lines.append(f"if {' or '.join(self._checks)}: return plain(data)")
        if self._at == "p":
            self._lines.append(f"p += {self._size}")
        else:
            self._at = str(int(self._at) + self._size)
        self._gather()
