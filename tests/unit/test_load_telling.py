"""What is said of tables while they are loaded."""

from types import SimpleNamespace
from typing import cast

from engine.load_telling import LoadTelling
from engine.model.relation import TableName
from engine.model.state import TableRecord, TableState
from engine.observe.log import Line, Log
from engine.observe.metrics import Metrics
from engine.surroundings import Surroundings
from tests.unit.set_clock import Clock

TABLE = TableName("public", "t")


def telling(clock: Clock, lines: list[Line]) -> LoadTelling:
    log = Log(lines.append, clock)
    around = SimpleNamespace(
        clock=clock, metrics=Metrics("r"), log=log, report=lambda _event, _facts: None
    )
    return LoadTelling(cast("Surroundings", around))


def test_what_is_to_be_loaded_is_known_from_the_beginning() -> None:
    told: list[tuple[str, object]] = []
    around = SimpleNamespace(report=lambda event, facts: told.append((event, facts)))
    begun = TableName("public", "begun")
    states = {begun: TableRecord(begun, TableState.LOADING)}
    LoadTelling(cast("Surroundings", around)).known(states, [TABLE, begun])
    tables = {"public.t": "pending", "public.begun": "loading"}
    assert told == [("known", {"tables": tables})]


def facts(line: Line) -> dict[str, object]:
    return {"message": line.message, **line.fields}


def test_a_load_is_told_with_its_rows_and_its_time_also_when_it_is_a_second_one() -> None:
    clock, lines = Clock(), list[Line]()
    of = telling(clock, lines)
    of.estimates[TABLE] = 90
    for rows in (100, 7):
        of.turned(TABLE, TableState.LOADING)
        of.written(TABLE, rows, 10 * rows)
        clock.now += 1.5
        of.turned(TABLE, TableState.LOADED)
    head = {"relation": "public.t"}
    begun = {"message": "table load begun", "action": "load.begun", **head, "rows_estimated": 90}
    ended = {"message": "table load ended", "action": "load.ended", **head, "duration_ms": 1500}
    assert list(map(facts, lines)) == [begun, {**ended, "rows": 100}, begun, {**ended, "rows": 7}]


def test_of_a_load_that_an_earlier_process_began_its_own_rows_are_told() -> None:
    lines = list[Line]()
    of = telling(Clock(), lines)
    of.written(TABLE, 3, 30)
    of.turned(TABLE, TableState.LOADED)
    assert facts(lines[0]) == {
        "message": "table load ended",
        "action": "load.ended",
        "relation": "public.t",
        "rows": 3,
    }
