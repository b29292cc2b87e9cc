"""Target `pgoutput`: whole streams, read by the compiled loops and by Python's.

A stream as the server wrote it must mean exactly what the grammar says. A damaged one may mean
anything, but the same to both, or be refused with a DecodeError of the same words. What is not of
protocol version 1 must be refused where it begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from connectors._interchange import compiled
from connectors.postgres import pgoutput, rowcode
from connectors.postgres.catalog import Catalog
from connectors.postgres.pgoutput import PgOutputDecoder
from connectors.postgres.relation_message import RelationMessage
from connectors.postgres.rowcode import Action
from connectors.postgres.type_facts import TypeFacts
from engine.errors import DecodeError
from engine.model.change import Change, Event, Part, SchemaChanged, Truncate
from engine.model.position import LogPosition
from engine.model.relation import Relation
from tests.fuzz.mutation import mutated
from tests.fuzz.postgres.grammar import ACLITEM, RowEvent, Server, Stream, Transaction
from tests.fuzz.target import Decoded, Fuzzed

VARIANTS: Final = 6
"""Damaged copies of each stream; making a stream costs as much as reading a few."""

HEADER: Final = b"w" + bytes(24)
"""What stands before a message on the wire, of which the decoder looks at nothing."""

REMEMBERED_MAX: Final = 300

ACTIONS: Final = "actions"
"""What the decoder calls for the readers of a relation's rows."""


@dataclass
class Case:
    """Messages in the portions they arrive in. `stream`: what they mean, while they are whole."""

    messages: list[bytes]
    portions: Sequence[int]
    start: int
    text: bool
    token: bytes | None
    left_out: str | None
    stream: Stream | None

    def __str__(self) -> str:
        lines = [f"text={self.text} start={self.start} left_out={self.left_out!r}"]
        lines += [f"token={self.token!r} portions={list(self.portions)}", *map(repr, self.messages)]
        return "\n".join(lines)


# --- cases ----------------------------------------------------------------------------------------


def cases(random: Random) -> Iterator[Case]:
    server = Server(random)
    before: list[bytes] = [b""]
    while True:
        stream = server.stream()
        yield _case(stream.messages, stream, random, whole=True)
        for _ in range(VARIANTS):
            yield _case(damaged(stream.messages, before, random), stream, random, whole=False)
        before = stream.messages


def damaged(messages: list[bytes], others: list[bytes], random: Random) -> list[bytes]:
    """Messages lost, repeated, exchanged, of another stream, or broken in themselves."""
    changed = list(messages)
    for _ in range(1 if random.random() < 0.8 else 3):
        # Late in the stream more often than not: what stands behind damage is rarely read.
        at = int(max(random.random(), random.random()) * len(changed))
        what = random.random()
        if what < 0.78:
            changed[at] = mutated(changed[at], random)
        elif what < 0.82:
            del changed[at]
        elif what < 0.86:
            changed.insert(at, changed[at])
        elif what < 0.91:
            other = int(random.random() * len(changed))
            changed[at], changed[other] = changed[other], changed[at]
        elif what < 0.98:
            changed[at] = others[int(random.random() * len(others))]
        else:
            changed.insert(at, random.randbytes(int(random.random() * 64)))
        if not changed:
            return [b""]
    return changed


def _case(messages: list[bytes], stream: Stream, random: Random, *, whole: bool) -> Case:
    start = 25 if random.random() < 0.7 else 0
    sent = [HEADER + message for message in messages] if start else list(messages)
    # What was not taken before a refusal is lost, so whole streams are taken where they are sound,
    # and what must be refused comes by itself.
    portions = [stream.sound, 1] if whole and stream.refused else []
    left = len(sent) - sum(portions)
    while left > 0:
        portion = left if random.random() < 0.6 else random.randint(1, left)
        portions.append(portion)
        left -= portion
    left_out = None if random.random() < 0.7 else random.choice(("", "penstock_"))
    return Case(
        sent, portions, start, stream.text, stream.token, left_out, stream if whole else None
    )


# --- decoding -------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What a decoder made of a case. `read` counts messages, the refused one too, but of those
    that came in one portion with it only what is known to have been read: it is never too high."""

    parts: list[Part]
    read: int
    error: str
    state: tuple[int, bool, int, int, int]


def decode(case: Case) -> Decoded:
    native = _outcome(case, native=True)
    python = _outcome(case, native=False)
    assert native == python, difference("compiled", native, "Python", python)
    if case.stream is not None:
        check(case.stream, native, case.left_out)
    return Decoded(native.read, 1 if native.error else 0)


def _outcome(case: Case, *, native: bool) -> Outcome:
    loops = compiled.LOOPS
    if not native:
        compiled.LOOPS = None
    setattr(pgoutput, ACTIONS, _actions)
    try:
        return _read(case)
    finally:
        compiled.LOOPS = loops
        setattr(pgoutput, ACTIONS, rowcode.actions)


def _read(case: Case) -> Outcome:
    decoder = PgOutputDecoder(
        {}, start=case.start, xid=1 << 33, token=case.token, left_out=case.left_out
    )
    parts: list[Part] = []
    first = 0
    at = 0
    error = ""
    try:
        for portion in case.portions:
            batch = case.messages[first : first + portion]
            while (at := decoder.feed(batch, at)) < len(batch):
                assert decoder.wanted is not None
                decoder.define(describe(decoder.wanted, text=case.text))
                at += 1
            parts += decoder.take()
            first, at = first + len(batch), 0
    except DecodeError as refused:
        error = str(refused)
        assert len(error) < 1000, "a message of an error holds data"
    state = (decoder.xid, decoder.open, decoder.passed, decoder.committed_at_us, decoder.forged)
    return Outcome(parts, first + at + 1 if error else first, error, state)


# --- meaning --------------------------------------------------------------------------------------


def check(stream: Stream, outcome: Outcome, left_out: str | None) -> None:
    """The parts say what the grammar meant, without what is left out by its origin."""
    found = _joined(outcome.parts)
    expected = [
        transaction
        for transaction, made_by in zip(stream.transactions, stream.origins, strict=True)
        if transaction.events
        and (left_out is None or made_by is None or not made_by.startswith(left_out))
    ]
    met = [t for t in found if t.events]
    assert met == expected, difference("meant", expected, "found", met)
    assert bool(outcome.error) == stream.refused, outcome.error or "read what it does not know"
    assert not stream.refused or outcome.read == stream.sound + 1


def difference(one: str, first: object, other: str, second: object) -> str:
    """Where two long texts part."""
    texts = repr(first), repr(second)
    at = next((n for n, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), 0)
    shown = [text[max(0, at - 80) : at + 200] for text in texts]
    return f"they part at {at}:\n{one}: ...{shown[0]}\n{other}: ...{shown[1]}"


def _joined(parts: Sequence[Part]) -> list[Transaction]:
    """Whole transactions, as the grammar writes them down."""
    found: list[Transaction] = []
    events: list[RowEvent | tuple[tuple[int, ...], bool, bool]] = []
    for part in parts:
        assert part.first == len(events) + 1
        events += [meant for event in part.events if (meant := _meant(event)) is not None]
        if part.end is not None:
            assert isinstance(part.end, LogPosition)
            final = part.transaction.coordinate
            assert isinstance(final, int)
            xid = part.transaction.xid & 0xFFFFFFFF
            found.append(Transaction(final, part.end.offset, xid, tuple(events)))
            events = []
    assert not events, "a transaction without an end"
    return found


def _meant(event: Event) -> RowEvent | tuple[tuple[int, ...], bool, bool] | None:
    if isinstance(event, Change):
        return RowEvent(event.kind, event.relation.id, event.new, event.old)
    if isinstance(event, Truncate):
        oids = tuple([relation.id for relation in event.relations])
        return oids, event.cascade, event.restart_identity
    assert isinstance(event, SchemaChanged)
    return None


# --- relations ------------------------------------------------------------------------------------


class _Names(dict[tuple[int, int], str]):
    def __missing__(self, pair: tuple[int, int]) -> str:
        return f"type {pair[0]} {pair[1]}"


def _facts() -> TypeFacts:
    facts = TypeFacts([])
    nothing = '"element": 0, "base": 0, "subtype": 0, "range": 0, "attributes": null'
    facts.add([f'{{"oid": {ACLITEM}, "send": false, "receive": true, {nothing}}}'])
    return facts


class _NoSql:
    pass


FACTS: Final = _facts()
NAMES: Final = _Names()

_relations: dict[tuple[RelationMessage, bool], Relation] = {}
_made: dict[tuple[int, int, int, bool], tuple[Relation, dict[bytes, Action]]] = {}


def describe(message: RelationMessage, *, text: bool) -> Relation:
    """What the catalog makes of a message when the table is no longer there. One object for equal
    messages, so that rows compare fast."""
    found = _relations.get((message, text))
    if found is None:
        if len(_relations) >= REMEMBERED_MAX:
            _relations.clear()
        catalog = Catalog(_NoSql())  # type: ignore[arg-type]
        catalog.text_mode = text
        found = catalog._relation(message, None, FACTS, NAMES)
        _relations[message, text] = found
    return found


def _actions(relation: Relation, oid: int, start: int) -> dict[bytes, Action]:
    """`rowcode.actions`, made once per relation: Python's take a millisecond to compile."""
    name = (id(relation), oid, start, compiled.LOOPS is None)
    found = _made.get(name)
    if found is None:
        if len(_made) >= REMEMBERED_MAX:
            _made.clear()
        found = _made[name] = (relation, rowcode.actions(relation, oid, start))
    return found[1]


TARGETS: Final = (Fuzzed(name="pgoutput", generate=cases, decode=decode, errors=(), weight=200),)
