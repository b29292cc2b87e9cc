"""What other programs send or say: `http-request`, `worker-line`, `listen-address`,
`type-definition`, `publication-note`, `log-fact`, `failpoint`."""

import asyncio
import json
import sys
from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple

from connectors.postgres.publication import NOTE, _read_note
from connectors.postgres.type_facts import TypeFacts
from engine import failpoint
from engine.errors import ConfigError, PenstockError
from engine.model.type_text import enum_labels
from engine.observe.http import REQUEST_BYTES_MAX, Address, Answer, _Handler
from engine.observe.redact import TEXT_CHARACTERS_MAX, fact
from engine.observe.report import parse
from engine.plan import column_types
from tests.fuzz.mutation import VALUES, mutated, mutated_document, mutated_text
from tests.fuzz.target import Fuzzed

# --- HTTP -----------------------------------------------------------------------------------------

REQUEST: Final = (
    b"GET /metrics?x=1 HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\nX: y\r\n\r\n"
)


def requests(random: Random) -> Iterator[bytes]:
    while True:
        request = REQUEST
        if random.random() < 0.1:
            request = request.replace(b"X: y", b"X: " + b"y" * REQUEST_BYTES_MAX)
        yield request if random.random() < 0.1 else mutated(request, random)


class _Written:
    """The writing half of a connection, as far as an answer needs it."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def read_request(request: bytes) -> None:
    """Whatever comes gets one answer, or none, and is closed."""
    written = _Written()

    async def serve() -> None:
        reader = asyncio.StreamReader(limit=REQUEST_BYTES_MAX)
        reader.feed_data(request)
        reader.feed_eof()
        handler = _Handler({"/metrics": lambda: Answer(200, "text/plain", b"1\n")})
        await handler.serve(reader, written)  # type: ignore[arg-type]

    _LOOP.run_until_complete(serve())
    assert written.closed
    if written.data:
        head, _, body = written.data.partition(b"\r\n\r\n")
        assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 "))
        assert request not in written.data
        assert not body or f"Content-Length: {len(body)}".encode() in head


_LOOP: Final = asyncio.new_event_loop()


# --- lines of a worker ----------------------------------------------------------------------------


def lines(random: Random) -> Iterator[bytes]:
    event = {"event": "load", "rows": 5, "tables": {"public.t": [5, 0, 0, 0, 0]}, "reason": "x"}
    while True:
        yield json.dumps(mutated_document(event, random)).encode()
        yield mutated(json.dumps(event).encode(), random)
        yield b"[" * 10 ** random.randrange(5)


def read_line(line: bytes) -> None:
    found = parse(line)
    assert found is None or "event" in found


# --- addresses ------------------------------------------------------------------------------------


def addresses(random: Random) -> Iterator[str]:
    while True:
        text = random.choice((":9090", "127.0.0.1:0", "[::1]:9090", "9090", "host.example:65535"))
        yield text if random.random() < 0.1 else mutated_text(text, random)


def read_address(text: str) -> None:
    address = Address.parse(text)
    assert 0 <= address.port <= 65_535
    assert address.host


# --- types ----------------------------------------------------------------------------------------

DEFINITIONS: Final = (
    'enum(["a", "b c", "ü"])', 'array(mood = enum(["a"]))', "enum(null)", "numeric(10,2)",
    "numeric", "character varying(20)", "character varying", "integer", "range(integer)",
    'composite("a" integer, "b" text)',
)  # fmt: skip

FACTS: Final[Any] = {
    "oid": 16400, "name": "mood", "kind": "e", "send": True, "receive": True, "element": 0,
    "base": 0, "not_null": False, "base_name": None, "labels": ["a", "b"], "checks": [],
    "attributes": None,
    "subtype": 0, "range": 0, "extension": None,
}  # fmt: skip


def definitions(random: Random) -> Iterator[tuple[str, str]]:
    while True:
        one, other = random.choices(DEFINITIONS, k=2)
        yield (
            one if random.random() < 0.3 else mutated_text(one, random),
            other if random.random() < 0.3 else mutated_text(other, random),
        )


def read_definitions(case: tuple[str, str]) -> None:
    """Texts of catalogs, ours on both sides: judged or not recognised, no more."""
    old, new = case
    column_types.widens(old, new)
    column_types.new_labels(old, new)
    labels = enum_labels(old)
    assert labels is None or all(isinstance(label, str) for label in labels)
    facts = TypeFacts([16400])
    facts.add([json.dumps(FACTS)])
    assert enum_labels(facts.definition(16400)) == ["a", "b"]


# --- notes ----------------------------------------------------------------------------------------


def notes(random: Random) -> Iterator[str]:
    note = {NOTE: "orders", "tables": [16384, 16390]}
    while True:
        yield json.dumps(note)
        yield json.dumps(mutated_document(note, random))
        yield mutated_text(json.dumps(note), random)
        yield "[" * 10 ** random.randrange(5)


def read_note(text: str) -> None:
    """A comment on a publication is anybody's to write."""
    found = _read_note(text)
    assert found is None or all(isinstance(oid, int) for oid in found[1])


# --- facts of log lines ---------------------------------------------------------------------------


class Fact(NamedTuple):
    value: object

    def __repr__(self) -> str:
        """With numbers longer than Python likes to write."""
        digits = sys.get_int_max_str_digits()
        try:
            sys.set_int_max_str_digits(0)
            return f"Fact({self.value!r})"
        finally:
            sys.set_int_max_str_digits(digits)


class _Broken:
    def __str__(self) -> str:
        raise RuntimeError


def facts(random: Random) -> Iterator[Fact]:
    secret = "postgresql://u:hunter2canary@h/d password=hunter2canary"
    values = [*VALUES, secret, b"row", 10**5000, -(10**5000), _Broken(), float("nan"), {1, 2}]
    values += [PenstockError(secret), ValueError(secret), ExceptionGroup("g", [OSError(5, "x")])]
    while True:
        value = random.choice(values)
        if isinstance(value, str) and random.random() < 0.7:
            value = mutated_text(value, random)
        for _ in range(random.randrange(4)):
            value = random.choice(
                ([value] * 3, {"k": value}, (value,), {random.choice(VALUES[:17]): value})
            )
            if random.random() < 0.5:
                break
        yield Fact(value)


def read_fact(case: Fact) -> None:
    """Never raises, never long, always JSON, no password."""
    shown = fact(case.value)
    text = json.dumps(shown)
    assert len(text) < 64 * 6 * TEXT_CHARACTERS_MAX
    text.encode()


# --- failpoints -----------------------------------------------------------------------------------


def failpoints(random: Random) -> Iterator[str]:
    while True:
        yield mutated_text(random.choice(("a.b", "a.b:3", "a.b:3:error", "a.b:sleep")), random)


def read_failpoint(text: str) -> None:
    armed = failpoint._parse(text, lambda _: None)
    assert armed.nth > 0


TARGETS: Final = (
    Fuzzed(name="http-request", generate=requests, decode=read_request, errors=(), weight=4),
    Fuzzed(name="worker-line", generate=lines, decode=read_line, errors=(), weight=10),
    Fuzzed(
        name="listen-address",
        generate=addresses,
        decode=read_address,
        errors=(ConfigError,),
        weight=4,
    ),
    Fuzzed(
        name="type-definition", generate=definitions, decode=read_definitions, errors=(), weight=3
    ),
    Fuzzed(name="publication-note", generate=notes, decode=read_note, errors=(), weight=2),
    Fuzzed(name="log-fact", generate=facts, decode=read_fact, errors=(), weight=4),
    Fuzzed(
        name="failpoint",
        generate=failpoints,
        decode=read_failpoint,
        errors=(ConfigError,),
        weight=2,
    ),
)
