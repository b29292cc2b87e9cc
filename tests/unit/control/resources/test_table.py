"""Tables of a replication all together."""

import pytest

from engine.control.resources.replication import Progress
from engine.control.resources.table import TableFacts, progress


def table(state: str, loaded: int = 0, estimated: int | None = None) -> TableFacts:
    return TableFacts(schema="s", table="t", state=state, loaded=loaded, estimated=estimated)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([], Progress()),
        ([table("")], Progress(queued=1)),
        (
            [table("pending", 0, 50), table("loading", 50, 50)],
            Progress(percent=50, queued=1, loading=1),
        ),
        ([table("loading", 100, 100)], Progress(percent=99, loading=1)),
        ([table("loading", 300, 100)], Progress(percent=99, loading=1)),
        ([table("loading", 300)], Progress(percent=99, loading=1)),
        ([table("loaded", 7, 100), table("streaming")], Progress(percent=100, loaded=2)),
        (
            [table("streaming", 99, 100), table("suspended", 1, 1)],
            Progress(percent=99, loaded=1, errored=1),
        ),
        ([table("needs-reload")], Progress(errored=1)),
    ],
)
def test_progress_is_of_the_rows_and_whole_when_every_table_is(
    tables: list[TableFacts], expected: Progress
) -> None:
    assert progress(tables) == expected
