"""Values of kept rows as people read them."""

import base64

import pytest

from engine.control.value_text import value_text


@pytest.mark.parametrize(
    ("kind", "format", "value", "shown"),
    [
        ("text", "binary", "é".encode(), "é"),
        ("character varying(20)", "binary", b"x", "x"),
        ("numeric(10,2)", "text", b"1.50", "1.50"),
        ("integer", "binary", b"\xff\xff\xff\xfe", "-2"),
        ("bigint", "binary", b"\x00" * 7 + b"\x09", "9"),
        ("boolean", "binary", b"\x01", "true"),
        ("boolean", "binary", b"\x00", "false"),
        ("timestamp", "binary", b"\x00\x01", b"\x00\x01"),
        ("blob", "text", b"\xff\x00", b"\xff\x00"),
    ],
)
def test_a_value(kind: str, format: str, value: bytes, shown: str | bytes) -> None:
    column = {"name": "c", "type": kind, "format": format}
    assert value_text(column, base64.b64encode(value).decode()) == shown
    assert value_text(column, None) is None
