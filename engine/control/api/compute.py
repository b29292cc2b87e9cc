"""`ComputeConfig` of a replication: read, checked, shown. (pure)

What stands for a cloud's network (`AvailabilityZone`, `ReplicationSubnetGroupId` ...) is held to
AWS's rules, kept and shown, and has no effect.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from engine.config.capacity import UNITS
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from engine.control.resources.replication import Compute
from engine.control.window import Window
from engine.errors import ConfigError

FIELDS: Final[Mapping[str, str]] = {
    "AvailabilityZone": "availability_zone",
    "DnsNameServers": "dns_name_servers",
    "KmsKeyId": "kms_key",
    "MaxCapacityUnits": "units_max",
    "MinCapacityUnits": "units_min",
    "MultiAZ": "multi_az",
    "PreferredMaintenanceWindow": "window",
    "ReplicationSubnetGroupId": "subnet_group",
    "VpcSecurityGroupIds": "security_groups",
}
"""AWS's members, with ours."""

NAME_SERVERS_MAX: Final = 4


def created(given: Mapping[str, Any], draw: float) -> Compute:
    """What `CreateReplicationConfig` asks for; `draw` (from 0 to below 1) places the maintenance
    window of who chose none. Raises faults."""
    if "MaxCapacityUnits" not in given:
        raise InvalidParameterValueException(
            "The parameter ComputeConfig.MaxCapacityUnits must be provided."
        )
    compute = _with(Compute(units_max=given["MaxCapacityUnits"]), given)
    return msgspec.structs.replace(compute, window=compute.window or drawn_window(draw))


def modified(before: Compute, given: Mapping[str, Any]) -> Compute:
    """What is given replaces, the rest stays. Raises faults."""
    after = _with(before, given)
    # A window is for good: an empty text takes none away.
    return msgspec.structs.replace(after, window=after.window or before.window)


def changed(before: Compute, after: Compute) -> frozenset[str]:
    """AWS's members whose values differ."""
    return frozenset(
        member
        for member, field in FIELDS.items()
        if getattr(before, field) != getattr(after, field)
    )


def shown(compute: Compute) -> dict[str, object]:
    """As AWS answers it; what nobody gave is not there."""
    values = {member: getattr(compute, field) for member, field in FIELDS.items()}
    return {member: value for member, value in values.items() if value not in ("", ())}


def drawn_window(draw: float) -> str:
    """The maintenance window of who chose none, for good. `draw`: from 0 to below 1."""
    return str(Window.drawn(draw))


def window(text: str, parameter: str) -> str:
    """A maintenance window as it is kept, '' for none. Raises InvalidParameterValueException."""
    try:
        return str(Window.parse(text)) if text else ""
    except ConfigError as error:
        raise InvalidParameterValueException(
            f"The parameter {parameter} {error.constraint}."
        ) from None


def check_name_servers(text: str, parameter: str) -> None:
    """Raises InvalidParameterValueException for what is not up to four addresses."""
    addresses = [part.strip() for part in text.split(",")] if text else []
    if len(addresses) > NAME_SERVERS_MAX or not all(map(_is_address, addresses)):
        raise InvalidParameterValueException(
            f"The parameter {parameter} must be up to {NAME_SERVERS_MAX} addresses, separated by"
            " commas."
        )


def _with(before: Compute, given: Mapping[str, Any]) -> Compute:
    values = {FIELDS[member]: value for member, value in given.items()}
    if "window" in values:
        values["window"] = window(values["window"], "ComputeConfig.PreferredMaintenanceWindow")
    if "security_groups" in values:
        values["security_groups"] = tuple(values["security_groups"])
    compute = msgspec.structs.replace(before, **values)
    _check_units(compute)
    check_name_servers(compute.dns_name_servers, "ComputeConfig.DnsNameServers")
    if compute.multi_az and compute.availability_zone:
        raise InvalidParameterCombinationException(
            "ComputeConfig.AvailabilityZone cannot be given with MultiAZ: there would be two zones."
        )
    return compute


def _check_units(compute: Compute) -> None:
    for member, units in (
        ("MaxCapacityUnits", compute.units_max),
        ("MinCapacityUnits", compute.units_min),
    ):
        if units not in UNITS:
            raise InvalidParameterValueException(
                f"Invalid value {units} for ComputeConfig.{member}. Must be one of:"
                f" {', '.join(map(str, UNITS))}."
            )
    if compute.units_min > compute.units_max:
        raise InvalidParameterValueException(
            f"ComputeConfig.MinCapacityUnits ({compute.units_min}) must not be greater than"
            f" MaxCapacityUnits ({compute.units_max})."
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
