from typing import Any

import pytest

from engine.config.family import FAMILIES, MYSQL_FAMILY, POSTGRES_FAMILY, Family
from engine.config.section import declared_keys
from engine.control.api.wire import Structure, service
from engine.control.translate.names import ENGINES
from engine.control.translate.setting_rows import setting_rows


def rows(family: Family) -> dict[str, Any]:
    return {str(row["Name"]): row for row in setting_rows(family)}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_member_of_aws_settings_has_its_row(engine: str) -> None:
    shape = service().operations["CreateEndpoint"].input.members[ENGINES[engine].settings]
    assert isinstance(shape, Structure)
    assert shape.members.keys() <= rows(ENGINES[engine].family).keys()


@pytest.mark.parametrize("family", dict.fromkeys(FAMILIES.values()), ids=lambda each: each.scheme)
def test_a_row_says_what_reads_the_setting_or_why_nothing_does(family: Family) -> None:
    read = {
        name
        for section in (family.source_settings, family.target_settings, family.address)
        for name in declared_keys(section)
    }
    for name, row in rows(family).items():
        idle = row["Applicability"].startswith("no effect: ")
        assert idle != (name in read or name == "SecretsManagerSecretId")
        assert row["Type"] in {"string", "boolean", "integer", "enum"}
        assert (row["Type"] == "enum") == ("EnumValues" in row)
        assert (row["Type"] == "integer") == ("IntValueMin" in row)


def test_rows_hold_what_the_declarations_hold() -> None:
    postgres, mysql = rows(POSTGRES_FAMILY), rows(MYSQL_FAMILY)
    assert postgres["Password"]["Sensitive"]
    assert postgres["CaptureDdls"]["DefaultValue"] == "true"
    assert postgres["SlotName"]["Applicability"] == "source endpoints"
    assert "DefaultValue" not in postgres["SlotName"]
    assert postgres["ExecuteTimeout"]["Units"] == "seconds"
    assert mysql["Port"]["DefaultValue"] == "3306"
    assert mysql["TargetDbType"]["EnumValues"] == ["multiple-databases"]
