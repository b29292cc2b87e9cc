"""Log lines in AWS's forms."""

import ast
import re
from pathlib import Path
from typing import Any, Final

import pytest

from engine.control.lifecycle import STARTING, Status
from engine.control.logs.lines import (
    COMPONENTS,
    MESSAGES,
    component,
    engine_line,
    orchestrator_line,
    run_id,
    shown,
)

ROOT: Final = Path(__file__).resolve().parents[4]

LINE: Final[dict[str, Any]] = {
    "time": "2026-11-30T05:40:01.172Z",
    "level": "error",
    "message": "table stopped",
    "replication": "there-1",
    "action": "apply.table-stopped",
    "sqlstate": "23505",
    "table": "public.t",
}


AT: Final = 1_796_017_201.9


def test_the_first_line_is_word_for_word_what_aws_writes() -> None:
    """Seen in the field, with the quotes of a Python dictionary; the time is CloudWatch's there."""
    assert orchestrator_line(AT, Status.INITIALIZING) == (
        "2026-11-30T05:40:01 {'replication_state': 'initializing',"
        " 'message': 'Initializing the replication workflow.'}"
    )


def test_a_failure_is_a_member_of_its_own_and_may_hold_any_text() -> None:
    failure = 'it\'s "refused"\nby\\them'
    line = orchestrator_line(AT, Status.FAILED, "Test connection failed.", failure)
    assert ast.literal_eval(line.partition(" ")[2]) == {
        "replication_state": "failed",
        "message": "Test connection failed.",
        "failure_message": 'it\'s "refused"\nby\\them',
    }


@pytest.mark.parametrize("status", [*STARTING, Status.RUNNING, Status.STOPPED, Status.FAILED])
def test_every_status_on_the_way_has_a_message(status: Status) -> None:
    assert MESSAGES[status].endswith(".")


def test_an_engine_line() -> None:
    assert engine_line(LINE, 4711) == (
        "00004711: 2026-11-30T05:40:01 [TARGET_APPLY    ]E:  table stopped; sqlstate=23505;"
        " table=public.t  (apply.table-stopped)"
    )


def test_what_is_not_known_is_left_out() -> None:
    line = {"time": LINE["time"], "message": "m", "hint": "", "position": None, "rows": 0}
    assert engine_line(line, 1).endswith("]I:  m; rows=0")


def test_a_time_of_another_zone_is_told_in_utc() -> None:
    line = {**LINE, "time": "2026-11-30T05:40:01+02:00"}
    assert " 2026-11-30T03:40:01 " in engine_line(line, 1)


def test_what_is_no_line_of_ours_is_told_all_the_same() -> None:
    assert engine_line({"message": "odd"}, 1) == "00000001: None [COMMON          ]I:  odd"


@pytest.mark.parametrize(
    ("severity", "told"),
    [
        ("LOGGER_SEVERITY_ERROR", {"error"}),
        ("LOGGER_SEVERITY_WARNING", {"error", "warning"}),
        ("LOGGER_SEVERITY_INFO", {"error", "warning", "info"}),
        ("LOGGER_SEVERITY_DEFAULT", {"error", "warning", "info"}),
        ("LOGGER_SEVERITY_DEBUG", {"error", "warning", "info", "debug"}),
        ("LOGGER_SEVERITY_DETAILED_DEBUG", {"error", "warning", "info", "debug"}),
    ],
)
def test_a_component_is_as_talkative_as_is_asked_for(severity: str, told: set[str]) -> None:
    levels = ("debug", "info", "warning", "error")
    lines = {level: {**LINE, "level": level} for level in levels}
    assert {lv for lv in levels if shown(lines[lv], {"TARGET_APPLY": severity})} == told
    others = {"SOURCE_CAPTURE": severity}
    assert {lv for lv in levels if shown(lines[lv], others)} == {"error", "warning", "info"}


def test_every_call_site_belongs_to_a_component_of_aws() -> None:
    """A new first word of an action has to be put somewhere; the daemon's own lines are in no
    engine stream."""
    engine = [path for path in sorted(ROOT.glob("engine/**/*.py")) if "control" not in path.parts]
    text = "".join(path.read_text() for path in engine)
    text += "".join(path.read_text() for path in sorted(ROOT.glob("connectors/**/*.py")))
    words = set(re.findall(r'action="([a-z-]+)[".]', text))
    assert len(words) > 10
    assert words - set(COMPONENTS) == {"library"} & words
    assert component("library") == "COMMON"


def test_the_id_of_a_start_has_the_form_of_aws() -> None:
    assert run_id(1722361971936, "yel") == "serv-res-id-1722361971936-yel"
