"""Filters of records as request parameters: one table, with a parser for each. Pure.

A repeated parameter selects records with any of its values.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from config.errors import BadInput
from config.levels import LEVEL_NAMES, Level
from storage.filtering.filters import (
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    Filter,
    IpIn,
    Or,
)
from storage.record import fields
from storage.record.correlation import stored_correlation
from storage.record.fields import Field, FieldValue

MAX_TEXT = 2048
"""Longest value of a parameter, and longest query; in practice no column that is compared with
parameters has longer values."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One request parameter, as the OpenAPI document describes it."""

    name: str
    text: str
    schema: dict[str, object]
    """JSON Schema beyond `"type": "string"`."""


@dataclass(frozen=True, slots=True)
class FilterParameter(Parameter):
    """A parameter that filters records."""

    condition: Callable[[str, tuple[str, ...]], Filter] = field(kw_only=True)
    """(parameter name, its values) -> filter; raises BadInput with the parameter's name."""
    stored_name: str = ""
    """Attribute whose redaction rules apply to its values, as they do at ingest."""


def one_text(name: str, values: tuple[str, ...], *, may_be_empty: bool = False) -> str:
    """The only value, a string that PostgreSQL can store. Raises BadInput."""
    if len(values) > 1:
        raise BadInput(f"{name[:100]} must not be repeated", where=name[:100])
    value = values[0]
    if not value and not may_be_empty:
        raise BadInput(f"{name[:100]} must not be empty", where=name[:100])
    if len(value) > MAX_TEXT:
        raise BadInput(f"{name[:100]} must not exceed {MAX_TEXT} characters", where=name[:100])
    if "\0" in value or not _is_unicode(value):
        raise BadInput(f"{name[:100]} contains characters that cannot be stored", where=name[:100])
    return value


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _values(
    target: Field, read: Callable[[str, str], FieldValue]
) -> Callable[[str, tuple[str, ...]], Filter]:
    """A filter on one field; `read(parameter name, text)` parses its values."""

    def condition(name: str, values: tuple[str, ...]) -> Filter:
        found = tuple(dict.fromkeys(read(name, one_text(name, (value,))) for value in values))
        return FieldEquals(target, found[0]) if len(found) == 1 else FieldIn(target, found)

    return condition


def _text(name: str, value: str) -> str:  # noqa: ARG001 - all readers have one signature
    return value


def _correlation(name: str, value: str) -> str:  # noqa: ARG001 - as above
    return stored_correlation(value)


def one_level(name: str, value: str) -> Level:
    """A level by its name, in any case."""
    try:
        return Level[value.upper()]
    except KeyError as error:
        names = ", ".join(LEVEL_NAMES)
        raise BadInput(f'Unknown level "{value[:100]}". Use {names}', where=name) from error


def _level_at_least(name: str, values: tuple[str, ...]) -> Filter:
    return FieldCompare(
        fields.LEVEL, Comparison.GREATER_OR_EQUAL, one_level(name, one_text(name, values))
    )


_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SPAN_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


def trace_id(name: str, value: str) -> UUID:
    """A W3C trace id: 32 hex digits, not all zero; the dashes of a UUID are ignored."""
    digits = value.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(digits) or not int(digits, 16):
        raise BadInput(f"{name} must be 32 hex digits, not all zero", where=name)
    return UUID(hex=digits)


def span_id(name: str, value: str) -> bytes:
    """A W3C span id: 16 hex digits."""
    if not _SPAN_ID.fullmatch(value.lower()):
        raise BadInput(f"{name} must be 16 hex digits", where=name)
    return bytes.fromhex(value)


def record_id(name: str, value: str) -> UUID:
    """The id of a record, with or without dashes."""
    digits = value.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(digits):
        raise BadInput(f"{name} must be a UUID", where=name)
    return UUID(hex=digits)


def _addresses(name: str, values: tuple[str, ...]) -> Filter:
    found = tuple(IpIn(_network(name, one_text(name, (value,)))) for value in values)
    return found[0] if len(found) == 1 else Or(found)


def _network(name: str, value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(value.replace("%", "no zones: "), strict=False)
    except ValueError as error:
        raise BadInput(
            f"{name} must be an IP address or a network like 203.0.113.0/24", where=name
        ) from error
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:  # records hold the IPv4 address
        return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


FILTERS: dict[str, FilterParameter] = {
    item.name: item
    for item in (
        FilterParameter(
            "level",
            "level",
            {"enum": list(LEVEL_NAMES)},
            condition=_values(fields.LEVEL, one_level),
        ),
        FilterParameter(
            "minLevel",
            "minimum level",
            {"enum": list(LEVEL_NAMES)},
            condition=_level_at_least,
        ),
        FilterParameter(
            "sourceModule", "service", {}, condition=_values(fields.SOURCE_MODULE, _text)
        ),
        FilterParameter(
            "action", "event or span name", {}, condition=_values(fields.ACTION, _text)
        ),
        FilterParameter(
            "resourceId",
            "resource that was acted on",
            {},
            condition=_values(fields.RESOURCE_ID, _text),
        ),
        FilterParameter(
            "resourceType",
            "type of the resource",
            {},
            condition=_values(fields.RESOURCE_TYPE, _text),
        ),
        FilterParameter(
            "actorId",
            "actor; an e-mail address matches its token",
            {},
            condition=_values(fields.ACTOR_ID, _text),
            stored_name="user.id",
        ),
        FilterParameter(
            "ipAddress", "client address, or a network in CIDR notation", {}, condition=_addresses
        ),
        FilterParameter(
            "correlationId",
            "correlation id of a request",
            {},
            condition=_values(fields.CORRELATION_ID, _correlation),
        ),
        FilterParameter(
            "traceId", "32 hex digits", {}, condition=_values(fields.TRACE_ID, trace_id)
        ),
        FilterParameter("spanId", "16 hex digits", {}, condition=_values(fields.SPAN_ID, span_id)),
    )
}
