"""Names and texts inside SQL."""

import pytest

from connectors._sql.quoting import identifier, literal, qualified


def test_names_are_always_quoted() -> None:
    assert qualified('a"b', "c.d") == '"a""b"."c.d"'


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        identifier(name)


def test_texts_mean_the_same_whatever_backslashes_mean() -> None:
    assert literal("it's") == "'it''s'"
    assert literal("a\\'") == " E'a\\\\'''"
    with pytest.raises(ValueError, match="NUL"):
        literal("\0")
