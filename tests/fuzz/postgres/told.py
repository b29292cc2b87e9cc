"""Target `ddl-message`: what the event triggers tell, damaged as bytes and as documents."""

import json
from collections.abc import Iterator
from random import Random
from typing import Final

from connectors.postgres.ddl_capture_message import parse
from connectors.postgres.pgoutput import MESSAGE_PREFIX, PgOutputDecoder
from engine.errors import DecodeError
from tests.fuzz.mutation import mutated, mutated_document
from tests.fuzz.postgres import grammar
from tests.fuzz.postgres.stream import describe
from tests.fuzz.target import Fuzzed

TOKEN: Final = b"token"


def contents(random: Random) -> Iterator[bytes]:
    while True:
        for table in grammar.tables(random, 10, text=False):
            for make in (grammar.told_facts, grammar.told_facts, grammar.other_facts):
                facts = make(table, random)
                sound = json.dumps(facts).encode()
                yield sound
                yield mutated(sound, random)
                for _ in range(4):
                    yield json.dumps(mutated_document(facts, random)).encode()
                yield b"[" * 10 ** random.randrange(5)


def decode(content: bytes) -> None:
    """As the decoder does: told, looked up in the catalog, completed."""
    parse(content)
    decoder = PgOutputDecoder({}, token=TOKEN)
    message = grammar.logical(MESSAGE_PREFIX, TOKEN + content, 1, 5)
    if decoder.feed([grammar.begin(10, 0, 7), message]) < 2:
        assert decoder.wanted is not None
        decoder.define(describe(decoder.wanted, text=False))
    for part in decoder.take():
        assert part.events


TARGETS: Final = (
    Fuzzed(name="ddl-message", generate=contents, decode=decode, errors=(DecodeError,), weight=5),
)
