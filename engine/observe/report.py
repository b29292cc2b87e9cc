"""What a worker tells its parent: JSON lines over a pipe.

Every line is an object with `event` and the event's own facts:

- `started` {pid, version}; `listening` {address} of `/metrics`
- `state` {state}; `table` {table, state, rows, rows_estimated}; `caught-up` {}
- `known` {tables: {table: state}}: tables that earlier processes have told of, and those that are
  to be loaded now, some at a time
- `capacity` {rule, units_from, units_to, reason}: a decision on the size
- `capacity-wanted` {units}, `capacity-kept` {units}: to whoever grants it (`engine/allowance.py`)
- `metrics` {snapshot of `Metrics`, and `tables`: {table: [rows loaded, inserted, updated, deleted,
  truncations, rows set aside]} since the process began, of tables whose counts changed}
- `outcome` {exit, retry, error, reason, remedy}: the last one, at most once

The worker never waits for its parent: what the pipe does not take at once waits here, metrics are
left out meanwhile, and past `WAITING_BYTES_MAX` other events are dropped too. A parent that died
closes the pipe, which `ReportPipe.broken` tells.
"""

import os
import select
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import orjson

from engine.errors import InvariantError, PenstockError, Retry
from engine.observe.redact import describe_error, fact

OUTCOME_SECONDS: Final = 1.0
"""How long the outcome waits for a parent that does not read."""

WAITING_BYTES_MAX: Final = 1 << 20
"""Most that waits for a parent that does not read; thousands of events."""

LINE_BYTES_MAX: Final = 1 << 20
"""Longest line a parent accepts; 1,000 tables at 100 bytes are a tenth of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a worker ended. `exit` is the exit code; `retry` what `Retry` the error's class asks
    for; `reason` and `remedy` are for people and empty when all is well."""

    exit: int
    retry: str = Retry.NEVER.value
    error: str = ""
    reason: str = ""
    remedy: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Outcome":
        """What an error that ended the replication means. An error that is not ours is a defect:
        it restarts, as a crash does, and its own text stays out (it may quote a row)."""
        known = leading(error)
        if known is None:
            return cls(
                exit=1,
                retry=Retry.RESTART.value,
                error=type(error).__name__,
                reason=f"unexpected {describe_error(error)}",
                remedy=DEFECT_REMEDY,
            )
        defect = isinstance(known, InvariantError)
        return cls(
            exit=known.exit_code,
            retry=Retry.RESTART.value if defect else known.retry.value,
            error=type(known).__name__,
            reason=known.message,
            remedy=known.hint or (DEFECT_REMEDY if defect else ""),
        )


DEFECT_REMEDY: Final = (
    "this is a defect in Penstock: please report it with the lines above; what was committed is"
    " safe, and the next start goes on from there"
)


def leading(error: BaseException) -> PenstockError | None:
    """The error to show for one that may be a group: what needs a person, then what lasts.

    None when the group holds anything that is not a `PenstockError` (cancellations aside).
    """
    if isinstance(error, PenstockError):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    parts = [leading(part) for part in error.exceptions]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return max(known, key=lambda part: (part.exit_code, part.retry is Retry.NEVER))


class ReportPipe:
    """The worker's end. `descriptor` None: nobody listens, and everything is dropped."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.broken = False
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    def send(self, event: str, facts: Mapping[str, object]) -> bool:
        """Send an event; False when it was dropped. Never waits."""
        waiting = not self._flush()
        if waiting and (event == "metrics" or len(self._rest) > WAITING_BYTES_MAX):
            return False
        self._rest += _line(event, facts)
        self._flush()
        return True

    def finish(self, outcome: Outcome) -> None:
        """Send the outcome, waiting up to `OUTCOME_SECONDS` for room. A remedy of several lines
        becomes one line: its reader shows it in a sentence."""
        told = replace(outcome, remedy=" ".join(outcome.remedy.splitlines()))
        self._rest += _line("outcome", asdict(told))
        while not self._flush() and self._descriptor is not None:
            if not select.select([], [self._descriptor], [], OUTCOME_SECONDS)[1]:
                return

    def _flush(self) -> bool:
        """Write what waits; True when nothing is left."""
        while self._rest and self._descriptor is not None and not self.broken:
            try:
                self._rest = self._rest[os.write(self._descriptor, self._rest) :]
            except BlockingIOError:
                return False
            except OSError:
                self.broken = True
        self._rest = b""
        return True


def parse(line: bytes) -> dict[str, object] | None:
    """Read a line of a worker; None when it is not one (a worker cut off in the middle)."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _line(event: str, facts: Mapping[str, object]) -> bytes:
    shown = {name: value if name == "tables" else fact(value) for name, value in facts.items()}
    return orjson.dumps({"event": event, **shown}) + b"\n"
