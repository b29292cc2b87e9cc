"""The guards of MySQL and MariaDB, see `guards.py`."""

from typing import Final

from tests.mutants.guard import Guard

MYSQL_GUARDS: Final = (
    Guard(
        "mysql-inside-a-transaction",
        "a sign of life takes a position inside a transaction back before it: rows come twice",
        "connectors/mysql/assembler.py",
        "        if self._inside:\n",
        "        if False:\n",
        ("tests/unit/connectors/mysql/test_assembler.py",),
    ),
    Guard(
        "mysql-defaults-unknown",
        "a row without its defaults goes to the target as if it were whole",
        "connectors/mysql/history.py",
        "        if absent.lost:\n",
        "        if False:\n",
        (
            (
                "tests/integration/mysql_source/test_faults.py"
                "::test_a_new_row_whose_default_is_not_known_stops_its_table_alone"
            ),
        ),
    ),
    Guard(
        "mysql-same-server",
        "another server's log is read from the position of this one",
        "connectors/mysql/source.py",
        "            await check_server(ask, self._opened()[0])\n",
        "",
        (
            (
                "tests/integration/mysql_source/test_faults.py"
                "::test_another_server_behind_the_address_is_not_read_as_if_it_were_the_same"
            ),
        ),
    ),
    Guard(
        "mysql-snapshot-place",
        "a snapshot counts as later than it is: what was not in it is dropped",
        "connectors/mysql/watermarks.py",
        "    return window.end if seen == len(touching) else touching[seen].before\n",
        "    return window.end\n",
        (
            (
                "tests/integration/mysql_source/test_watermarks.py"
                "::test_what_commits_just_before_is_seen_and_what_commits_just_after_is_not"
            ),
        ),
    ),
    Guard(
        "mysql-snapshot-commits",
        "a snapshot counts as earlier than it is: what was in it is applied again",
        "connectors/mysql/watermarks.py",
        '        return (FilePosition(place) if waited == b"0" else GtidPosition(done)), done\n',
        "        return FilePosition(place), done\n",
        (
            (
                "tests/integration/mysql_source/test_commits.py"
                "::test_what_was_in_the_log_before_and_becomes_visible_just_then_is_in_it"
            ),
        ),
    ),
    Guard(
        "mysql-snapshot-obscured",
        "a statement in the window of a snapshot is taken for none",
        "connectors/mysql/log_window.py",
        "            self.obscure = self.obscure or why\n",
        "            pass\n",
        ("tests/unit/connectors/mysql/test_log_window.py",),
    ),
    Guard(
        "mysql-sent-before-committed",
        "a table is read again without what its stopped lane had dropped",
        "connectors/mysql/commits.py",
        "    while who := await left():\n",
        "    while who := ():\n",
        (
            (
                "tests/integration/mysql_source/test_commits.py"
                "::test_a_table_is_not_read_again_before_what_was_sent_is_visible"
            ),
        ),
    ),
    Guard(
        "mysql-log-begun-anew",
        "a binary log that was reset passes for the one that was read",
        "connectors/mysql/log_mark.py",
        "        if not there and not purged:\n",
        "        if False:\n",
        (
            (
                "tests/scenario/pairs/test_source_faults.py"
                "::test_a_log_that_was_begun_anew_does_not_pass_for_the_one_that_was_read"
            ),
        ),
    ),
    Guard(
        "mysql-xa-prepared-only",
        "rows of a distributed transaction that is only prepared take effect",
        "connectors/mysql/assembler.py",
        "        if event.one_phase:\n",
        "        if True:\n",
        ("tests/unit/connectors/mysql/test_xa.py::test_rows_come_where_they_are_committed",),
    ),
    Guard(
        "mysql-xa-rolled-back",
        "rows that were rolled back take effect when their name is committed later",
        "connectors/mysql/xa_reading.py",
        "            self.prepared.pop(xid, None)\n            self.group = None\n",
        "            self.group = None\n",
        (
            "tests/unit/connectors/mysql/test_xa.py::test_a_commit_of_what_was_never_logged_is_not_passed_over",
        ),
    ),
    Guard(
        "mysql-xa-not-found",
        "the commit of a distributed transaction whose rows are gone is passed over",
        "connectors/mysql/log_stream.py",
        "        group = due.group or await self._xa_log.find(due.xid, due.committed)\n",
        "        group = due.group\n        if group is None:\n            return\n",
        ("tests/unit/connectors/mysql/test_xa.py::test_rows_that_are_in_no_file_any_more",),
    ),
    Guard(
        "mysql-xa-another-group",
        "rows of another transaction are taken for those that were prepared",
        "connectors/mysql/xa_log.py",
        "    if (found.xid, found.gtid) != (group.xid, group.gtid):\n",
        "    if False:\n",
        (
            "tests/unit/connectors/mysql/test_xa.py::test_another_transaction_in_its_place_is_not_taken_for_it",
        ),
    ),
    Guard(
        "mysql-xa-quiet-snapshot",
        "a snapshot of MariaDB lacks rows whose XA COMMIT is before its place in the log",
        "connectors/mysql/snapshot.py",
        "            snapshot = await _begin_quiet(link)\n",
        "            snapshot: Snapshot | None = await begin_maria(link)\n",
        (
            (
                "tests/integration/mysql_source/test_xa.py"
                "::test_a_snapshot_is_opened_under_the_lock_where_a_commit_may_be_under_way"
            ),
        ),
    ),
)
