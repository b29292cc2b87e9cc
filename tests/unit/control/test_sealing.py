from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.secret import Secret
from engine.control.sealing import (
    SEALED,
    is_sealed,
    open_secrets,
    seal_again,
    seal_secrets,
    sealed_places,
    without,
)
from engine.control.vault import BrokenSealError, Key, Vault

OLD, NEW, NAMED = Key.make(), Key.make(), Key.make("a")
VAULT = Vault([OLD, NEW, NAMED])

NAMES = st.text(st.characters(codec="utf-8"), max_size=3).filter(lambda name: name != SEALED)
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers())
LEAVES = PLAIN | st.builds(Secret, st.text(st.characters(codec="utf-8"), max_size=9))
DOCUMENTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3)), max_size=4
)


def secrets(document: Any) -> list[Secret]:
    if isinstance(document, Secret):
        return [document]
    values = document.values() if isinstance(document, dict) else ()
    return [found for value in values for found in secrets(value)]


@given(DOCUMENTS)
def test_secrets_are_sealed_and_opened_and_nothing_else_changes(document: dict[str, Any]) -> None:
    stored = seal_secrets(VAULT, "endpoint/AB12", document)
    assert secrets(stored) == []
    assert len(list(sealed_places("x", stored))) == len(secrets(document))
    assert open_secrets(VAULT, "endpoint/AB12", stored) == document
    assert seal_secrets(VAULT, "endpoint/AB12", stored) == stored


@given(DOCUMENTS)
def test_a_document_elsewhere_keeps_its_secrets(document: dict[str, Any]) -> None:
    stored = seal_secrets(VAULT, "endpoint/AB12", document)
    if secrets(document):
        with pytest.raises(BrokenSealError):
            open_secrets(VAULT, "endpoint/CD34", stored)


def test_a_secret_that_was_moved_is_refused_by_name() -> None:
    stored = seal_secrets(VAULT, "endpoint/AB12", {"MySQLSettings": {"Password": Secret("x")}})
    moved = {"MySQLSettings": {"Username": stored["MySQLSettings"]["Password"]}}
    with pytest.raises(BrokenSealError, match="endpoint/AB12/MySQLSettings/Username"):
        open_secrets(VAULT, "endpoint/AB12", moved)


@given(DOCUMENTS)
def test_sealing_again_takes_the_newest_key(document: dict[str, Any]) -> None:
    stored = seal_secrets(Vault([OLD]), "p", document)
    again = seal_again(VAULT, "p", stored)
    assert {key_id for _, key_id in sealed_places("p", again)} <= {NEW.id}
    assert open_secrets(VAULT, "p", again) == document
    assert seal_again(VAULT, "p", again) == again


def test_a_key_may_be_named() -> None:
    stored = seal_secrets(VAULT, "p", {"Password": Secret("x")}, key="a")
    assert list(sealed_places("p", stored)) == [("p/Password", NAMED.id)]


def test_what_a_lost_key_sealed_is_taken_out() -> None:
    old = seal_secrets(Vault([OLD]), "p", {"a": {"b": Secret("x"), "c": 1}})
    stored = {**old, **seal_secrets(VAULT, "p", {"d": Secret("y")}), "e": [1]}
    assert without(OLD.id, "p", stored) == {"a": {"c": 1}, "d": stored["d"], "e": [1]}
    assert without("other", "p", stored) == stored


@pytest.mark.parametrize("value", [[Secret("x")], [{"a": [Secret("x")]}], [{SEALED: "x"}]])
def test_a_secret_in_a_list_is_a_mistake(value: list[Any]) -> None:
    with pytest.raises(ValueError, match="in a list, at p/a"):
        seal_secrets(VAULT, "p", {"a": value})


def test_only_an_object_of_one_key_is_sealed() -> None:
    assert is_sealed({SEALED: "x"})
    assert not is_sealed({SEALED: "x", "more": 1})
    assert not is_sealed({})
    assert not is_sealed(SEALED)
