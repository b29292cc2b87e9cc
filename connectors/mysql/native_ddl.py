"""A type of one dialect in the other's words. (pure)"""

import re
from typing import Final

from connectors.mysql.column_type import parse
from connectors.mysql.flavour import Flavour

_COLLATE: Final = re.compile(r"\bcollate (\w+)", re.IGNORECASE)
_CHARSET: Final = re.compile(r"\bcharacter set (\w+)", re.IGNORECASE)

_ONLY_MARIADB: Final = {
    "uuid": "char(36) character set ascii collate ascii_general_ci",
    "inet6": "varchar(39) character set ascii collate ascii_general_ci",
    "inet4": "varchar(15) character set ascii collate ascii_general_ci",
}

_VECTORS_FROM: Final = {True: (11, 7, 1), False: (9, 0, 0)}
"""The first version with that type, by whether it is MariaDB."""


def adapted(type_: str, flavour: Flavour, collations: frozenset[str]) -> str:
    """The type as this server declares it. `collations`: those it knows."""
    base = parse(type_).base
    if not flavour.mariadb and base in _ONLY_MARIADB:
        return _ONLY_MARIADB[base]
    if base == "vector" and flavour.version < _VECTORS_FROM[flavour.mariadb]:
        return "longblob"
    if flavour.mariadb and base == "json":
        return "longtext character set utf8mb4 collate utf8mb4_bin"
    if flavour.mariadb and base == "geometrycollection":
        return base
    found = _COLLATE.search(type_)
    if found is None or found[1].lower() in collations:
        return type_
    charset = _CHARSET.search(type_)
    if charset is not None and f"{charset[1].lower()}_bin" not in collations:
        type_ = _CHARSET.sub("character set utf8mb4", type_)
    return _COLLATE.sub(f"collate {_nearest(type_, found[1].lower(), collations)}", type_)


def _nearest(type_: str, name: str, collations: frozenset[str]) -> str:
    """A collation the server has in place of one it has not: as strict about letters, so that keys
    which differ on the source do not meet more often here."""
    charset = _CHARSET.search(type_)
    prefix = charset[1].lower() if charset else name.partition("_")[0]
    if name.endswith("_bin"):
        wanted = [f"{prefix}_0900_bin", f"{prefix}_nopad_bin", f"{prefix}_bin"]
    elif "_as_cs" in name or name.endswith("_cs"):
        wanted = [f"{prefix}_0900_as_cs", f"{prefix}_uca1400_nopad_as_cs", f"{prefix}_bin"]
    else:
        wanted = [
            f"{prefix}_0900_ai_ci", f"{prefix}_uca1400_nopad_ai_ci",
            f"{prefix}_unicode_520_nopad_ci", f"{prefix}_unicode_520_ci", f"{prefix}_general_ci",
        ]  # fmt: skip
    return next((each for each in wanted if each in collations), f"{prefix}_bin")
