import pytest

from engine.control.api.keys import Access, Identity, Key, Keyring, Role
from engine.errors import ConfigError

SECRET = "0123456789abcdef"


def test_a_read_only_key_may_call_what_changes_nothing() -> None:
    assert Role.READ_ONLY.allows(Access.READ)
    assert not Role.READ_ONLY.allows(Access.ADMIN)
    assert all(Role.ADMIN.allows(access) for access in Access)


def test_a_key_is_found_by_its_id_and_does_not_show_its_secret() -> None:
    keys = Keyring([Key("ops", SECRET, Role.READ_ONLY)])
    assert keys.secret("ops") == SECRET
    assert keys.secret("nobody") is None
    assert keys.identity("ops") == Identity("ops", Role.READ_ONLY)
    assert SECRET not in repr(Key("ops", SECRET))


def test_a_bearer_token_names_who_it_is_of() -> None:
    keys = Keyring([Key("ops", SECRET)], [Key("probe", "fedcba9876543210", Role.READ_ONLY)])
    assert keys.bearer("Bearer fedcba9876543210") == Identity("probe", Role.READ_ONLY)
    assert keys.bearer("bearer  fedcba9876543210") == Identity("probe", Role.READ_ONLY)
    for header in ("", "Bearer", f"Bearer {SECRET}", "Basic fedcba9876543210", "Bearer \xe9"):
        assert keys.bearer(header) is None


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ([Key("a/b", SECRET)], "access_keys[0].id"),
        ([Key("ops", SECRET), Key("ops", SECRET)], "access_keys[1].id"),
        ([Key("ops", "short")], "access_keys[0].secret"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_by_its_place(keys: list[Key], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Keyring(keys)
    assert refused.value.field == field
    assert "short" not in str(refused.value)
