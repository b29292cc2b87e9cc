"""The guards: each keeps one way of losing, repeating or spoiling rows out.

`without` is the code with the guard taken out; `held_by` are tests of which at least one must then
fail. A guard that no test misses does not count as one.
"""

from typing import Final

from tests.mutants.guard import Guard
from tests.mutants.mysql_guards import MYSQL_GUARDS

GUARDS: Final = (
    Guard(
        "stored-before-told",
        "the source is told of a position that is not durable in the target",
        "engine/checkpoint/committer.py",
        "            row = self._row\n",
        "            row = self._row\n            await self._source.acknowledge(position)\n",
        ("tests/simulation/test_simulation.py::test_a_calm_run_ends_equal[insert]",),
    ),
    Guard(
        "told-what-was-stored",
        "the source is told of a newer position than the one stored",
        "engine/checkpoint/committer.py",
        "            await self._source.acknowledge(position)\n",
        "            await self._source.acknowledge(self._frontier.position)\n",
        (
            "tests/simulation/test_simulation.py::test_storms_and_kills_lose_and_repeat_nothing[mixed]",
        ),
    ),
    Guard(
        "frontier-waits-for-every-piece",
        "a position overtakes an unfinished row",
        "engine/checkpoint/frontier.py",
        "        while marks and marks[0].pending == 0:\n",
        "        while marks and marks[0].end is not None:\n",
        ("tests/unit/checkpoint/test_frontier.py",),
    ),
    Guard(
        "frontier-waits-for-the-end",
        "a transaction of which only a part has come counts as done",
        "engine/checkpoint/frontier.py",
        "        if mark.pending == 0 and mark.end is not None:\n            self._advance()\n",
        "        if mark.pending == 0:\n            self.position = mark.end or self.position\n"
        "            self._marks.popleft()\n",
        ("tests/unit/checkpoint/test_frontier.py",),
    ),
    Guard(
        "a-cut-transaction-has-ordinals",
        "a batch that ends inside a transaction stores the position of its end",
        "engine/model/segment.py",
        "        return self.transaction.at(self.ordinals[-1])\n",
        "        return self.transaction.at(1 << 30)\n",
        (
            "tests/simulation/test_simulation.py::test_killed_at_any_step_the_next_process_ends_equal[large]",
        ),
    ),
    Guard(
        "lanes-drop-what-they-have",
        "a restart applies again what a lane had applied",
        "engine/apply/checkpoint.py",
        (
            "        if self.replay.covers(transaction.coordinate, ordinal):\n"
            "            return True\n"
        ),
        "",
        (
            "tests/simulation/test_simulation.py::test_killed_at_any_step_the_next_process_ends_equal[mixed]",
        ),
    ),
    Guard(
        "a-moved-key-is-in-two-buckets",
        "a key that moves is applied beside what its new bucket does",
        "engine/apply/checkpoint.py",
        "            places.append(found[0] if len(found) == 1 else SEVERAL)\n",
        "            places.append(found[-1] if found else SEVERAL)\n",
        ("tests/unit/apply/test_buckets.py", "tests/unit/apply/test_divided.py"),
    ),
    Guard(
        "halves-of-a-move-apart",
        "one half of a key's move is taken for both",
        "engine/apply/checkpoint.py",
        "        left = [half for half in halves if not all(map(covers, self.of(half)))]\n",
        "        left = [half for half in halves if not any(map(covers, self.of(event)))]\n",
        ("tests/unit/apply/test_buckets.py",),
    ),
    Guard(
        "buckets-meet-at-one-place",
        "checkpoints of buckets are joined while they stand apart",
        "engine/bucketing.py",
        " if all(frontier.reaches(parse(text)) for text in texts) else None\n",
        "\n",
        ("tests/unit/test_bucketing.py",),
    ),
    Guard(
        "what-nothing-was-applied-of-stays",
        "a table that stops takes positions back that others had reached",
        "engine/apply/fallback.py",
        "    return {c.name: at if c.name in moved else c.position for c in batch.touched}\n",
        "    return {c.name: at for c in batch.touched}\n",
        ("tests/unit/apply/test_fallback.py",),
    ),
    Guard(
        "readers-drop-what-was-dispatched",
        "a reconnect dispatches again what is on its way",
        "engine/capture/reader.py",
        "        if self.passed.covers(transaction.coordinate, 1):\n            return False\n"
        "        self._number += 1\n        transaction.number = self._number\n"
        "        assert part.end is not None\n",
        "        self._number += 1\n        transaction.number = self._number\n"
        "        assert part.end is not None\n",
        ("tests/unit/capture/test_reader.py",),
    ),
    Guard(
        "readers-cut-what-was-dispatched",
        "a transaction cut by a broken link is dispatched from its beginning again",
        "engine/capture/reader.py",
        "        if not passed.covers(coordinate, ordinal):\n            break\n",
        "        break\n",
        ("tests/unit/capture/test_reader.py",),
    ),
    Guard(
        "epoch-in-the-fence",
        "an older owner goes on committing after it was replaced",
        "connectors/postgres/control_schema.py",
        " AND epoch OPERATOR(pg_catalog.=) e",
        "",
        ("tests/integration/postgres_target/test_fence.py::test_a_failed_fence_has_no_effect",),
    ),
    Guard(
        "sequence-in-the-fence",
        "a transaction whose outcome was unknown is applied twice",
        "connectors/postgres/control_schema.py",
        " AND seq OPERATOR(pg_catalog.=) s",
        "",
        ("tests/integration/postgres_target/test_fence.py::test_a_failed_fence_has_no_effect",),
    ),
    Guard(
        "identity-of-the-source",
        "stored positions are used for another server's log",
        "engine/checkpoint/ownership.py",
        "    if owner.identity != claimant.identity:\n",
        "    if False:\n",
        ("tests/unit/checkpoint/test_ownership.py",),
    ),
    Guard(
        "fingerprint-of-the-settings",
        "settings that stored positions depend on change between two runs",
        "engine/checkpoint/ownership.py",
        "    if owner.fingerprint != claimant.fingerprint:\n",
        "    if False:\n",
        ("tests/unit/checkpoint/test_ownership.py",),
    ),
    Guard(
        "a-rewound-target-is-noticed",
        "a target that lost its last commits is written on from where we believe it to be",
        "engine/checkpoint/ownership.py",
        "        if stored_epoch < epoch or stored < expected:\n",
        "        if stored_epoch < epoch:\n",
        ("tests/unit/checkpoint/test_ownership.py",),
    ),
    Guard(
        "rows-of-a-successor",
        "checkpoint rows that a successor has raised are taken for ours",
        "engine/checkpoint/ownership.py",
        (
            "    _still_ours(owner, epoch)\n"
            "    if any(row.epoch > epoch for row in rows.values()):\n        raise fenced(owner)\n"
        ),
        "",
        ("tests/unit/checkpoint/test_ownership.py",),
    ),
    Guard(
        "commit-unknown",
        "a COMMIT whose answer was lost is taken for one that failed",
        "connectors/postgres/transaction.py",
        "        if lost and commits:\n",
        "        if False:\n",
        (
            "tests/integration/postgres_target/test_fence.py::test_a_link_lost_after_commit_was_sent_is_an_unknown_outcome",
        ),
    ),
    Guard(
        "a-moved-slot-is-refused",
        "a slot that was moved past the stored position begins later without a word",
        "connectors/postgres/slot.py",
        "        if self.confirmed is not None and self.confirmed > after:\n",
        "        if False:\n",
        (
            (
                "tests/integration/postgres_source/test_slot.py"
                "::test_a_slot_moved_past_the_stored_position_is_refused"
            ),
        ),
    ),
    Guard(
        "a-lost-slot-is-refused",
        "a slot that the server gave up is read as if it were whole",
        "connectors/postgres/slot.py",
        "        if self.lost:\n",
        "        if False:\n",
        ("tests/scenario/faults/test_slots.py::test_a_slot_given_up_by_the_server",),
    ),
    Guard(
        "unknown-messages-stop",
        "a message of an unknown kind is passed over, and the position moves past it",
        "connectors/postgres/pgoutput.py",
        '        raise self._error(f"unknown message {data[:1]!r}")\n',
        "        return  # type: ignore[misc]\n",
        ("tests/unit/connectors/postgres/test_pgoutput.py",),
    ),
    Guard(
        "absent-is-not-null",
        "a long value that the log left out is overwritten when updates are folded",
        "engine/apply/fold.py",
        "row if UNCHANGED not in row else _overlay(before[1], row)",
        "row",
        ("tests/unit/apply/test_fold.py",),
    ),
    Guard(
        "absent-is-never-written",
        "a column that the log left out is written",
        "engine/apply/fold.py",
        "    return tuple([index for index, value in enumerate(row) if value is not UNCHANGED])\n",
        "    return tuple(range(len(row)))\n",
        ("tests/unit/apply/test_fold.py",),
    ),
    Guard(
        "a-key-change-moves-the-row",
        "a changed key leaves the row under its old key, too",
        "engine/apply/fold.py",
        "            if old is not None and _key_changed(key, new, old):\n",
        "            if False:\n",
        ("tests/unit/apply/test_fold.py",),
    ),
    Guard(
        "deletes-first",
        "a deletion after a batch's insertions takes the new row of a unique value with it",
        "engine/apply/fold.py",
        "    elif kind == INSERT and was == DELETE:\n        net[name] = (_REPLACE, row)\n",
        "    elif kind == INSERT and was == DELETE:\n        del net[name]\n",
        ("tests/unit/apply/test_fold.py",),
    ),
    Guard(
        "a-chunk-has-what-its-snapshot-saw",
        "the stream repeats over a loaded row what its chunk held already, or newer",
        "engine/load/handover.py",
        "            return None if self._visible(self._one, transaction) else change\n",
        "            return change\n",
        (
            "tests/simulation/test_simulation.py::test_storms_and_kills_lose_and_repeat_nothing[load]",
        ),
    ),
    Guard(
        "each-chunk-its-own-snapshot",
        "after a restart of the load a change is judged by the snapshot of another chunk",
        "engine/load/handover.py",
        "        return chunk is not None and self._visible(chunk.snapshot, transaction)\n",
        "        return self._visible(self._snapshots[0], transaction)\n",
        ("tests/unit/load/test_handover.py",),
    ),
    Guard(
        "a-row-that-moves-between-chunks",
        "a row that moved from one chunk to another is lost, or is there twice",
        "engine/load/handover.py",
        "            return Change(DELETE, change.relation, None, change.old)\n",
        "            return None\n",
        ("tests/unit/load/test_handover.py",),
    ),
    Guard(
        "a-refused-row-is-kept",
        "a row that was refused is passed over without a trace",
        "engine/apply/fallback.py",
        "                await transaction.reject(self._sealed(row))\n",
        "                pass\n",
        ("tests/unit/apply/test_fallback.py",),
    ),
    Guard(
        "a-stopped-table-says-so",
        "a table is stopped without a durable record, and after a restart goes on past the row",
        "engine/apply/fallback.py",
        "            if stopped is not None:\n                await _record(",
        "            if False:\n                await _record(",
        ("tests/unit/apply/test_fallback.py",),
    ),
    Guard(
        "a-missing-row-is-noticed",
        "an UPDATE or DELETE that met no row is committed over",
        "connectors/postgres/dialect.py",
        "        return counted(statement, expected)\n    return COUNTED",
        "        return statement\n    return COUNTED",
        (
            "tests/integration/postgres_target/test_runs.py::test_a_missing_row_is_never_committed_over",
        ),
    ),
    Guard(
        "a-missing-row-is-excused-by-a-key",
        "a deletion that meets no row is committed over where no key can have deleted it",
        "connectors/postgres/dialect.py",
        "    if not plan.target.cascaded:\n",
        "    if False:\n",
        (
            "tests/integration/postgres_target/test_runs.py::test_a_missing_row_is_never_committed_over",
        ),
    ),
    Guard(
        "a-table-as-it-is-now",
        "a schema change is made from what the session remembers of the target's table",
        "connectors/postgres/transaction.py",
        "        there = await self._session.table_now(table)\n",
        "        there = await self._session.table(table)\n",
        (
            (
                "tests/integration/postgres_target/test_tables.py"
                "::test_a_session_changes_a_table_as_another_session_has_left_it"
            ),
        ),
    ),
    Guard(
        "one-row-for-each-event",
        "an event of a table without key changes every row like it",
        "connectors/postgres/dialect.py",
        '        f"{condition} LIMIT 1 FOR UPDATE"\n',
        '        f"{condition} FOR UPDATE"\n',
        (
            "tests/contract/test_target_row_laws.py::test_without_key_each_event_changes_exactly_one_row",
        ),
    ),
    Guard(
        "waiting-changes-in-order",
        "what waited for a stopped table is taken in twice after trouble with the target",
        "engine/apply/suspension.py",
        "        return None if covers(transaction.coordinate, ordinal) else event\n",
        "        return event\n",
        ("tests/unit/apply/test_suspension.py",),
    ),
    Guard(
        "still-suspended",
        "a table that is being mended counts as streaming when a schema change is among what waits",
        "engine/apply/applier.py",
        "        if lane.suspension is not None:\n            await _still_suspended(",
        "        if False:\n            await _still_suspended(",
        ("tests/unit/apply/test_applier.py", "tests/unit/apply/test_suspension.py"),
    ),
    Guard(
        "overflow-is-bounded",
        "overflow of a stuck table fills the disk",
        "engine/spool.py",
        "        if self._budget.used + len(record) > self._budget.bytes_max:\n",
        "        if False:\n",
        ("tests/unit/test_spool.py::test_without_room_nothing_is_written",),
    ),
    Guard(
        "memory-is-bounded",
        "rows pile up in memory while the target is slow",
        "engine/queue/bounded.py",
        "        return self.used == 0 or self.used + size <= self.bytes_max\n",
        "        return True\n",
        ("tests/unit/queue/test_bounded.py",),
    ),
    Guard(
        "text-form-is-pinned",
        "a role's own settings change how values are read",
        "connectors/postgres/load_connection.py",
        '    "DateStyle": "ISO, MDY",\n',
        "",
        (
            (
                "tests/scenario/faults/test_source_states.py"
                "::test_settings_of_roles_and_databases_change_no_value"
            ),
        ),
    ),
    Guard(
        "a-refused-piece-is-replayed",
        "a transaction larger than a batch never ends for what only its folding makes wrong",
        "engine/apply/applier.py",
        "        await station.rejections.apply_within(transaction, lane, batch, written)\n",
        "        raise\n",
        ("tests/unit/apply/test_applier.py",),
    ),
    Guard(
        "a-piece-leaves-deferred-checks",
        "a transaction larger than a batch is refused for what its later pieces bring",
        "connectors/postgres/transaction.py",
        "        if checked and self._deferred:\n",
        "        if self._deferred:\n",
        ("tests/integration/postgres_target/test_runs.py",),
    ),
    Guard(
        "one-of-several-equal-rows",
        "a change of a row without key reaches a second, equal one, or is refused for it",
        "connectors/postgres/dialect.py",
        'f"{_once(found)} UPDATE {plan.target.sql} AS t SET {_assignments(changed)} FROM m"\n',
        'f"UPDATE {plan.target.sql} AS t SET {_assignments(changed)} FROM ({found}) AS m"\n',
        ("tests/integration/postgres_target/test_runs.py",),
    ),
    Guard(
        "described-as-the-snapshot-has-it",
        "a table is loaded without a column whose values the log does not bring again",
        "connectors/postgres/chunk_check.py",
        "    if [tuple(row)[:-1] for row in rows] != columns:\n",
        "    if False:\n",
        (
            (
                "tests/integration/postgres_schema_changes/test_during_load.py"
                "::test_a_table_is_altered_while_it_is_loaded_again"
            ),
        ),
    ),
    Guard(
        "names-of-the-snapshot-still-hold",
        "another column's values are loaded under a name that has changed hands",
        "connectors/postgres/chunk_check.py",
        '    if any(row["now"] != row["name"] for row in rows):\n',
        "    if False:\n",
        (
            (
                "tests/integration/postgres_schema_changes/test_during_load.py"
                "::test_what_was_written_before_a_column_lost_its_name_is_not_mistaken"
            ),
        ),
    ),
    Guard(
        "reshaped-is-pending",
        "rows of an old shape are left in a table of the new one",
        "engine/load/reshape.py",
        "replace(record, state=TableState.PENDING, position",
        "replace(record, position",
        ("tests/simulation/test_simulation.py::test_what_failed_once_holds",),
    ),
    Guard(
        "recorded-before-it-is-made",
        "a table that was made before a kill is taken for one of the version after it",
        "engine/loading.py",
        "            absent = [d for d in fresh if await self._schema.relation(d.table) is None]\n",
        "            absent = []\n",
        ("tests/simulation/test_simulation.py::test_what_failed_once_holds",),
    ),
    Guard(
        "schema-change-of-all-buckets",
        "a schema change is applied again, and sets back buckets that have gone on",
        "engine/apply/checkpoint.py",
        "            return None if any(map(covers, self.every)) else event\n",
        "            return None if all(map(covers, self.every)) else event\n",
        ("tests/unit/apply/test_buckets.py",),
    ),
    Guard(
        "what-fails-is-not-given-back",
        "a lane goes past a batch that was lost with its connection",
        "engine/apply/applier.py",
        "            await _serve(station, session, work)\n        scheduler.give_back(work)\n",
        "            try:\n                await _serve(station, session, work)\n"
        "            except BaseException:\n                scheduler.give_back(work)\n"
        "                raise\n        scheduler.give_back(work)\n",
        ("tests/unit/apply/test_applier.py",),
    ),
    Guard(
        "a-lane-is-given-back-after-its-commit",
        "a lane is on two appliers: the second applies what follows before the first has committed",
        "engine/apply/applier.py",
        "            await _serve(station, session, work)\n        scheduler.give_back(work)\n",
        "            scheduler.give_back(work)\n"
        "            await _serve(station, session, work)\n"
        "            continue\n"
        "        scheduler.give_back(work)\n",
        ("tests/simulation/test_simulation.py::test_a_calm_run_ends_equal[large]",),
    ),
    Guard(
        "an-applier-leaves-between-two-works",
        "an applier that is one too many is ended within its batch, and its lane with it",
        "engine/appliers.py",
        "                await run_applier(self._station, session)\n",
        "                work = asyncio.ensure_future(run_applier(self._station, session))\n"
        "                while not work.done():\n"
        "                    await asyncio.wait({work}, timeout=0.001)\n"
        "                    if self._scheduler.serving > self._provision.budget.appliers:\n"
        "                        self._scheduler.serving -= 1\n"
        "                        work.cancel()\n",
        (
            (
                "tests/unit/test_appliers.py"
                "::test_one_that_is_too_many_leaves_when_its_batch_is_durable_and_no_sooner"
            ),
        ),
    ),
    Guard(
        "who-is-too-many-leaves-before-it-takes",
        "a lane leaves with the applier that has just taken it",
        "engine/apply/scheduler.py",
        "            if self.serving > self._wanted:\n",
        "            if self.serving > self._wanted and not (\n"
        "                self._ready and self._ready.popleft().serviceable\n"
        "            ):\n",
        ("tests/unit/apply/test_scheduler_machine.py",),
    ),
    Guard(
        "what-a-smaller-queue-holds-is-counted",
        "the limit of the queue does not hold after it was made smaller and larger",
        "engine/queue/bounded.py",
        "        self.bytes_max = bytes_max\n        self._admit()\n",
        "        self.bytes_max = bytes_max\n"
        "        self.used = min(self.used, bytes_max)\n"
        "        self._admit()\n",
        ("tests/unit/queue/test_bounded.py",),
    ),
    Guard(
        "every-session-is-on-record",
        "a successor does not end a session that an owner opened beside others",
        "engine/checkpoint/sessions.py",
        "            if not self._on_record.issuperset(identities):\n",
        "            if not self._on_record:\n",
        ("tests/unit/checkpoint/test_sessions.py",),
    ),
    *MYSQL_GUARDS,
)
