from pathlib import Path

import pytest

from engine.config.reference import (
    DAEMON_SECTIONS,
    PAGES,
    SECTIONS,
    daemon_reference,
    reference,
    renewed,
)
from engine.config.section import declared_keys

GUIDE = Path(__file__).parents[3] / "docs" / "guide"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_declarations_say(name: str) -> None:
    page = (GUIDE / name).read_text()
    assert renewed(page, name) == page, f"run python -m engine.config.reference docs/guide/{name}"


def test_every_key_has_a_meaning_and_a_default_its_kind_accepts() -> None:
    whole = reference() + daemon_reference()
    for section in (*SECTIONS, *DAEMON_SECTIONS.values()):
        for name, (_, declared) in declared_keys(section).items():
            assert declared.meaning.endswith("."), name
            if not declared.required:
                declared.kind.check(declared.default)
            assert f"| `{name}` |" in whole


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers"):
        renewed("# Configuration")
