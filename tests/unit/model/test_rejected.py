"""What is kept of a refused row."""

import orjson

from connectors.memory.definitions import table
from engine.model.rejected import payload
from engine.model.value import UNCHANGED

RELATION = table("public.accounts", ["id", "value"], key=["id"]).relation


def test_null_is_told_from_what_was_not_sent() -> None:
    read = orjson.loads(payload("update", RELATION, (b"\x00\xff", UNCHANGED), None))
    assert read["operation"] == "update"
    assert read["new"] == {"id": "AP8="}
    gone = orjson.loads(payload("delete", RELATION, None, (b"1", None)))
    assert gone["old"] == {"id": "MQ==", "value": None}
