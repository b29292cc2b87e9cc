import base64
import copy
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.vault import (
    KEY_BYTES,
    BrokenSealError,
    Key,
    MissingKeyError,
    Vault,
    VaultError,
    key_id_of,
)

OLD, NEW, NAMED, STRANGER = (
    Key(bytes([n]) * KEY_BYTES, name) for n, name in enumerate(["", "", "a", ""])
)
VAULT = Vault([OLD, NEW, NAMED])

CONTEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.text(st.characters(codec="utf-8")) | st.binary(), CONTEXTS)
def test_what_was_sealed_is_opened(plain: str | bytes, context: str) -> None:
    sealed = VAULT.seal(plain, context)
    assert VAULT.open(sealed, context) == (plain.encode() if isinstance(plain, str) else plain)
    if isinstance(plain, str):
        assert VAULT.open_secret(sealed, context).reveal() == plain


@given(st.binary(min_size=8), CONTEXTS)
def test_it_says_nothing_of_what_is_sealed_and_is_never_the_same(
    plain: bytes, context: str
) -> None:
    sealed = VAULT.seal(plain, context)
    assert sealed != VAULT.seal(plain, context)
    assert plain not in base64.b64decode(sealed.rpartition(":")[2])


@given(st.binary(), CONTEXTS, CONTEXTS)
def test_another_context_is_refused_by_name(plain: bytes, context: str, other: str) -> None:
    sealed = VAULT.seal(plain, context)
    if context != other:
        with pytest.raises(BrokenSealError, match="sealed for another place") as refused:
            VAULT.open(sealed, other)
        assert refused.value.place == other


@given(st.binary(), st.data())
def test_a_changed_text_is_refused(plain: bytes, data: st.DataObject) -> None:
    sealed = VAULT.seal(plain, "endpoint/AB12/Password")
    at = data.draw(st.integers(0, len(sealed) - 1))
    letter = data.draw(st.sampled_from("vV12:=+/Aaz09 \n") | st.characters(codec="utf-8"))
    changed = data.draw(
        st.sampled_from(
            [
                sealed[:at] + letter + sealed[at + 1 :],
                sealed[:at] + letter + sealed[at:],
                sealed[:at] + sealed[at + 1 :],
                sealed[:at],
            ]
        )
    )
    if changed != sealed:
        with pytest.raises((BrokenSealError, MissingKeyError)):
            VAULT.open(changed, "endpoint/AB12/Password")


@given(st.binary(min_size=1), st.data())
def test_one_flipped_bit_is_refused(plain: bytes, data: st.DataObject) -> None:
    head, _, text = VAULT.seal(plain, "here").rpartition(":")
    raw = bytearray(base64.b64decode(text))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BrokenSealError):
        VAULT.open(f"{head}:{base64.b64encode(raw).decode()}", "here")


def test_another_spelling_of_the_same_bytes_is_refused() -> None:
    """The bits behind the last byte of base64 say nothing, and must be 0."""
    sealed = VAULT.seal("", "here")  # 28 bytes: four bits are left over
    assert sealed.endswith("==")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(sealed[-3]) + 1]
    assert base64.b64decode(sealed[-4:]) == base64.b64decode(f"{sealed[-4]}{other}==")
    with pytest.raises(BrokenSealError):
        VAULT.open(f"{sealed[:-3]}{other}==", "here")


@given(st.text(max_size=60))
def test_what_is_no_sealed_text_is_refused(text: str) -> None:
    with pytest.raises(BrokenSealError):
        VAULT.open(text, "here")


def test_a_key_that_is_not_there_is_named_with_what_is_lost_and_what_to_do() -> None:
    sealed = Vault([STRANGER]).seal("x", "endpoint/AB12/Password")
    with pytest.raises(MissingKeyError) as refused:
        VAULT.open(sealed, "endpoint/AB12/Password")
    assert refused.value.key_ids == (STRANGER.id,)
    text = str(refused.value)
    for part in (
        STRANGER.id,
        "endpoint/AB12/Password",
        "from its backup",
        "set each of them again",
    ):
        assert part in text


def test_many_lost_places_are_counted() -> None:
    text = str(MissingKeyError(["k"], [f"p{number}" for number in range(1_234)]))
    assert "p0, p1, p2, p3, p4 and 1,229 more" in text


def test_another_key_under_the_same_id_is_refused() -> None:
    sealed = Vault([STRANGER]).seal("x", "here").replace(STRANGER.id, NEW.id)
    with pytest.raises(BrokenSealError, match=f"at here under key {NEW.id}"):
        VAULT.open(sealed, "here")


def test_the_newest_key_of_a_name_seals() -> None:
    assert key_id_of(VAULT.seal("x", "here"), "here") == NEW.id
    assert key_id_of(VAULT.seal("x", "here", key="a"), "here") == NAMED.id
    assert VAULT.newest_ids == (NEW.id, NAMED.id)
    assert VAULT.names == ("a",)
    with pytest.raises(VaultError, match=r"no encryption key named b \(.*b.key, or name one of: a"):
        VAULT.seal("x", "here", key="b")


def test_sealing_again_takes_the_newest_key_of_the_same_name() -> None:
    old = Vault([OLD, NAMED])
    for name, key in (("", NEW), ("a", NAMED)):
        sealed = old.seal("x", "here", key=name)
        again = VAULT.seal_again(sealed, "here")
        assert key_id_of(again, "here") == key.id
        assert VAULT.open(again, "here") == b"x"
        assert VAULT.seal_again(again, "here") == again
        assert (again == sealed) is (name == "a")


def test_an_id_belongs_to_a_key() -> None:
    assert len({key.id for key in (OLD, NEW, NAMED, STRANGER)}) == 4
    assert Key(bytes(KEY_BYTES)).id == OLD.id == "a33083a6271c2c0d"
    assert Key.make().id != Key.make().id


def test_a_text_of_format_1_is_opened() -> None:
    """Stores are full of them."""
    text = "v1:a33083a6271c2c0d:QSbwmYfWZNXDU2dg5BNcMPJRUruByMSvUfnLIWqOo/rj35Oo"
    assert VAULT.open(text, "endpoint/AB12/Password") == b"a secret"


@pytest.mark.parametrize("form", [repr, str, "{0}".format, "{0!r}".format])
def test_keys_are_in_no_text(form: Callable[[object], str]) -> None:
    key = Key.make()
    secret = key.text().reveal()
    for thing in (key, Vault([key]), key.text()):
        assert secret not in form(thing)
        assert secret[:8] not in form(thing)
    assert key.id in form(key)


def test_keys_are_not_serialised() -> None:
    for broken in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            broken(Key.make())


def test_a_vault_needs_a_default_key() -> None:
    with pytest.raises(ValueError, match="default key"):
        Vault([NAMED])
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        Key(b"x" * 31)
