"""What is kept of refused rows: sealed for its place, opened by its keys only."""

import base64
import json
from dataclasses import replace

import pytest

from engine.config.secret import Secret
from engine.errors import ConfigError
from engine.model.relation import TableName
from engine.model.state import RejectedRow
from engine.quarantine import Opener, QuarantineError, Sealer, key_bytes, key_id_of
from engine.seams import SystemRandom

CANARY = "c4n4ry"

ROW = RejectedRow(
    TableName("public", "t"),
    "public.t",
    "0/15",
    "insert",
    "rejected-row",
    "23514",
    "no",
    json.dumps({"operation": "insert", "new": {"v": CANARY}}),
)

FIRST, SECOND = bytes(range(32)), bytes(32)


def secret(key: bytes) -> Secret:
    return Secret(base64.b64encode(key).decode())


def sealed(row: RejectedRow = ROW, key: bytes = FIRST, replication: str = "shop") -> RejectedRow:
    return Sealer(replication, secret(key), SystemRandom()).sealed(row)


def test_without_a_key_a_row_is_kept_as_it_is() -> None:
    assert Sealer("shop", None, SystemRandom()).sealed(ROW) is ROW
    assert key_id_of(ROW) == ""
    assert Opener("shop", []).opened(ROW) == json.loads(ROW.payload)


def test_a_sealed_row_tells_its_place_and_key_and_no_value() -> None:
    row = sealed()
    assert replace(row, payload="") == replace(ROW, payload="")
    assert CANARY not in row.payload
    assert json.loads(row.payload).keys() == {"sealed", "key", "data"}
    assert key_id_of(row) == key_id_of(sealed(replace(ROW, payload="{}")))
    assert key_id_of(row) != key_id_of(sealed(key=SECOND))
    assert FIRST.hex() not in row.payload
    assert row.payload != sealed().payload, "a nonce of its own each time"


@pytest.mark.parametrize("key", [FIRST, SECOND])
def test_any_of_the_keys_opens(key: bytes) -> None:
    assert Opener("shop", [FIRST, SECOND]).opened(sealed(key=key)) == json.loads(ROW.payload)


def test_another_key_opens_nothing_and_says_which_one_would() -> None:
    row = sealed()
    with pytest.raises(QuarantineError, match=f"key {key_id_of(row)}, which is not here") as error:
        Opener("shop", [SECOND]).opened(row)
    assert "public.t at 0/15" in error.value.message
    assert error.value.exit_code == 3


@pytest.mark.parametrize(
    "moved",
    [
        replace(sealed(), position="0/16"),
        replace(sealed(), table=TableName("public", "u")),
        replace(sealed(), table=TableName("public.t", "")),
        sealed(replication="shops"),
        replace(sealed(), payload=sealed().payload.replace('"v1"', '"v2"')),
        replace(sealed(), payload=sealed().payload[:-6] + 'AAA="}'),
        replace(sealed(), payload=json.dumps({"sealed": "v1", "key": key_id_of(sealed())})),
    ],
)
def test_what_was_moved_or_changed_is_not_opened(moved: RejectedRow) -> None:
    with pytest.raises(QuarantineError, match="were changed since they were kept"):
        Opener("shop", [FIRST]).opened(moved)


@pytest.mark.parametrize("payload", ["", "[]", "{", "null"])
def test_what_is_no_payload_is_told(payload: str) -> None:
    with pytest.raises(QuarantineError, match="is not JSON"):
        Opener("shop", [FIRST]).opened(replace(ROW, payload=payload))


@pytest.mark.parametrize("text", [CANARY, "", base64.b64encode(bytes(31)).decode()])
def test_a_wrong_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        key_bytes(Secret(text))
    assert CANARY not in str(error.value)
