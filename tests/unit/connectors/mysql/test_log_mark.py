"""Marks of a binary log, as they are stored."""

import pytest

from connectors.mysql.log_mark import LogMark


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        (LogMark("server 7"), "server 7"),
        (LogMark("server 7", "binlog.000002", 5), "server 7;binlog.000002@5"),
        (LogMark("3e11fa47-71ca", "my-bin.log.1000000", 17), "3e11fa47-71ca;my-bin.log.1000000@17"),
    ],
)
def test_a_mark_reads_back_as_it_was_stored(mark: LogMark, text: str) -> None:
    assert str(mark) == text
    assert LogMark.parse(text) == mark


def test_another_text_is_a_server_alone() -> None:
    assert LogMark.parse("a;b") == LogMark("a;b")
