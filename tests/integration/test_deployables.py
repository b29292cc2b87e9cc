"""What others' tools say of the image's recipe, the manifests and Terraform's example.

`make check-deploy` gets the tools; none of them is needed for anything else.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import botocore.session

from tests.conftest import need
from tests.deployed import ROOT
from tests.servers.deploy_tools import tool
from tests.servers.prometheus import NAME, find_prometheus, promtool

MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))

KUSTOMIZATION = "kustomization.yaml"

EXAMPLE = ROOT / "deploy" / "terraform" / "main.tf"

PROVIDERS_OWN = {"start_replication"}
"""What the provider does itself: it is no member of a request."""

IRREGULAR = {"endpoint_id": "EndpointIdentifier"}


def said(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run(words, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_recipe_of_the_image_is_without_fault() -> None:
    assert said(tool("hadolint"), ROOT / "docker" / "Dockerfile") == (0, "")


def test_manifests_have_the_shapes_of_kubernetes() -> None:
    resources = [path for path in MANIFESTS if path.name != KUSTOMIZATION]
    code, text = said(tool("kubernetes-validate"), "--strict", *resources)
    assert code == 0, text
    assert text.count("passed for resource") == len(resources)


def test_every_manifest_is_applied() -> None:
    text = (ROOT / "deploy" / "kubernetes" / KUSTOMIZATION).read_text()
    named = re.findall(r"^  - (\S+)$", text, re.MULTILINE)
    assert sorted([*named, KUSTOMIZATION]) == [path.name for path in MANIFESTS]


def test_a_wrong_manifest_is_noticed(tmp_path: Path) -> None:
    wrong = tmp_path / "deployment.yaml"
    right = (ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text()
    wrong.write_text(right.replace("replicas: 1", "replicas: two"))
    code, text = said(tool("kubernetes-validate"), "--strict", wrong)
    assert code != 0
    assert "replicas" in text


def test_prometheus_takes_its_configuration_in_compose(tmp_path: Path) -> None:
    need(NAME, find_prometheus)
    for name in ("rules.yml", "alerts.yml"):
        (tmp_path / name).write_bytes((ROOT / "deploy" / "prometheus" / name).read_bytes())
    config = tmp_path / "prometheus.yml"
    config.write_bytes((ROOT / "docker" / "prometheus.yml").read_bytes())
    code, text = promtool("check", "config", "--lint-fatal", config)
    assert code == 0, text


def resources() -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and arguments of each resource of Terraform's example."""
    done = subprocess.run([tool("hcl2tojson"), EXAMPLE], capture_output=True, text=True, check=True)
    for block in json.loads(done.stdout)["resource"]:
        for kind, named in block.items():
            for name, arguments in named.items():
                if name != "__is_block__":
                    yield kind.strip('"'), arguments


def members(operation: str, *path: str) -> Sequence[str]:
    """Members of a request, by AWS's model."""
    service = botocore.session.Session().get_service_model("dms")
    shape: Any = service.operation_model(operation).input_shape
    for name in path:
        shape = shape.members[name]
    return list(shape.members)


def pascal(name: str) -> str:
    return IRREGULAR.get(name) or "".join(word.title() for word in name.split("_"))


def test_arguments_of_terraforms_example_are_members_of_the_api() -> None:
    created = {
        "aws_dms_endpoint": "CreateEndpoint",
        "aws_dms_replication_config": "CreateReplicationConfig",
    }
    seen = set()
    for kind, arguments in resources():
        seen.add(kind)
        for name, value in arguments.items():
            if name in PROVIDERS_OWN or name == "__is_block__":
                continue
            assert pascal(name) in members(created[kind]), f"{kind}.{name}"
            if isinstance(value, list):
                inner = members(created[kind], pascal(name))
                given = {pascal(key) for key in value[0] if key != "__is_block__"}
                assert given <= set(inner)
    assert seen == set(created)
