"""Certificates in PEM: what a text of them says, and what it must not. (pure)"""

import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from engine.control.api.faults import InvalidCertificateFault

_KEY: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")

KINDS: Final = ("RSA", "ECDSA", "DSA", "ED25519", "ED448")
"""Of keys that sign, as the names of signature algorithms hold them."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the first certificate of a text says. Times are seconds since 1970."""

    valid_from: float
    valid_to: float
    signing_algorithm: str
    key_bits: int


def read_certificates(text: str) -> Told:
    """Raises InvalidCertificateFault unless the text is one certificate or several. Never quotes
    it."""
    if _KEY.search(text):
        raise InvalidCertificateFault(
            "CertificatePem holds a private key, which would be shown to whoever may read: give the"
            " certificates alone."
        )
    blocks = _BLOCK.findall(text)
    others = [kind for kind in blocks if kind not in ("CERTIFICATE", "X509 CERTIFICATE")]
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        found = []
    if others or len(found) != len(blocks) or not found:
        raise InvalidCertificateFault(
            "CertificatePem is not valid: it must be one X.509 certificate or several, each in PEM"
            " (-----BEGIN CERTIFICATE-----)."
        )
    return _told(found[0])


def _told(certificate: x509.Certificate) -> Told:
    try:
        bits = int(getattr(certificate.public_key(), "key_size", 0))
    except (UnsupportedAlgorithm, ValueError):  # a key that this machine has no use for
        bits = 0
    return Told(
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        _algorithm(certificate),
        bits,
    )


def _algorithm(certificate: x509.Certificate) -> str:
    """As AWS writes it: SHA256withRSA."""
    oid = certificate.signature_algorithm_oid
    name = str(getattr(oid, "_name", "")).upper()
    kind = next((each for each in KINDS if each in name), "")
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return oid.dotted_string
    if digest is None:
        return kind or oid.dotted_string
    return f"{digest.name.upper()}with{kind}" if kind else oid.dotted_string
