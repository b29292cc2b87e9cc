"""Counts of tables over the processes of one start."""

from engine.control.tallies import Tallies, by_name


def tallies(stored: Tallies | None = None) -> Tallies:
    known = by_name(stored.take()) if stored else {}
    return Tallies(known, lambda: 1000.0)


def table(state: str, name: str = "public.t", **facts: object) -> dict[str, object]:
    return {"event": "table", "table": name, "state": state, **facts}


def test_counts_are_kept_by_table() -> None:
    found = tallies()
    found.began()
    found.counted({"public.t": [5, 1, 2, 3, 4, 6], "other.u": [0, 1, 0, 0, 0, 0]})
    facts = found.take()
    assert list(facts) == ["table/other.u", "table/public.t"]
    it = facts["table/public.t"]
    assert (it.loaded, it.inserts, it.updates, it.deletes, it.truncations) == (5, 1, 2, 3, 4)
    assert it.rejected == 6
    assert (it.schema, it.table) == ("public", "t")


def test_what_did_not_change_is_not_taken_again() -> None:
    found = tallies()
    found.counted({"public.t": [1, 0, 0, 0, 0]})
    assert found.take()
    found.counted({"public.t": [1, 0, 0, 0, 0]})
    assert not found.take()


def test_another_process_counts_on() -> None:
    found = tallies()
    found.began()
    found.counted({"public.t": [5, 1, 0, 0, 0]})
    found.began()
    found.counted({"public.t": [2, 1, 0, 0, 0]})
    found.counted({"public.t": [3, 1, 0, 0, 0]})
    facts = found.take()["table/public.t"]
    assert (facts.loaded, facts.inserts) == (8, 2)


def test_another_daemon_counts_on() -> None:
    before = tallies()
    before.counted({"public.t": [5, 1, 0, 0, 0]})
    found = tallies(before)
    found.began()
    found.counted({"public.t": [0, 4, 0, 0, 0]})
    facts = found.take()["table/public.t"]
    assert (facts.loaded, facts.inserts) == (5, 5)


def test_a_load_has_its_times_and_a_second_one_counts_anew() -> None:
    found = tallies()
    found.began()
    found.table(table("pending", rows_estimated=9))
    found.table(table("loading"))
    found.counted({"public.t": [9, 0, 0, 0, 0]})
    found.table(table("streaming"))
    facts = found.take()["table/public.t"]
    assert (facts.load_start, facts.load_end, facts.reloaded) == (1000.0, 1000.0, False)
    assert (facts.estimated, facts.loaded) == (9, 9)
    found.table(table("loading"))
    found.counted({"public.t": [16, 0, 0, 0, 0]})
    facts = found.take()["table/public.t"]
    assert (facts.loaded, facts.reloaded, facts.load_end) == (7, True, None)


def test_why_a_table_stopped_is_kept_until_it_goes_on() -> None:
    found = tallies()
    found.table(table("suspended", reason="a row is refused", remedy="mend it"))
    assert found.take()["table/public.t"].error == "a row is refused (mend it)"
    found.table(table("streaming"))
    assert found.take()["table/public.t"].error == ""


def test_tables_beyond_those_that_are_counted_are_left_out() -> None:
    found = tallies()
    found.counted({"other.other": [5, 0, 0, 0, 0]})
    found.counted(None)
    assert not found.take()


def test_all_of_them_together() -> None:
    found = tallies()
    found.table(table("streaming"))
    found.table(table("loading", "public.u", rows_estimated=10))
    found.counted({"public.u": [5, 0, 0, 0, 0]})
    progress = found.progress()
    assert (progress.loaded, progress.loading, progress.percent) == (1, 1, 54)


def test_what_an_earlier_process_did_unheard_is_known_from_the_next() -> None:
    found = tallies()
    found.table(table("loading"))
    found.table(table("suspended", "public.u", reason="why"))
    found.take()
    found.known({"public.t": "streaming", "public.u": "suspended"})
    facts = found.take()
    assert list(facts) == ["table/public.t"]
    assert facts["table/public.t"].load_end == 1000.0


def test_a_table_that_stops_is_told_once() -> None:
    found = tallies()
    found.began()
    found.table(table("streaming"))
    assert found.stopped() == []
    found.table(table("suspended", reason="no such column"))
    found.table(table("needs-reload"))
    found.table(table("suspended", name="public.u"))
    assert found.stopped() == ["public.t", "public.u"]
    assert found.stopped() == []
    found.table(table("loading"))
    found.table(table("needs-reload"))
    assert found.stopped() == ["public.t"]


def test_a_table_that_stood_before_is_told_no_more_by_another_process() -> None:
    before = tallies()
    before.table(table("suspended"))
    found = tallies(before)
    found.began()
    found.table(table("suspended"))
    found.known({"public.t": "suspended", "public.u": "needs-reload"})
    assert found.stopped() == ["public.u"]
