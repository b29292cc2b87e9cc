"""What Terraform's AWS provider asks of endpoints and certificates, call by call, and what it makes
of the answers (its resources `aws_dms_endpoint` and `aws_dms_certificate`)."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.control.api.asking import refused
from tests.integration.control.api.daemon import Daemon, serving
from tests.servers.certificates import Authority

SETTINGS: Final = {
    "postgres": "PostgreSQLSettings",
    "aurora-postgresql": "PostgreSQLSettings",
    "mysql": "MySQLSettings",
    "mariadb": "MySQLSettings",
    "aurora": "MySQLSettings",
}


def named(name: str, value: str) -> dict[str, Any]:
    return {"Filters": [{"Name": name, "Values": [value]}]}


async def read(daemon: Daemon, identifier: str) -> dict[str, Any]:
    """The provider's read: exactly one, with its tags."""
    answer = await daemon.call("describe_endpoints", **named("endpoint-id", identifier))
    (found,) = answer["Endpoints"]
    await daemon.call("list_tags_for_resource", ResourceArn=found["EndpointArn"])
    return dict(found)


def within(settings: str, members: dict[str, Any]) -> dict[str, Any]:
    return {settings: members}


def login(**changed: Any) -> dict[str, Any]:
    return {
        "Username": "app",
        "Password": "s3cret",
        "ServerName": "db.example.com",
        "Port": 5432,
        "DatabaseName": "",
        **changed,
    }


def state(endpoint: dict[str, Any], settings: str) -> dict[str, Any]:
    """What the provider keeps of an answer: the address as the settings have it."""
    place = {name: endpoint[settings].get(name) for name in login() if name != "Password"}
    return {
        **place,
        "EndpointType": endpoint["EndpointType"].lower(),
        "SslMode": endpoint["SslMode"],
        "CertificateArn": endpoint.get("CertificateArn"),
        "ExtraConnectionAttributes": endpoint.get("ExtraConnectionAttributes"),
        "SecretsManagerSecretId": endpoint[settings].get("SecretsManagerSecretId"),
    }


@pytest.mark.parametrize("engine", SETTINGS)
async def test_an_endpoint_from_its_creation_to_its_end(tmp_path: Path, engine: str) -> None:
    settings = SETTINGS[engine]
    async with serving(tmp_path) as daemon:
        await daemon.call(
            "create_endpoint",
            EndpointIdentifier="shop",
            EndpointType="source",
            EngineName=engine,
            Tags=[{"Key": "Name", "Value": "shop"}],
            SslMode="none",
            **login(),
            **within(settings, login()),
        )
        kept = state(await read(daemon, "shop"), settings)
        assert kept == {
            "Username": "app",
            "ServerName": "db.example.com",
            "Port": 5432,
            "DatabaseName": None,
            "EndpointType": "source",
            "SslMode": "none",
            "CertificateArn": None,
            "ExtraConnectionAttributes": None,
            "SecretsManagerSecretId": None,
        }
        arn = (await read(daemon, "shop"))["EndpointArn"]
        changed = login(ServerName="other.example.com", DatabaseName="shop")
        await daemon.call(
            "modify_endpoint",
            EndpointArn=arn,
            EngineName=engine,
            **changed,
            **within(settings, changed),
        )
        kept |= {"ServerName": "other.example.com", "DatabaseName": "shop"}
        assert state(await read(daemon, "shop"), settings) == kept
        secret = {
            "SecretsManagerAccessRoleArn": "arn:aws:iam::000000000000:role/dms",
            "SecretsManagerSecretId": "arn:aws:secretsmanager:us-east-1:000000000000:secret:shop",
        }
        await daemon.call("modify_endpoint", EndpointArn=arn, **within(settings, secret))
        kept |= dict.fromkeys(("Username", "ServerName", "Port"))
        kept["SecretsManagerSecretId"] = secret["SecretsManagerSecretId"]
        assert state(await read(daemon, "shop"), settings) == kept
        await daemon.call("delete_endpoint", EndpointArn=arn)
        with refused("ResourceNotFoundFault"):
            await read(daemon, "shop")


async def test_a_certificate_from_its_import_to_its_end(tmp_path: Path) -> None:
    pem = Authority.create(tmp_path).file.read_text()
    async with serving(tmp_path) as daemon:
        await daemon.call(
            "import_certificate", CertificateIdentifier="Root", CertificatePem=pem, Tags=[]
        )
        answer = await daemon.call("describe_certificates", **named("certificate-id", "Root"))
        (found,) = answer["Certificates"]
        assert (found["CertificateIdentifier"], found["CertificatePem"]) == ("Root", pem)
        await daemon.call("list_tags_for_resource", ResourceArn=found["CertificateArn"])
        await daemon.call("delete_certificate", CertificateArn=found["CertificateArn"])
        with refused("ResourceNotFoundFault"):
            await daemon.call("describe_certificates", **named("certificate-id", "Root"))
