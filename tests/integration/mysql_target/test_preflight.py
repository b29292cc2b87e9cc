"""What stands in the way of writing, found beforehand."""

from dataclasses import replace

from connectors.mysql.target import MysqlTarget
from connectors.mysql.target_config import MysqlTargetConfig
from engine.config.url import parse_url
from engine.model.finding import Finding, Severity
from engine.model.relation import ColumnType, Relation, ReplicaIdentity
from engine.seams import SystemRandom
from tests.integration.mysql_target.conftest import Rig


async def _found(rig: Rig, *relations: Relation) -> dict[str, Finding]:
    return {finding.check: finding for finding in await rig.target.preflight(relations)}


async def test_a_table_that_fits_is_passed_with_what_the_server_risks(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(10))")
    found = await _found(rig, await rig.relation())
    assert {name: f.severity for name, f in found.items()} == {"target-durability": Severity.WARNS}


async def test_what_a_table_lacks(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int, v varchar(10), w int NOT NULL)")
    rig.execute("CREATE TRIGGER odd BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'x'")
    there = await rig.relation()
    columns = (*there.columns[:1], replace(there.columns[1], type=ColumnType("int")))
    found = await _found(rig, replace(there, columns=columns, key=(0,)))
    assert found["target-shape"].severity is Severity.BLOCKS
    assert found["target-key"].severity is Severity.WARNS
    assert "odd" in found["target-trigger"].message


async def test_a_table_whose_rows_are_found_by_reading_it(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (a int, b int)")
    keyless = replace(await rig.relation(), key=(), replica_identity=ReplicaIdentity.FULL)
    for relation in (keyless, replace(keyless, name="absent")):
        assert (await _found(rig, relation))["target-no-key"].severity is Severity.WARNS
    inserted = replace(keyless, replica_identity=ReplicaIdentity.NOTHING)
    assert "target-no-key" not in await _found(rig, inserted)
    rig.execute("CREATE INDEX i ON t (a)")
    assert "target-no-key" not in await _found(rig, keyless)


async def test_a_table_that_will_be_made_and_one_without_transactions(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY) ENGINE=MyISAM")
    relation = await rig.relation()
    found = await _found(rig, relation, replace(relation, name="absent"))
    assert found["target-engine"].severity is Severity.BLOCKS
    assert "ENGINE=InnoDB" in found["target-engine"].remedy
    assert found["target-table"].severity is Severity.TELLS


async def test_a_view_is_no_table(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t")
    relation = replace(await rig.relation(), name="v")
    assert (await _found(rig, relation))["target-kind"].severity is Severity.BLOCKS


async def test_rights_that_are_missing(rig: Rig) -> None:
    server, user = rig.database.server, f"u_{rig.database.name}"
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    relation = await rig.relation()
    server.execute(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")
    server.execute(f"GRANT SELECT ON `{rig.database.name}`.* TO '{user}'@'%'")
    url = parse_url(server.url(user=user, password="secret"))
    target = MysqlTarget(MysqlTargetConfig(replication="check", url=url), SystemRandom())
    findings = [f for f in await target.preflight([relation]) if f.check == "target-privilege"]
    assert [f.severity for f in findings] == [Severity.BLOCKS, Severity.BLOCKS]
    assert "CREATE TEMPORARY TABLES" in findings[0].message
    assert "INSERT" in findings[1].remedy
    await target.close()
    server.execute(f"DROP USER '{user}'@'%'")


async def test_a_server_that_takes_no_writes(rig: Rig) -> None:
    with rig.database.server.settings_kept():
        rig.execute("SET GLOBAL read_only = ON, GLOBAL max_allowed_packet = 1048576")
        target = MysqlTarget(
            MysqlTargetConfig(replication="check", url=parse_url(rig.database.url)), SystemRandom()
        )
        found = {finding.check: finding for finding in await target.preflight([])}
        await target.close()
    assert found["target-read-only"].severity is Severity.BLOCKS
    assert found["target-packet"].severity is Severity.WARNS
