"""What a transaction has been given and not sent yet, and its form on the wire. (pure)

Items keep their order. Neighbours of one kind share a message: calls of prepared statements go as
one pipeline, everything with a COPY in it as one query string. Statements of our own, whose
parameters are text, can go either way.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from connectors._sql.quoting import literal
from connectors.postgres.prepared import Call

CALLS_MAX: Final = 1000
"""Calls of one pipeline: enough that a round trip more does not show, few enough that libpq's
buffer stays small."""

_PARAMETER: Final = re.compile(r"\$(\d+)")


def inlined(call: Call) -> str:
    """A call whose parameters are all text, as plain SQL with constants."""
    statement, values = call

    def constant(found: re.Match[str]) -> str:
        value = values[int(found[1]) - 1]
        assert value is None or isinstance(value, bytes)
        return "NULL" if value is None else literal(value.decode())

    return _PARAMETER.sub(constant, statement.sql.decode())


@dataclass(slots=True)
class Pipeline:
    """Calls for one round trip; `subjects` names what each is about, for messages. `ours`: only
    statements of our own, so it may become a script."""

    calls: list[Call] = field(default_factory=list[Call])
    subjects: list[str] = field(default_factory=list[str])
    ours: bool = True

    def add(self, call: Call, subject: str) -> None:
        """Add a statement of our own."""
        self.calls.append(call)
        self.subjects.append(subject)

    def extend(self, calls: Sequence[Call], subject: str) -> None:
        """Add calls for rows."""
        self.calls += calls
        self.subjects += [subject] * len(calls)
        self.ours = False

    def slices(self) -> Iterator["Pipeline"]:
        """The same in pieces that may be sent at once."""
        if len(self.calls) <= CALLS_MAX:
            yield self
            return
        for start in range(0, len(self.calls), CALLS_MAX):
            end = start + CALLS_MAX
            yield Pipeline(self.calls[start:end], self.subjects[start:end], self.ours)


@dataclass(slots=True)
class Script:
    """Statements for one query string; each COPY among them takes the next feed."""

    statements: list[str] = field(default_factory=list[str])
    subjects: list[str] = field(default_factory=list[str])
    feeds: list[Sequence[bytes]] = field(default_factory=list[Sequence[bytes]])

    def add(self, statement: str, subject: str) -> None:
        self.statements.append(statement)
        self.subjects.append(subject)


Message: TypeAlias = Pipeline | Script


@dataclass(slots=True)
class Outbox:
    """Messages in order, with what they weigh. `ends`: COMMIT is the last statement."""

    messages: list[Message] = field(default_factory=list[Message])
    calls: int = 0
    bytes: int = 0
    ends: bool = False

    def pipeline(self) -> Pipeline:
        """The pipeline to add to: the last message, or a new one."""
        last = self.messages[-1] if self.messages else None
        if isinstance(last, Pipeline):
            return last
        new = Pipeline()
        self.messages.append(new)
        return new

    def script(self) -> Script:
        """The script to add to: the last message, one made of it, or a new one."""
        last = self.messages[-1] if self.messages else None
        if isinstance(last, Script):
            return last
        new = Script()
        if isinstance(last, Pipeline) and last.ours:
            new = _as_script(last)
            self.messages.pop()
        self.messages.append(new)
        return new

    def prepend(self, calls: Sequence[Call], subjects: Sequence[str]) -> None:
        """Put statements of our own before everything, in the first message."""
        first = self.messages[0] if self.messages else self.pipeline()
        if isinstance(first, Script):
            first.statements[:0] = [inlined(call) for call in calls]
        else:
            first.calls[:0] = calls
        first.subjects[:0] = subjects

    def take(self) -> Iterator[tuple[Message, bool]]:
        """Everything, each with whether it is the last one, leaving this empty."""
        messages: list[Message] = []
        for message in self.messages:
            messages += message.slices() if isinstance(message, Pipeline) else [message]
        self.messages, self.calls, self.bytes, self.ends = [], 0, 0, False
        return ((message, message is messages[-1]) for message in messages)


def _as_script(pipeline: Pipeline) -> Script:
    return Script([inlined(call) for call in pipeline.calls], pipeline.subjects)
