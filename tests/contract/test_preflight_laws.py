"""Laws of ends that can be checked before a start."""

from dataclasses import replace

import pytest

from engine.contracts import Checked
from engine.model.finding import Finding, Severity
from engine.model.relation import Column, ColumnType, Relation
from tests.contract.bench import SourceBench, TargetBench, name


def blocking(findings: list[Finding], table: str) -> list[Finding]:
    return [f for f in findings if f.severity is Severity.BLOCKS and f.subject == str(name(table))]


async def checked(end: object, *relations: Relation) -> list[Finding]:
    if not isinstance(end, Checked):
        pytest.skip("this connector has nothing to check")
    return list(await end.preflight(relations))


async def test_a_target_whose_tables_fit_has_nothing_against_them(target_side: TargetBench) -> None:
    target = await target_side.target()
    relation = await target_side.relation("accounts")
    assert blocking(await checked(target, relation), "accounts") == []


@pytest.mark.needs("rows")
async def test_a_target_that_lacks_a_column_says_so_and_what_helps(
    target_side: TargetBench,
) -> None:
    target = await target_side.target()
    relation = await target_side.relation("accounts")
    more = Column("more", ColumnType(relation.columns[1].type.name))
    wider = replace(relation, columns=(*relation.columns, more))
    (found,) = blocking(await checked(target, wider), "accounts")
    assert "more" in found.message
    assert found.remedy


async def test_a_source_names_tables_whose_changes_cannot_all_be_sent(
    source_side: SourceBench,
) -> None:
    if not source_side.features.identities:
        pytest.skip("this source logs all of a row that has no key")
    source = await source_side.source()
    relations = {relation.table: relation for relation in await source.relations()}
    both = [relations[name(table)] for table in ("accounts", "audit")]
    found = [f for f in await checked(source, *both) if f.check == "replica-identity"]
    assert [finding.subject for finding in found] == [str(name("audit"))]
    assert found[0].remedy
