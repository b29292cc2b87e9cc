"""AWS's positions and ours."""

import pytest

from engine.control.translate.positions import (
    Start,
    Stop,
    recovery_checkpoint,
    start,
    start_position,
    stop_position,
)


@pytest.mark.parametrize(
    ("text", "engine", "position"),
    [
        ("4AF/B00000D0", "postgres", "4AF/B00000D0"),
        ("checkpoint:V1#1#000004AF/B00000D0#0#0#*#0#0", "postgres", "4AF/B00000D0"),
        ("2018-03-08T12:12:12", "postgres", ""),
        ("mysql-bin-changelog.000024:373", "mysql", "file=mysql-bin-changelog.000024:373"),
        ("checkpoint:V1#27#mysql-bin.1:1975:-1#0#0#*#0#93", "aurora", ""),
        ("2018-03-08T12:12:12", "mariadb", ""),
    ],
)
def test_start_positions(text: str, engine: str, position: str) -> None:
    if position:
        assert start_position(text, engine) == position
    else:
        with pytest.raises(ValueError, match=r"file:offset|sequence number"):
            start_position(text, engine)


@pytest.mark.parametrize(
    ("position", "engine", "checkpoint"),
    [
        ("4AF/B0", "postgres", "checkpoint:V1#1#000004AF/000000B0#0#0#*#0#0"),
        ("file=bin.000024:373", "mysql", "checkpoint:V1#1#file=bin.000024:373#0#0#*#0#0"),
        (
            "file=bin.7:4;at=bin.7:4+2",
            "mariadb",
            "checkpoint:V1#1#file=bin.7:4;at=bin.7:4+2#0#0#*#0#0",
        ),
        ("gtid=3e11:1-5:7,4f:1", "aurora", "checkpoint:V1#1#gtid=3e11:1-5:7,4f:1#0#0#*#0#0"),
        ("maria=0-1-9", "mariadb", "checkpoint:V1#1#maria=0-1-9#0#0#*#0#0"),
        ("", "postgres", ""),
    ],
)
def test_a_checkpoint_leads_back_to_the_position_that_it_was_made_of(
    position: str, engine: str, checkpoint: str
) -> None:
    assert recovery_checkpoint(position) == checkpoint
    if checkpoint:
        assert start_position(checkpoint, engine) == position
        assert start_position(position, engine) == position


@pytest.mark.parametrize("ours", ["postgres", "mysql", "mariadb"])
def test_a_date_is_a_time_to_begin_at(ours: str) -> None:
    assert start("2018-03-08T12:12:12", ours) == Start(time="2018-03-08T12:12:12")
    assert start("", ours, 1_520_511_132.25) == Start(time="2018-03-08T12:12:12.250000")
    assert start("", ours) == Start()
    with pytest.raises(ValueError, match="nor a date such as 2026-02-09T12:12:12"):
        start("2018-03-08", ours)


def test_what_is_no_date_is_a_position() -> None:
    assert start("4AF/B0", "postgres") == Start(position="4AF/B0")
    assert start("bin.000024:373", "mysql") == Start(position="file=bin.000024:373")


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        ("", Stop()),
        ("4AF/B0", Stop(position="4AF/B0")),
        ("server_time:2018-02-09T12:12:12", Stop(moment=1_518_178_332.0)),
        ("commit_time:2018-02-09T12:12:12", Stop(commit_time="commit_time:2018-02-09T12:12:12")),
        ("commit_time: 2018-02-09T14:12:12+02:00", Stop(
            commit_time="commit_time:2018-02-09T12:12:12")),
    ],
)  # fmt: skip
def test_stop_positions(text: str, stop: Stop) -> None:
    assert stop_position(text, "postgres") == stop


@pytest.mark.parametrize("kind", ["server_time", "commit_time"])
def test_a_stop_that_is_no_moment_is_refused_with_its_form(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind} is of the form {kind}:2026-02-09T12:12:12"):
        stop_position(f"{kind}:soon", "postgres")
