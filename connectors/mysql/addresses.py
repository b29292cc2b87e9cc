"""(pure) Internet addresses as MariaDB writes them.

See: MariaDB source, `sql_type_inet.cc`, `to_string`.
"""

from typing import Final

_WORDS: Final = 8
_MAPPED: Final = b"\xff\xff"


def inet_text(address: bytes) -> bytes:
    """The text of an address of 4 or 16 bytes."""
    return (_dotted(address) if len(address) == 4 else _coloned(address)).encode()


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))


def _coloned(address: bytes) -> str:
    """The longest run of zero words, of runs as long the first, is left out. An address that holds
    one of version 4 ends in its text."""
    words = [address[i] << 8 | address[i + 1] for i in range(0, 2 * _WORDS, 2)]
    if not any(address[:10]) and (address[10:12] == _MAPPED or (not words[5] and words[6])):
        return f"::{'ffff:' if words[5] else ''}{_dotted(address[12:])}"
    start, length = _longest_run(words)
    texts = [f"{word:x}" for word in words]
    if not length:
        return ":".join(texts)
    return f"{':'.join(texts[:start])}::{':'.join(texts[start + length :])}"


def _longest_run(words: list[int]) -> tuple[int, int]:
    best = (0, 0)
    start = 0
    for i, word in enumerate([*words, 1]):
        if word:
            if i - start > best[1]:
                best = (start, i - start)
            start = i + 1
    return best
