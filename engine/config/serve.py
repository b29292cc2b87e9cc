"""What `penstock serve` is told: the daemon's own file. (pure)"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from engine.addresses import EVERYWHERE, LOOPBACK, USUAL, Addresses
from engine.config.kind import Duration, Flag, MistypedError, Ratio, Size
from engine.config.kind_text import Choice, ListOf, Text
from engine.config.limits import Limits
from engine.config.problems import shown
from engine.config.reach import PORT, REGION
from engine.config.secret import Secret
from engine.config.section import Section, key

ACCOUNT: Final = "000000000000"
"""The account that LocalStack and moto use: tests written against them go on."""

LOG_RETENTION_SECONDS: Final = 30 * 86_400.0
"""A month: what somebody looks for who comes back from a holiday."""

EVENT_RETENTION_SECONDS: Final = 14 * 86_400.0
"""AWS keeps events for 14 days."""

MEMORY_SHARE: Final = 0.75
"""Part of the machine's memory, or the container's, that all replications together may be
provisioned with: the rest is for the daemon, the page cache, and databases beside it."""

LEASE_SECONDS: Final = 10.0
"""How long a daemon acts without having renewed its lease. A standby takes over within 15 s of a
kill -9: this, and the time it takes to look and to start."""

_HOST_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):[0-9]{1,5}|[0-9]{1,5}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""As Amazon SNS has them."""


def network(value: object) -> str:
    """A network, for a list of them; an address is one of its own."""
    if not isinstance(value, str):
        raise MistypedError("expected a network such as 10.20.0.0/16")
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError(
            f"{shown(value)} is no network: an address with no bits behind its /length, such as"
            " 10.20.0.0/16"
        ) from None


class Role(StrEnum):
    """What a key may do."""

    ADMIN = "admin"
    READ_ONLY = "read-only"


@dataclass(frozen=True, kw_only=True)
class ServeConfig(Section):
    """`[serve]`."""

    TABLE: ClassVar[str] = "serve"

    listen: str = key(
        Text("HOST:PORT, or a port alone on loopback", _HOST_PORT),
        "Where the API is served. Beyond loopback it needs access keys, and TLS or `behind_proxy`.",
        default=f"127.0.0.1:{PORT}",
    )
    metrics_listen: str = key(
        Text("HOST:PORT, or a port alone on loopback", _HOST_PORT, empty=True),
        "Where /metrics, /healthz and /readyz are served beside the API's port, which serves them"
        " on loopback only.",
        default="",
    )
    state_dir: str = key(
        Text("a path", empty=True),
        "Store, key, logs and what overflows. Default: $STATE_DIRECTORY (systemd), else"
        " $XDG_STATE_HOME/penstock, else ~/.local/state/penstock.",
        default="",
    )
    store: str = key(
        Text("a postgresql:// URL", re.compile(r"postgres(ql)?://.+"), empty=True),
        "A PostgreSQL database for what the daemon keeps, so that a second daemon can stand by."
        " Default: an SQLite file in `state_dir`.",
        default="",
    )
    store_password_env: str = key(
        Text("the name of an environment variable", _NAME, empty=True),
        "Environment variable that holds the password of `store`.",
        default="",
    )
    region: str = key(
        Text("letters, digits and -", re.compile(r"[a-z0-9-]{1,32}")),
        "Region in every ARN.",
        default=REGION,
    )
    account: str = key(
        Text("twelve digits", re.compile(r"[0-9]{12}")),
        "Account in every ARN.",
        default=ACCOUNT,
    )
    memory_bytes: int = key(
        Size(0, 1 << 50),
        "Memory that all replications together may be provisioned with; 0: `memory_share` of the"
        " machine, or of the container.",
        default=0,
        name="memory",
    )
    memory_share: float = key(
        Ratio(0.05, 0.95),
        "Part of the machine's memory, or the container's, when `memory` is 0.",
        default=MEMORY_SHARE,
    )
    encryption_key_file: str = key(
        Text("a path", empty=True),
        "Key that secrets are encrypted with. Default: $PENSTOCK_KEY, a systemd credential"
        " `penstock.key`, or a file made in `state_dir` at the first start.",
        default="",
    )
    encryption_keys_dir: str = key(
        Text("a path", empty=True),
        "Folder of further keys: what is created with `KmsKeyId` NAME is encrypted with NAME.key in"
        " it.",
        default="",
    )
    tls_certificate: str = key(
        Text("a path", empty=True),
        "Certificate chain (PEM) of the API; with `tls_key` it is served over TLS.",
        default="",
    )
    tls_key: str = key(Text("a path", empty=True), "Private key (PEM) of it.", default="")
    behind_proxy: bool = key(
        Flag(),
        "Something in front of this daemon speaks TLS to the outside; without it, or a certificate,"
        " nothing beyond loopback is listened to.",
        default=False,
    )
    endpoints_deny: tuple[str, ...] = key(
        ListOf(network, "networks such as 10.20.0.0/16"),
        "Networks in which no endpoint may be, beside those that never hold a database: link-local"
        " and metadata addresses of clouds, this machine's unspecified address, multicast, and the"
        " daemon's own ports.",
        default=(),
    )
    endpoints_allow: tuple[str, ...] = key(
        ListOf(network, "networks such as 10.20.0.0/16"),
        "Networks in which endpoints may be all the same. Of all networks that an address is in the"
        " smallest counts.",
        default=(),
    )
    log_retention_seconds: float = key(
        Duration(3_600, 10 * 366 * 86_400),
        "How long log files are kept; older ones are deleted in the maintenance window.",
        default=LOG_RETENTION_SECONDS,
        name="log_retention",
    )
    event_retention_seconds: float = key(
        Duration(3_600, 10 * 366 * 86_400),
        "How long events are kept.",
        default=EVENT_RETENTION_SECONDS,
        name="event_retention",
    )
    lease_seconds: float = key(
        Duration(2, 120),
        "How long a daemon acts without having renewed its lease in a shared store; then another"
        " may take over.",
        default=LEASE_SECONDS,
        name="lease",
    )

    def addresses(self, own: Iterable[tuple[str, int]]) -> Addresses:
        """Which addresses endpoints may have. `own`: the addresses and ports that the daemon
        listens on; where that is every address it is everybody's port."""
        rules = USUAL.refuse(self.endpoints_deny).allow(self.endpoints_allow)
        for address, port in own:
            everywhere = ipaddress.ip_address(address).is_unspecified
            rules = rules.refuse(EVERYWHERE if everywhere else (*LOOPBACK, address), port)
        return rules


@dataclass(frozen=True, kw_only=True)
class CostConfig(Section):
    """`[cost]`."""

    TABLE: ClassVar[str] = "cost"

    unit_hour: float = key(
        Ratio(0.0, 1_000_000.0),
        "Price of one capacity unit for one hour; status and metrics then show what was spent, and"
        " what the month would cost at most.",
        default=0.0,
    )
    currency: str = key(
        Text("three letters", re.compile(r"[A-Z]{3}")), "Currency of it.", default="USD"
    )


@dataclass(frozen=True, kw_only=True)
class KeySection(Section):
    """`[access_key.NAME]`: a pair that signs requests."""

    TABLE: ClassVar[str] = "access_key"

    id: str = key(
        Text("16 to 128 letters, digits and _", re.compile(r"[A-Za-z0-9_]{16,128}")),
        "Access key id, as an AWS profile holds it.",
    )
    secret_file: str = key(
        Text("a path", empty=True),
        "File whose first line is the secret access key. One of `secret_file` and `secret_env`.",
        default="",
    )
    secret_env: str = key(
        Text("the name of an environment variable", _NAME, empty=True),
        "Environment variable that holds it.",
        default="",
    )
    role: Role = key(
        Choice(Role), "admin: everything; read-only: what changes nothing.", default=Role.ADMIN
    )


@dataclass(frozen=True, kw_only=True)
class TokenSection(Section):
    """`[token.NAME]`: a bearer token for what AWS has no operation for, and for /metrics."""

    TABLE: ClassVar[str] = "token"

    file: str = key(
        Text("a path", empty=True),
        "File whose first line is the token. One of `file` and `env`.",
        default="",
    )
    env: str = key(
        Text("the name of an environment variable", _NAME, empty=True),
        "Environment variable that holds it.",
        default="",
    )
    role: Role = key(
        Choice(Role), "admin: everything; read-only: what changes nothing.", default=Role.READ_ONLY
    )


@dataclass(frozen=True, kw_only=True)
class TopicSection(Section):
    """`[topic.NAME]`: where events go to that somebody subscribed for."""

    TABLE: ClassVar[str] = "topic"

    url: str = key(
        Text("an http:// or https:// URL", re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[!-~]*)?")),
        "Where events are posted to, as JSON in the form of Amazon SNS. Event subscriptions name it"
        " by `arn:aws:sns:REGION:ACCOUNT:NAME`.",
    )
    token_file: str = key(
        Text("a path", empty=True),
        "File whose first line is sent as a bearer token. At most one of `token_file` and"
        " `token_env`.",
        default="",
    )
    token_env: str = key(
        Text("the name of an environment variable", _NAME, empty=True),
        "Environment variable that holds it.",
        default="",
    )


@dataclass(frozen=True, slots=True)
class Topic:
    """Where events are posted to. The URL of a hook is often all that guards it."""

    name: str
    url: Secret
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A pair that signs requests. `name` is what the audit log shows."""

    name: str
    id: str
    secret: Secret
    role: Role


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token."""

    name: str
    value: Secret
    role: Role


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """The whole file, with what it names read."""

    serve: ServeConfig = ServeConfig()
    cost: CostConfig = CostConfig()
    limits: Limits = Limits()
    access_keys: tuple[AccessKey, ...] = ()
    tokens: tuple[Token, ...] = ()
    topics: tuple[Topic, ...] = ()
    store_password: Secret | None = None
