"""Canonical texts of PostgreSQL's values, for comparing with systems of other families. (pure)

Texts are those of a session with the settings of `compare_sql.SETTINGS`. `concat` prints a value by
its type's own output function; a cast to text does not: `inet` gets its mask that way.
"""

from collections.abc import Callable, Mapping
from typing import Final

from engine.model.canonical import ABSENT, HASHED, TextForm

_PLAIN_TEXTS: Final = frozenset({"text", "character varying", "name"})

_INTEGERS: Final = ("smallint", "integer", "bigint", "oid")

_MOMENTS: Final = ("timestamp without time zone", "timestamp with time zone")

_FORMS: Final[Mapping[str, tuple[TextForm, ...]]] = {
    **dict.fromkeys((*_INTEGERS, "numeric", "boolean"), (TextForm.NUMBER, TextForm.TEXT)),
    **dict.fromkeys(_MOMENTS, (TextForm.MOMENT, TextForm.TEXT)),
    "date": (TextForm.DATE, TextForm.TEXT),
    "time without time zone": (TextForm.MICROSECONDS, TextForm.TEXT),
    "interval": (TextForm.MICROSECONDS, TextForm.TEXT),
    "real": (TextForm.FLOAT,),
    "double precision": (TextForm.DOUBLE,),
    "bit": (TextForm.BITS, TextForm.TEXT),
    "bytea": (TextForm.BYTES,),
    "character": (TextForm.STRIPPED,),
    "json": (TextForm.JSON, TextForm.TEXT),
    "jsonb": (TextForm.JSONB,),
    "inet": (TextForm.ADDRESS, TextForm.TEXT),
}

_SPELT: Final = {"bpchar": "character", '"bit"': "bit"}
"""`format_type` without a modifier."""


def forms(base: str) -> tuple[TextForm, ...]:
    """The texts of a type, best first. `base` is its name without modifier, of a domain that of
    what it is made of. What has no other is kept as text elsewhere."""
    return _FORMS.get(_SPELT.get(base, base), (TextForm.TEXT,))


def text(column: str, form: TextForm, base: str) -> str:
    """SQL for a column's text in a form; `column` is quoted."""
    return _TEXTS[form](column, _SPELT.get(base, base))


def token(column: str, form: TextForm, base: str) -> str:
    """SQL for what a column adds to the text of its row; never NULL."""
    if form is TextForm.BYTES:
        printed = _hashed(column)
    elif form in HASHED:
        printed = _hashed(f"convert_to({text(column, form, base)}, 'UTF8')")
    else:
        printed = text(column, form, base)
    # A row of NULLs is a value: IS NULL would not tell it from none.
    return f"CASE WHEN num_nulls({column}) = 1 THEN '{ABSENT}' ELSE {printed} END"


def _hashed(bytes_: str) -> str:
    return f"left(encode(sha256({bytes_}), 'hex'), 32)"


def _number(column: str, base: str) -> str:
    if base == "numeric":
        return f"trim_scale({column})::text"
    return f"{column}::integer::text" if base == "boolean" else f"{column}::text"


def _text(column: str, base: str) -> str:
    return f"{column}::text" if base in _PLAIN_TEXTS else f"concat({column})"


def _moment(column: str, base: str) -> str:
    if base == "timestamp with time zone":
        return f"({column} AT TIME ZONE 'UTC')::text"
    return f"{column}::text"


def _microseconds(column: str, base: str) -> str:
    """Days and months are no hours; such a span has its own text, which no other system prints."""
    number = f"round(extract(epoch FROM {column}) * 1000000)::bigint::text"
    if base != "interval":
        return number
    return f"CASE WHEN {column}::text ~ '[a-z]' THEN {column}::text ELSE {number} END"


def _address(column: str, _base: str) -> str:
    """A network has its own text."""
    bytes_ = f"encode(substring(inet_send({column}) FROM 5), 'hex')"
    return f"CASE WHEN strpos(concat({column}), '/') = 0 THEN {bytes_} ELSE concat({column}) END"


def _double(column: str, _base: str) -> str:
    # Added to zero, zero has no sign.
    return f"encode(float8send({column}::float8 + 0), 'hex')"


def _own(column: str, _base: str) -> str:
    return f"{column}::text"


_TEXTS: Final[Mapping[TextForm, Callable[[str, str], str]]] = {
    TextForm.NUMBER: _number,
    TextForm.TEXT: _text,
    TextForm.STRIPPED: lambda column, _: f"rtrim({column}::text, ' ')",
    TextForm.JSON: _own,
    TextForm.JSONB: _own,
    TextForm.BYTES: lambda column, _: f"encode({column}, 'hex')",
    TextForm.BITS: _own,
    TextForm.DATE: _own,
    TextForm.MOMENT: _moment,
    TextForm.MICROSECONDS: _microseconds,
    TextForm.FLOAT: _double,
    TextForm.DOUBLE: _double,
    TextForm.ADDRESS: _address,
}
