"""Certificates of authorities, which endpoints name."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.control.api.arn import Kind
from engine.control.api.call import Call, operation
from engine.control.api.encryption_keys import key_name
from engine.control.api.faults import (
    InvalidCertificateFault,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    InvalidResourceStateFault,
    ResourceAlreadyExistsFault,
    ResourceNotFoundFault,
)
from engine.control.api.filters import filters
from engine.control.api.identifiers import identifier, tags
from engine.control.api.keys import Access
from engine.control.api.pem import read_certificates
from engine.control.api.quotas import check_room
from engine.control.resources.certificate import KIND, Certificate
from engine.control.resources.document import decode, encode
from engine.control.resources.endpoint import KIND as ENDPOINT
from engine.control.store.records import Record

NO_EFFECT: Final[Mapping[str, str]] = {
    "ImportCertificate.KmsKeyId": "certificates are public, they are not sealed: the key must be"
    " there, and is shown",
}
REFUSED: Final[Mapping[str, str]] = {
    "ImportCertificate.CertificateWallet": "wallets are Oracle's, which is not run",
}


@operation("ImportCertificate", access=Access.ADMIN)
async def import_certificate(call: Call) -> Mapping[str, object]:
    """Certificates in PEM, shown as they were given. A private key among them is refused."""
    request = call.request
    name = identifier(request["CertificateIdentifier"], "CertificateIdentifier")
    certificate = _read(name, request)
    key_name(certificate.kms_key, call.services.vault)
    given = tags(request.get("Tags", ()))
    record = Record(KIND, name.lower(), name.lower(), encode(certificate))
    async with call.services.store.write() as writing:
        if await writing.get(KIND, record.id) is not None:
            raise ResourceAlreadyExistsFault(
                f"The certificate {name} already exists.",
                resource_arn=call.services.home.arn(Kind.CERTIFICATE, record.id),
            )
        await check_room(writing, "Certificates")
        record = await writing.insert(record)
        await writing.tag(KIND, record.id, given)
    return {"Certificate": _shown(call, record)}


@operation("DescribeCertificates", access=Access.READ)
async def describe_certificates(call: Call) -> Mapping[str, object]:
    """Certificates by name. One that is asked for and is not there is a ResourceNotFoundFault."""
    page = call.services.pages.asked(call.operation, call.request)
    asked = filters(call.operation, call.request)
    where: dict[str, Sequence[str]] = {}
    if "certificate-arn" in asked:
        where["id"] = [_id(call, arn, "certificate-arn") for arn in asked["certificate-arn"]]
    if "certificate-id" in asked:
        where["name"] = [name.lower() for name in asked["certificate-id"]]
    async with call.services.store.read() as reading:
        found = await reading.find(KIND, where, after=page.after, limit=page.limit + 1)
    if where and not found and not page.after:
        raise ResourceNotFoundFault("No certificate of that name was found.")
    records, marker = call.services.pages.cut(page, found, lambda record: record.name)
    return {"Marker": marker, "Certificates": [_shown(call, record) for record in records]}


@operation("DeleteCertificate", access=Access.ADMIN)
async def delete_certificate(call: Call) -> Mapping[str, object]:
    """A certificate that no endpoint names is deleted."""
    arn = call.request["CertificateArn"]
    name = _id(call, arn, "CertificateArn")
    async with call.services.store.write() as writing:
        record = await writing.get(KIND, name)
        if record is None:
            raise ResourceNotFoundFault(f"Certificate {arn} not found.")
        users = await writing.find(ENDPOINT, {"certificate": [name]}, limit=1)
        if users:
            raise InvalidResourceStateFault(
                f"The certificate {name} is used by endpoint {users[0].name}: delete that first, or"
                " take the certificate from it."
            )
        await writing.delete(KIND, name)
    return {"Certificate": _shown(call, record)}


def _read(name: str, request: Mapping[str, Any]) -> Certificate:
    pem, wallet = request.get("CertificatePem", ""), request.get("CertificateWallet")
    if pem and wallet:
        raise InvalidParameterCombinationException(
            "CertificatePem and CertificateWallet exclude each other."
        )
    if wallet:
        raise InvalidCertificateFault(
            "CertificateWallet is not taken: wallets are Oracle's, which Penstock does not run."
            " Import the authority's certificate as CertificatePem."
        )
    if not pem.strip():
        raise InvalidParameterValueException("The parameter CertificatePem must be provided.")
    told = read_certificates(pem)
    return Certificate(
        name=name,
        pem=pem,
        kms_key=request.get("KmsKeyId", ""),
        valid_from=told.valid_from,
        valid_to=told.valid_to,
        signing_algorithm=told.signing_algorithm,
        key_bits=told.key_bits,
    )


def _id(call: Call, arn: str, parameter: str) -> str:
    return call.services.home.name(arn, Kind.CERTIFICATE, parameter=parameter).lower()


def _shown(call: Call, record: Record) -> Mapping[str, object]:
    certificate = decode(Certificate, record.document)
    return {
        "CertificateIdentifier": certificate.name,
        "CertificateCreationDate": record.created,
        "CertificatePem": certificate.pem,
        "CertificateArn": call.services.home.arn(Kind.CERTIFICATE, record.id),
        "CertificateOwner": call.services.home.account,
        "ValidFromDate": certificate.valid_from,
        "ValidToDate": certificate.valid_to,
        "SigningAlgorithm": certificate.signing_algorithm,
        "KeyLength": certificate.key_bits or None,
        "KmsKeyId": certificate.kms_key or None,
    }
