"""(pure) The loops that run once per row, compiled, where they were built.

`make accelerate` builds them from `_accelerated.c`. Without them, or with PENSTOCK_PURE_PYTHON set,
`LOOPS` is None and their twins in Python do the same: `rowcode.read_rows` and its actions,
`copy_rows.compile_encoder`, `replication.ReplicationConnection`, `binlog.rows`, `load_lines`,
`row_texts`, `blackhole.target.sums`.
"""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, Protocol, cast

from engine.model.change import Change, Event
from engine.model.relation import Relation
from engine.model.value import Row, Unchanged, Value

REVISION: Final = 7
"""What the twins expect; another build is left alone."""

PURE_PYTHON: Final = "PENSTOCK_PURE_PYTHON"
"""Environment variable: anything but nothing or 0 turns the compiled loops off."""


class Loops(Protocol):
    """What `_accelerated.c` offers. Arguments are by position only."""

    REVISION: int

    def RowReader(  # noqa: N802 - a type of the module
        self,
        relation: Relation,
        plain: Callable[[bytes], Change],
        change: type[Change],
        unchanged: Unchanged,
        kinds: bytes,
        identity: bytes,
        operation: int,
        at: int,
        has_old: bool,
        has_new: bool,
        full: bool,
        /,
    ) -> Callable[[bytes], Change]:
        """From one whole message to its change; what is not as expected goes to `plain`."""
        ...

    def read_rows(
        self,
        messages: list[bytes],
        first: int,
        start: int,
        actions: dict[bytes, Callable[[bytes], Change]],
        events: list[Event],
        /,
    ) -> int:
        """See `rowcode.read_rows`."""
        ...

    def encode_rows(self, indexes: tuple[int, ...], width: int, rows: Sequence[Row], /) -> bytes:
        """See `copy_rows.compile_encoder`."""
        ...

    def LogReader(  # noqa: N802 - a type of the module
        self,
        plain: Callable[[bytes, int, int, Relation], list[Change]],
        change: type[Change],
        unchanged: Unchanged,
        operation: int,
        converts: tuple[Callable[[bytes], Value] | None, ...],
        old_steps: bytes,
        new_steps: bytes,
        old_slots: bytes | None,
        new_slots: bytes | None,
        key: bytes | None,
        /,
    ) -> Callable[[bytes, int, int, Relation], list[Change]]:
        """The rows of an event of MySQL's log; what is not as expected goes to `plain`. See
        `connectors.mysql.binlog.rows` for the layout of the rest."""
        ...

    def write_texts(
        self,
        lines: bool,
        kinds: bytes,
        indexes: tuple[int, ...],
        encodes: tuple[Callable[[bytes], bytes], ...],
        width: int,
        rows: list[Row],
        start: int,
        bytes_max: int,
        rows_max: int,
        /,
    ) -> tuple[bytes, int] | None:
        """See `connectors.mysql.row_texts`; None: a value is not as expected. What one of `encodes`
        raises leaves as it is."""
        ...

    def take_messages(
        self, get: int, free: int, connection: int, room: int, kind: int, messages: list[bytes], /
    ) -> tuple[int, int, bytes | None]:
        """Append what PQgetCopyData gives, up to `room` bytes or a message that does not begin with
        `kind`. Returns the bytes taken, PQgetCopyData's last result, and that message or None.
        Addresses: of PQgetCopyData, PQfreemem and the PGconn."""
        ...

    def write_lines(self, kinds: bytes, buffer: bytes, at: int, lines: list[bytes], /) -> int:
        """Append the lines of the rows in MySQL's packets from `at` on, up to one that is not as
        expected or not whole; gives where that begins. `kinds`: of each column, see
        `connectors.mysql.load_lines`."""
        ...

    def sum_values(self, rows: Sequence[Row], /) -> tuple[int, int]:
        """See `connectors.blackhole.target.sums`."""
        ...


def load() -> Loops | None:
    """The compiled loops, if they are there, fit, and are wanted."""
    if os.environ.get(PURE_PYTHON, "0") not in ("", "0"):
        return None
    try:
        loops = cast(Loops, import_module("connectors._interchange._accelerated"))
    except ImportError:
        return None
    return loops if loops.REVISION == REVISION else None


LOOPS = load()
