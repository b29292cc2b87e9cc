# ruff: noqa: RUF001 - characters that look like others are what this is about
"""(pure) Character sets: bytes of a column to UTF-8, exactly as the server converts them.

Most of the servers' sets are one of Python's codecs, some with a few characters of their own; five
old ones are here as tables. A set without an exact counterpart is in `REFUSED`: a column in it is
not replicated as text. Bytes that a set knows no character for are a `Misfit`, never a guess.

See: `information_schema.collations` for the numbers; `CONVERT(... USING ...)` for the mappings.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from engine.model.value import Misfit

ToUtf8 = Callable[[bytes], bytes | Misfit]

REFUSED: Final = {"eucjpms": "its characters have no exact counterpart in Python's codecs"}
"""Sets that cannot be converted here, and why."""

UNDECODABLE: Final = Misfit(
    "charset", "holds bytes that its character set has no character for; mend it at the source"
)

_PYTHON: Final = {
    "ascii": "ascii", "big5": "cp950", "cp1250": "cp1250", "cp1251": "cp1251", "cp1256": "cp1256",
    "cp1257": "cp1257", "cp850": "cp850", "cp852": "cp852", "cp866": "cp866", "cp932": "cp932",
    "euckr": "cp949", "eucjpms": "euc_jp", "gb18030": "gb18030", "gb2312": "gb2312", "gbk": "gbk",
    "greek": "iso8859_7", "hebrew": "iso8859_8", "hp8": "hp_roman8", "koi8r": "koi8_r",
    "koi8u": "koi8_u", "latin1": "cp1252", "latin2": "iso8859_2", "latin5": "iso8859_9",
    "latin7": "iso8859_13", "macce": "mac_latin2", "macroman": "mac_roman", "sjis": "shift_jis",
    "tis620": "tis_620", "ucs2": "utf_16_be", "ujis": "euc_jp", "utf16": "utf_16_be",
    "utf16le": "utf_16_le", "utf32": "utf_32_be", "utf8": "utf_8", "utf8mb3": "utf_8",
    "utf8mb4": "utf_8", "binary": "latin_1", "armscii8": "ascii", "dec8": "latin_1",
    "geostd8": "cp1252", "keybcs2": "ascii", "swe7": "ascii",
}  # fmt: skip
"""The nearest codec of Python, by the server's name."""

_UNDEFINED: Final = "\ufffe"
"""A table's place without a character."""

_C1: Final = "".join(map(chr, range(0x80, 0xA0)))

_TABLES: Final[Mapping[str, str]] = {
    "armscii8": _C1
    + "\xa0\u2741\xa7\u0589)(\xbb\xab\u2014.\u055d,-\u055f\u2026\u055c\u055b\u055e"
    + "".join(chr(0x531 + i) + chr(0x561 + i) for i in range(38))
    + "\u2019'",
    "geostd8": "€\ufffe‚\ufffe„…†‡\ufffe‰\ufffe‹\ufffe\ufffe\ufffe\ufffe\ufffe\u2018\u2019“”•"
    "\u2013—\ufffe\ufffe\ufffe›\ufffe\ufffe\ufffe\ufffe"
    + "".join(map(chr, range(0xA0, 0xC0)))
    + "აბგდევზჱთიკლმნჲოპჟრსტჳუფქღყშჩცძწჭხჴჯჰჵ"
    + _UNDEFINED * 23
    + "№\ufffe\ufffe",
    "keybcs2": "ČüéďäĎŤčěĚĹÍľĺÄÁÉžŽôöÓůÚýÖÜŠĽÝŘťáíóúňŇŮÔšřŕŔ¼¡«»"
    "░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
    "\u03b1ßΓπΣ\u03c3µτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xa0",
    "dec8": _C1 + "\xa0¡¢£\ufffe¥\ufffe§¤©ª«" + _UNDEFINED * 4 + "°±²³\ufffeµ¶·\ufffe¹º»¼½\ufffe¿"
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏ\ufffeÑÒÓÔÕÖŒØÙÚÛÜŸ\ufffeßàáâãäåæçèéêëìíîï\ufffeñòóôõöœøùúûüÿ\ufffe\ufffe",
}
"""The characters of the bytes from 0x80 on; those before are ASCII's."""

_OWN_BYTES: Final[Mapping[str, Mapping[int, str]]] = {
    "latin1": {byte: chr(byte) for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D)},
    "cp866": {0xFC: "\u207f", 0xFD: "\xb2"},
    "cp1256": dict.fromkeys((0x8A, 0x8F, 0x98, 0x9A, 0x9F, 0xAA, 0xC0, 0xFF), _UNDEFINED),
    "greek": {0xA1: "\u02bd", 0xA2: "\u02bc"} | dict.fromkeys((0xA4, 0xA5, 0xAA), _UNDEFINED),
    "hebrew": {0xAF: "\u203e"},
    "koi8u": {0x95: "•"},
    "tis620": dict.fromkeys((0xA0, *range(0xDB, 0xDF), *range(0xFC, 0x100)), "\ufffd"),
    "swe7": {0x40: "É", 0x5B: "Ä", 0x5C: "Ö", 0x5D: "Å", 0x5E: "Ü", 0x60: "é", 0x7B: "ä",
             0x7C: "ö", 0x7D: "å", 0x7E: "ü", 0x7F: _UNDEFINED},
}  # fmt: skip
"""Where a set of one byte a character differs from Python's."""

_OWN_CHARACTERS: Final[Mapping[str, Mapping[str, str]]] = {
    "big5": {"‧": "•", "﹑": "､", "╴": "\ufffd", "¯": "‾", "￣": "\ufffd", "ˍ": "\ufffd",
             "～": "\u223c", "⊕": "♁", "⊙": "☉", "／": "\ufffd", "＼": "\ufffd",
             "\u2215": "／", "﹨": "＼", "￥": "¥", "￠": "¢", "￡": "£"},
    "gb18030": {"\ue7c7": "\u1e3f", "\u1e3f": "\ue7c7"},
    "sjis": {"＼": "\\"},
}  # fmt: skip
"""Where a set of several bytes a character differs from Python's: its character for theirs."""

_UTF8: Final = frozenset(("utf8", "utf8mb3", "utf8mb4"))
_NOT_ASCII: Final = frozenset(("swe7", "ucs2", "utf16", "utf16le", "utf32"))
"""Sets in which an ASCII byte may be another character, or a part of one."""


ALWAYS_TEXT: Final = frozenset(("utf8mb3", "utf8mb4", "latin1"))
"""Sets in which the servers store nothing that is no character."""


def known(charset: str) -> bool:
    """Whether columns of this set can be read as text."""
    return charset in _PYTHON and charset not in REFUSED


def like_ascii(charset: str) -> bool:
    """Whether bytes below 0x80 alone are ASCII's characters in this set."""
    return known(charset) and charset not in _NOT_ASCII


@cache
def to_utf8(charset: str) -> ToUtf8:
    """What turns a column's bytes into UTF-8.

    Raises:
        KeyError: the set is not `known`.
    """
    if not known(charset):
        raise KeyError(charset)
    if charset in _UTF8:
        return _checked_utf8
    decode = _decoder(charset)
    return _converted(decode) if charset in _NOT_ASCII else _shortened(decode)


def _checked_utf8(data: bytes) -> bytes | Misfit:
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return UNDECODABLE
    return data


def _converted(decode: Callable[[bytes], str]) -> ToUtf8:
    def convert(data: bytes) -> bytes | Misfit:
        try:
            return decode(data).encode()
        except UnicodeError:
            return UNDECODABLE

    return convert


def _shortened(decode: Callable[[bytes], str]) -> ToUtf8:
    convert = _converted(decode)
    return lambda data: data if data.isascii() else convert(data)


def _decoder(charset: str) -> Callable[[bytes], str]:
    if charset in _SPECIAL:
        return _SPECIAL[charset]
    python = _PYTHON[charset]
    if charset in _TABLES or charset in _OWN_BYTES:
        table = _table(charset)
        return lambda data: codecs.charmap_decode(data, "strict", table)[0]
    own = _OWN_CHARACTERS.get(charset)
    if own is not None:
        characters = str.maketrans(dict(own))
        return lambda data: data.decode(python).translate(characters)
    return lambda data: data.decode(python)


_BIG5_CODE: Final = re.compile(rb"[\x81-\xfe]?.", re.DOTALL)
_BIG5_OWN: Final = re.compile(rb"\xa2[\xcc\xce]|\xa3\xe1|\xf9[\xdd-\xfe]")
"""Codes that Python reads as characters which have another code as well."""

_BIG5_CHARACTERS: Final = str.maketrans(dict(_OWN_CHARACTERS["big5"]))


def _big5(data: bytes) -> str:
    if _BIG5_OWN.search(data) is None:
        return data.decode("cp950").translate(_BIG5_CHARACTERS)
    return "".join(map(_big5_character, _BIG5_CODE.findall(data)))


def _big5_character(code: bytes) -> str:
    if _BIG5_OWN.fullmatch(code) is None:
        return code.decode("cp950").translate(_BIG5_CHARACTERS)
    if code[0] == 0xA2:
        return "\ufffd"
    raise UnicodeError("a code without a character")


def _ucs2(data: bytes) -> str:
    """The halves of a character beyond the basic plane are none here."""
    text = data.decode("utf_16_be")
    if max(text, default="") > "\uffff":
        raise UnicodeError("a code without a character")
    return text


_UJIS_ROWS: Final = range(0xF5, 0xFF)
_UJIS_CELLS: Final = range(0xA1, 0xFF)
_UJIS_ERRORS: Final = "penstock-ujis"


def _ujis_private(error: UnicodeError) -> tuple[str, int]:
    """Rows for characters of private use, which Python has not: ten in each of two planes."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    second = error.object[error.start] == 0x8F
    start = error.start + second
    row, cell = (*error.object[start : start + 2], 0, 0)[:2]
    if row not in _UJIS_ROWS or cell not in _UJIS_CELLS:
        raise error
    place = (10 * second + row - _UJIS_ROWS.start) * len(_UJIS_CELLS) + cell - _UJIS_CELLS.start
    return chr(0xE000 + place), start + 2


codecs.register_error(_UJIS_ERRORS, _ujis_private)


def _ujis(data: bytes) -> str:
    return data.decode("euc_jp", _UJIS_ERRORS).replace("＼", "\\")


_SPECIAL: Final[Mapping[str, Callable[[bytes], str]]] = {
    "big5": _big5,
    "ucs2": _ucs2,
    "ujis": _ujis,
}
"""Sets that differ from Python's by more than single characters."""


def _table(charset: str) -> str:
    """All 256 characters of a set of one byte a character."""
    own = _OWN_BYTES.get(charset, {})
    upper = _TABLES.get(charset)
    if upper is not None:
        return "".join(map(chr, range(0x80))) + upper
    python = _PYTHON[charset]
    return "".join([own.get(i) or _character(i, python) for i in range(256)])


def _character(byte: int, python: str) -> str:
    try:
        return bytes([byte]).decode(python)
    except UnicodeDecodeError:
        return _UNDEFINED


# --- collations -----------------------------------------------------------------------------------

_COLLATIONS: Final = {
    "big5": (1, 84), "latin2": (2, 9, 21, 27, 77), "dec8": (3, 69), "cp850": (4, 80),
    "latin1": (5, 8, 15, 31, 47, 48, 49, 94), "hp8": (6, 72), "koi8r": (7, 74), "swe7": (10, 82),
    "ascii": (11, 65), "ujis": (12, 91), "sjis": (13, 88), "cp1251": (14, 23, 50, 51, 52),
    "hebrew": (16, 71), "tis620": (18, 89), "euckr": (19, 85), "latin7": (20, 41, 42, 79),
    "koi8u": (22, 75), "gb2312": (24, 86), "greek": (25, 70), "cp1250": (26, 34, 44, 66, 99),
    "gbk": (28, 87), "cp1257": (29, 58, 59), "latin5": (30, 78), "armscii8": (32, 64),
    "utf8mb3": (33, 76, 83, *range(192, 224)), "ucs2": (35, 90, *range(128, 160)),
    "cp866": (36, 68), "keybcs2": (37, 73), "macce": (38, 43), "macroman": (39, 53),
    "cp852": (40, 81), "utf8mb4": (45, 46, *range(224, 248), *range(255, 400)),
    "utf16": (54, 55, *range(101, 125)), "utf16le": (56, 62), "cp1256": (57, 67),
    "utf32": (60, 61, *range(160, 192)), "binary": (63,), "geostd8": (92, 93), "cp932": (95, 96),
    "eucjpms": (97, 98), "gb18030": (248, 249, 250),
}  # fmt: skip

_CHARSETS: Final = {number: name for name, numbers in _COLLATIONS.items() for number in numbers}

_UCA_1400: Final = 2048
_UCA_1400_SETS: Final = ("utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32")
"""MariaDB numbers these collations by set, 256 for each."""

_NO_PAD: Final = 1024
"""What MariaDB adds to the number of a collation that does not pad."""

_MARIA_EXTRA: Final = ((576, "utf8mb3"), (608, "utf8mb4"), (640, "ucs2"), (672, "utf16"),
                       (736, "utf32"))  # fmt: skip


def charset_of(collation: int) -> str | None:
    """The character set of a collation's number; None for a number that neither MySQL nor MariaDB
    gives one."""
    if collation >= _UCA_1400:
        place = (collation - _UCA_1400) >> 8
        return _UCA_1400_SETS[place] if place < len(_UCA_1400_SETS) else None
    if collation >= _NO_PAD:
        return charset_of(collation - _NO_PAD)
    for first, charset in _MARIA_EXTRA:
        if first <= collation < first + 32:
            return charset
    return _CHARSETS.get(collation)


def statement_codec(collation: int) -> str:
    """Python's codec for a statement that a session with this collation sent; 0: it was not told,
    then it is UTF-8."""
    charset = charset_of(collation)
    return "utf_8" if charset is None else _PYTHON[charset]
