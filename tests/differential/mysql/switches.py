"""Settings of sessions and servers that change what the log holds, or how a statement is read."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from tests.differential.mysql.kinds import MYSQL, Chance
from tests.differential.mysql.tables import Dialect
from tests.differential.work import Charset, Step, Work

STRICT: Final = "STRICT_TRANS_TABLES"


@dataclass(slots=True)
class Mode:
    """How a session reads texts and names."""

    ansi: bool = False
    """Names may stand in double quotes, and texts may not."""
    plain_backslash: bool = False
    strict: bool = True

    def quoted(self, text: str) -> str:
        """A text as a literal."""
        text = text.replace("'", "''")
        return f"'{text}'" if self.plain_backslash else "'" + text.replace("\\", "\\\\") + "'"

    def name(self, name: str) -> str:
        """A name in the quotes of the mode."""
        if self.ansi:
            return '"' + name.replace('"', '""') + '"'
        return "`" + name.replace("`", "``") + "`"

    def statement(self) -> str:
        flags = ["NO_ENGINE_SUBSTITUTION"]
        flags += [STRICT] * self.strict + ["ANSI_QUOTES"] * self.ansi
        flags += ["NO_BACKSLASH_ESCAPES"] * self.plain_backslash
        return f"SET sql_mode = '{','.join(flags)}'"


class Switches:
    """Works that switch a setting, for the session of one writer."""

    def __init__(self, chance: Chance, dialect: Dialect, writer: int) -> None:
        self._chance = chance
        self._dialect = dialect
        self._writer = writer
        self._gaps = 0
        self.mode = Mode()

    def opening(self) -> list[str]:
        """What a new session begins with; others than it had before are gone."""
        return [self.mode.statement(), "SET innodb_lock_wait_timeout = 5"]

    def work(self, met: Counter[str]) -> Work:
        chance = self._chance
        dialect = self._mysql() if self._dialect.name == MYSQL else self._mariadb()
        if chance.random() < 0.15:
            return self._modes(met)
        every: list[tuple[str, list[Step]]] = [
            ("row image", [f"SET binlog_row_image = '{chance.choice(self._dialect.images)}'"]),
            ("time zone", [f"SET time_zone = '{chance.choice(ZONES)}'"]),
            ("charset", [Charset(chance.choice(("utf8mb4", "latin1", "gbk")))]),
            ("new log file", ["FLUSH BINARY LOGS"]),
            ("metadata", [f"SET GLOBAL binlog_row_metadata = {chance.choice(METADATA)}"]),
            *dialect,
            *dialect,
        ]
        name, steps = chance.choice(every)
        met[f"switch: {name}"] += 1
        return Work(steps, "")

    def dressed(self, work: Work, met: Counter[str]) -> Work:
        """The work, maybe under a GTID of its own kind."""
        if self._chance.random() > 0.06:
            return work
        if self._dialect.name != MYSQL:
            return self._numbered(work, met)
        if self._chance.random() < 0.5 and not self._dialect.old:
            met["GTID with a tag"] += 1
            work.before = [f"SET gtid_next = 'AUTOMATIC:tag{self._chance.randint(1, 2)}'"]
        else:
            met["GTID ahead"] += 1
            self._gaps += self._chance.randint(1, 9)
            number = (self._writer + 1) * 1_000_000 + self._gaps
            work.before = [
                f"SET @gtid = CONCAT(@@server_uuid, ':{number}')",
                "SET gtid_next = @gtid",
            ]
        work.last = ["SET gtid_next = 'AUTOMATIC'"]
        return work

    def _numbered(self, work: Work, met: Counter[str]) -> Work:
        met["GTID domain"] += 1
        work.before = [f"SET gtid_domain_id = {self._chance.randint(1, 2)}"]
        work.last = ["SET gtid_domain_id = 0"]
        return work

    def _modes(self, met: Counter[str]) -> Work:
        met["switch: sql_mode"] += 1
        chance = self._chance
        self.mode.ansi = chance.random() < 0.4
        self.mode.plain_backslash = chance.random() < 0.4
        self.mode.strict = chance.random() < 0.8
        return Work([self.mode.statement()], "")

    def _mysql(self) -> list[tuple[str, list[Step]]]:
        chance = self._chance
        on = chance.choice(("ON", "OFF"))
        partial = chance.choice(("PARTIAL_JSON", ""))
        found: list[tuple[str, list[Step]]] = [
            ("partial JSON", [f"SET binlog_row_value_options = '{partial}'"]),
            ("rows query", [f"SET binlog_rows_query_log_events = {on}"]),
        ]
        if not self._dialect.old:
            found.append(("compression", [f"SET binlog_transaction_compression = {on}"]))
        return found

    def _mariadb(self) -> list[tuple[str, list[Step]]]:
        on = self._chance.choice(("ON", "OFF"))
        return [
            ("compression", [f"SET GLOBAL log_bin_compress = {on}",
                             "SET GLOBAL log_bin_compress_min_len = 10"]),
            ("annotations", [f"SET binlog_annotate_row_events = {on}"]),
            ("ALTER in two phases", [f"SET binlog_alter_two_phase = {on}"]),
        ]  # fmt: skip


METADATA: Final = ("FULL", "MINIMAL")
ZONES: Final = ("+00:00", "+05:30", "-08:00")
