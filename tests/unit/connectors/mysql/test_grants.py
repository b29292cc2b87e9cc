from connectors.mysql.grants import read


def test_everything_everywhere() -> None:
    grants = read(["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"])
    assert grants.missing(["SELECT", "CREATE TEMPORARY TABLES"], "shop") == []


def test_privileges_of_a_database_a_pattern_and_a_table() -> None:
    grants = read(
        [
            "GRANT USAGE ON *.* TO `u`@`%`",
            "GRANT SELECT, INSERT ON `shop`.* TO `u`@`%`",
            r"GRANT UPDATE ON `sho\_%`.* TO `u`@`%`",
            "GRANT DELETE, SELECT (`a`, `b`) ON `shop`.`o``dd` TO `u`@`%`",
        ]
    )
    wanted = ["SELECT", "INSERT", "UPDATE", "DELETE"]
    assert grants.missing(wanted, "shop") == ["UPDATE", "DELETE"]
    assert grants.missing(wanted, "sho_p") == ["SELECT", "INSERT", "DELETE"]
    assert grants.missing(wanted, "shop", "o`dd") == ["UPDATE"]
    assert not grants.roles


def test_a_role_may_bring_more() -> None:
    assert read(["GRANT `reader`@`%` TO `u`@`%`"]).roles
    assert read(["GRANT 'reader' TO 'u'@'%'"]).roles
