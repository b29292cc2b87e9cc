import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from engine.config.secret import Secret
from engine.config.url import parse_postgres_url, parse_url


def test_every_part_of_a_url_is_read() -> None:
    url = parse_postgres_url(
        "postgresql://us%40er:p%2Fw@db.example.com:6432/my%20db?sslmode=require&connect_timeout=5"
    )
    assert (url.user, url.host, url.port, url.database) == (
        "us@er",
        "db.example.com",
        6432,
        "my db",
    )
    assert url.password is not None
    assert url.password.reveal() == "p/w"
    assert url.option("connect_timeout") == "5"


def test_a_url_shows_its_password_as_stars_only() -> None:
    url = parse_postgres_url("postgresql://u:hunter2@h/db?sslmode=require")
    assert str(url) == "postgresql://u:***@h:5432/db?sslmode=require"
    assert "hunter2" not in repr(url)
    assert "hunter2" not in str(url.libpq_parameters())


def test_parts_may_stand_after_the_question_mark() -> None:
    url = parse_postgres_url("postgresql:///db?host=/run/postgresql&user=me&password=pw&port=5433")
    assert (url.host, url.user, url.port) == ("/run/postgresql", "me", 5433)
    assert url.password is not None
    assert "password" not in dict(url.options)


@pytest.mark.parametrize(
    ("text", "sslmode"),
    [
        ("postgresql://u@db.example.com/d", "verify-full"),
        ("postgresql://u@10.0.0.1/d", "verify-full"),
        ("postgresql://u@localhost.example.com/d", "verify-full"),
        ("postgresql://u@localhost/d", "prefer"),
        ("postgresql://u@127.0.0.7/d", "prefer"),
        ("postgresql://u@[::1]:5433/d", "prefer"),
        ("postgresql:///d?host=/tmp", "disable"),
        ("postgresql://u@db.example.com/d?sslmode=disable", "disable"),
        ("postgresql://u@localhost/d?sslmode=verify-full", "verify-full"),
        ("postgresql://u@localhost/d?sslrootcert=system", "verify-full"),
    ],
)
def test_only_what_stays_on_the_machine_may_be_plain_by_default(text: str, sslmode: str) -> None:
    url = parse_postgres_url(text)
    assert url.sslmode == sslmode
    assert url.libpq_parameters()["sslmode"] == sslmode


def test_a_remote_host_that_is_not_verified_is_known_as_such() -> None:
    assert not parse_postgres_url("postgresql://u@h/d?sslmode=require").verifies_host
    assert parse_postgres_url("postgresql://u@h/d").verifies_host
    assert parse_postgres_url("postgresql://u@localhost/d?sslmode=disable").verifies_host


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("", "must be a connection URL"),
        ("host=x dbname=y", "must be a connection URL"),
        ("postgresql://u:p@ss@h/d", "must be a connection URL"),
        ("postgresql://u:p/ss@h/d", "must be a connection URL"),
        ("mysql://u@h/d", "postgresql://"),
        ("postgresql://u@h", "must name the database"),
        ("postgresql:///d", "must name the host"),
        ("postgresql://u@h1,h2/d", "must name one host"),
        ("postgresql://u@h:0/d", "port must be"),
        ("postgresql://u@h:65536/d", "port must be"),
        ("postgresql://u@h:99999999/d", "port must be"),
        ("postgresql://u@h/d?sslmode=verify", "sslmode must be one of"),
        ("postgresql://u@h/d?sslrootcert=system&sslmode=require", "can only be verify-full"),
        ("postgresql:///d?host=/tmp&sslrootcert=system", "Unix socket has no TLS"),
        ("postgresql://u@h/d?sslmod=require", "did you mean sslmode"),
        ("postgresql://u@h/d?sslmode=require&sslmode=disable", "written twice"),
        ("postgresql://u@h/d?host=other", "names the host twice"),
        ("postgresql://u:a@h/d?password=b", "names the password twice"),
        ("postgresql://u@h/d?sslmode", "name=value"),
        ("postgresql://u%4@h/d", "hexadecimal"),
        ("postgresql://u%FF@h/d", "Unicode"),
        ("postgresql://u@h/d%00", "control characters"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(text: str, constraint: str) -> None:
    with pytest.raises(ValueError, match=constraint):
        parse_postgres_url(text)


def test_a_refused_url_is_not_repeated() -> None:
    for text in ("postgresql://u:hunter2@h:x/d", "postgresql://u:hunter2@h", "x://u:hunter2@h/d%"):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            parse_postgres_url(text)
        assert "hunter2" not in str(caught.value)


def test_urls_of_other_engines_keep_their_scheme_and_options() -> None:
    url = parse_url("kafka://broker:9092/topic?acks=all")
    assert (url.scheme, url.host, url.port, url.option("acks")) == ("kafka", "broker", 9092, "all")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_password_reaches_libpq_as_it_is(password: str) -> None:
    url = parse_postgres_url("postgresql://me@h/d").with_password(Secret(password))
    assert conninfo_to_dict(url.reveal_conninfo()) == {
        "user": "me",
        "password": password,
        "host": "h",
        "port": "5432",
        "dbname": "d",
        "sslmode": "verify-full",
    }
