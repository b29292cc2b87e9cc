from engine.config.secret import Secret
from engine.config.serve import AccessKey, Role, Token
from engine.control.api.keys import Access, Identity, Keyring

KEY = AccessKey("ops", "AKIDPENSTOCKOPS00", Secret("0123456789abcdef"), Role.ADMIN)
TOKEN = Token("probe", Secret("fedcba9876543210"), Role.READ_ONLY)


def test_a_read_only_key_may_call_what_changes_nothing() -> None:
    assert Identity("a", Role.READ_ONLY).may(Access.READ)
    assert not Identity("a", Role.READ_ONLY).may(Access.ADMIN)
    assert all(Identity("a", Role.ADMIN).may(access) for access in Access)


def test_a_key_is_found_by_its_id_and_known_by_its_name() -> None:
    keys = Keyring([KEY])
    assert not keys.open
    assert keys.secret(KEY.id) == "0123456789abcdef"
    assert keys.secret("AKIDNOBODY000000") is None
    assert keys.identity(KEY.id) == Identity("ops", Role.ADMIN)


def test_a_ring_without_access_keys_is_open_whatever_tokens_there_are() -> None:
    assert Keyring([], [TOKEN]).open


def test_a_bearer_token_names_who_it_is_of() -> None:
    keys = Keyring([KEY], [TOKEN])
    assert keys.bearer("Bearer fedcba9876543210") == Identity("probe", Role.READ_ONLY)
    assert keys.bearer("bearer  fedcba9876543210") == Identity("probe", Role.READ_ONLY)
    for header in (
        "",
        "Bearer",
        "Bearer 0123456789abcdef",
        "Basic fedcba9876543210",
        "Bearer \xe9",
    ):
        assert keys.bearer(header) is None
