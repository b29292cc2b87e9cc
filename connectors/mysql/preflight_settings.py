"""(pure) What a source's settings mean for whoever reads its binary log."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from connectors.mysql.server import Server
from engine.model.finding import Finding, Severity

BLOCKS, WARNS, TELLS = Severity.BLOCKS, Severity.WARNS, Severity.TELLS

RETENTION_SECONDS_MIN: Final = 86_400
"""A replication that stands still for a night should find its place again."""

TESTED_FROM: Final = {True: (10, 6, 0), False: (8, 0, 0)}
"""By whether it is MariaDB."""

DAY_SECONDS: Final = 86_400

RDS_DIRECTORY: Final = "/rdsdbbin"
"""Where Amazon RDS and Aurora have their programs (`basedir`)."""

NAMES: Final = (
    "basedir", "binlog_expire_logs_auto_purge", "binlog_expire_logs_seconds", "binlog_format",
    "binlog_row_image", "binlog_row_metadata", "binlog_row_value_options", "binlog_space_limit",
    "expire_logs_days", "gtid_mode", "gtid_strict_mode", "innodb_flush_log_at_trx_commit",
    "innodb_native_foreign_keys", "log_replica_updates", "log_slave_updates",
    "lower_case_table_names", "max_allowed_packet", "max_binlog_total_size", "server_id",
    "sync_binlog",
)  # fmt: skip
"""The settings that are looked at; not every server has each."""

Variables = Mapping[str, str]
"""Global system variables, by name in lower case."""


def findings(server: Server, variables: Variables) -> Sequence[Finding]:
    """One for each setting that should be another one, in a fixed order."""
    checks: Sequence[Callable[[Server, Variables], Sequence[Finding]]] = (
        _version, _server_id, _format, _image, _metadata, _durable, _gtid, _retention, _size,
        _names,
    )  # fmt: skip
    return [finding for check in checks for finding in check(server, variables)]


def _version(server: Server, _variables: Variables) -> Sequence[Finding]:
    tested = TESTED_FROM[server.mariadb]
    if server.flavour.version >= tested:
        return []
    text = (
        f"the source is {server.flavour}, which Penstock was never tested with: its tests begin at"
        f" {'.'.join(map(str, tested))}"
    )
    return [Finding("source-version", WARNS, text, "upgrade it, or try with data you can lose")]


def on_rds(variables: Variables) -> bool:
    return variables.get("basedir", "").startswith(RDS_DIRECTORY)


def _server_id(_server: Server, variables: Variables) -> Sequence[Finding]:
    if variables.get("server_id") != "0":
        return []
    text = "the source has server_id = 0: it sends its binary log to nobody"
    return [Finding("server-id", BLOCKS, text, "SET GLOBAL server_id = 1; and in its option file")]


def _format(_server: Server, variables: Variables) -> Sequence[Finding]:
    value = variables.get("binlog_format", "ROW").upper()
    if value == "ROW":
        return []
    text = (
        f"binlog_format is {value}: the log has statements, not the rows they changed; a session"
        " may also choose this for itself, and the first such change ends the replication"
    )
    remedy = (
        "SET GLOBAL binlog_format = 'ROW'; and in the option file; sessions that are open keep"
        " theirs until they end"
    )
    return [Finding("binlog-format", BLOCKS, text, remedy)]


def _image(server: Server, variables: Variables) -> Sequence[Finding]:
    value = variables.get("binlog_row_image", "FULL").upper()
    if value in ("FULL", "FULL_NODUP"):
        return []
    text = (
        f"binlog_row_image is {value}: what an update does not send stays on the target as it is"
        " there, and a new row without a value for a column whose default is not known stops its"
        " table"
    )
    if server.mariadb:
        text += (
            "; a REPLACE is logged without the columns that went back to their defaults: under"
            " MINIMAL it stops its table, under NOBLOB the target keeps the old value of a BLOB or"
            " TEXT that it leaves out"
        )
    if "PARTIAL_JSON" in variables.get("binlog_row_value_options", "").upper():
        text += (
            "; binlog_row_value_options is PARTIAL_JSON: of a JSON document that an update changes"
            " in part only the changes are logged, which stops its table"
        )
    return [Finding("row-image", WARNS, text, "SET GLOBAL binlog_row_image = 'FULL'")]


def _metadata(_server: Server, variables: Variables) -> Sequence[Finding]:
    value = variables.get("binlog_row_metadata", "").upper()
    if value == "FULL":
        return []
    text = (
        "the binary log does not name columns (binlog_row_metadata is"
        f" {value or 'not a setting of this version'}): they are known from ALTER TABLE statements"
        " alone, and one that is not understood stops its table"
    )
    remedy = "SET GLOBAL binlog_row_metadata = 'FULL'" if value else ""
    return [Finding("row-metadata", WARNS if value else TELLS, text, remedy)]


def _durable(_server: Server, variables: Variables) -> Sequence[Finding]:
    lacking = [
        name
        for name in ("sync_binlog", "innodb_flush_log_at_trx_commit")
        if variables.get(name, "1") != "1"
    ]
    if not lacking:
        return []
    are = " and ".join(f"{name} = {variables[name]}" for name in lacking)
    text = (
        f"{are}: a crash of the source's machine loses transactions that the target has already,"
        " and the numbers they had are given to others"
    )
    remedy = "SET GLOBAL " + ", GLOBAL ".join(f"{name} = 1" for name in lacking)
    return [Finding("durability", WARNS, text, remedy)]


def _gtid(server: Server, variables: Variables) -> Sequence[Finding]:
    mode = variables.get("gtid_mode", "ON").upper()
    if not server.mariadb and mode != "ON":
        text = (
            f"gtid_mode is {mode}: places in the log are files and offsets, which mean nothing on"
            " another server, so tables are loaded again after a fail-over"
        )
        remedy = (
            "SET GLOBAL enforce_gtid_consistency = ON, then gtid_mode = OFF_PERMISSIVE,"
            " ON_PERMISSIVE and ON, one after the other"
        )
        return [Finding("gtid-mode", WARNS, text, remedy)]
    if server.mariadb and variables.get("gtid_strict_mode", "ON").upper() != "ON":
        text = (
            "gtid_strict_mode is OFF: after a fail-over two transactions may have one number, and"
            " the second is taken for the first"
        )
        return [Finding("gtid-strict", WARNS, text, "SET GLOBAL gtid_strict_mode = ON")]
    return []


def _retention(_server: Server, variables: Variables) -> Sequence[Finding]:
    """RDS has an own place for it; see `rds_retention`."""
    if on_rds(variables) or variables.get("binlog_expire_logs_auto_purge", "ON") == "OFF":
        return []
    seconds = int(variables.get("binlog_expire_logs_seconds", "0") or 0)
    days = float(variables.get("expire_logs_days", "0") or 0)
    kept = seconds or days * DAY_SECONDS
    if kept >= RETENTION_SECONDS_MIN:
        return []
    modern = "binlog_expire_logs_seconds" in variables
    longer = "binlog_expire_logs_seconds = 604800" if modern else "expire_logs_days = 7"
    if not kept:
        text = "the source keeps its binary log for ever: its disk fills up"
        return [Finding("retention", TELLS, text, f"SET GLOBAL {longer}")]
    text = (
        f"the source keeps its binary log for {kept / 3600:.1f} h: a replication that stands still"
        " for longer has to load again"
    )
    return [Finding("retention", WARNS, text, f"SET GLOBAL {longer}")]


def rds_retention(value: str | None) -> Sequence[Finding]:
    """`value`: of `binlog retention hours` in `mysql.rds_configuration`."""
    if value == "NULL":
        value = None
    if value and int(value) * 3600 >= RETENTION_SECONDS_MIN:
        return []
    kept = f"for {value} h" if value else "no longer than its own replicas need it"
    text = (
        f"the source keeps its binary log {kept} (binlog retention hours): a replication that"
        " stands still for longer has to load again"
    )
    remedy = "CALL mysql.rds_set_configuration('binlog retention hours', 72)"
    return [Finding("retention", WARNS, text, remedy)]


def _size(_server: Server, variables: Variables) -> Sequence[Finding]:
    for name in ("max_binlog_total_size", "binlog_space_limit"):
        size = int(variables.get(name, "0") or 0)
        if size:
            text = (
                f"the source purges its binary log beyond {size >> 20} MiB ({name}), whether it was"
                " read or not"
            )
            return [Finding("retention-size", WARNS, text, f"SET GLOBAL {name} = 0, or more")]
    return []


def _names(_server: Server, variables: Variables) -> Sequence[Finding]:
    value = variables.get("lower_case_table_names", "0")
    if value == "0":
        return []
    text = f"lower_case_table_names is {value}: names of databases and tables arrive in lower case"
    return [Finding("lower-case", TELLS, text)]
