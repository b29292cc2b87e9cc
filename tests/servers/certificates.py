"""A certificate authority of a test's own, and certificates of servers that it signs."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

BEGIN: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
END: Final = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)

RSA_BITS: Final = 2048
"""The least that today's clients take."""

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Authority:
    """Signs certificates; `file` is what clients trust."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    file: Path

    @classmethod
    def create(cls, folder: Path, name: str = "authority") -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        builder = _builder(subject, subject, key.public_key(), END).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        certificate = builder.sign(key, hashes.SHA256())
        file = folder / f"{name}.crt"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(key, certificate, file)

    def sign(
        self, folder: Path, *hosts: str, until: dt.datetime = END, old: bool = False
    ) -> tuple[Path, Path]:
        """A server's certificate and key for these names and addresses.

        `old`: by RSA, for servers with an OpenSSL that chooses no elliptic curve by itself.
        """
        key: PrivateKey = (
            rsa.generate_private_key(65537, RSA_BITS)
            if old
            else ec.generate_private_key(ec.SECP256R1())
        )
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        certificate = (
            _builder(_name(hosts[0]), self.certificate.subject, key.public_key(), until)
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        files = folder / "server.crt", folder / "server.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        files[1].chmod(0o600)
        return files


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    until: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(until)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
