import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random

import pytest

from engine.control.api.faults import (
    Fault,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from engine.control.api.sigv4 import Request, sign, verify
from tests.unit.control.api.signing import (
    KEY_ID,
    REGION,
    SECRET,
    changed,
    header,
    signed,
    with_header,
    without,
)

BODIES = (
    b"",
    b"{}",
    b'{"EndpointIdentifier": "shop", "EndpointType": "source", "EngineName": "postgres"}',
    '{"Filters": [{"Name": "endpoint-id", "Values": ["caf\u00e9"]}]}'.encode(),
    b'{"TableMappings": "' + b"x" * 3_000 + b'"}',
)


def verified(request: Request, *, now: float | None = None, region: str = "") -> str:
    secrets = {KEY_ID: SECRET}
    return verify(request, secrets.get, now=time.time() if now is None else now, region=region)


@pytest.mark.parametrize("body", BODIES)
def test_what_botocore_signs_is_accepted(body: bytes) -> None:
    assert verified(signed(body)) == KEY_ID
    assert verified(signed(body), region=REGION) == KEY_ID


@pytest.mark.parametrize(
    "url",
    [
        "http://penstock.example/",
        "https://penstock.example/penstock/v1/replications/a%20b",
        "https://[::1]:8628/events?since=2026-01-01T00%3A00%3A00Z&limit=10&b=%C3%A9&a",
        "https://penstock.example/x?b=2&a=1&a=0&c=%2F~%20",
    ],
)
def test_other_paths_and_queries_are_signed_the_same_way(url: str) -> None:
    assert verified(signed(b"", method="GET", url=url)) == KEY_ID


def test_our_signature_is_the_one_that_botocore_makes() -> None:
    theirs = signed(BODIES[3], url="http://h/p/%7Ea?z=1&a=b%20c", Extra=" much   space ")
    moment = datetime.strptime(header(theirs, "x-amz-date") + "+0000", "%Y%m%dT%H%M%SZ%z")
    left_out = {"authorization", "user-agent", "x-amz-date"}
    bare = replace(theirs, headers=[pair for pair in theirs.headers if pair[0] not in left_out])
    at = moment.timestamp() + 0.7
    ours = sign(bare, KEY_ID, SECRET, region=REGION, at=at)
    assert ours["authorization"] == header(theirs, "authorization")
    assert ours["x-amz-date"] == header(theirs, "x-amz-date")


def test_what_we_sign_is_accepted() -> None:
    bare = Request("GET", "/penstock/v1/events", "after=3", [("host", "h:1")])
    added = sign(bare, KEY_ID, SECRET, region=REGION, at=1_000.0)
    whole = replace(bare, headers=[*bare.headers, *added.items()])
    assert verified(whole, now=1_299.0) == KEY_ID


def test_a_date_header_takes_the_place_of_aws_own() -> None:
    request = signed(Date=format_datetime(datetime.now(UTC), usegmt=True))
    assert "x-amz-date" not in dict(request.headers)
    assert verified(request) == KEY_ID


def test_headers_that_were_not_signed_may_change_on_the_way() -> None:
    request = with_header(signed(), "user-agent", "another")
    assert verified(with_header(request, "x-forwarded-for", "10.0.0.1")) == KEY_ID
    assert verified(with_header(request, "x-amzn-trace-id", "Root=1")) == KEY_ID


@pytest.mark.parametrize(
    ("seconds", "complaint"),
    [
        (301, r"^Signature expired: \d{8}T\d{6}Z is now earlier than .* - 5 min\.\)$"),
        (-302, r"^Signature not yet current: \d{8}T\d{6}Z is still later than .* \+ 5 min\.\)$"),
        (86_400, "Signature expired"),
    ],
)
def test_a_clock_that_is_off_by_more_than_five_minutes_is_told_so(
    seconds: float, complaint: str
) -> None:
    with pytest.raises(InvalidSignatureException, match=complaint):
        verified(signed(), now=time.time() + seconds)
    assert verified(signed(), now=time.time() + 290) == KEY_ID


def test_a_request_without_a_signature_is_told_that_it_has_none() -> None:
    for authorization in ("", "AWS4", "Basic dTpw", "Bearer abc", "aws4-hmac-sha256 Credential=a"):
        with pytest.raises(MissingAuthenticationTokenException, match="missing Authentication"):
            verified(with_header(signed(), "authorization", authorization))
    with pytest.raises(MissingAuthenticationTokenException):
        verified(without(signed(), "authorization"))


def test_everything_that_is_missing_of_a_signature_is_named_at_once() -> None:
    request = without(with_header(signed(), "authorization", "AWS4-HMAC-SHA256"), "x-amz-date")
    with pytest.raises(IncompleteSignatureException) as refused:
        verified(request)
    for name in ("'Credential'", "'Signature'", "'SignedHeaders'", "'X-Amz-Date'"):
        assert name in refused.value.message


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "Unsupported AWS 'algorithm'"),
        ("/aws4_request", "", "exactly 5 slash-delimited"),
        ("Credential=", "Credential", "one of Credential="),
        ("SignedHeaders=", "Credential=b, SignedHeaders=", "comes twice"),
    ],
)
def test_a_signature_that_cannot_be_read_says_why(old: str, new: str, complaint: str) -> None:
    request = signed()
    text = header(request, "authorization").replace(old, new)
    with pytest.raises(IncompleteSignatureException, match=complaint):
        verified(with_header(request, "authorization", text))


def test_a_scope_of_another_region_service_or_day_is_told_what_it_should_be() -> None:
    with pytest.raises(InvalidSignatureException, match=r"correct service: 'dms'"):
        verified(signed(service="rds"))
    with pytest.raises(InvalidSignatureException, match=r"valid region: 'us-east-1'"):
        verified(signed(), region="us-east-1")
    request = signed()
    day = header(request, "x-amz-date")[:8]
    text = header(request, "authorization").replace(f"/{day}/", "/20200101/")
    with pytest.raises(InvalidSignatureException, match="Date in Credential scope does not match"):
        verified(with_header(request, "authorization", text))


def test_an_unknown_key_and_a_session_are_not_recognized() -> None:
    with pytest.raises(UnrecognizedClientException, match="security token included"):
        verify(signed(), dict[str, str]().get, now=time.time())
    with pytest.raises(UnrecognizedClientException, match="security token included"):
        verified(signed(token="session"))


def test_another_secret_is_another_signature_and_neither_is_told() -> None:
    with pytest.raises(InvalidSignatureException, match="does not match the signature") as refused:
        verified(signed(secret="another secret of the same user"))
    assert SECRET not in refused.value.message


def test_host_and_headers_of_aws_must_be_signed() -> None:
    request = signed()
    with pytest.raises(InvalidSignatureException, match="'x-amz-acl' must be a 'SignedHeader'"):
        verified(with_header(request, "x-amz-acl", "all"))
    text = header(request, "authorization").replace("host;", "")
    with pytest.raises(InvalidSignatureException, match="'host' must be a 'SignedHeader'"):
        verified(with_header(request, "authorization", text))


def test_the_hash_of_the_body_must_be_true_where_it_is_sent() -> None:
    body = BODIES[2]
    right = signed(body, **{"X-Amz-Content-SHA256": "9" * 64})
    with pytest.raises(InvalidSignatureException, match="x-amz-content-sha256"):
        verified(right)
    with pytest.raises(InvalidSignatureException, match="unsigned payload is not accepted"):
        verified(signed(body, **{"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}))


def accepted(request: Request, now: float) -> bool:
    """Whether it is; anything but a fault of AWS's names is an error of the test."""
    try:
        verified(request, now=now)
    except Fault:
        return False
    return True


def accepted_changes(count: int, seed: int) -> list[Request]:
    random = Random(seed)
    originals = [signed(body, target=f"AmazonDMSv20160101.{n}") for n, body in enumerate(BODIES)]
    originals.append(signed(b"", Date=format_datetime(datetime.now(UTC), usegmt=True)))
    now = time.time()
    assert all(accepted(request, now) for request in originals)
    others = (changed(random.choice(originals), random) for _ in range(count))
    return [other for other in others if accepted(other, now)]


def test_no_changed_request_is_accepted() -> None:
    assert accepted_changes(3_000, seed=1) == []


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10, 20))
def test_none_of_a_hundred_thousand_changed_requests_is_accepted(seed: int) -> None:
    assert accepted_changes(10_000, seed) == []
