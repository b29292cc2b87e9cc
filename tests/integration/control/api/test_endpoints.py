"""Endpoints over the API, by botocore's own client."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from engine.config.secret import Secret
from engine.control.api.arn import Kind
from engine.control.endpoint_side import reach
from engine.control.lifecycle import Status
from engine.control.resources.document import encode
from engine.control.resources.replication import (
    KIND,
    Compute,
    Config,
    Life,
    Replication,
)
from engine.control.sealing import sealed_places
from engine.control.store.records import Record
from tests.integration.control.api.asking import arn, pages, put, refused
from tests.integration.control.api.daemon import READER, Daemon, serving

CANARY: Final = "s3cr3t-c4n4ry"

POSTGRES: Final[dict[str, Any]] = {
    "EndpointIdentifier": "Shop",
    "EndpointType": "source",
    "EngineName": "postgres",
    "ServerName": "db.example.com",
    "Port": 5432,
    "DatabaseName": "shop",
    "Username": "app",
    "Password": CANARY,
}


async def create(daemon: Daemon, **params: Any) -> dict[str, Any]:
    answer = await daemon.call("create_endpoint", **{**POSTGRES, **params})
    made: dict[str, Any] = answer["Endpoint"]
    return made


async def modify(daemon: Daemon, endpoint: dict[str, Any], **params: Any) -> dict[str, Any]:
    answer = await daemon.call("modify_endpoint", EndpointArn=endpoint["EndpointArn"], **params)
    changed: dict[str, Any] = answer["Endpoint"]
    return changed


async def described(daemon: Daemon, **filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await pages(
        daemon,
        "describe_endpoints",
        "Endpoints",
        MaxRecords=20,
        Filters=[
            {"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()
        ],
    )
    return found


async def told(daemon: Daemon) -> list[str]:
    async with daemon.store.read() as reading:
        return [event.message for event in await reading.events()]


async def password(daemon: Daemon, endpoint: dict[str, Any]) -> str:
    """What a worker would be given."""
    name = endpoint["EndpointArn"].rpartition(":")[2]
    reached = await reach(daemon.store, name, daemon.services.vault, {})
    return ",".join(secret.reveal() for secret in reached.variables.values())


async def use(daemon: Daemon, endpoint: dict[str, Any], status: Status) -> None:
    """A replication that reads from it."""
    source = endpoint["EndpointArn"].rpartition(":")[2]
    config = Config(
        name="orders",
        source=source,
        target="T",
        type="cdc",
        compute=Compute(units_max=1),
        mappings="{}",
    )
    replication = Replication(config=config, life=Life(status=status))
    async with daemon.store.write() as writing:
        await writing.insert(Record(KIND, "R", "orders", encode(replication), config.fields))


async def test_an_endpoint_is_made_shown_and_deleted(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        made = await create(daemon, Tags=[{"Key": "a", "Value": "b"}])
        address = {name: POSTGRES[name] for name in ("ServerName", "Port", "DatabaseName")}
        assert made == {
            **address,
            "Username": "app",
            "EndpointIdentifier": "Shop",
            "EndpointType": "SOURCE",
            "EngineName": "postgres",
            "EngineDisplayName": "PostgreSQL",
            "EndpointArn": made["EndpointArn"],
            "Status": "active",
            "SslMode": "none",
            "IsReadOnly": False,
            "PostgreSQLSettings": {**address, "Username": "app"},
        }
        tags = await daemon.call("list_tags_for_resource", ResourceArn=made["EndpointArn"])
        assert tags["TagList"] == [{"Key": "a", "Value": "b"}]
        assert (await daemon.call("describe_endpoints", READER))["Endpoints"] == [made]
        assert await password(daemon, made) == CANARY
        gone = await daemon.call("delete_endpoint", EndpointArn=made["EndpointArn"])
        assert gone["Endpoint"] == {**made, "Status": "deleting"}
        with refused("ResourceNotFoundFault"):
            await described(daemon, endpoint_arn=made["EndpointArn"])
        assert await described(daemon) == []
        assert [text.partition(".")[0] for text in await told(daemon)] == [
            "The endpoint has been created",
            "The endpoint has been deleted",
        ]


async def test_they_are_found_by_filters_and_by_pages(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        made = [await create(daemon, EndpointIdentifier=f"shop-{n:02}") for n in range(25)]
        made.append(
            await create(
                daemon,
                EndpointIdentifier="target",
                EndpointType="TARGET",
                EngineName="MySQL",
                ResourceIdentifier="theirs",
            )
        )
        assert await described(daemon) == made
        assert made[-1]["EndpointArn"] == arn(Kind.ENDPOINT, "theirs")
        assert await described(daemon, engine_name="mysql") == made[-1:]
        assert await described(daemon, endpoint_type="SOURCE") == made[:-1]
        assert await described(daemon, endpoint_id="SHOP-07") == [made[7]]
        assert await described(daemon, endpoint_arn=made[9]["EndpointArn"]) == [made[9]]
        assert await described(daemon, engine_name="oracle") == []
        for name, value in (("endpoint_id", "nobody"), ("endpoint_arn", arn(Kind.ENDPOINT, "X"))):
            with refused("ResourceNotFoundFault"):
                await described(daemon, **{name: value})
        with refused("InvalidParameterValueException", "endpoint-arn is not a valid ARN"):
            await described(daemon, endpoint_arn="shop")


async def test_what_is_given_is_changed_and_what_is_blank_taken_away(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        made = await create(
            daemon,
            ExtraConnectionAttributes="heartbeatEnable=true",
            PostgreSQLSettings={"SlotName": "mine", "ExecuteTimeout": 30},
        )
        assert made["ExtraConnectionAttributes"] == "heartbeatEnable=true"
        changed = await modify(daemon, made, PostgreSQLSettings={"ExecuteTimeout": 40})
        settings = changed["PostgreSQLSettings"]
        assert (settings["SlotName"], settings["ExecuteTimeout"]) == ("mine", 40)
        changed = await modify(daemon, made, ExtraConnectionAttributes="", Port=5433)
        assert "ExtraConnectionAttributes" not in changed
        assert changed["PostgreSQLSettings"]["Port"] == changed["Port"] == 5433
        changed = await modify(daemon, made, PostgreSQLSettings={"ServerName": "other.example.com"})
        assert changed["ServerName"] == "other.example.com", "one thing with two names"
        changed = await modify(
            daemon, made, ExactSettings=True, PostgreSQLSettings={"CaptureDdls": False}
        )
        assert "SlotName" not in changed["PostgreSQLSettings"]
        assert changed["PostgreSQLSettings"]["CaptureDdls"] is False
        assert changed["ServerName"] == "other.example.com"
        assert await password(daemon, made) == CANARY, "nobody changed it"
        await modify(daemon, made, PostgreSQLSettings={"Password": "another one"})
        assert await password(daemon, made) == "another one"
        changed = await modify(
            daemon, made, EndpointIdentifier="Market", EngineName="mariadb", Password=""
        )
        assert await password(daemon, made) == ""
        assert changed["EndpointIdentifier"] == "Market"
        assert "PostgreSQLSettings" not in changed
        assert changed["MySQLSettings"]["ServerName"] == "other.example.com"
        assert await described(daemon, endpoint_id="market") == [changed]


async def test_names_are_taken_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        made = await create(daemon, ResourceIdentifier="mine")
        other = await create(daemon, EndpointIdentifier="other")
        client = daemon.client()
        for params in (
            {"EndpointIdentifier": "SHOP"},
            {"EndpointIdentifier": "third", "ResourceIdentifier": "mine"},
        ):
            with pytest.raises(client.exceptions.ResourceAlreadyExistsFault) as error:
                await asyncio.to_thread(client.create_endpoint, **{**POSTGRES, **params})
            assert error.value.response["resourceArn"] == made["EndpointArn"]
        client.close()
        with refused("ResourceAlreadyExistsFault"):
            await modify(daemon, other, EndpointIdentifier="shop")
        await modify(daemon, made, EndpointIdentifier="SHOP")
        assert len(await described(daemon)) == 2


async def test_there_is_room_for_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.control.api.quotas.RESOURCES_MAX", 1)
    async with serving(tmp_path) as daemon:
        await create(daemon)
        with refused("ResourceQuotaExceededFault", "Endpoints"):
            await create(daemon, EndpointIdentifier="one-more")
        assert len(await described(daemon)) == 1


async def test_what_a_replication_uses_stays_and_is_modified_while_it_rests(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as daemon:
        made = await create(daemon)
        await use(daemon, made, Status.RUNNING)
        with refused("InvalidResourceStateFault", "config orders is running. Stop it first."):
            await modify(daemon, made, Port=5433)
        with refused("InvalidResourceStateFault", "is part of config orders"):
            await daemon.call("delete_endpoint", EndpointArn=made["EndpointArn"])
        async with daemon.store.write() as writing:
            await writing.delete(KIND, "R")
        await use(daemon, made, Status.STOPPED)
        assert (await modify(daemon, made, Port=5433))["Port"] == 5433
        with refused("InvalidResourceStateFault", "EndpointType cannot be modified"):
            await modify(daemon, made, EndpointType="target")
        with refused("InvalidResourceStateFault"):
            await daemon.call("delete_endpoint", EndpointArn=made["EndpointArn"])


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        ({"EndpointIdentifier": "1"}, "InvalidParameterValueException", "EndpointIdentifier"),
        ({"EngineName": "postgresql"}, "InvalidParameterValueException", "EngineName. Must be one"),
        ({"EndpointType": "both"}, "InvalidParameterValueException", "EndpointType"),
        ({"Port": 65_536}, "InvalidParameterValueException", "Port. Must be 1 to 65535"),
        ({"ServerName": "a b"}, "InvalidParameterValueException", "must be one name or address"),
        ({"ServerName": "a,b"}, "InvalidParameterValueException", "must be one name or address"),
        ({"ServerName": "x:${HOME}"}, "InvalidParameterValueException", "ServerName"),
        (
            {"ServerName": "169.254.169.254"},
            "InvalidParameterValueException",
            "169.254.0.0/16 is refused; if that is a database of yours",
        ),
        ({"ServerName": "2852039166"}, "InvalidParameterValueException", "four decimal numbers"),
        (
            {
                "EngineName": "mongodb",
                "ServerName": "m",
                "MongoDbSettings": {"ServerName": "fd00:ec2::254"},
            },
            "InvalidParameterValueException",
            "fd00:ec2::/32 is refused",
        ),
        (
            {"MySQLSettings": {"EventsPollInterval": 5}},
            "InvalidParameterCombinationException",
            "MySQLSettings cannot be provided for EngineName postgres",
        ),
        (
            {"PostgreSQLSettings": {"ServerName": "elsewhere"}},
            "InvalidParameterCombinationException",
            "ServerName and PostgreSQLSettings.ServerName are both provided, and differ",
        ),
        (
            {"PostgreSQLSettings": {"SlotName": "No Slot"}},
            "InvalidParameterValueException",
            "PostgreSQLSettings.SlotName",
        ),
        (
            {"PostgreSQLSettings": {"AuthenticationMethod": "iam"}},
            "InvalidParameterValueException",
            "give the user a password",
        ),
        (
            {"PostgreSQLSettings": {"SecretsManagerSecretId": "env:SHOP"}},
            "InvalidParameterCombinationException",
            "ServerName, Port, Username, Password exclude each other",
        ),
        (
            {"ExtraConnectionAttributes": f"password={CANARY}"},
            "InvalidParameterValueException",
            "must not hold Password",
        ),
        (
            {"EngineName": "oracle", "ExtraConnectionAttributes": f"asm_password={CANARY}"},
            "InvalidParameterValueException",
            "must not hold AsmPassword",
        ),
        (
            {"ExtraConnectionAttributes": "serverName=169.254.169.254"},
            "InvalidParameterValueException",
            "must not hold ServerName",
        ),
        (
            {
                "EngineName": "opensearch",
                "ElasticsearchSettings": {
                    "ServiceAccessRoleArn": "r",
                    "EndpointUri": f"https://me:{CANARY}@search.example.com",
                },
            },
            "InvalidParameterValueException",
            "ElasticsearchSettings.EndpointUri holds a password",
        ),
        ({"CertificateArn": arn(Kind.CERTIFICATE, "c")}, "ResourceNotFoundFault", "Certificate"),
        ({"CertificateArn": "c"}, "InvalidParameterValueException", "CertificateArn"),
        ({"KmsKeyId": "alias/mine"}, "KMSKeyNotAccessibleFault", "keys there: theirs"),
        ({"Tags": [{"Key": "aws:a", "Value": ""}]}, "InvalidParameterValueException", "reserved"),
        ({"ResourceIdentifier": "a" * 32}, "InvalidParameterValueException", "ResourceIdentifier"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(
    tmp_path: Path, params: dict[str, Any], code: str, text: str
) -> None:
    async with serving(tmp_path) as daemon:
        with refused(code, text):
            await create(daemon, **params)
        assert await described(daemon) == []
        assert await told(daemon) == []
        assert CANARY not in daemon.log
        made = await create(daemon)
        if not params.keys() & {"Tags", "KmsKeyId", "ResourceIdentifier"}:
            with refused(code, text):
                await modify(daemon, made, **{**POSTGRES, **params})
        assert await described(daemon) == [made]


SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "oracle": {
        "OracleSettings": {
            "AsmPassword": CANARY,
            "SecurityDbEncryption": CANARY,
            "ServerName": "ora.example.com",
        }
    },
    "kafka": {
        "KafkaSettings": {
            "Broker": "b-1.example.com:9092,b-2.example.com:9092",
            "SaslPassword": CANARY,
            "SslClientKeyPassword": CANARY,
        }
    },
    "redis": {"RedisSettings": {"ServerName": "r", "Port": 6379, "AuthPassword": CANARY}},
    "mongodb": {"MongoDbSettings": {"ServerName": "m1,m2", "Password": CANARY}},
    "s3": {"S3Settings": {"BucketName": "b", "CsvDelimiter": ","}},
    "dms-transfer": {},
}


@pytest.mark.parametrize("engine", SETTINGS)
async def test_an_engine_that_is_not_run_is_kept_and_shown(tmp_path: Path, engine: str) -> None:
    async with serving(tmp_path) as daemon:
        made = await create(daemon, EngineName=engine, **SETTINGS[engine])
        assert made["EngineName"] == engine
        assert made["EngineDisplayName"]
        for name, settings in SETTINGS[engine].items():
            assert made[name] == {
                member: value for member, value in settings.items() if value != CANARY
            }
        assert await described(daemon) == [made]
        changed = await modify(daemon, made, ServerName="other")
        assert changed == {**made, "ServerName": "other"}


async def test_a_secret_that_is_kept_elsewhere_takes_the_place_of_an_address(
    tmp_path: Path,
) -> None:
    elsewhere = {"SecretsManagerSecretId": "env:SHOP", "SecretsManagerAccessRoleArn": "arn:aws:r"}
    async with serving(tmp_path) as daemon:
        made = await create(daemon)
        changed = await modify(daemon, made, PostgreSQLSettings=elsewhere)
        assert changed["PostgreSQLSettings"] == {**elsewhere, "DatabaseName": "shop"}
        assert not changed.keys() & {"ServerName", "Port", "Username"}
        name = made["EndpointArn"].rpartition(":")[2]
        secret = '{"username": "u", "password": "p", "host": "h", "port": 1}'
        reached = await reach(daemon.store, name, daemon.services.vault, {"SHOP": secret})
        assert list(reached.variables.values()) == [Secret("p")]
        back = {name: POSTGRES[name] for name in ("ServerName", "Port", "Username", "Password")}
        assert await modify(daemon, made, **back) == made
        assert await password(daemon, made) == CANARY


async def test_a_secret_is_sealed_under_the_key_that_the_endpoint_names(tmp_path: Path) -> None:
    key = "arn:aws:kms:us-east-1:000000000000:key/theirs"
    async with serving(tmp_path) as daemon:
        made = await create(daemon, KmsKeyId=key)
        assert made["KmsKeyId"] == key
        await modify(daemon, made, Password="another")
        other = await create(daemon, EndpointIdentifier="other", KmsKeyId="alias/aws/dms")
        assert await password(daemon, made) == "another"
        async with daemon.store.read() as reading:
            of = {record.name: record.document for record in await reading.find("endpoint")}
        used = {name: next(sealed_places("", document))[1] for name, document in sorted(of.items())}
        assert used["shop"] != used["other"]
        assert await password(daemon, other) == CANARY


async def test_keys_of_a_file_must_go_with_what_is_changed(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        made = await create(daemon)
        async with daemon.store.write() as writing:
            (record,) = await writing.find("endpoint")
            await writing.update(replace(record, document={**record.document, "ours": OURS}))
        with refused("InvalidParameterValueException", "target.without_identity"):
            await modify(daemon, made, EndpointType="target")
        assert (await modify(daemon, made, Port=5433))["Port"] == 5433
        async with daemon.store.read() as reading:
            assert (await reading.find("endpoint"))[0].document["ours"] == OURS


OURS: Final = {"without_identity": "insert-only"}


async def test_what_has_no_effect_is_said(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await create(
            daemon,
            ExtraConnectionAttributes="consumeMonotonicEvents=1",
            PostgreSQLSettings={"MaxFileSize": 5, "SlotName": "mine", "TrimSpaceInChar": True},
        )
        (text,) = await told(daemon)
        assert text == (
            "The endpoint has been created. Settings without effect: ExtraConnectionAttributes"
            " consumeMonotonicEvents, MaxFileSize."
        )


async def test_an_attribute_that_no_endpoint_has_is_refused_in_awss_words(tmp_path: Path) -> None:
    """As terraform-provider-aws saw it (issue 29170), with what was meant."""
    async with serving(tmp_path) as daemon:
        words = "Unsupported value 'heartbeatEnabled' for extra connection attributes; did you mean"
        with refused("InvalidParameterValueException", f"{words} heartbeatEnable?"):
            await create(daemon, ExtraConnectionAttributes="heartbeatEnabled=true")
        made = await create(daemon, ExtraConnectionAttributes="heartbeatEnable=true")
        with refused("InvalidParameterValueException", "Unsupported value 'key' for extra"):
            await modify(daemon, made, ExtraConnectionAttributes="key=1")
        oracle = {"EngineName": "oracle", "EndpointIdentifier": "erp"}
        await create(daemon, **oracle, ExtraConnectionAttributes="anything=1")


async def test_a_password_is_nowhere_but_sealed(tmp_path: Path) -> None:
    """In no answer, line of the log, entry of the audit, event, or byte of the store."""
    async with serving(tmp_path) as daemon:
        answers = [
            await create(daemon, EndpointIdentifier=engine, EngineName=engine, **settings)
            for engine, settings in SETTINGS.items()
        ]
        made = await create(daemon)
        answers.append(await modify(daemon, made, PostgreSQLSettings={"Password": f"{CANARY}-2"}))
        for wrong in (
            {"Password": 5 * [CANARY]},
            {"Password": CANARY, "Port": "x"},
            {"Password": CANARY, "EngineName": "nothing"},
            {"Password": CANARY, "PostgreSQLSettings": {"Password": "other"}},
        ):
            client = daemon.client(parameter_validation=False)
            with pytest.raises(client.exceptions.ClientError) as error:
                await asyncio.to_thread(client.create_endpoint, **{**POSTGRES, **wrong})
            answers.append(error.value.response)
            client.close()
        answers += await described(daemon)
        events = await daemon.call("describe_events", SourceType="endpoint", Duration=60)
        answers.append(events)
        assert await password(daemon, made) == f"{CANARY}-2"
        await daemon.store.tend()
        said = f"{answers} {daemon.log} {daemon.audit} {await told(daemon)}"
        assert CANARY not in said
        assert len(await told(daemon)) == len(SETTINGS) + 2
        for file in tmp_path.rglob("*"):
            if file.is_file():
                assert CANARY.encode() not in file.read_bytes(), file


async def test_a_record_of_another_kind_is_no_endpoint(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "instance", "X")
        for method in ("modify_endpoint", "delete_endpoint"):
            with refused("ResourceNotFoundFault"):
                await daemon.call(method, EndpointArn=arn(Kind.ENDPOINT, "X"))
            with refused("InvalidParameterValueException"):
                await daemon.call(method, EndpointArn=arn(Kind.INSTANCE, "X"))
