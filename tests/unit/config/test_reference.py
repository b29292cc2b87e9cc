from pathlib import Path

import pytest

from engine.config.reference import SECTIONS, reference, renewed
from engine.config.section import declared_keys

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "configuration.md"


def test_the_page_is_what_the_declarations_say() -> None:
    page = PAGE.read_text()
    assert renewed(page) == page, (
        "run python -m engine.config.reference docs/guide/configuration.md"
    )


def test_every_key_has_a_meaning_and_a_default_its_kind_accepts() -> None:
    for section in SECTIONS:
        for name, (_, declared) in declared_keys(section).items():
            assert declared.meaning.endswith("."), name
            if not declared.required:
                declared.kind.check(declared.default)
            assert f"| `{name}` |" in reference()


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers"):
        renewed("# Configuration")
