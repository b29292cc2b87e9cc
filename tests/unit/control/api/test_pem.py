"""What a text of certificates says, and what it must not hold."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from engine.control.api.faults import InvalidCertificateFault
from engine.control.api.pem import Told, read_certificates
from tests.servers.certificates import BEGIN, END, Authority

NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])


def signed(key: Any, digest: Any) -> str:
    certificate = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .sign(key, digest)
    )
    return certificate.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("make", "digest", "algorithm", "bits"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), hashes.SHA256(), "SHA256withRSA", 2048),
        (lambda: rsa.generate_private_key(65537, 2048), hashes.SHA512(), "SHA512withRSA", 2048),
        (lambda: ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), "SHA384withECDSA", 384),
        (lambda: dsa.generate_private_key(2048), hashes.SHA256(), "SHA256withDSA", 2048),
        (ed25519.Ed25519PrivateKey.generate, None, "ED25519", 0),
    ],
)
def test_what_a_certificate_says(
    make: Callable[[], Any], digest: hashes.HashAlgorithm | None, algorithm: str, bits: int
) -> None:
    assert read_certificates(signed(make(), digest)) == Told(
        BEGIN.timestamp(), END.timestamp(), algorithm, bits
    )


def test_several_are_told_of_by_the_first(tmp_path: Path) -> None:
    texts = [Authority.create(tmp_path, name).file.read_text() for name in ("a", "b")]
    until = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    server, _ = Authority.create(tmp_path, "c").sign(tmp_path, "db", until=until)
    told = read_certificates(f"# a comment\n{server.read_text()}\n{''.join(texts)}")
    assert told.valid_to == until.timestamp()


def test_what_is_no_certificate_is_refused_and_not_quoted(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    server, key = authority.sign(tmp_path, "db")
    whole = server.read_text()
    middle = len(whole) // 2
    for text, why in (
        ("", "not valid"),
        ("canary", "not valid"),
        (whole[: middle - 4] + "canary" + whole[middle + 4 :], "not valid"),
        (whole[:middle], "not valid"),
        (whole + "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n", "not valid"),
        (whole.replace("CERTIFICATE", "PUBLIC KEY"), "not valid"),
        (whole + key.read_text(), "private key"),
        (key.read_text(), "private key"),
    ):
        with pytest.raises(InvalidCertificateFault, match=why) as error:
            read_certificates(text)
        assert "canary" not in error.value.message
