"""AWS's replication settings as the file beside ours: what differs from AWS's defaults. (pure)

AWS answers every key, whoever wrote it: a key that has its default there was most likely never
written, and stays with our own default.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from engine.config.document import Document, read_json
from engine.config.problems import Problems
from engine.config.reconcile import refuse_unsupported
from engine.config.settings import defaults, read_settings
from engine.config.settings_catalog import CATALOG, Entry, Group, Items, Setting, Shown
from engine.config.settings_effect import BY_DAEMON, changed_without_effect, why_idle
from engine.control.translate.listing import Note
from engine.errors import ConfigError

SUBJECT: Final = "ReplicationSettings"


def settings_file(text: str, replication_type: str) -> tuple[Document, tuple[Note, ...]]:
    """The document to write, and what of it is not carried."""
    problems = Problems(SUBJECT)
    whole = read_json(text, problems) if text.strip() else {}
    if whole is None:
        return {}, tuple(_notes(problems))
    notes: list[Note] = []
    changed = _changed(CATALOG, whole, defaults(replication_type), "", notes)
    settings = read_settings(changed, problems, replication_type)
    notes += [
        Note(path, _idle(path)) for path in changed_without_effect(settings, replication_type)
    ]
    refuse_unsupported(settings, problems)
    return changed, (*notes, *_notes(problems))


def _idle(path: str) -> str:
    if path.startswith(BY_DAEMON):
        return f"is followed by the daemon, and not by `penstock run`: {why_idle(path)}"
    return f"accepted, but has no effect yet: {why_idle(path)}"


def _notes(problems: Problems) -> Iterator[Note]:
    try:
        problems.raise_found()
    except ConfigError as error:
        for problem in error.problems:
            yield Note(problem.field, problem.constraint, blocks=True)


def _changed(
    group: Group, document: Document, plain: Mapping[str, object], where: str, notes: list[Note]
) -> Document:
    """The keys that we know and that have another value than the default."""
    made: Document = {}
    for name, value in document.items():
        entry, path = group.keys.get(name), f"{where}.{name}" if where else name
        if entry is None:
            notes.append(Note(path, "is not known here"))
        elif value is not None and entry.shown is not Shown.BY_SERVER:
            kept = _kept(entry, value, plain.get(name), path, notes)
            if kept is not None:
                made[name] = kept
    return made


def _kept(entry: Entry, value: object, plain: object, where: str, notes: list[Note]) -> object:
    """What is to be written of a value; None when it is as it is by default."""
    if isinstance(entry, Group) and isinstance(value, dict):
        inner = plain if isinstance(plain, Mapping) else _plain(entry)
        return _changed(entry, value, inner, where, notes) or None
    if isinstance(entry, Items) and entry.identity and isinstance(value, list):
        usual = json.loads(json.dumps(entry.default))
        return [item for item in value if item not in usual] or None
    default = plain if plain is not None or not isinstance(entry, Setting) else entry.default
    return None if value == default and type(value) is type(default) else value


def _plain(group: Group) -> dict[str, object]:
    """Defaults of a section that AWS does not show."""
    return {name: entry.default for name, entry in group.keys.items() if isinstance(entry, Setting)}
