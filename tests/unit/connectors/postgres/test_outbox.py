"""What is held back, and how it is put together."""

from connectors.postgres import control_sql
from connectors.postgres.outbox import CALLS_MAX, Outbox, Pipeline, Script, inlined
from connectors.postgres.prepared import Prepared
from engine.model.state import Fence

ROW = (Prepared(b"p", b"INSERT", (23,), (1,)), (b"\0",))


def test_constants_are_quoted_and_never_read_again() -> None:
    call = control_sql.advance("it's $1", Fence("$2 \\", 1, 2, "$1"))
    assert inlined(call) == ("SELECT penstock.advance('it''s $1',  E'$2 \\\\', '1', '2', '$1')")


def test_statements_of_our_own_join_the_script_behind_them() -> None:
    outbox = Outbox()
    outbox.pipeline().add(control_sql.DEFER, "t")
    outbox.script().add("COPY", "t")
    outbox.prepend([control_sql.BEGIN], [""])
    ((message, last),) = outbox.take()
    assert isinstance(message, Script)
    assert message.statements == ["BEGIN", "SET CONSTRAINTS ALL DEFERRED", "COPY"]
    assert message.subjects == ["", "t", "t"]
    assert last


def test_rows_keep_their_place_between_scripts() -> None:
    outbox = Outbox()
    outbox.script().add("a", "")
    outbox.pipeline().extend([ROW], "t")
    outbox.script().add("b", "")
    kinds = [(type(message), last) for message, last in outbox.take()]
    assert kinds == [(Script, False), (Pipeline, False), (Script, True)]
    assert list(outbox.take()) == []


def test_a_long_pipeline_is_sent_in_pieces() -> None:
    outbox = Outbox()
    outbox.pipeline().extend([ROW] * (CALLS_MAX * 2 + 1), "t")
    messages = [message for message, _ in outbox.take()]
    assert [len(message.subjects) for message in messages] == [CALLS_MAX, CALLS_MAX, 1]
