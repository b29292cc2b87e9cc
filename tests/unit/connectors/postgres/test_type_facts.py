"""Canonical texts of types and what a binary stream cannot carry, from rows of the catalog."""

import json
from collections.abc import Mapping

from connectors.postgres.type_facts import TypeFacts, type_query

PLAIN = {
    "name": "x", "kind": "b", "send": True, "receive": True, "element": 0, "base": 0,
    "not_null": False, "base_name": None, "labels": None, "checks": [], "attributes": None,
    "subtype": None,
    "range": None, "extension": None,
}  # fmt: skip


def facts(*rows: Mapping[str, object]) -> TypeFacts:
    """Types by OID; the first is the one asked for."""
    found = TypeFacts([int(str(rows[0]["oid"]))])
    known = {row["oid"]: json.dumps(PLAIN | dict(row)) for row in rows}
    while missing := found.missing():
        found.add(known[oid] for oid in missing if oid in known)
    return found


def test_parts_are_asked_for_until_all_are_known_and_each_once() -> None:
    found = TypeFacts([20000])
    assert found.missing() == {20000}
    found.add([json.dumps(PLAIN | {"oid": 20000, "element": 20001})])
    assert found.missing() == {20001}
    assert found.missing() == set()


def test_a_built_in_type_has_no_definition() -> None:
    assert facts({"oid": 23, "name": "integer"}).definition(23) == ""
    assert facts({"oid": 1007, "element": 23}, {"oid": 23}).definition(1007) == ""


def test_a_type_that_is_gone_is_taken_for_an_ordinary_one() -> None:
    found = facts({"oid": 20000})
    assert (found.definition(30000), found.has_send(30000)) == ("", True)
    assert not found.unsendable(30000)


def test_what_cannot_be_sent_is_found_at_any_depth() -> None:
    aclitem = {"oid": 1033, "send": False}
    assert not facts(aclitem).unsendable(1033)
    assert facts({"oid": 1034, "element": 1033}, aclitem).unsendable(1034)
    composite = {"oid": 20000, "kind": "c", "attributes": [["a", 2205, "regclass"]]}
    assert facts(composite, {"oid": 2205}).unsendable(20000)
    assert facts({"oid": 2205}).unsendable(2205)


def test_what_cannot_be_received_is_found_at_any_depth() -> None:
    cube = {"oid": 20001, "receive": False}
    assert facts({"oid": 20000}).receivable(20000)
    assert not facts(cube).receivable(20001)
    assert not facts({"oid": 20000, "kind": "d", "base": 20001}, cube).receivable(20000)
    assert not facts({"oid": 20000, "element": 20001}, cube).receivable(20000)
    assert facts(cube).receivable(30000)


def test_a_composite_may_have_no_attributes() -> None:
    assert facts({"oid": 20000, "kind": "c", "attributes": None}).definition(20000) == "composite()"


def test_what_no_server_takes_back_is_not_sent_in_binary_form() -> None:
    tsquery = {"oid": 3615}
    assert facts(tsquery).unsendable(3615)
    assert facts({"oid": 3645, "element": 3615}, tsquery).unsendable(3645)
    assert facts({"oid": 20000, "kind": "d", "base": 3615}, tsquery).unsendable(20000)
    assert facts({"oid": 22, "element": 21}, {"oid": 21}).unsendable(22)
    assert facts({"oid": 30, "element": 26}, {"oid": 26}).unsendable(30)


def test_labels_tell_enums_apart_in_order_and_with_odd_characters() -> None:
    one = facts({"oid": 20000, "kind": "e", "labels": ["a", 'b"', "ü"]})
    other = facts({"oid": 20000, "kind": "e", "labels": ['b"', "a", "ü"]})
    assert one.definition(20000) == 'enum(["a", "b\\"", "ü"])'
    assert one.definition(20000) != other.definition(20000)


def test_the_query_names_numbers_only() -> None:
    assert "ARRAY[7,9]::oid[]" in type_query([9, 7])
