"""Everything wrong with what the user wrote, found in one reading."""

import difflib
from collections.abc import Iterable
from typing import Final, NoReturn

from engine.errors import ConfigError

PROBLEMS_MAX: Final = 100
"""Problems kept of one reading; a person mends a few at a time, a mangled file has thousands."""

NAME_SHOWN_MAX: Final = 80
"""Characters of a user's own name shown in a message: a PostgreSQL name (63 bytes) fits."""


class Problems:
    """Collects problems of one file. `within` gives a collector for another file, same list."""

    def __init__(self, file: str, found: list[ConfigError] | None = None) -> None:
        self.file = file
        self._found: list[ConfigError] = [] if found is None else found

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def count(self) -> int:
        return len(self._found)

    @property
    def constraints(self) -> list[str]:
        """What is wrong, without where."""
        return [problem.constraint for problem in self._found]

    def add(self, field: str, constraint: str, *, hint: str = "") -> None:
        if len(self._found) < PROBLEMS_MAX:
            self._found.append(ConfigError(field, constraint, hint=hint, file=self.file))

    def within(self, file: str) -> "Problems":
        return Problems(file, self._found)

    def unknown(self, field: str, name: str, known: Iterable[str], what: str = "key") -> None:
        """An unknown name, with the nearest known one."""
        names = sorted(known)
        suggestion = nearest(name, names)
        if suggestion:
            hint = f"did you mean {suggestion!r}?"
        else:
            hint = f"known: {', '.join(names)}" if 0 < len(names) <= 20 else ""
        self.add(field, f"unknown {what}", hint=hint)

    def raise_found(self) -> None:
        """Raise the first problem, carrying the others; return when there is none."""
        if self._found:
            self._raise()

    def _raise(self) -> NoReturn:
        first, *others = self._found
        raise ConfigError(
            first.field, first.constraint, hint=first.hint, file=first.file, others=others
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like `name`, letter case aside; '' when none does."""
    folded = {candidate.lower(): str(candidate) for candidate in known}
    found = difflib.get_close_matches(name.lower()[:NAME_SHOWN_MAX], folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def shown(name: object) -> str:
    """A user's own name made safe for a message: clipped, control characters escaped."""
    text = str(name) or '""'
    clipped = text if len(text) <= NAME_SHOWN_MAX else text[:NAME_SHOWN_MAX] + "..."
    return _printable(clipped)


def shown_file(path: object) -> str:
    """A file's path, whole: it says where to look. Control characters are escaped."""
    return _printable(str(path))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
