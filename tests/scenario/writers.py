"""Threads that write on a source and read on a target while something happens to what is between.

with Writers(source, seed=7) as writers, audited(target):
    ...
committed = writers.committed
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from tests.scenario.dialects import ERRORS, AnyDatabase, Session, connect, crossed, lost
from tests.scenario.workload import Acts, broken_rules


class Writer(threading.Thread):
    """One connection that commits transactions until told to stop; `pause_seconds` between.
    `loading`, `keyed`: see `Acts`. `lasting`: it connects again when the server goes away."""

    def __init__(
        self,
        database: AnyDatabase,
        number: int,
        seed: int,
        pause_seconds: float = 0.0,
        *,
        loading: bool = False,
        keyed: bool = False,
        lasting: bool = False,
    ) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self._database = database
        self.number = number
        self.random = random.Random(f"{seed}-{number}")
        self.acts = Acts(number, self.random, loading=loading, keyed=keyed)
        self._pause_seconds = pause_seconds
        self._lasting = lasting
        self.stopping = threading.Event()
        self.committed = 0
        self.error: Exception | None = None

    def stop(self) -> None:
        self.stopping.set()

    def run(self) -> None:
        try:
            while not self.stopping.wait(self._pause_seconds):
                self._connected()
        except ERRORS as error:
            self.error = error

    def _connected(self) -> None:
        """Write on one connection, to its end or until told to stop."""
        try:
            session = connect(self._database)
            try:
                while not self.stopping.wait(self._pause_seconds):
                    self.once(session)
            finally:
                session.close()
        except ERRORS as error:
            if not (self._lasting and lost(error)):
                raise

    def once(self, session: Session) -> None:
        """One transaction."""
        try:
            self.committed += self.acts.transaction(session)
        except ERRORS as error:
            if not crossed(error):
                raise
            session.rollback()


class Writers:
    """Several writers; their errors are raised when they are stopped."""

    def __init__(
        self,
        database: AnyDatabase,
        *,
        count: int = 2,
        seed: int = 1,
        pause_seconds: float = 0.002,
        loading: bool = False,
        keyed: bool = False,
        lasting: bool = False,
        kind: type[Writer] = Writer,
        first: int = 0,
    ) -> None:
        """See `Writer`. `first`: the number of the first of them."""
        self._writers = [
            kind(
                database,
                number,
                seed,
                pause_seconds,
                loading=loading,
                keyed=keyed,
                lasting=lasting,
            )
            for number in range(first, first + count)
        ]

    def start(self) -> None:
        for writer in self._writers:
            writer.start()

    def stop(self) -> int:
        """Stop all; the number of transactions known to be committed."""
        for writer in self._writers:
            writer.stop()
        for writer in self._writers:
            writer.join()
        for writer in self._writers:
            if writer.error is not None:
                raise writer.error
        return self.committed

    @property
    def committed(self) -> int:
        return sum(writer.committed for writer in self._writers)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.stop()
            return
        for writer in self._writers:
            writer.stop()
            writer.join()
            if writer.error is not None:
                error.add_note(f"{writer.name} had ended: {writer.error!r}")


class Auditor(threading.Thread):
    """Reads a database again and again; `broken` is every rule seen broken. It looks on when the
    server goes away."""

    def __init__(self, database: AnyDatabase) -> None:
        super().__init__(name="auditor", daemon=True)
        self._database = database
        self.stopping = threading.Event()
        self.broken: list[str] = []
        self.readings = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stopping.wait(0.01):
                self._look()
        except ERRORS as error:
            self.error = error

    def _look(self) -> None:
        try:
            self.broken += broken_rules(self._database)
            self.readings += 1
        except ERRORS as error:
            if not lost(error):
                raise

    def stop(self) -> list[str]:
        self.stopping.set()
        self.join()
        if self.error is not None:
            raise self.error
        return self.broken


@contextmanager
def audited(database: AnyDatabase) -> Iterator[Auditor]:
    """An auditor of a database; its findings fail the test."""
    auditor = Auditor(database)
    auditor.start()
    yield auditor
    broken = auditor.stop()
    assert not broken, broken[:5]
    assert auditor.readings
