"""What replication files ask of the daemon: endpoints and replications in AWS's terms."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.config.document import Document
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.files import file_bytes, read_text
from engine.config.load import Written, load_written
from engine.config.problems import Problems, shown_file
from engine.config.secret import Secret
from engine.config.shared_endpoint import FILE as ENDPOINTS_FILE
from engine.config.url import PATH_OPTIONS, SYSTEM_AUTHORITIES
from engine.control.api.faults import Fault
from engine.control.api.identifiers import RESOURCE_CHARACTERS_MAX, identifier, resource_identifier
from engine.control.translate.endpoint import Role
from engine.control.translate.endpoint_document import endpoint_of
from engine.control.translate.names import engine_of
from engine.control.translate.replication_document import replication_of
from engine.errors import ConfigError

ROLES: Final[tuple[Role, ...]] = ("source", "target")

FINGERPRINT_CHARACTERS: Final = 8
"""Of a certificate's content in its name: another content is another certificate."""


@dataclass(frozen=True, kw_only=True)
class WantedEndpoint:
    """An endpoint. `members` are those of `CreateEndpoint`, without `Password` and
    `CertificateArn`; `settings` names the one that holds the engine's settings. `certificate` is
    the authority's (PEM), or empty. `ours` is what AWS does not know. `file` names it."""

    name: str
    role: Role
    members: Document
    settings: str
    password: Secret | None
    certificate: str
    ours: Document
    file: str

    @property
    def certificate_name(self) -> str:
        """Identifier of its certificate; empty without one."""
        if not self.certificate:
            return ""
        digest = hashlib.sha256(self.certificate.encode()).hexdigest()
        return f"{self.name}-ca{digest[:FINGERPRINT_CHARACTERS]}"


@dataclass(frozen=True, kw_only=True)
class WantedReplication:
    """A replication. `members` are those of `CreateReplicationConfig` without ARNs and settings."""

    name: str
    source: str
    target: str
    members: Document
    settings: Document
    ours: Document
    file: str


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What all files together ask for. `warnings` are sentences for the user."""

    endpoints: Mapping[str, WantedEndpoint]
    replications: Sequence[WantedReplication]
    warnings: Sequence[str] = ()


def files_of(path: Path) -> list[Path]:
    """A file; or every replication file of a directory, by name. Raises ConfigError."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.glob("*.toml") if file.name != ENDPOINTS_FILE)
    if not found:
        raise ConfigError("FILE|DIR", f"{shown_file(path)} holds no replication file (*.toml)")
    return found


def wanted(files: Sequence[Path], environment: Mapping[str, str]) -> Wanted:
    """Read all files. Raises ConfigError with every problem of the first file that has some, or
    for two files that exclude each other."""
    endpoints: dict[str, WantedEndpoint] = {}
    replications: dict[str, WantedReplication] = {}
    warnings: dict[str, None] = {}
    for file in files:
        written = load_written(file, environment)
        warnings |= dict.fromkeys(written.config.warnings)
        replication = _replication(written, file)
        for endpoint in _endpoints(written, file):
            _check_same(endpoints.get(endpoint.name.lower()), endpoint)
            endpoints[endpoint.name.lower()] = endpoint
        other = replications.setdefault(replication.name.lower(), replication)
        if other is not replication:
            raise ConfigError(
                "replication.id", f"is that of {other.file} too", file=shown_file(file)
            )
    return Wanted(
        endpoints={each.name: each for each in endpoints.values()},
        replications=list(replications.values()),
        warnings=list(warnings),
    )


def _check_same(before: WantedEndpoint | None, endpoint: WantedEndpoint) -> None:
    if before is None or before == replace(endpoint, file=before.file):
        return
    if before.role != endpoint.role:
        constraint = (
            f"{endpoint.name} is the {before.role} of {before.file}: the daemon knows an endpoint"
            " as one of the two"
        )
        hint = "write it twice, under two names"
    else:
        constraint = f"{endpoint.name} is written otherwise in {before.file}"
        hint = f"write it once, in {ENDPOINTS_FILE}"
    raise ConfigError(f"{endpoint.role}.endpoint", constraint, hint=hint, file=endpoint.file)


def _endpoints(written: Written, file: Path) -> Iterator[WantedEndpoint]:
    config = written.config
    sides: tuple[SourceConfig | TargetConfig, ...] = (config.source, config.target)
    for role, side in zip(ROLES, sides, strict=True):
        shared = written.shared.get(role, "")
        name = shared or f"{config.id}-{role}"
        where = f"endpoint.{shared}" if shared else "replication.id"
        table = written.document.get(role)
        assert isinstance(table, dict)
        yield _endpoint(role, _name(name, where, file), table, side, file)


def _endpoint(
    role: Role, name: str, table: Document, side: SourceConfig | TargetConfig, file: Path
) -> WantedEndpoint:
    try:
        made = endpoint_of(table, role, name)
    except ConfigError as error:
        raise ConfigError(
            error.field, error.constraint, hint=error.hint, file=shown_file(file)
        ) from None
    authority = side.url.option("sslrootcert") if side.url else ""
    ours = {**made.extras, **_options(made.extras, side, authority)}
    return WantedEndpoint(
        name=name,
        role=role,
        members=made.members,
        settings=engine_of(made.members["EngineName"]).settings,
        password=side.url.password if side.url else None,
        certificate=_certificate(authority, role, file),
        ours=ours,
        file=shown_file(file),
    )


def _options(
    extras: Mapping[str, object], side: SourceConfig | TargetConfig, authority: str
) -> Document:
    """Options of the URL, with paths as they are found from anywhere."""
    written = extras.get("options")
    options = dict(written) if isinstance(written, Mapping) else {}
    for name in sorted(PATH_OPTIONS & options.keys()):
        assert side.url is not None
        options[name] = str(Path(side.url.option(name)).resolve())
    if authority == SYSTEM_AUTHORITIES:
        options["sslrootcert"] = authority
    return {"options": options} if options else {}


def _certificate(authority: str, role: Role, file: Path) -> str:
    if authority in ("", SYSTEM_AUTHORITIES):
        return ""
    problems = Problems(shown_file(file))
    text = read_text(file_bytes, Path(authority), f"{role}.url (sslrootcert)", problems)
    problems.raise_found()
    return (text or "").strip() + "\n"


def _replication(written: Written, file: Path) -> WantedReplication:
    config = written.config
    made = replication_of(written.document, written.mapping, written.settings)
    name = _name(config.id, "replication.id", file)
    source, target = (written.shared.get(role, "") or f"{config.id}-{role}" for role in ROLES)
    return WantedReplication(
        name=name,
        source=source,
        target=target,
        members=made.members,
        settings=made.settings,
        ours=dict(made.ours),
        file=shown_file(file),
    )


def _name(text: str, where: str, file: Path) -> str:
    """A name that AWS's API takes: the file's own, since what a replication has in its databases
    goes by it."""
    try:
        return identifier(text, where)
    except Fault:
        raise not_a_name(text, where, shown_file(file)) from None


def check_resource(wanted: WantedReplication) -> None:
    """That a replication which the daemon has not yet can go by its id there, which is the end of
    its ARN. Raises ConfigError."""
    try:
        resource_identifier(wanted.name)
    except Fault:
        raise not_a_name(wanted.name, "replication.id", wanted.file) from None


def not_a_name(text: str, where: str, file: str) -> ConfigError:
    """The refusal of a name, with what to do."""
    proper = proper_name(text)
    return ConfigError(
        where,
        f"{text} is no name for the API: it has at most {RESOURCE_CHARACTERS_MAX} letters, digits"
        " and single hyphens, and begins with a letter",
        hint=f"{proper} is one; where `penstock run` has run it, drop what that made with"
        " `penstock cleanup FILE` first, since under another name it begins anew",
        file=file,
    )


def proper_name(text: str) -> str:
    """The nearest name to it that the API takes."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "replication"
    begun = plain if plain[0].isalpha() else f"r-{plain}"
    return begun[:RESOURCE_CHARACTERS_MAX].rstrip("-")
