"""Where the daemon is, and as whom it is asked. (pure)"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.config.reach import KEY_ID, PORT, SECRET_KEY, on_loopback
from engine.config.secret import Secret
from engine.errors import ConfigError

ENDPOINT: Final = "PENSTOCK_ENDPOINT"
"""Environment variable with the daemon's URL."""

DEFAULT: Final = f"http://127.0.0.1:{PORT}"

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII,
)
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A daemon's URL; `str()` is how it was meant."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """`HOST:PORT`, as the `Host` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Whether nobody in between can read what is sent there."""
        return self.scheme == "https" or on_loopback(f"{self.host}:{self.port}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key of the daemon's."""

    key_id: str
    secret: Secret


def parse_address(text: str) -> Address:
    """Raises ConfigError for what is no URL of a daemon."""
    match = _URL.fullmatch(text)
    if match is None or not 0 < int(match["port"] or 1) <= 65_535:
        raise ConfigError(
            "--endpoint-url",
            "must be a URL such as https://penstock.example:8628, without a path",
            hint=f"without it, and without {ENDPOINT}, it is {DEFAULT}",
        )
    scheme, host = match["scheme"], match["host"].removeprefix("[").removesuffix("]")
    return Address(scheme, host, int(match["port"] or _PORTS[scheme]))


def credentials(environment: Mapping[str, str]) -> Credentials | None:
    """The key that the environment has; None where it has none, which a daemon without keys takes.

    Raises:
        ConfigError: half of one.
    """
    given = [name for name in (KEY_ID, SECRET_KEY) if environment.get(name)]
    if not given:
        return None
    if len(given) == 1:
        (missing,) = {KEY_ID, SECRET_KEY}.difference(given)
        raise ConfigError(missing, f"is not set, but {given[0]} is; they go together")
    return Credentials(environment[KEY_ID], Secret(environment[SECRET_KEY]))
