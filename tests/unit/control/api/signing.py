"""botocore's signer as the opposite party, and random changes to what it signed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from engine.control.api.sigv4 import Request

KEY_ID: Final = "AKIDPENSTOCK"
SECRET: Final = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION: Final = "eu-central-1"


def signed(
    body: bytes = b"{}",
    *,
    method: str = "POST",
    url: str = "http://127.0.0.1:8628/",
    target: str = "AmazonDMSv20160101.DescribeEndpoints",
    secret: str = SECRET,
    token: str | None = None,
    region: str = REGION,
    service: str = "dms",
    **headers: str,
) -> Request:
    """A request as botocore's client signs it now."""
    parts = urlsplit(url)
    asked = AWSRequest(
        method=method,
        url=url,
        data=body,
        headers={
            "Host": parts.netloc,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": target,
            "User-Agent": "Boto3/1.40 md/Botocore",
            **headers,
        },
    )
    SigV4Auth(Credentials(KEY_ID, secret, token), service, region).add_auth(asked)
    found = tuple((name.lower(), _text(value)) for name, value in asked.headers.items())
    return Request(method, parts.path, parts.query, found, body)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def header(request: Request, name: str) -> str:
    return dict(request.headers)[name]


def with_header(request: Request, name: str, value: str) -> Request:
    """The request with another value of a header, or with one more."""
    known = any(name == other for other, _ in request.headers)
    headers = [(other, value if other == name else old) for other, old in request.headers]
    return replace(request, headers=headers if known else [*headers, (name, value)])


def without(request: Request, name: str) -> Request:
    return replace(request, headers=[pair for pair in request.headers if pair[0] != name])


PRINTABLE: Final = tuple(map(chr, range(33, 127)))


def _edited(text: str, random: Random) -> str:
    """One character more, less or other; never only a space, which canonical headers ignore."""
    places = [place for place, letter in enumerate(text) if letter != " "]
    place = random.choice(places or [0])
    letter = random.choice(PRINTABLE)
    match random.randrange(4):
        case 0:
            return text[:place] + letter + text[place:]
        case 1:
            return text[:place] + text[place + 1 :]
        case 2:
            return text[:place] + text[place : place + 1].swapcase() + text[place + 1 :]
    return text[:place] + letter + text[place + 1 :]


def _signed_headers(request: Request) -> Sequence[str]:
    authorization = header(request, "authorization")
    return authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")


def _header_value(request: Request, random: Random) -> Request:
    name = random.choice(_signed_headers(request))
    return with_header(request, name, _edited(header(request, name), random))


def _header_gone(request: Request, random: Random) -> Request:
    return without(request, random.choice([*_signed_headers(request), "authorization"]))


def _header_twice(request: Request, random: Random) -> Request:
    name = random.choice(_signed_headers(request))
    extra = (name, _edited(header(request, name), random))
    headers = list(request.headers)
    headers.insert(random.randrange(len(headers) + 1), extra)
    return replace(request, headers=headers)


def _header_more(request: Request, random: Random) -> Request:
    name = random.choice(["x-amz-security-token", "x-amz-content-sha256", "x-amz-acl"])
    value = random.choice(["UNSIGNED-PAYLOAD", "", "0" * 64, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
    return with_header(request, name, value)


def _body(request: Request, random: Random) -> Request:
    place = random.randrange(len(request.body) + 1)
    letter = bytes([random.randrange(256)])
    keep = random.randrange(2)
    return replace(request, body=request.body[:place] + letter + request.body[place + keep :])


def _path(request: Request, random: Random) -> Request:
    path = random.choice(["", "//", "/.", "/./", "/%2e", "/?", "/a", "*", "/ ", "/%2F", "/\\"])
    return replace(request, path=path)


def _query(request: Request, random: Random) -> Request:
    return replace(request, query=random.choice(["a", "a=b", "=", "Action=DeleteEndpoint", "%20"]))


def _method(request: Request, random: Random) -> Request:
    return replace(request, method=random.choice(["GET", "PUT", "post", "POST ", "OPTIONS", ""]))


def _authorization(request: Request, random: Random) -> Request:
    return with_header(request, "authorization", _edited(header(request, "authorization"), random))


def _signature(request: Request, random: Random) -> Request:
    rest, _, signature = header(request, "authorization").rpartition("=")
    other = random.choice(
        [
            "".join(random.sample(signature, len(signature))),
            signature.upper(),
            signature[: random.randrange(64)],
            signature + signature,
            f"{random.getrandbits(256):064x}",
            "\xe9" * 64,
        ]
    )
    return with_header(request, "authorization", f"{rest}={other}")


def _order(request: Request, random: Random) -> Request:
    """The list of signed headers in another order, or with fewer or more names."""
    names = list(_signed_headers(request))
    listed = ";".join(names)
    match random.randrange(3):
        case 0:
            random.shuffle(names)
        case 1:
            names.remove(random.choice(names))
        case _:
            names.insert(random.randrange(len(names)), random.choice(["user-agent", "x", names[0]]))
    text = header(request, "authorization").replace(listed, ";".join(names))
    return with_header(request, "authorization", text)


CHANGES: Final[Sequence[Callable[[Request, Random], Request]]] = (
    _header_value,
    _header_gone,
    _header_twice,
    _header_more,
    _body,
    _path,
    _query,
    _method,
    _authorization,
    _signature,
    _order,
)


def changed(request: Request, random: Random) -> Request:
    """The request with one of these changes, which is not the request itself."""
    while True:
        other = random.choice(CHANGES)(request, random)
        if other != request and replace(other, headers=tuple(other.headers)) != request:
            return other
