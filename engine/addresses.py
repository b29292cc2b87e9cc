"""Which addresses may be connected to: what endpoints name may not lead to the cloud's own services
or to the daemon itself.

A rule allows (`+`) or refuses (`-`) a network, everywhere or at one port (`-127.0.0.0/8@8628`). Of
all that are about an address those of its port count more than the others, then the narrower, then
the refusal. What no rule is about is allowed: databases stand in private networks, and on the
machine itself.

A process that connects for the daemon is given the rules by `VARIABLE` and holds to them from
`arm` on; every connector asks `permit` before each connection. Off by default, and then that is one
comparison. A name is asked for what it leads to now, so one that leads elsewhere later is refused
then; between this answer and the driver's own are milliseconds, in which nobody looks.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from engine.errors import ConfigError

VARIABLE: Final = "PENSTOCK_ADDRESSES"

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

NEVER: Final = (
    # 'This' host and network, which is this machine (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2).
    "0.0.0.0/8",
    "::/128",
    # Link-local: where clouds answer with the machine's credentials (RFC 3927; RFC 4291, 2.5.6).
    "169.254.0.0/16",
    "fe80::/10",
    # The same services of AWS and of Google by IPv6, of Azure, Alibaba and Oracle.
    "fd00:ec2::/32",
    "fd20:ce::254/128",
    "168.63.129.16/32",
    "100.100.100.200/32",
    "192.0.0.192/32",
    # Multicast and broadcast: no database answers there (RFC 5771; RFC 4291, 2.7; RFC 919).
    "224.0.0.0/4",
    "ff00::/8",
    "255.255.255.255/32",
)
"""Networks that are refused unless the daemon's file allows them."""

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")

EVERYWHERE: Final = ("0.0.0.0/0", "::/0")

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a translator (RFC 6052)."""

_RULE: Final = re.compile(r"([+-])([0-9A-Fa-f.:]+/[0-9]+)(?:@([0-9]+))?", re.ASCII)

_NUMBERS: Final = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)(\.(0[xX][0-9A-Fa-f]*|[0-9]+)){0,3}\.?")
"""What resolvers take for an IPv4 address beside the four numbers (inet_aton: octal, hexadecimal,
fewer parts)."""

HINT: Final = "if that is a database of yours, let its network in with [serve] endpoints_allow"


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for a network. `port` None: at every port."""

    network: Network
    allowed: bool
    port: int | None = None

    def __str__(self) -> str:
        at = "" if self.port is None else f"@{self.port}"
        return f"{'+' if self.allowed else '-'}{self.network}{at}"

    def is_about(self, address: Address, port: int) -> bool:
        return self.port in (None, port) and address in self.network

    @property
    def weight(self) -> tuple[bool, int, bool]:
        """How much it counts: what is said of less counts more."""
        return self.port is not None, self.network.prefixlen, not self.allowed


@dataclass(frozen=True, slots=True)
class Addresses:
    """All rules together."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` makes of it. Raises ValueError."""
        return cls(tuple(map(_rule, text.split())))

    def __str__(self) -> str:
        return " ".join(map(str, self.rules))

    def allow(self, networks: Iterable[str]) -> Self:
        """With these let in."""
        return self._with(networks, allowed=True)

    def refuse(self, networks: Iterable[str], port: int | None = None) -> Self:
        """With these kept out, everywhere or at one port."""
        return self._with(networks, allowed=False, port=port)

    def _with(self, networks: Iterable[str], *, allowed: bool, port: int | None = None) -> Self:
        more = (Rule(ipaddress.ip_network(network), allowed, port) for network in networks)
        return type(self)((*self.rules, *more))

    def check(self, host: str, port: int, found: Iterable[str] | None = None) -> None:
        """Raises ConfigError unless every address is allowed: those `found` for a host, else the
        host itself where it is one. A name, and a socket of this machine, is none."""
        literal = [] if _is_path(host) else list(_literal(host))
        for address in map(ipaddress.ip_address, found) if found is not None else literal:
            rule = self._against(address, port)
            if rule is not None:
                leads = "" if str(address) == host else f", which {host} leads to,"
                at = f" port {port}" if rule.port is not None else ""
                raise ConfigError(
                    "ServerName",
                    f"the address {address}{leads} is not for endpoints: {rule.network}{at} is"
                    " refused",
                    hint=HINT,
                )

    def _against(self, address: Address, port: int) -> Rule | None:
        """The rule that refuses an address, or the one that it stands for."""
        for each in _meant(address):
            about = [rule for rule in self.rules if rule.is_about(each, port)]
            rule = max(about, key=lambda rule: rule.weight, default=None)
            if rule is not None and not rule.allowed:
                return rule
        return None


USUAL: Final = Addresses().refuse(NEVER)


def _rule(text: str) -> Rule:
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is no rule for addresses")
    sign, network, port = match.groups()
    return Rule(ipaddress.ip_network(network), sign == "+", int(port) if port else None)


def _is_path(host: str) -> bool:
    return host.startswith(("/", "@"))


def _literal(host: str) -> Iterator[Address]:
    """The address that a host is. Raises ConfigError for one that is written so that readers
    disagree about it."""
    try:
        yield ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        if _NUMBERS.fullmatch(host):
            raise ConfigError(
                "ServerName", "must be a name, or an address of four decimal numbers"
            ) from None


def _meant(address: Address) -> Iterator[Address]:
    """An address, and the IPv4 address that packets to it end at."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        yield from (each for each in inner if each is not None)


_armed: Addresses | None = None


def arm(text: str) -> None:
    """Hold this process to rules from now on; to none where the text is empty. Raises ValueError
    for what `str` of an `Addresses` is not."""
    global _armed  # noqa: PLW0603 - one process, one set of rules
    _armed = Addresses.parse(text) if text else None


async def permit(host: str, port: int) -> None:
    """Return where this process may connect to a host. Of one that leads nowhere the driver will
    say so.

    Raises:
        ConfigError: it leads to an address that is refused, and is not connected to.
    """
    if _armed is None or _is_path(host):
        return
    _armed.check(host, port)
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return
    _armed.check(host, port, [str(address[0]) for *_, address in found])
