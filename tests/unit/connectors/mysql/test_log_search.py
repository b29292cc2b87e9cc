"""Places of the log by time and by file, in logs whose times are chosen."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import pytest

from connectors.mysql.binlog import codes
from connectors.mysql.gtid import GtidSet
from connectors.mysql.log_search import EARLY_US, LogSearch
from connectors.mysql.position import LogPlace
from engine.errors import PositionLostError
from tests.unit.connectors.mysql.binlog_bytes import MARIA, event, format_description, rotate

NOW = 1_700_000_000
HOUR = EARLY_US // 1_000_000


@dataclass
class File:
    """A file of MariaDB's log: `second` and number of each transaction of domain 0."""

    number: int
    created: int
    transactions: Sequence[tuple[int, int]] = ()
    checkpoint: int = 0
    """The transaction behind which the server notes which file a restart reads first."""
    places: dict[int, LogPlace] = field(default_factory=dict[int, LogPlace])
    """Where transactions begin, and at -1 where the file ends."""
    checkpointed: LogPlace = field(init=False)

    @property
    def name(self) -> str:
        return f"binlog.{self.number:06}"

    def events(self, newest: int, *, goes_on: bool) -> list[bytes]:
        """`newest`: the transaction before the first."""
        sent: list[bytes] = []
        self._at = 4

        def add(code: int, body: bytes, timestamp: int) -> None:
            size = 19 + len(body) + 4
            self._at += size
            sent.append(event(code, body, end=self._at, timestamp=timestamp))

        description = format_description(MARIA, end=4 + len(format_description(MARIA)))
        self._at += len(description)
        sent.append(rotate(self.name))
        dated = struct.pack("<I", self.created) + description[4:-4]
        sent.append(dated + struct.pack("<I", crc32(dated)))
        listed = struct.pack("<I", 1) + struct.pack("<IIQ", 0, 7, newest) if newest else bytes(4)
        add(codes.MARIA_GTID_LIST, listed, self.created)
        for second, number in self.transactions:
            self.places[number] = LogPlace(self.name, self._at)
            add(codes.MARIA_GTID, struct.pack("<QIB", number, 0, 0) + bytes(6), second)
            add(codes.XID, bytes(8), second)
            if number == self.checkpoint:
                self.checkpointed = LogPlace(self.name, self._at)
                name = self.name.encode()
                add(codes.MARIA_BINLOG_CHECKPOINT, struct.pack("<I", len(name)) + name, second)
        self.places[-1] = LogPlace(self.name, self._at)
        if goes_on:
            following = f"binlog.{self.number + 1:06}".encode()
            body = struct.pack("<Q", 4) + following
            add(codes.ROTATE, body, self.created)
        return sent


class Played:
    """A dump that has sent all of a log at once."""

    def __init__(self, events: Sequence[bytes]) -> None:
        self._events = list(events)

    async def events(self, *, behind: bool) -> Sequence[bytes]:
        sent, self._events = self._events, []
        assert sent, "it was asked for more than the log has"
        return sent

    async def close(self) -> None:
        """Nothing is open."""


class Log:
    """Files, the oldest first. `opened`: with which each look at it began."""

    def __init__(self, *files: File) -> None:
        self.files = files
        self.opened: list[str] = []
        newest = files[0].transactions[0][1] - 1 if files[0].transactions else 0
        self._events: list[list[bytes]] = []
        for index, file in enumerate(files):
            self._events.append(file.events(newest, goes_on=index < len(files) - 1))
            newest = file.transactions[-1][1] if file.transactions else newest

    @property
    def end(self) -> LogPlace:
        return self.files[-1].places[-1]

    async def _open(self, place: LogPlace) -> Played:
        self.opened.append(place.file)
        first = [file.name for file in self.files].index(place.file)
        return Played([each for events in self._events[first:] for each in events])

    @property
    def search(self) -> LogSearch:
        names = [file.name for file in self.files]
        return LogSearch(self._open, names, gtids=True, purged=GtidSet())  # type: ignore[arg-type]

    async def since(self, second: int) -> str:
        return str(await self.search.since(second * 1_000_000, self.end))

    async def at(self, place: LogPlace) -> str:
        return str(await self.search.at(place, self.end))


def before(log: Log, number: int) -> str:
    """The position before a transaction, by where it begins."""
    place = next(file.places[number] for file in log.files if number in file.places)
    done = f"0-7-{number - 1}" if number > 1 else ""
    return f"maria={done};log={place}"


async def test_the_first_in_the_log_counts_whatever_times_stand_behind_it() -> None:
    log = Log(File(1, NOW, [(NOW, 1), (NOW + 5, 2), (NOW + 3, 3), (NOW + 9, 4)]))
    assert await log.since(NOW + 4) == before(log, 2)
    assert await log.since(NOW + 6) == before(log, 4)


async def test_a_second_counts_as_its_end() -> None:
    log = Log(File(1, NOW, [(NOW, 1), (NOW + 5, 2)]))
    found = await log.search.since((NOW + 5) * 1_000_000 + 500_000, log.end)
    assert str(found) == before(log, 2)


async def test_a_moment_behind_everything_is_the_end() -> None:
    log = Log(File(1, NOW, [(NOW, 1)]), File(2, NOW + 1))
    assert await log.since(NOW + 100) == f"maria=0-7-1;log={log.end}"


async def test_it_is_looked_for_from_a_file_that_is_an_hour_older() -> None:
    """The statement that made a file may have begun long before the last transaction of the file
    before it was written."""
    times = [NOW + day * 24 * HOUR for day in range(9)]
    files = [File(n + 1, second, [(second, n + 1)]) for n, second in enumerate(times)]
    late = File(10, times[-1] + 60, [(times[-1] + 120, 10)])
    log = Log(*files, late)
    assert await log.since(times[-1] + 90) == before(log, 10)
    assert log.opened[-1] == files[-2].name
    assert len(log.opened) <= 6
    assert await log.since(times[-1] + 2 * HOUR) == f"maria=0-7-10;log={log.end}"
    assert log.opened[-1] == late.name


@pytest.mark.parametrize(
    ("file", "second", "found"),
    [
        # Of the first file ever nothing can have been purged.
        (File(1, NOW, [(NOW + 10, 1)]), NOW + 5, True),
        (File(1, NOW, [(NOW + 10, 1)]), NOW - 5, False),
        # What was committed before the moment stands in it, or an hour lies between.
        (File(7, NOW, [(NOW + 1, 1), (NOW + 10, 2)]), NOW + 5, True),
        (File(7, NOW, [(NOW + 2 * HOUR, 1)]), NOW + HOUR, True),
        (File(7, NOW, [(NOW + 10, 1)]), NOW + 5, False),
        (File(7, NOW, [(NOW - 9, 1), (NOW + 10, 2)]), NOW - 5, False),
        (File(7, NOW), NOW + 5, False),
    ],
)
async def test_a_log_that_may_not_go_back_that_far_is_refused(
    file: File, second: int, found: bool
) -> None:
    log = Log(file)
    if found:
        assert await log.since(second) == before(log, file.transactions[-1][1])
    else:
        with pytest.raises(PositionLostError, match="is not all in it for sure") as lost:
            await log.since(second)
        assert f"the position {file.name}:4" in lost.value.hint


async def test_places_between_transactions_have_positions_and_others_none() -> None:
    first = File(1, NOW, [(NOW, 1), (NOW, 2)])
    second = File(2, NOW, [(NOW, 3)])
    log = Log(first, second)
    assert await log.at(LogPlace(first.name, 4)) == before(log, 1)
    for number in (1, 2, 3):
        place = (first if number < 3 else second).places[number]
        assert await log.at(place) == before(log, number)
    ends = first.places[-1]
    assert await log.at(ends) == f"maria=0-7-2;log={ends}"
    behind = LogPlace(ends.file, ends.offset + 40)  # where the file is closed
    assert await log.at(behind) == before(log, 3)
    assert await log.at(log.end) == f"maria=0-7-3;log={log.end}"
    for place in (first.places[1], first.places[2], second.places[3]):
        with pytest.raises(PositionLostError, match="is not between two transactions"):
            await log.at(LogPlace(place.file, place.offset + 1))


async def test_an_end_of_a_transaction_is_a_place_whatever_the_server_notes_behind_it() -> None:
    """MariaDB notes when the files before are not needed any more, some time after it began one."""
    file = File(1, NOW, [(NOW, 1), (NOW, 2), (NOW, 3)], checkpoint=2)
    log = Log(file)
    assert file.checkpointed < file.places[3]
    assert await log.at(file.checkpointed) == f"maria=0-7-2;log={file.checkpointed}"
    assert await log.at(file.places[3]) == before(log, 3)
    last = File(1, NOW, [(NOW, 1)], checkpoint=1)
    log = Log(last)
    assert await log.at(last.checkpointed) == f"maria=0-7-1;log={last.checkpointed}"
