"""Damage: what wire, disk, a careless hand or a hostile peer may do to an input."""

from collections.abc import Callable, MutableSequence, Sequence
from random import Random
from typing import Any, Final, TypeAlias

NUMBERS: Final = (
    *[
        number.to_bytes(size, order)
        for size in (1, 2, 4, 8)
        for number in (0, 1, 2, (1 << (8 * size - 1)) - 1, 1 << (8 * size - 1), (1 << 8 * size) - 1)
        for order in ("big", "little")
    ],
    b"\xff\xff\xff\xfe",
    b"\x00\x00\xff\xff",
    b"\x00\x01\x00\x00",
    b"\x40\x00\x00\x00",
)
"""Counts and lengths that lie: none, one, the largest and its neighbours, with and without sign."""

TEXTS: Final = (
    b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"'", b'"',
    b"\\", b"{", b"}", b"[", b"]", b"(", b")", b",", b":", b"%", b"$", b"/", b"+", b"-", b".",
    b"\n", b"\r", b" ", b"0", b"9" * 20, b"9" * 5000, b"1e999", b"NaN", b"null", b"\xd9\xa3",
)  # fmt: skip
"""Pieces that text parsers stumble over; the last is a digit that is not ASCII's."""

Mutator: TypeAlias = Callable[[bytearray, Random], None]


def mutated(data: bytes, random: Random) -> bytes:
    """A damaged copy: one mutator in most cases, a few in some."""
    changed = bytearray(data)
    for _ in range(1 if random.random() < 0.75 else random.randint(2, 4)):
        MUTATORS[int(random.random() * len(MUTATORS))](changed, random)
    return bytes(changed)


def mutated_text(text: str, random: Random) -> str:
    """The same for text; what is no UTF-8 any more shows as lone surrogates."""
    return mutated(text.encode(errors="surrogatepass"), random).decode(errors="surrogateescape")


def _place(data: Sequence[int], random: Random) -> int:
    return int(random.random() * (len(data) + 1))


def _flip(data: bytearray, random: Random) -> None:
    if data:
        data[int(random.random() * len(data))] ^= 1 << int(random.random() * 8)


def _byte(data: bytearray, random: Random) -> None:
    if data:
        data[int(random.random() * len(data))] = int(random.random() * 256)


def _truncate(data: bytearray, random: Random) -> None:
    del data[_place(data, random) :]


def _behead(data: bytearray, random: Random) -> None:
    del data[: min(len(data), random.randint(1, 8))]


def _lie(data: bytearray, random: Random) -> None:
    number = NUMBERS[int(random.random() * len(NUMBERS))]
    at = _place(data, random)
    data[at : at + len(number)] = number


def _write(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    data[at:at] = TEXTS[int(random.random() * len(TEXTS))]


def _drop(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + random.randint(1, 6)]


def _repeat(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    piece = data[at : at + random.randint(1, 40)]
    data[at:at] = piece * random.choice((1, 1, 2, 50))


def _append(data: bytearray, random: Random) -> None:
    data += random.randbytes(random.randint(1, 9))


MUTATORS: Final[Sequence[Mutator]] = (
    _flip, _flip, _byte, _truncate, _behead, _lie, _lie, _write, _drop, _repeat, _append,
)  # fmt: skip


# --- documents ------------------------------------------------------------------------------------

VALUES: Final[Sequence[Any]] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**70), 0.5, 1e308, "", "0", "1", "a", "%",
    "\0", "\ud800", "x" * 3000, "${A}", "10GiB", [], {}, [None], [[]], {"": None}, {"a": 1}, ["a"],
)  # fmt: skip


def mutated_document(document: Any, random: Random) -> Any:
    """A copy with a few values changed, moved, doubled, renamed or gone."""
    changed = _copied(document)
    for _ in range(1 if random.random() < 0.6 else random.randint(2, 4)):
        changed = _changed(changed, random)
    return changed


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _changed(document: Any, random: Random) -> Any:
    holders: list[dict[str, Any] | list[Any]] = []
    _gather(document, holders)
    filled = [holder for holder in holders if holder]
    if not filled or random.random() < 0.02:
        return _copied(random.choice(VALUES))
    holder = random.choice(filled)
    if isinstance(holder, dict):
        _change_table(holder, random)
    else:
        _change_list(holder, random)
    return document


def _gather(value: Any, holders: MutableSequence[dict[str, Any] | list[Any]]) -> None:
    if isinstance(value, dict | list):
        holders.append(value)
        for inner in value.values() if isinstance(value, dict) else value:
            _gather(inner, holders)


def _change_table(table: dict[str, Any], random: Random) -> None:
    key = random.choice(list(table))
    what = random.randrange(6)
    if what == 0:
        del table[key]
    elif what == 1:
        table[mutated_text(key, random)] = table.pop(key)
    elif what == 2:
        table[mutated_text(key, random)] = table[key]
    else:
        table[key] = _other(table[key], random)


def _change_list(values: list[Any], random: Random) -> None:
    at = random.randrange(len(values))
    what = random.randrange(4)
    if what == 0:
        del values[at]
    elif what == 1:
        values.insert(at, values[at])
    else:
        values[at] = _other(values[at], random)


def _other(value: Any, random: Random) -> Any:
    what = random.randrange(5)
    if what == 0 and isinstance(value, str):
        return mutated_text(value, random)
    if what == 1 and isinstance(value, int):
        return value + random.choice((-1, 1, 2**31, -(2**63)))
    if what == 2:
        return [value]
    if what == 3:
        return {"a": value}
    return _copied(random.choice(VALUES))
