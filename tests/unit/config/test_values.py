import copy
import json
import pickle
from dataclasses import dataclass

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.kind import Duration, Flag, Integer, MistypedError, OneOf, Size
from engine.config.kind_text import Choice, ListOf, Text
from engine.config.quantity import format_duration, format_size, parse_duration, parse_size
from engine.config.replication import ApplyMode
from engine.config.secret import Secret


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10GiB", 10 << 30),
        ("256MiB", 256 << 20),
        ("1 KiB", 1024),
        ("1.5KiB", 1536),
        ("2MB", 2_000_000),
        ("7B", 7),
        (4096, 4096),
        (0, 0),
    ],
)
def test_sizes_are_read(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "10", "GiB", "10gib", "-1MiB", "1e3MiB", "10 parsecs", True, 1.5, None, "٣MiB"]
)
def test_what_is_no_size_says_what_a_size_is(text: object) -> None:
    with pytest.raises(ValueError, match="expected a size such as"):
        parse_size(text)


def test_half_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number of bytes"):
        parse_size("0.5B")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10.0), ("5min", 300.0), ("2h", 7200.0), ("1d", 86400.0), ("250ms", 0.25), (0, 0.0)],
)
def test_durations_are_read(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["10", 10, "5m", "min", "-5s", False, None, []])
def test_a_duration_without_its_unit_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration(text)


@given(st.integers(0, 1 << 50))
def test_a_formatted_size_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size or size == 0


@given(st.integers(0, 10**9))
def test_a_formatted_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(
        milliseconds / 1000
    )


def test_kinds_tell_a_wrong_type_from_a_wrong_value() -> None:
    with pytest.raises(MistypedError, match="expected a whole number from 1 to 49"):
        Integer(1, 49).read("3")
    with pytest.raises(ValueError, match="must be a whole number from 1 to 49") as caught:
        Integer(1, 49).read(50)
    assert not isinstance(caught.value, MistypedError)


def test_true_is_not_a_number() -> None:
    for kind in (Integer(), OneOf((1, 2))):
        with pytest.raises(MistypedError):
            kind.read(True)
    with pytest.raises(MistypedError):
        Flag().read(1)


def test_a_choice_suggests_the_nearest_word() -> None:
    with pytest.raises(ValueError, match='did you mean "transactional"'):
        Choice(ApplyMode).read("transactonal")


def test_a_size_out_of_range_names_the_range() -> None:
    with pytest.raises(ValueError, match="must be from 128MiB to 64GiB"):
        Size(128 << 20, 64 << 30).read("1MiB")


def test_zero_may_mean_off_below_the_minimum() -> None:
    assert Duration(1.0, 60.0, or_zero=True).read("0s") == 0.0
    with pytest.raises(ValueError, match="must be 0 or from 1s to 1min"):
        Duration(1.0, 60.0, or_zero=True).read("10ms")


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 5000, ""])
def test_text_that_no_system_takes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        Text().read(text)


def test_a_list_names_its_wrong_item() -> None:
    with pytest.raises(ValueError, match="item 2: "):
        ListOf(Text().read, "texts").read(["a", ""])


SECRET = "hunter2-canary"


def test_a_secret_shows_stars_in_every_text_form() -> None:
    secret = Secret(SECRET)
    for text in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        repr([secret]),
    ):
        assert SECRET not in text
        assert "***" in text
    assert secret.reveal() == SECRET


@dataclass
class Holder:
    password: Secret


def test_no_serialiser_accepts_a_secret() -> None:
    holder = Holder(Secret(SECRET))
    with pytest.raises(TypeError):
        json.dumps(holder.password)
    with pytest.raises(TypeError):
        orjson.dumps(holder)
    with pytest.raises(TypeError):
        pickle.dumps(holder)
    with pytest.raises(TypeError):
        vars(holder.password)


def test_copies_of_a_secret_are_equal_and_still_hidden() -> None:
    holder = copy.deepcopy(Holder(Secret(SECRET)))
    assert holder.password == Secret(SECRET)
    assert holder.password != Secret("other")
    assert SECRET not in repr(holder)
