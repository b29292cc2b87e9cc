"""What a transaction and a snapshot see of a row's versions."""

from connectors.memory.storage import Version, View


def test_a_view_sees_what_had_committed_and_nothing_that_was_running() -> None:
    view = View(10, frozenset({4, 7}))
    assert [xid for xid in range(1, 12) if view.sees(xid)] == [1, 2, 3, 5, 6, 8, 9]


def test_a_views_text_reads_back_as_the_same() -> None:
    for view in (View(10, frozenset({4, 7})), View(3, frozenset())):
        assert View.parse(str(view)) == view
    assert str(View(10, frozenset({7, 4}))) == "4:10:4,7"


def test_a_version_is_visible_between_its_making_and_its_end() -> None:
    version = Version(1, (b"x",), made=5)
    version.ended = 8
    seen = [limit for limit in range(4, 11) if version.visible_in(View(limit, frozenset()))]
    assert seen == [6, 7, 8]
