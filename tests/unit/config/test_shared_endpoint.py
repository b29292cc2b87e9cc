"""`[endpoint.NAME]`: in the file, and in `endpoints.toml` beside it."""

from pathlib import Path

import pytest

from engine.config.load import Written, load_replication, load_written
from engine.errors import ConfigError

SECRET = "hunter2-canary"

SHOP = '[endpoint.shop]\nengine = "postgres"\nurl = "postgresql://u@db.example.com/d"\n'
LAKE = '[endpoint.lake]\nengine = "postgres"\nurl = "postgresql://u@localhost/${LAKE}"\n'
FILE = '[replication]\nid = "orders"\n[source]\nendpoint = "shop"\n[target]\nendpoint = "lake"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.toml").write_text(FILE)
    (tmp_path / "endpoints.toml").write_text(SHOP + LAKE)
    return tmp_path


def load(folder: Path, **environment: str) -> Written:
    return load_written(folder / "orders.toml", {"LAKE": "lake", **environment})


def problems(folder: Path, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, **environment)
    assert SECRET not in "".join(map(repr, caught.value.problems))
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_endpoints_stand_in_the_file_beside(folder: Path) -> None:
    written = load(folder)
    assert written.config.source.url is not None
    assert written.config.source.url.host == "db.example.com"
    assert written.config.target.url is not None
    assert written.config.target.url.database == "lake"
    assert written.shared == {"source": "shop", "target": "lake"}
    assert written.document["target"] == {
        "engine": "postgres",
        "url": "postgresql://u@localhost/lake",
    }
    assert "endpoint" not in written.document


def test_one_in_the_file_itself_comes_first(folder: Path) -> None:
    (folder / "orders.toml").write_text(FILE + SHOP.replace("db.example.com", "other.example.com"))
    url = load(folder).config.source.url
    assert url is not None
    assert url.host == "other.example.com"


def test_a_file_that_holds_all_needs_none_beside(folder: Path) -> None:
    (folder / "endpoints.toml").unlink()
    (folder / "orders.toml").write_text(FILE + SHOP + LAKE)
    assert load(folder).shared == {"source": "shop", "target": "lake"}


def test_one_endpoint_may_be_both_sides_of_two_files(folder: Path) -> None:
    text = FILE.replace('"shop"', '"x"').replace('"lake"', '"shop"').replace('"x"', '"lake"')
    (folder / "orders.toml").write_text(text)
    assert load(folder).shared == {"source": "lake", "target": "shop"}


def test_endpoints_that_are_not_named_ask_for_no_variable(folder: Path) -> None:
    text = SHOP + LAKE.replace("${LAKE}", "lake") + LAKE.replace("lake]", "other]")
    (folder / "endpoints.toml").write_text(text)
    assert load_replication(folder / "orders.toml", {}).id == "orders"


def test_a_file_without_shared_endpoints_reads_no_other(folder: Path) -> None:
    (folder / "endpoints.toml").write_text("not TOML")
    sides = SHOP.replace("endpoint.shop", "source") + SHOP.replace("endpoint.shop", "target")
    (folder / "orders.toml").write_text('[replication]\nid = "orders"\n' + sides)
    assert load(folder).shared == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"shop"',
            '"shpo"',
            "orders.toml: source.endpoint: there is no [endpoint.shpo] in this file, nor in",
        ),
        ('"shop"', "5", "orders.toml: source.endpoint: expected the name of an [endpoint.NAME]"),
        ('"shop"', '"a b"', "orders.toml: source.endpoint: must be the name of"),
        (
            '"shop"',
            '"shop"\nengine = "mysql"\nurl = "x"',
            "orders.toml: source.endpoint: stands for the whole table; engine, url must not be",
        ),
        ("[source]", "[endpoint]\nshop = 5\n[source]", "orders.toml: endpoint.shop: expected a"),
    ],
)
def test_what_is_wrong_with_a_reference(folder: Path, old: str, new: str, said: str) -> None:
    (folder / "orders.toml").write_text(FILE.replace(old, new))
    assert any(line.startswith(said) for line in problems(folder)), problems(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[endpoint.shop]", "[source]", "endpoints.toml: source: unknown table (known: endpoint)"),
        ("[endpoint.shop]", "[", "endpoints.toml: syntax: not valid TOML"),
        ("db.example.com/d", "db.example.com", "endpoints.toml: endpoint.shop.url: must name the"),
        ('engine = "postgres"\n', "", "endpoints.toml: endpoint.shop.engine: is missing"),
        ("engine", "enigne", "endpoints.toml: endpoint.shop.enigne: unknown key (did you mean"),
        (
            "u@db",
            f"u:{SECRET}@h:x/",
            "endpoints.toml: endpoint.shop.url: must",
        ),
        (
            "u@localhost",
            "${USER_OF_LAKE}@localhost",
            "endpoints.toml: endpoint.lake.url: environment variable USER_OF_LAKE is not set",
        ),
        (
            '"postgresql://u@db.example.com/d"',
            '"postgresql://u@db.example.com/d"\npassword_env = "NO_SUCH"',
            "endpoints.toml: endpoint.shop.password_env: environment variable NO_SUCH is not set",
        ),
    ],
)
def test_what_is_wrong_with_an_endpoint_names_its_place(
    folder: Path, old: str, new: str, said: str
) -> None:
    path = folder / "endpoints.toml"
    path.write_text(path.read_text().replace(old, new))
    assert any(line.startswith(said) for line in problems(folder)), problems(folder)


def test_the_nearest_name_is_told(folder: Path) -> None:
    (folder / "orders.toml").write_text(FILE.replace("shop", "shpo"))
    assert "did you mean 'shop'?" in problems(folder)[0]


def test_a_file_beside_that_is_not_there_is_told_of(folder: Path) -> None:
    (folder / "endpoints.toml").unlink()
    found = problems(folder)
    assert "endpoints.toml cannot be read: No such file or directory" in found[0]
    assert [line.partition(":")[2][:17] for line in found] == [
        " source.endpoint:",
        " target.endpoint:",
    ]


def test_a_password_that_is_written_there_is_warned_of(folder: Path) -> None:
    path = folder / "endpoints.toml"
    path.write_text(path.read_text().replace("u@db", f"u:{SECRET}@db"))
    (warning,) = load(folder).config.warnings
    assert "endpoints.toml: endpoint.shop.url: holds a password" in warning


def test_what_has_no_effect_is_told_under_the_endpoints_name(folder: Path) -> None:
    path = folder / "endpoints.toml"
    path.write_text(SHOP + 'snapshot = "lock"\n' + LAKE)
    found = (*load(folder).config.no_effect, *load(folder).config.warnings)
    assert any("endpoint.shop.snapshot" in each for each in found), found


def test_what_was_written_is_told_with_what_files_hold(folder: Path) -> None:
    (folder / "rules.json").write_text(
        '{"rules": [{"rule-type": "selection", "rule-id": "1", "rule-name": "1",'
        ' "rule-action": "include", "object-locator": {"schema-name": "a", "table-name": "b"}}]}'
    )
    (folder / "settings.json").write_text('{"Logging": {"EnableLogging": true}}')
    (folder / "orders.toml").write_text(
        FILE + '[mapping]\nfile = "rules.json"\n[settings]\nfile = "settings.json"\n'
    )
    written = load(folder)
    assert written.settings == {"Logging": {"EnableLogging": True}}
    assert written.mapping is not None
    assert written.mapping.keys() == {"rules"}
