"""Everything that was described, as files of ours. (pure)"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.config.document import Document
from engine.config.load import parse_replication
from engine.control.translate.described import Described
from engine.control.translate.listing import Note, Variable
from engine.control.translate.replication import Files, Replication, files_of, of_config, of_task
from engine.errors import ConfigError

PLACEHOLDER: Final = "1"
"""What a variable is taken to hold while a file is tried: it may be a name, a port, a password."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What is written, and what is said of it."""

    replications: tuple[Files, ...]
    certificates: Mapping[str, str]
    """Names of files to the certificates in them, those that a replication uses."""
    unused: tuple[Note, ...]
    """Endpoints that no replication uses."""

    @property
    def texts(self) -> dict[str, str]:
        """Every file by its name."""
        made = {name: text for each in self.replications for name, text in each.texts.items()}
        return made | dict(self.certificates)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is not carried, by replication, of endpoints once; what blocks comes first."""
        found = [note.under(each.id) for each in self.replications for note in each.notes]
        found += dict.fromkeys(note for each in self.replications for note in each.end_notes)
        found += self.unused
        return tuple(sorted(found, key=lambda note: not note.blocks))

    @property
    def variables(self) -> tuple[Variable, ...]:
        found = (variable for each in self.replications for variable in each.variables)
        return tuple(dict.fromkeys(found))


def imported(described: Described, *, keep_slots: bool = False) -> Imported:
    """Translate every replication. `keep_slots`: see `files_of`.

    Raises:
        ConfigError: there is none.
    """
    replications = [*map(of_config, described.configs.values())]
    replications += map(of_task, described.tasks.values())
    if not replications:
        raise ConfigError(
            "input",
            "holds no replication, so there is nothing to write",
            hint="add what aws dms describe-replication-configs or describe-replication-tasks"
            " prints",
        )
    certificates = {
        arn: f"{_file_name(certificate.get('CertificateIdentifier'), arn)}.pem"
        for arn, certificate in described.certificates.items()
        if isinstance(certificate.get("CertificatePem"), str)
    }
    made: list[Files] = []
    for replication in replications:
        taken = frozenset(each.id for each in made)
        files = files_of(
            replication, described.endpoints, certificates, taken=taken, keep_slots=keep_slots
        )
        made.append(_checked(files))
    return Imported(
        replications=tuple(made),
        certificates=_used(replications, described, certificates),
        unused=_unused(replications, described),
    )


def _checked(files: Files) -> Files:
    """The same; what our own reader has against a file stands in its notes and blocks."""
    if not files.texts or any(note.blocks for note in files.notes):
        return files
    try:
        parse_replication(
            files.texts[f"{files.id}.toml"],
            dict.fromkeys((variable.name for variable in files.variables), PLACEHOLDER),
            file=Path(f"{files.id}.toml"),
            read_bytes=lambda path: files.texts[path.name].encode(),
        )
    except ConfigError as error:
        found = tuple(Note(p.field, p.constraint, blocks=True) for p in error.problems)
        return replace(files, notes=(*files.notes, *found))
    return files


def _used(
    replications: list[Replication], described: Described, certificates: Mapping[str, str]
) -> dict[str, str]:
    """The certificates of the endpoints that are used."""
    used = [arn for each in replications for arn in (each.source_arn, each.target_arn)]
    wanted = [described.endpoints.get(arn, Document()).get("CertificateArn") for arn in used]
    return {
        name: str(described.certificates[arn]["CertificatePem"])
        for arn, name in certificates.items()
        if arn in wanted
    }


def _unused(replications: list[Replication], described: Described) -> tuple[Note, ...]:
    used = {arn for each in replications for arn in (each.source_arn, each.target_arn)}
    return tuple(
        Note(f"endpoint {endpoint.get('EndpointIdentifier') or arn}", "no replication uses it")
        for arn, endpoint in described.endpoints.items()
        if arn not in used
    )


def _file_name(identifier: object, arn: str) -> str:
    text = identifier if isinstance(identifier, str) and identifier else arn.rpartition(":")[2]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "certificate"
