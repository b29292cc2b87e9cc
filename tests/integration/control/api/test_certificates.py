"""Certificates over the API, by botocore's own client."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.control.api.arn import Kind
from tests.integration.control.api.asking import arn, pages, refused
from tests.integration.control.api.daemon import READER, Daemon, serving
from tests.servers.certificates import BEGIN, END, Authority


@pytest.fixture
def pem(tmp_path: Path) -> str:
    return Authority.create(tmp_path).file.read_text()


async def imported(daemon: Daemon, pem: str, name: str = "Root", **more: Any) -> dict[str, Any]:
    answer = await daemon.call(
        "import_certificate", CertificateIdentifier=name, CertificatePem=pem, **more
    )
    made: dict[str, Any] = answer["Certificate"]
    return made


async def described(daemon: Daemon, **filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await pages(
        daemon,
        "describe_certificates",
        "Certificates",
        MaxRecords=2,
        Filters=[
            {"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()
        ],
    )
    return found


async def test_a_certificate_is_kept_shown_and_deleted(tmp_path: Path, pem: str) -> None:
    async with serving(tmp_path) as daemon:
        made = await imported(daemon, pem, Tags=[{"Key": "a", "Value": "b"}])
        created = made.pop("CertificateCreationDate")
        assert made == {
            "CertificateIdentifier": "Root",
            "CertificatePem": pem,
            "CertificateArn": arn(Kind.CERTIFICATE, "root"),
            "CertificateOwner": "000000000000",
            "ValidFromDate": BEGIN,
            "ValidToDate": END,
            "SigningAlgorithm": "SHA256withECDSA",
            "KeyLength": 256,
        }
        made["CertificateCreationDate"] = created
        tags = await daemon.call("list_tags_for_resource", ResourceArn=made["CertificateArn"])
        assert tags["TagList"] == [{"Key": "a", "Value": "b"}]
        assert (await daemon.call("describe_certificates", READER))["Certificates"] == [made]
        answer = await daemon.call("delete_certificate", CertificateArn=made["CertificateArn"])
        assert answer["Certificate"] == made
        assert await described(daemon) == []
        with refused("ResourceNotFoundFault"):
            await daemon.call("delete_certificate", CertificateArn=made["CertificateArn"])


async def test_they_are_found_by_filters_and_pages(tmp_path: Path, pem: str) -> None:
    async with serving(tmp_path) as daemon:
        made = [await imported(daemon, pem, f"c-{number}") for number in range(5)]
        assert await described(daemon) == made
        assert await described(daemon, certificate_id="C-3") == [made[3]]
        assert await described(daemon, certificate_arn=made[2]["CertificateArn"]) == [made[2]]
        for name, value in (("id", "c-9"), ("arn", arn(Kind.CERTIFICATE, "c-9"))):
            with refused("ResourceNotFoundFault"):
                await described(daemon, **{f"certificate_{name}": value})


async def test_names_are_taken_once(
    tmp_path: Path, pem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as daemon:
        made = await imported(daemon, pem)
        client = daemon.client()
        with pytest.raises(client.exceptions.ResourceAlreadyExistsFault) as error:
            await asyncio.to_thread(
                client.import_certificate, CertificateIdentifier="ROOT", CertificatePem=pem
            )
        client.close()
        assert error.value.response["resourceArn"] == made["CertificateArn"]
        monkeypatch.setattr("engine.control.api.quotas.RESOURCES_MAX", 1)
        with refused("ResourceQuotaExceededFault"):
            await imported(daemon, pem, "another")


async def test_one_that_an_endpoint_names_stays(tmp_path: Path, pem: str) -> None:
    async with serving(tmp_path) as daemon:
        made = await imported(daemon, pem)
        answer = await daemon.call(
            "create_endpoint",
            EndpointIdentifier="shop",
            EndpointType="source",
            EngineName="postgres",
            SslMode="verify-ca",
            CertificateArn=made["CertificateArn"],
        )
        endpoint = answer["Endpoint"]
        assert endpoint["CertificateArn"] == made["CertificateArn"]
        with refused("InvalidResourceStateFault", "is used by endpoint shop"):
            await daemon.call("delete_certificate", CertificateArn=made["CertificateArn"])
        change = {"EndpointArn": endpoint["EndpointArn"], "CertificateArn": ""}
        with refused("InvalidParameterCombinationException", "verify-ca needs CertificateArn"):
            await daemon.call("modify_endpoint", **change)
        await daemon.call("modify_endpoint", SslMode="require", **change)
        await daemon.call("delete_certificate", CertificateArn=made["CertificateArn"])


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"CertificateIdentifier": "a_b"}, "InvalidParameterValueException"),
        ({"CertificatePem": " "}, "InvalidParameterValueException"),
        ({"CertificatePem": "s3cr3t-c4n4ry"}, "InvalidCertificateFault"),
        ({"CertificateWallet": b"x"}, "InvalidParameterCombinationException"),
        ({"CertificatePem": "", "CertificateWallet": b"x"}, "InvalidCertificateFault"),
        ({"KmsKeyId": "none"}, "KMSKeyNotAccessibleFault"),
    ],
)
async def test_what_cannot_be_is_refused_and_not_kept(
    tmp_path: Path, pem: str, params: dict[str, Any], code: str
) -> None:
    given = {"CertificateIdentifier": "c", "CertificatePem": pem, **params}
    async with serving(tmp_path) as daemon:
        with refused(code):
            await daemon.call("import_certificate", **given)
        assert await described(daemon) == []
        assert "s3cr3t" not in f"{daemon.log} {daemon.audit}"
