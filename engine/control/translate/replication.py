"""A replication of AWS's, serverless or a classic task, as files of ours. (pure)"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from engine.config.capacity import UNITS
from engine.config.document import Document, read_json
from engine.config.mapping_rules import read_table_mapping
from engine.config.problems import Problems, shown_file
from engine.config.replication import RESERVED_IDS, RESERVED_SUFFIX, ReplicationType
from engine.config.shared_endpoint import NAME, TABLE
from engine.control.api.identifiers import RESOURCE_CHARACTERS_MAX
from engine.control.translate.endpoint import Role, Side, side_of
from engine.control.translate.listing import Note, Variable
from engine.control.translate.positions import Start, start
from engine.control.translate.replication_file import Plan, file_texts
from engine.control.translate.settings_file import settings_file
from engine.errors import ConfigError

ID_CHARACTERS_MAX: Final = 40
"""Of a replication's id here; AWS's may have more."""

DIGEST_CHARACTERS: Final = 8

_NETWORK: Final = "is about AWS's machines and network"

COMPUTE_OF_AWS: Final[Mapping[str, str]] = {
    "DnsNameServers": _NETWORK,
    "ReplicationSubnetGroupId": _NETWORK,
    "VpcSecurityGroupIds": _NETWORK,
    "MultiAZ": "one process runs it; a service manager restarts it",
}
"""Members of a compute configuration that somebody wrote, that a file has no place for, and why.
AWS fills the zone, the key and the window for maintenance by itself."""

DEFAULT_GROUP: Final = "default"
"""The subnet group of who named none."""

SLOT: Final = "SlotName"

ABSENT: Final[Mapping[Role, str]] = {"source": "SourceEndpointArn", "target": "TargetEndpointArn"}

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Replication:
    """What a replication config and a task have in common. Texts are '' where nothing is said."""

    arn: str
    identifier: str
    type: str
    source_arn: str
    target_arn: str
    mappings: str
    settings: str
    compute: Mapping[str, object] = field(default_factory=dict[str, object])
    start: str = ""
    stop: str = ""
    supplement: str = ""


def of_config(config: Mapping[str, object]) -> Replication:
    """A replication config as `DescribeReplicationConfigs` answers it."""
    compute = config.get("ComputeConfig")
    return Replication(
        arn=_text(config, "ReplicationConfigArn"),
        identifier=_text(config, "ReplicationConfigIdentifier"),
        type=_text(config, "ReplicationType"),
        source_arn=_text(config, "SourceEndpointArn"),
        target_arn=_text(config, "TargetEndpointArn"),
        mappings=_text(config, "TableMappings"),
        settings=_text(config, "ReplicationSettings"),
        compute=compute if isinstance(compute, dict) else {},
        supplement=_text(config, "SupplementalSettings"),
    )


def of_task(task: Mapping[str, object]) -> Replication:
    """A task as `DescribeReplicationTasks` answers it."""
    return Replication(
        arn=_text(task, "ReplicationTaskArn"),
        identifier=_text(task, "ReplicationTaskIdentifier"),
        type=_text(task, "MigrationType"),
        source_arn=_text(task, "SourceEndpointArn"),
        target_arn=_text(task, "TargetEndpointArn"),
        mappings=_text(task, "TableMappings"),
        settings=_text(task, "ReplicationTaskSettings"),
        start=_text(task, "CdcStartPosition"),
        stop=_text(task, "CdcStopPosition"),
        supplement=_text(task, "TaskData"),
    )


def _text(resource: Mapping[str, object], name: str) -> str:
    value = resource.get(name)
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is written for a replication: file names to texts; the replication file comes first.

    Empty when there is no such replication here; `notes` say why. `end_notes` are about endpoints,
    the same for every replication of theirs.
    """

    id: str
    texts: Mapping[str, str]
    variables: tuple[Variable, ...]
    notes: tuple[Note, ...]
    end_notes: tuple[Note, ...] = ()


def files_of(
    replication: Replication,
    endpoints: Mapping[str, Mapping[str, object]],
    certificates: Mapping[str, str],
    *,
    taken: frozenset[str] = frozenset(),
    keep_slots: bool = False,
) -> Files:
    """Translate a replication.

    Args:
        replication: what AWS says of it.
        endpoints: endpoints by ARN.
        certificates: ARNs to names of files with their certificates.
        taken: ids that others have.
        keep_slots: whether a slot that an endpoint names is read by the new one. Whoever made the
            description may still read it, and no log is had twice from one slot.
    """
    name = replication_id(replication, taken)
    return _Writing(replication, name, keep_slots).files(endpoints, certificates)


def replication_id(replication: Replication, taken: frozenset[str] = frozenset()) -> str:
    """An id that our file takes: AWS's identifier, made shorter where it is too long."""
    name = replication.identifier or replication.arn.rpartition(":")[2]
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_") or "replication"
    folded = plain.lower().replace("-", "_")
    fits = len(plain) <= ID_CHARACTERS_MAX and _ID.fullmatch(plain) is not None
    reserved = folded in RESERVED_IDS or folded.endswith(RESERVED_SUFFIX)
    if fits and not reserved and folded not in {other.lower().replace("-", "_") for other in taken}:
        return plain
    digest = hashlib.sha256(f"{name} {replication.arn}".encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{plain[: ID_CHARACTERS_MAX - DIGEST_CHARACTERS - 1]}-{digest}"


@dataclass(slots=True)
class _Writing:
    """One replication while it is translated."""

    replication: Replication
    id: str
    keep_slots: bool = False
    notes: list[Note] = field(default_factory=list[Note])
    slot: str = ""
    """The slot of the source that was left out."""

    def files(
        self,
        endpoints: Mapping[str, Mapping[str, object]],
        certificates: Mapping[str, str],
    ) -> Files:
        source = self._side("source", self.replication.source_arn, endpoints, certificates)
        target = self._side("target", self.replication.target_arn, endpoints, certificates)
        if self.replication.type not in list(ReplicationType):
            self._note("ReplicationType", "is none that AWS has", blocks=True)
        if any(note.blocks for note in self.notes) or source is None or target is None:
            return self._made({}, ())
        arns = (self.replication.source_arn, self.replication.target_arn)
        names = [_text(endpoints[arn], "EndpointIdentifier") for arn in arns]
        texts = self._texts(source, target, names)
        ends = (*source.notes, *target.notes)
        # What blocks is told of every replication that it blocks.
        self.notes += [note for note in ends if note.blocks]
        told = [note for note in ends if not note.blocks]
        return self._made(texts, (*source.variables, *target.variables), told)

    def _made(
        self,
        texts: Mapping[str, str],
        variables: tuple[Variable, ...],
        end_notes: Sequence[Note] = (),
    ) -> Files:
        return Files(
            id=self.id,
            texts=texts,
            variables=tuple(dict.fromkeys(variables)),
            notes=tuple(dict.fromkeys(self.notes)),
            end_notes=tuple(dict.fromkeys(end_notes)),
        )

    def _note(self, subject: str, message: str, *, blocks: bool = False) -> None:
        self.notes.append(Note(subject, message, blocks))

    def _side(
        self,
        role: Role,
        arn: str,
        endpoints: Mapping[str, Mapping[str, object]],
        certificates: Mapping[str, str],
    ) -> Side | None:
        endpoint = endpoints.get(arn)
        if endpoint is None:
            message = f"{arn or 'it'} is not in the input: add aws dms describe-endpoints"
            self._note(ABSENT[role], message, blocks=True)
            return None
        identifier = _text(endpoint, "EndpointIdentifier") or f"{self.id}-{role}"
        try:
            side = side_of(
                endpoint,
                role,
                prefix=variable_prefix(identifier),
                certificate=certificates.get(_text(endpoint, "CertificateArn"), ""),
            )
        except ConfigError as error:
            self._note(f"{role} {identifier}", error.constraint, blocks=True)
            return None
        table, found = self._without_slot(side) if role == "source" else (side.table, side.notes)
        notes = tuple(note.under(f"{role} {identifier}") for note in found)
        return Side(table=table, variables=side.variables, notes=notes)

    def _without_slot(self, side: Side) -> tuple[Document, Sequence[Note]]:
        settings = side.table.get("settings")
        if self.keep_slots or not isinstance(settings, Mapping) or SLOT not in settings:
            return side.table, side.notes
        kept = {name: value for name, value in settings.items() if name != SLOT}
        table = {name: value for name, value in side.table.items() if name != "settings"}
        self.slot = str(settings[SLOT])
        note = Note(
            SLOT,
            f"{self.slot} is left out, since AWS may still read it: the replication makes a slot of"
            " its own. To go on in its place, stop the other for good and import with --keep-slots",
        )
        return {**table, "settings": kept} if kept else table, (*side.notes, note)

    def _texts(self, source: Side, target: Side, names: Sequence[str]) -> dict[str, str]:
        mapping, settings = self._mapping(), self._settings()
        begin = self._start(str(source.table["engine"]))
        low, high = self._units()
        self._not_carried()
        # Under AWS's own name an endpoint is the one that it was, for `penstock apply` too.
        sides = list(zip(names, (source, target), strict=True))
        named = {name: side.table for name, side in sides if _is_name(name)}
        first, second = (
            replace(side, table={TABLE: name}) if name in named else side for name, side in sides
        )
        plan = Plan(
            id=self.id,
            type=self.replication.type,
            source=first,
            target=second,
            endpoints=named,
            mappings=mapping,
            settings=settings,
            units_min=low,
            units_max=high,
            start_position=begin.position,
            start_time=begin.time,
        )
        comment = f"Made by penstock import from {shown_file(self.replication.arn)}"
        return file_texts(plan, name=self.id, comment=comment)

    def _start(self, engine: str) -> Start:
        text = self.replication.start
        if text and self.replication.type != ReplicationType.CDC:
            self._note("CdcStartPosition", "is for cdc only here: the load decides where it begins")
            return Start()
        try:
            begin = start(text, engine)
        except ValueError as error:
            self._note("CdcStartPosition", str(error), blocks=True)
            return Start()
        if self.slot and text:
            self._note(
                "CdcStartPosition",
                f"is in the log that the slot {self.slot} keeps, and a slot made anew has none of"
                " it: import with --keep-slots once the other is stopped for good, or take"
                f" {'start_time' if begin.time else 'start_position'} out",
                blocks=True,
            )
        return begin

    def _units(self) -> tuple[int | None, int | None]:
        low, high = (self._size(f"{end}CapacityUnits") for end in ("Min", "Max"))
        return low, high

    def _size(self, name: str) -> int | None:
        units = self.replication.compute.get(name)
        if isinstance(units, int) and units in UNITS:
            return units
        if units is not None:
            self._note(f"ComputeConfig.{name}", "is no size that a replication has here")
        return None

    def _not_carried(self) -> None:
        replication, compute = self.replication, self.replication.compute
        if replication.identifier != self.id:
            self._note("identifier", f"is {self.id} here: at most {ID_CHARACTERS_MAX} characters")
        elif len(self.id) > RESOURCE_CHARACTERS_MAX:
            self._note(
                "identifier",
                f"has more than {RESOURCE_CHARACTERS_MAX} characters: `penstock run` takes it;"
                " `penstock apply` only where the daemon has it already",
            )
        if replication.stop:
            self._note("CdcStopPosition", "use penstock run --stop-at")
        if replication.supplement:
            self._note("SupplementalSettings", "is for Neptune targets")
        for name, why in COMPUTE_OF_AWS.items():
            if compute.get(name) not in (None, False, "", [], DEFAULT_GROUP):
                self._note(f"ComputeConfig.{name}", why)

    def _mapping(self) -> Document:
        problems = Problems("TableMappings")
        document = read_json(self.replication.mappings, problems)
        if document is not None:
            read_table_mapping(document, problems)
        self._found(problems)
        return document or {}

    def _settings(self) -> Document:
        document, notes = settings_file(self.replication.settings, self.replication.type)
        self.notes.extend(notes)
        return document

    def _found(self, problems: Problems) -> None:
        try:
            problems.raise_found()
        except ConfigError as error:
            for problem in error.problems:
                self._note(f"{problem.file} {problem.field}", problem.constraint, blocks=True)


def _is_name(text: str) -> bool:
    """Whether it can stand in [endpoint.NAME]."""
    try:
        NAME.read(text)
    except ValueError:
        return False
    return True


def variable_prefix(identifier: str) -> str:
    """What the names of an endpoint's environment variables begin with."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", identifier).strip("_").upper() or "ENDPOINT"
    return f"_{name}" if name[0].isdigit() else name
