import pytest

from engine.config.mysql_url import as_mysql
from engine.config.url import ConnectionUrl, parse_url


def read(text: str, engine: str = "mysql") -> ConnectionUrl:
    return as_mysql(parse_url(text), engine)


def test_every_part_of_a_mysql_url_is_read() -> None:
    url = read("mysql://us%40er:p%2Fw@db.example.com:3307/my%20db?connect_timeout=5")
    assert (url.user, url.host, url.port, url.database) == (
        "us@er",
        "db.example.com",
        3307,
        "my db",
    )
    assert url.password is not None
    assert url.password.reveal() == "p/w"
    assert url.option("connect_timeout") == "5"
    assert str(url) == "mysql://us%40er:***@db.example.com:3307/my%20db?connect_timeout=5"


def test_port_and_database_may_be_left_out() -> None:
    for text in ("mysql://u@h", "mysql://u@h/"):
        assert (read(text).port, read(text).database) == (3306, "")


def test_a_socket_stands_after_the_question_mark() -> None:
    for text in ("mysql:///d?socket=/run/my.sock", "mysql://localhost/d?socket=/run/my.sock"):
        url = read(text)
        assert (url.host, url.is_socket, url.sslmode) == ("/run/my.sock", True, "disable")
        assert url.options == ()


@pytest.mark.parametrize(
    ("text", "sslmode"),
    [
        ("mysql://u@db.example.com/d", "verify-full"),
        ("mysql://u@10.0.0.1/d", "verify-full"),
        ("mysql://u@localhost/d", "prefer"),
        ("mysql://u@127.0.0.1/d", "prefer"),
        ("mysql://u@[::1]/d", "prefer"),
        ("mysql://u@db.example.com/d?sslmode=disable", "disable"),
        ("mysql://u@localhost/d?sslmode=verify-ca", "verify-ca"),
        ("mysql://u@localhost/d?sslrootcert=system", "verify-full"),
    ],
)
def test_only_what_stays_on_the_machine_may_be_plain_by_default(text: str, sslmode: str) -> None:
    assert read(text).sslmode == sslmode


@pytest.mark.parametrize(
    ("engine", "scheme"),
    [("mysql", "mysql"), ("aurora", "mysql"), ("mariadb", "mysql"), ("mariadb", "mariadb")],
)
def test_a_scheme_fits_the_engine(engine: str, scheme: str) -> None:
    assert read(f"{scheme}://u@h/d", engine).scheme == "mysql"


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("mariadb://u@h/d", 'begins with "mariadb://", but engine = "mysql"'),
        ("postgresql://u@h/d", 'must begin with "mysql://"'),
        ("mysql:///d", "must name the host"),
        ("mysql://u@h1,h2/d", "must be a connection URL|must name one host"),
        ("mysql://u@h/d?sslmode=allow", "sslmode must be one of disable, prefer"),
        ("mysql://u@h/d?sslmod=require", "did you mean sslmode"),
        ("mysql://u@h/d?ssl_ca=x", "unknown option"),
        ("mysql://u@h/d?sslkey=k", "without the sslcert"),
        ("mysql://u@h/d?socket=/s", "a host and a socket"),
        ("mysql:///d?socket=s", "begins with /"),
        ("mysql:///d?socket=/s&sslrootcert=ca", "not encrypted"),
        ("mysql://u@h/d?sslrootcert=system&sslmode=require", "can only be verify-full"),
        ("mysql://u@h/d?connect_timeout=0", "whole seconds from 1"),
        ("mysql://u@h/d?connect_timeout=10s", "whole seconds from 1"),
        ("mysql://u@h/d?connect_timeout=4000", "whole seconds from 1"),
    ],
)
def test_a_wrong_mysql_url_says_what_is_wrong(text: str, constraint: str) -> None:
    with pytest.raises(ValueError, match=constraint):
        read(text)
