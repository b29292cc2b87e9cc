"""Every command of the page about the daemon is run, in its order, between real databases.

The AWS CLI's words are read as the CLI reads them, by botocore's model, and sent by its client.
"""

import json
import os
import re
import shlex
import subprocess
import types
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from botocore import xform_name
from botocore.config import Config

from tests.scenario.conftest import one_pair
from tests.scenario.daemon.serving import SESSION, Serving
from tests.scenario.running import PENSTOCK, ROOT
from tests.servers.certificates import Authority
from tests.servers.postgres import Database

PAGE: Final = ROOT / "docs" / "guide" / "daemon.md"

BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SERVE: Final = "penstock serve --listen 127.0.0.1:8628"

AUTHORITY: Final = "authority.pem"

FROM_FILE: Final = f"file://{AUTHORITY}"
"""How the CLI is told to read an option's value from a file."""

SECRETS: Final = {
    "SHOP_PASSWORD": "nobody asks for it",
    "REPORTS_PASSWORD": "nor for this",
    "DASHBOARD_TOKEN": "a-token-of-twenty-characters",
}


class Reader:
    """Follows the page."""

    def __init__(self, folder: Path, source: Database, target: Database) -> None:
        self.folder = folder
        self.files = folder / "replications"
        self.files.mkdir()
        Authority.create(self.files).file.rename(self.files / AUTHORITY)
        self.environment = {**os.environ, **SECRETS, "PYTHONPATH": str(ROOT)}
        self.daemon: Serving | None = None
        self.ran: list[str] = []
        self.names: dict[str, str] = {}
        """What stands for an ARN, with the ARN."""
        self._elsewhere = {
            **_placed("db.example.com", "shop", "replicator", source),
            **_placed("reports.example.com", "reports", "writer", target),
            "--ssl-mode verify-full": "--ssl-mode none",
        }

    def follow(self, text: str) -> None:
        blocks = BLOCK.findall(text)
        config = next(block for language, block in blocks if block.startswith("[token."))
        for language, block in blocks:
            match language:
                case "sh":
                    for line in block.splitlines():
                        self._line(self._here(line), config)
                case "toml" if block != config:
                    name = "endpoints" if block.startswith("[endpoint.") else "stock"
                    (self.files / f"{name}.toml").write_text(self._here(block))
                case "python":
                    self._python(self._here(block))

    def _here(self, text: str) -> str:
        """With places of this test's own."""
        for there, here in self._elsewhere.items():
            text = text.replace(there, here)
        if self.daemon is not None:
            text = text.replace("127.0.0.1:8628", self.daemon.address)
        for name, arn in self.names.items():
            text = text.replace(name, arn)
        return text

    def _line(self, line: str, config: str) -> None:
        line = Template(line).safe_substitute(self.environment)
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.environment[name] = value
        elif line == SERVE:
            room = '[serve]\nmemory = "16GiB"\n'  # for two at once, on any machine
            self.daemon = Serving(self.folder, config=room + config, **self._own())
        elif words[0] == "penstock":
            self._penstock(words[1:])
        elif words[:2] == ["aws", "dms"]:
            self._aws(words[2], words[3:])
        else:
            assert words[0] == "curl", line
            self._curl(words[1:])
        self.ran.append(words[0])

    def _own(self) -> dict[str, str]:
        return {
            name: value for name, value in self.environment.items() if os.environ.get(name) != value
        }

    def _penstock(self, words: list[str]) -> None:
        words = [*words, "--yes"] if words[0] == "apply" else words
        done = subprocess.run(
            [*PENSTOCK, *words],
            cwd=self.files,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    # --- the AWS CLI ---

    def client(self) -> Any:
        assert self.daemon is not None
        return SESSION.create_client(
            "dms",
            region_name=self.environment["AWS_DEFAULT_REGION"],
            endpoint_url=self.environment["AWS_ENDPOINT_URL_DATABASE_MIGRATION_SERVICE"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def await_status(self, arn: str, status: str) -> None:
        """Wait until a replication is so."""
        assert self.daemon is not None
        filters = [{"Name": "replication-config-arn", "Values": [arn]}]

        def arrived() -> bool:
            (found,) = self.client().describe_replications(Filters=filters)["Replications"]
            assert found["Status"] != "failed", found
            return bool(found["Status"] == status)

        self.daemon.until(arrived, f"{arn} to be {status}")

    def _aws(self, command: str, words: list[str]) -> None:
        client = self.client()
        operations = {
            xform_name(name, "-"): name for name in client.meta.service_model.operation_names
        }
        model = client.meta.service_model.operation_model(operations[command])
        members = {f"--{xform_name(name, '-')}": name for name in model.input_shape.members}
        given = {}
        for option, value in zip(words[::2], words[1::2], strict=True):
            shape = model.input_shape.members[members[option]]
            given[members[option]] = _value(value.replace(FROM_FILE, self._authority()), shape)
        wanted = {"stop-replication": "running", "delete-replication-config": "stopped"}
        if command in wanted:
            self.await_status(given["ReplicationConfigArn"], wanted[command])
        answer = getattr(client, xform_name(operations[command]))(**given)
        if "Certificate" in answer:
            self.names["CERTIFICATE_ARN"] = answer["Certificate"]["CertificateArn"]
        elif "Endpoint" in answer:
            name = "REPORTS_ARN" if "ENDPOINT_ARN" in self.names else "ENDPOINT_ARN"
            self.names[name] = answer["Endpoint"]["EndpointArn"]
        elif command == "create-replication-config":
            self.names["REPLICATION_ARN"] = answer["ReplicationConfig"]["ReplicationConfigArn"]

    def _authority(self) -> str:
        return (self.files / AUTHORITY).read_text()

    def _python(self, code: str) -> None:
        boto3 = types.ModuleType("boto3")
        boto3.client = lambda *_words, **_named: self.client()  # type: ignore[attr-defined]
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(__import__("sys").modules, "boto3", boto3)
            exec(compile(code, str(PAGE), "exec"), {})

    def _curl(self, words: list[str]) -> None:
        option, header, url = words
        assert option == "-H"
        name, _, value = header.partition(": ")
        request = urllib.request.Request(url, headers={name: value})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.loads(answer.read())["replications"]


def _placed(host: str, name: str, user: str, database: Database) -> dict[str, str]:
    url = urlsplit(database.dsn)
    here = f"{url.hostname} --port {url.port} --database-name {database.name}"
    there = f"{host} --port 5432 --database-name {name}"
    return {
        f"{there} --username {user}": f"{here} --username postgres",
        f"{user}@{host}:5432/{name}": f"postgres@{url.hostname}:{url.port}/{database.name}",
    }


def _value(text: str, shape: Any) -> Any:
    """An option's value as the CLI reads it: JSON, or `Name=value,...`."""
    match shape.type_name:
        case "structure" if not text.startswith("{"):
            parts = (part.partition("=") for part in text.split(","))
            return {name: _value(value, shape.members[name]) for name, _, value in parts}
        case "structure" | "list":
            return json.loads(text)
        case "integer":
            return int(text)
        case _:
            return text


def _same(source: Database, target: Database, table: str) -> bool:
    if not target.execute("SELECT to_regclass(%s) IS NOT NULL", table)[0][0]:
        return False
    sql = f"SELECT * FROM {table} ORDER BY 1"
    return target.execute(sql) == source.execute(sql)


@pytest.fixture
def reader(tmp_path: Path, source: Database, target: Database) -> Iterator[Reader]:
    for table in ("orders", "people", "stock"):
        source.execute(
            f"CREATE TABLE {table} (id int PRIMARY KEY, v text);"
            f" INSERT INTO {table} SELECT g, 'row ' || g FROM generate_series(1, 50) g"
        )
    reader = Reader(tmp_path, source, target)
    yield reader
    if reader.daemon is not None:
        with reader.daemon:
            reader.daemon.stop()


@one_pair
def test_every_command_of_the_page_does_what_it_says(
    reader: Reader, source: Database, target: Database
) -> None:
    reader.follow(PAGE.read_text())
    assert reader.daemon is not None
    assert {word: reader.ran.count(word) for word in ("aws", "penstock", "curl")} == {
        "aws": 11,
        "penstock": 11,
        "curl": 1,
    }
    people = next(
        each["ReplicationConfigArn"]
        for each in reader.client().describe_replications()["Replications"]
    )
    reader.await_status(people, "running")
    reader.daemon.until(partial(_same, source, target, "people"), "its rows")
    names = [
        each["EndpointIdentifier"] for each in reader.client().describe_endpoints()["Endpoints"]
    ]
    assert names == ["reports", "shop"]
