"""JSON documents in the servers' binary form."""

import json
import struct
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql.json_binary import DEPTH_MAX, Node, json_text, parse_json
from connectors.mysql.json_diff import apply_diffs, parse_diffs
from tests.unit.connectors.mysql.json_bytes import binary, diff, length

SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
KEYS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DOCUMENTS: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(DOCUMENTS, st.booleans())
def test_a_document_is_what_was_put_in(document: Any, large: bool) -> None:
    text = json_text(parse_json(binary(document, large)))
    found = json.loads(text)
    assert found == document
    assert repr(found) == repr(document) or isinstance(document, dict | list | float)


def test_the_text_is_the_servers() -> None:
    document = {"bb": [1, 2.0, 'x"\\\u0001\n'], "a": None, "é": {"": True}}
    expected = '{"a": null, "bb": [1, 2.0, "x\\"\\\\\\u0001\\n"], "é": {"": true}}'
    assert json_text(parse_json(binary(document))).decode() == expected
    assert json_text(parse_json(b"")) == b"null"


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (246, b"\x05\x02" + bytes([0x80, 0x7B, 45]), "123.45"),
        (10, ((2024 * 13 + 2) << 22 | 29 << 17) << 24, '"2024-02-29"'),
        (12, (((2024 * 13 + 2) << 22 | 29 << 17 | 1 << 12 | 2 << 6 | 3) << 24) + 5,
         '"2024-02-29 01:02:03.000005"'),
        (11, -((23 << 12 | 24 << 6 | 25) << 24), '"-23:24:25.000000"'),
        (252, b"\xca\xfe", '"base64:type252:yv4="'),
    ],
)  # fmt: skip
def test_values_of_the_servers_own_types(kind: int, data: bytes | int, text: str) -> None:
    raw = data.to_bytes(8, "little", signed=True) if isinstance(data, int) else data
    document = bytes([15, kind]) + length(len(raw)) + raw
    assert json_text(parse_json(document)).decode() == text


def nested(depth: int) -> Node:
    document: Any = 1
    for _ in range(depth):
        document = [document]
    return parse_json(binary(document, large=True))


def test_a_document_is_no_deeper_than_servers_let_one_be() -> None:
    nested(DEPTH_MAX)
    with pytest.raises(ValueError, match="deeper"):
        nested(DEPTH_MAX + 1)


def test_a_document_that_holds_itself_is_refused() -> None:
    itself = b"\x02" + struct.pack("<HH", 2, 10) + b"\x02\x00\x00" * 2
    with pytest.raises(ValueError, match=r"deeper|more values"):
        parse_json(itself)


def test_a_text_that_is_held_many_times_is_refused() -> None:
    count = 200
    head = 4 + 3 * count
    text = length(1000) + b"x" * 1000
    entries = (b"\x0c" + struct.pack("<H", head)) * count
    with pytest.raises(ValueError, match="more text"):
        parse_json(b"\x02" + struct.pack("<HH", count, head + len(text)) + entries + text)


@pytest.mark.parametrize(
    "data",
    [b"\x00", b"\x02\xff\xff\xff\xff", b"\x0c\x05abc", b"\x0c\xff\xff\xff\xff\xff\x7f", b"\x05\x01",
     b"\x0f\xf6\x01\x05", b"\x0c\x01\xff", b"\x0f\x0a\x01x",
     b"\x0e", b"\x04\x03", b"\x0f\xf6\x03\x05\x02\x80"],
)  # fmt: skip
def test_a_damaged_document_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|codec"):
        parse_json(data)


# --- changes of a document ------------------------------------------------------------------------


def changed(document: Any, *diffs: bytes) -> Any:
    found = apply_diffs(parse_json(binary(document)), parse_diffs(b"".join(diffs)))
    return json.loads(json_text(found))


def test_a_document_is_changed_in_its_parts() -> None:
    document = {"a": [1, {"b": 2}], "c": 3}
    assert changed(document) == document
    assert changed(document, diff(0, "$.a[1].b", "x")) == {"a": [1, {"b": "x"}], "c": 3}
    assert changed(document, diff(2, "$.a[0]"), diff(2, "$.c")) == {"a": [{"b": 2}]}
    assert changed(document, diff(1, "$.a[0]", 0), diff(1, "$.d", {})) == {
        "a": [0, 1, {"b": 2}], "c": 3, "d": {},
    }  # fmt: skip
    assert changed(document, diff(1, "$.a[9]", 0)) == {"a": [1, {"b": 2}, 0], "c": 3}
    assert changed(document, diff(0, "$", [])) == []
    assert changed({'q"x': 1}, diff(0, '$."q\\"x"', 2)) == {'q"x': 2}


@pytest.mark.parametrize(
    "change",
    [
        diff(0, "$.x", 1), diff(2, "$.x"), diff(1, "$.c", 1), diff(0, "$.a[9]", 1),
        diff(2, "$.a[9]"),
        diff(0, "$.c.d", 1), diff(2, "$"), diff(0, "$.a.b", 1), diff(0, "$[0]", 1), b"\x03\x01$",
        diff(0, "x", 1), diff(0, "$.", 1), diff(0, "$[x]", 1), b"\x00\x09$",
    ],
)  # fmt: skip
def test_a_change_that_does_not_fit_is_refused(change: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|early"):
        changed({"a": [1], "c": 3}, change)
