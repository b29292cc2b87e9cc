"""A replication in AWS's terms as the file of ours that a worker reads. (pure)"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.config.document import Document
from engine.config.environment import escaped, escaped_document
from engine.control.translate.endpoint import Side
from engine.control.translate.toml_text import toml_text


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What goes into the file.

    `settings` is written as it is: what the user gave, so that the rest has our defaults. `ours`
    are tables that AWS has no name for, such as `load`, with what the user wrote in them; keys of
    `replication` and `capacity` are added to those that come from AWS. `endpoints` are tables that
    `source` and `target` name.
    """

    id: str
    type: str
    source: Side
    target: Side
    mappings: Mapping[str, object]
    settings: Mapping[str, object] = field(default_factory=Document)
    units_min: int | None = None
    units_max: int | None = None
    start_position: str = ""
    start_time: str = ""
    ours: Mapping[str, Mapping[str, object]] = field(default_factory=dict[str, Document])
    endpoints: Mapping[str, Document] = field(default_factory=dict[str, Document])


def file_texts(plan: Plan, *, name: str, comment: str = "") -> dict[str, str]:
    """Names of files to their texts: `<name>.toml` first, then those that it names.

    Raises:
        ValueError: something of the plan has no form in TOML.
    """
    head: Document = {"id": plan.id, "type": plan.type}
    if plan.start_position:
        head["start_position"] = escaped(plan.start_position)
    if plan.start_time:
        head["start_time"] = plan.start_time
    named = {"mapping": plan.mappings, "settings": plan.settings}
    documents = {part: document for part, document in named.items() if document}
    tables: Document = {
        "replication": head,
        "source": plan.source.table,
        "target": plan.target.table,
        **({"endpoint": dict(plan.endpoints)} if plan.endpoints else {}),
        **{part: {"file": f"{name}.{part}.json"} for part in documents},
    }
    units = {"min": plan.units_min, "max": plan.units_max}
    capacity = {key: value for key, value in units.items() if value is not None}
    if capacity:
        tables["capacity"] = capacity
    for table, keys in plan.ours.items():
        before = tables.get(table)
        own = escaped_document(keys)
        tables[table] = {**before, **own} if isinstance(before, Mapping) else own
    texts = {f"{name}.toml": toml_text(tables, comment=comment)}
    return texts | {f"{name}.{part}.json": _json(each) for part, each in documents.items()}


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
