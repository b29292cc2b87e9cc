from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.config.key_variables import CREDENTIALS, KEY, KEY_FILE
from engine.control import key_file
from engine.control.key_source import KeySource, given_keys
from engine.control.vault import Key, VaultError


@pytest.fixture
def places(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """A key file in each place and the id of its key."""
    files = ("setting", "variable", "credentials/penstock.key", "state/penstock.key")
    made = {}
    for name in files:
        path = tmp_path / name
        made[name.partition("/")[0]] = (path, key_file.make(path).id)
    return made


def test_the_first_place_that_is_there_counts(places: dict[str, tuple[Path, str]]) -> None:
    state = places["state"][0].parent
    direct = Key.make()
    environment: dict[str, str] = {}

    def used(source: KeySource = KeySource(state)) -> str:  # noqa: B008
        (only,) = source.load(environment, may_make=False).key_ids
        return only

    assert used() == places["state"][1]
    environment[CREDENTIALS] = str(places["credentials"][0].parent)
    assert used() == places["credentials"][1]
    environment[KEY_FILE] = str(places["variable"][0])
    assert used() == places["variable"][1]
    environment[KEY] = direct.text().reveal()
    assert used() == direct.id
    assert used(KeySource(state, places["setting"][0])) == places["setting"][1]


def test_what_the_environment_itself_names_and_nothing_else(
    places: dict[str, tuple[Path, str]],
) -> None:
    environment: dict[str, str] = {}

    def used() -> list[str]:
        return [key.id for key in given_keys(environment)]

    assert used() == [], "no state directory is looked into"
    environment[CREDENTIALS] = str(places["credentials"][0].parent)
    assert used() == [places["credentials"][1]]
    environment[KEY_FILE] = str(places["variable"][0])
    key_file.add(places["variable"][0])
    assert used()[0] == places["variable"][1]
    assert len(used()) == 2, "older ones too"
    environment[KEY] = Key.make().text().reveal()
    assert len(used()) == 1
    environment = {KEY_FILE: "/does/not/exist"}
    with pytest.raises(VaultError, match="is not there"):
        used()


def test_credentials_without_a_key_are_passed_over(tmp_path: Path) -> None:
    key = key_file.make(tmp_path / "penstock.key")
    (tmp_path / "credentials").mkdir()
    environment = {CREDENTIALS: str(tmp_path / "credentials")}
    assert KeySource(tmp_path).load(environment, may_make=False).key_ids == (key.id,)


def test_a_key_is_made_at_the_first_start_and_used_from_then_on(tmp_path: Path) -> None:
    source = KeySource(tmp_path / "state")
    first = source.load({}, may_make=True)
    assert source.load({}, may_make=True).key_ids == first.key_ids
    assert source.load({}, may_make=False).key_ids == first.key_ids


def test_none_is_made_where_secrets_wait_for_a_lost_one(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"is not there .*restore it .*cannot be read without"):
        KeySource(tmp_path).load({}, may_make=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("by", ["setting", "variable"])
def test_none_is_made_where_another_file_is_named(tmp_path: Path, by: str) -> None:
    named = tmp_path / "named.key"
    environment: Mapping[str, str] = {KEY_FILE: str(named)} if by == "variable" else {}
    source = KeySource(tmp_path, named if by == "setting" else None)
    with pytest.raises(VaultError, match=r"named.key is not there .*openssl rand"):
        source.load(environment, may_make=True)


def test_several_keys_in_the_environment_are_oldest_first(tmp_path: Path) -> None:
    keys = [Key.make(), Key.make()]
    text = " ".join(key.text().reveal() for key in keys)
    vault = KeySource(tmp_path).load({KEY: text}, may_make=False)
    assert vault.key_ids == tuple(key.id for key in keys)
    assert vault.newest_ids == (keys[1].id,)
    assert KeySource(tmp_path).default_file({KEY: text}) is None
    with pytest.raises(VaultError, match="line 1 of PENSTOCK_KEY is no key") as refused:
        KeySource(tmp_path).load({KEY: "hunter2"}, may_make=False)
    assert "hunter2" not in f"{refused.value!r} {refused.value}"


def test_further_keys_have_the_names_of_their_files(tmp_path: Path) -> None:
    billing = key_file.make(tmp_path / "keys" / "billing.key")
    key_file.make(tmp_path / "keys" / "alias-hr.key")
    newer = key_file.add(tmp_path / "keys" / "billing.key")
    (tmp_path / "keys" / "README").touch()
    source = KeySource(tmp_path / "state", folder=tmp_path / "keys")
    vault = source.load({}, may_make=True)
    assert vault.names == ("alias-hr", "billing")
    assert billing.id in vault.key_ids
    assert newer.id in vault.newest_ids
    (tmp_path / "keys" / "billing.key").chmod(0o644)
    with pytest.raises(VaultError, match=r"billing.key can be read"):
        source.load({}, may_make=True)
