"""Which of the two dialects a server speaks, and its version. (pure)"""

import re
from dataclasses import dataclass
from typing import Final, Self

_NUMBER: Final = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_REPLICATION_PREFIX: Final = "5.5.5-"
"""MariaDB puts it before its version, for old replicas."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """`version` is (major, minor, patch)."""

    mariadb: bool
    version: tuple[int, int, int]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a server's own version text."""
        mariadb = "mariadb" in text.lower()
        if mariadb:
            text = text.removeprefix(_REPLICATION_PREFIX)
        match = _NUMBER.match(text)
        numbers = match.groups(default="0") if match else ("0", "0", "0")
        major, minor, patch = (int(number) for number in numbers)
        return cls(mariadb, (major, minor, patch))

    def __str__(self) -> str:
        return f"{'MariaDB' if self.mariadb else 'MySQL'} {'.'.join(map(str, self.version))}"

    @property
    def logs_generated(self) -> bool:
        """Whether an update in the log has the new values of generated columns, whatever
        `binlog_row_image` is. Seen: MariaDB 10.11 and MySQL do so, MariaDB 11.8 does not."""
        return not self.mariadb or self.version < (11, 0, 0)

    @property
    def bytewise_collation(self) -> str:
        """The collation of utf8mb4 in which texts are equal when their bytes are; before MySQL
        8.0.17 there is none that tells trailing spaces apart."""
        if self.mariadb:
            return "utf8mb4_nopad_bin"
        return "utf8mb4_0900_bin" if self.version >= (8, 0, 17) else "utf8mb4_bin"
