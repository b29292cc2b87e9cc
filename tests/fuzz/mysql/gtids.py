"""What names transactions and places in the log: `gtid-text`, `gtid-binary`, `binlog-position`."""

import struct
from collections.abc import Iterator
from random import Random
from typing import Final

from connectors.mysql.gtid import NUMBER_MAX, GtidSet
from connectors.mysql.maria_gtid import MariaGtids
from connectors.mysql.position import parse_position
from tests.fuzz.mutation import mutated, mutated_text
from tests.fuzz.target import Fuzzed

A: Final = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
SETS: Final = (
    "", f"{A}:1", f"{A}:1-3:11:47-49", f"{A}:1-3:tag:1:5,{A.replace('3', '4')}:7", f"{A}:tag_a:1-9",
    f"{A}:1-{NUMBER_MAX}",
)  # fmt: skip
POSITIONS: Final = (
    *[f"gtid={text}" for text in SETS], "maria=0-1-7,5-2-9", "maria=0-1-7;at=0-1-8+3",
    f"gtid={A}:1;at={A}:tag:2+4;log=binlog.000001:157", "file=binlog.000009:4",
    "file=binlog.000009:4;at=binlog.000009:4+2",
)  # fmt: skip


def sets(random: Random) -> Iterator[str]:
    while True:
        text = random.choice(SETS)
        yield text if random.random() < 0.1 else mutated_text(text, random)


def read_set(text: str) -> None:
    found = GtidSet.parse(text)
    assert GtidSet.parse(str(found)) == found
    assert GtidSet.decode(found.encode()) == found
    assert not found - found


def encoded(random: Random) -> Iterator[bytes]:
    while True:
        data = GtidSet.parse(random.choice(SETS)).encode()
        if random.random() < 0.1:
            data = struct.pack("<Q", random.getrandbits(64)) + data[8:]
        yield data if random.random() < 0.1 else mutated(data, random)


def read_encoded(data: bytes) -> None:
    found = GtidSet.decode(data)
    assert GtidSet.parse(str(found)) == found
    assert GtidSet.decode(found.encode()) == found


def positions(random: Random) -> Iterator[str]:
    while True:
        text = random.choice(POSITIONS)
        yield text if random.random() < 0.1 else mutated_text(text, random)


def read_position(text: str) -> None:
    found = parse_position(text)
    assert parse_position(str(found)) == found
    assert found.reaches(found)
    assert "\n" not in str(found)
    if text.startswith("maria="):
        MariaGtids.parse(text[6:].partition(";")[0])


TARGETS: Final = (
    Fuzzed(name="gtid-text", generate=sets, decode=read_set, errors=(ValueError,), weight=20),
    Fuzzed(name="gtid-binary", generate=encoded, decode=read_encoded, errors=(ValueError,),
           weight=20),
    Fuzzed(name="binlog-position", generate=positions, decode=read_position, errors=(ValueError,),
           weight=10),
)  # fmt: skip
