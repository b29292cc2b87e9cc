"""(pure) Whole numbers of key columns, from either form."""

from collections.abc import Callable

from engine.model.relation import Column, Format


def reader(column: Column) -> Callable[[bytes], int]:
    """What turns a value of a column of whole numbers into a number."""
    if column.format is Format.TEXT:
        return int
    return _numeric if column.type.name.startswith("numeric") else _signed


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _numeric(data: bytes) -> int:
    """A whole number in the send form of numeric: digits of base 10,000 behind their count, weight,
    sign and scale. Only unsigned numbers travel so."""
    count, weight = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big", signed=True)
    number = 0
    for place in range(count):
        number = number * 10_000 + int.from_bytes(data[8 + 2 * place : 10 + 2 * place], "big")
    return number * 10_000 ** (weight - count + 1) if count else 0
