"""(pure) Rows of the log, decoded by a function that is written for each table.

A row is a bit for each column that it holds (NULL or not), then the values of those that are not
NULL. Looping over columns costs more than anything else, so Python source is generated in which
neighbouring columns of fixed width are read by one `struct` call. A row with a NULL goes through a
second branch, which asks for each column.

Which columns rows hold is told per event and is nearly always the same: what was generated is kept
by that. Nothing is read beyond an event: a length that lies shows at the end, where the last row
must end as the event does, and then nothing of the event is used.

Generated text holds numbers only, never a name from the catalog.

Where the loops in C are there (`compiled.py`) they take the place of the generated functions, which
then only see what is not as expected.
"""

import struct
from collections.abc import Collection, Sequence
from typing import Final

from connectors._interchange import compiled
from connectors.mysql.binlog.agreement import disagreement
from connectors.mysql.binlog.columns import Form, Reader, frame, reader
from connectors.mysql.binlog.compiled_rows import Decode, compiled_rows
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.binlog.images import Images
from connectors.mysql.binlog.partial_rows import PartialRows
from connectors.mysql.binlog.table_map import TableMap
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import MysqlType
from engine.errors import DecodeError
from engine.model.change import DELETE, INSERT, UPDATE, Change
from engine.model.relation import Relation
from engine.model.value import UNCHANGED

IMAGES_MAX: Final = 64
"""Generated functions kept for one table: row images change with a session's settings, and with the
columns that statements name under MINIMAL, in fewer ways than that at a time."""

_LENGTHS: Final = {1: "B", 2: "H", 4: "I"}
_ERRORS: Final = (ValueError, struct.error, IndexError, KeyError, OverflowError, RecursionError)


class RowsDecoder:
    """Decodes the rows of one table version.

    `types` has an entry for each column of the table, None for one that is left out of the rows.
    Values are in the form asked for. What an event does not hold of a row is UNCHANGED; of a new
    row it is taken from the old one, if that holds it.

    `key`: the columns by which the target finds a row. Of an old row they are told, and of an
    update only where they changed; without `key` old rows are told as the log has them.
    """

    def __init__(
        self,
        table: TableMap,
        types: Sequence[MysqlType | None],
        form: Form,
        zero: ZeroDates | None = None,
        key: Sequence[int] = (),
    ) -> None:
        """Raises DecodeError: the log and `types` do not describe the same table."""
        self._table = table
        self._readers = _readers(table, types, zero or ZeroDates(), form)
        self._frames = [frame(*facts) for facts in zip(table.types, table.metadata, strict=True)]
        self._key = key
        self._made: dict[tuple[int, bytes, bytes], Decode] = {}
        self._partial = PartialRows(table, self._readers, self._frames, key)

    def decode(self, event: RowsEvent, relation: Relation) -> list[Change]:
        """The changes of an event of this table; `relation` is the version they are of.

        Raises:
            DecodeError: the event was not understood.
        """
        kind, before, after = event.kind, event.before, event.after
        try:
            if event.partial:
                return self._partial.decode(event, relation)
            made = self._made.get((kind, before, after))
            if made is None:
                made = self._make(kind, before, after)
            return made(event.data, event.at, event.end, relation)
        except _ERRORS as error:
            what = error if isinstance(error, ValueError) else "its rows are damaged"
            raise DecodeError(
                f"a row of {self._table.qualified} in the binlog was not understood: {what}"
            ) from error

    def _make(self, kind: int, before: bytes, after: bytes) -> Decode:
        images = Images.of(kind, before, after, len(self._frames), self._key)
        if len(self._made) >= IMAGES_MAX:
            self._made.clear()
        if compiled.LOOPS is None:
            made = self._written(images)
        else:
            made = compiled_rows(
                compiled.LOOPS, images, self._frames, self._readers, lambda: self._written(images)
            )
        self._made[kind, before, after] = made
        return made

    def _written(self, images: Images) -> Decode:
        return _Writer(self._frames, self._readers).write(images)


def _readers(
    table: TableMap, types: Sequence[MysqlType | None], zero: ZeroDates, form: Form
) -> list[Reader | None]:
    if len(types) != len(table.types):
        raise DecodeError(
            f"{table.qualified} has {len(types)} columns in the catalog, and {len(table.types)} in"
            " the binlog"
        )
    found: list[Reader | None] = []
    for i, column in enumerate(types):
        try:
            found.append(None if column is None else _reader(table, i, column, form, zero))
        except (ValueError, KeyError) as error:
            message = f"column {i + 1} of {table.qualified} cannot be read from the binlog: {error}"
            raise DecodeError(message) from error
    return found


def _reader(table: TableMap, i: int, type: MysqlType, form: Form, zero: ZeroDates) -> Reader:
    found = reader(table.types[i], table.metadata[i], type, form, zero)
    if contradiction := disagreement(table, i, type):
        raise ValueError(contradiction)
    return found


# --- generated code -------------------------------------------------------------------------------


class _Writer:
    """Writes the loop over an event's rows for one kind of change and one pair of row images."""

    def __init__(
        self,
        frames: Sequence[tuple[int, int]],
        readers: Sequence[Reader | None],
    ) -> None:
        self._frames = frames
        self._readers = readers
        self._lines: list[str] = []
        self._indent = 3
        self._scope: dict[str, object] = {
            "U": UNCHANGED, "C": Change, "new": tuple.__new__, "I": int.from_bytes,
        }  # fmt: skip
        for i, found in enumerate(readers):
            if found is not None and found.convert is not None:
                self._scope[f"c{i}"] = found.convert

    def write(self, images: Images) -> Decode:
        kind, old, new = images.kind, images.old, images.new
        if kind != INSERT:
            self._image("o", old, images.read)
        if kind != DELETE:
            self._image("n", new, new)
        row = self._row("n", new, images.filling)
        was = self._row("o", images.told, ())
        result = {
            INSERT: f"{INSERT}, R, ({row}), None",
            UPDATE: f"{UPDATE}, R, ({row}), {self._changed(images)}({was})",
            DELETE: f"{DELETE}, R, None, ({was})",
        }[kind]
        self._line(f"append(new(C, ({result})))")
        return self._built()

    def _changed(self, images: Images) -> str:
        """The condition under which an update tells the old row."""
        if images.compared is None:
            return ""
        same = " and ".join([f"n{i} == o{i}" for i in images.compared]) or "True"
        return f"None if {same} else "

    def _built(self) -> Decode:
        body = "\n".join(self._lines)
        source = (
            "def decode(data, p, end, R):\n    found = []\n    append = found.append\n"
            f"    while p < end:\n{body}\n"
            "    if p != end: raise ValueError('it does not end where its event does')\n"
            "    return found\n"
        )
        # The first line inside the loop sets q; each row ends by moving p.
        exec(source, self._scope)  # noqa: S102 - the text is ours and holds numbers only
        decode: Decode = self._scope["decode"]  # type: ignore[assignment]
        return decode

    def _line(self, text: str) -> None:
        self._lines.append(f"{'    ' * (self._indent - 1)}{text}")

    def _row(self, letter: str, held: Sequence[int], older: Sequence[int]) -> str:
        """The values of a row as a tuple's text."""
        names: list[str] = []
        for i, found in enumerate(self._readers):
            if found is None:
                continue
            if i in held:
                names.append(f"{letter}{i}")
            else:
                names.append(f"o{i}" if i in older else "U")
        return "".join(f"{name}, " for name in names)

    def _image(self, letter: str, held: Sequence[int], wanted: Collection[int]) -> None:
        """Read the wanted columns of one image of a row at `p` and move `p` behind it."""
        if not held:
            return
        size = (len(held) + 7) // 8
        every = (1 << len(held)) - 1
        self._line(f"b = I(data[p:p + {size}], 'little') & {every}")
        self._line(f"p += {size}")
        self._line("if not b:")
        self._indent += 1
        self._whole(letter, held, wanted)
        self._indent -= 1
        self._line("else:")
        self._indent += 1
        for place, i in enumerate(held):
            self._line(f"if b & {1 << place}: {letter}{i} = None")
            self._line("else:")
            self._indent += 1
            self._whole(letter, [i], wanted)
            self._indent -= 1
        self._indent -= 1

    def _whole(self, letter: str, held: Sequence[int], wanted: Collection[int]) -> None:
        """Columns of which none is NULL: runs of fixed width, each ended by one of variable width,
        whose length is read with them."""
        run = _Run()
        for i in held:
            width, prefix = self._frames[i]
            named = i in wanted and self._readers[i] is not None
            if width:
                run.fixed(f"{letter}{i}" if named else "", width)
                continue
            run.length(prefix)
            self._flush(run, letter)
            self._line("s = p; p += l")
            if named:
                self._line(f"{letter}{i} = {self._converted(i, 'data[s:p]')}")
            run = _Run()
        self._flush(run, letter)

    def _flush(self, run: "_Run", letter: str) -> None:
        if not run.size:
            return
        if run.names:
            name = f"u{len(self._scope)}"
            self._scope[name] = struct.Struct(run.format).unpack_from
            self._line(f"{', '.join(run.names)}, = {name}(data, p)")
        self._line(f"p += {run.size}")
        for column in run.columns:
            i = int(column[len(letter) :])
            if f"c{i}" in self._scope:
                self._line(f"{column} = {self._converted(i, column)}")
        if run.long:
            self._line("l = I(l, 'little')")

    def _converted(self, i: int, value: str) -> str:
        return f"c{i}({value})" if f"c{i}" in self._scope else value


class _Run:
    """Columns read by one struct call."""

    def __init__(self) -> None:
        self.format = "<"
        self.size = 0
        self.names: list[str] = []
        self.columns: list[str] = []
        self.long = False

    def fixed(self, name: str, width: int) -> None:
        self.format += f"{width}{'s' if name else 'x'}"
        self.size += width
        if name:
            self.names.append(name)
            self.columns.append(name)

    def length(self, width: int) -> None:
        letter = _LENGTHS.get(width)
        self.long = letter is None
        self.format += letter or f"{width}s"
        self.size += width
        self.names.append("l")
