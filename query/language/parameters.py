"""The filters of a record as request parameters: one table, each with its parser. Pure.

A parameter that is given several times selects records with any of the values.
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
"""Longest value of a parameter; no column that is searched by equality is longer in practice.
Also of a question in the search language."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One request parameter, as the OpenAPI document shows it."""

    name: str
    text: str
    schema: dict[str, object]
    """JSON Schema beyond `"type": "string"`."""


@dataclass(frozen=True, slots=True)
class FilterParameter(Parameter):
    """A parameter that becomes a filter."""

    condition: Callable[[str, tuple[str, ...]], Filter] = field(kw_only=True)
    """(parameter name, its values) -> filter; raises BadInput naming the parameter."""
    stored_name: str = ""
    """Attribute whose redaction rules its values went through, when they were stored."""


def one_text(name: str, values: tuple[str, ...], *, may_be_empty: bool = False) -> str:
    """The only value, a text that PostgreSQL can hold."""
    if len(values) > 1:
        raise BadInput(f"{name[:100]} is given more than once", where=name[:100])
    value = values[0]
    if not value and not may_be_empty:
        raise BadInput(f"{name[:100]} is empty", where=name[:100])
    if len(value) > MAX_TEXT:
        raise BadInput(f"{name[:100]} is longer than {MAX_TEXT} characters", where=name[:100])
    if "\0" in value or not _is_unicode(value):
        raise BadInput(f"{name[:100]} holds characters that no record has", where=name[:100])
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
    """A filter on one field, whose values are read by `read(parameter name, text)`."""

    def condition(name: str, values: tuple[str, ...]) -> Filter:
        found = tuple(dict.fromkeys(read(name, one_text(name, (value,))) for value in values))
        return FieldEquals(target, found[0]) if len(found) == 1 else FieldIn(target, found)

    return condition


def _text(name: str, value: str) -> str:  # noqa: ARG001 - one signature for all readers
    return value


def _correlation(name: str, value: str) -> str:  # noqa: ARG001 - as above
    return stored_correlation(value)


def one_level(name: str, value: str) -> Level:
    """A level by its name, in any case."""
    try:
        return Level[value.upper()]
    except KeyError as error:
        raise BadInput(f"{name} is one of {', '.join(LEVEL_NAMES)}", where=name) from error


def _level_at_least(name: str, values: tuple[str, ...]) -> Filter:
    return FieldCompare(
        fields.LEVEL, Comparison.GREATER_OR_EQUAL, one_level(name, one_text(name, values))
    )


_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SPAN_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


def trace_id(name: str, value: str) -> UUID:
    """A W3C trace id: 32 hex digits, not all zero; dashes of a UUID are overlooked."""
    digits = value.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(digits) or not int(digits, 16):
        raise BadInput(f"{name} is 32 hex digits, not all zero", where=name)
    return UUID(hex=digits)


def span_id(name: str, value: str) -> bytes:
    """A W3C span id: 16 hex digits."""
    if not _SPAN_ID.fullmatch(value.lower()):
        raise BadInput(f"{name} is 16 hex digits", where=name)
    return bytes.fromhex(value)


def record_id(name: str, value: str) -> UUID:
    """The id of a record, with or without dashes."""
    digits = value.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(digits):
        raise BadInput(f"{name} is a UUID", where=name)
    return UUID(hex=digits)


def _addresses(name: str, values: tuple[str, ...]) -> Filter:
    found = tuple(IpIn(_network(name, one_text(name, (value,)))) for value in values)
    return found[0] if len(found) == 1 else Or(found)


def _network(name: str, value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(value.replace("%", "no zones: "), strict=False)
    except ValueError as error:
        raise BadInput(
            f"{name} is an address or a network like 203.0.113.0/24", where=name
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
            "level of the record",
            {"enum": list(LEVEL_NAMES)},
            condition=_values(fields.LEVEL, one_level),
        ),
        FilterParameter(
            "minLevel",
            "this level or a more severe one",
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
            "resourceId", "thing acted on", {}, condition=_values(fields.RESOURCE_ID, _text)
        ),
        FilterParameter(
            "resourceType", "its kind", {}, condition=_values(fields.RESOURCE_TYPE, _text)
        ),
        FilterParameter(
            "actorId",
            "who acted; an e-mail address finds its token",
            {},
            condition=_values(fields.ACTOR_ID, _text),
            stored_name="user.id",
        ),
        FilterParameter(
            "ipAddress", "client's address, or a network in CIDR notation", {}, condition=_addresses
        ),
        FilterParameter(
            "correlationId",
            "ties records of one request",
            {},
            condition=_values(fields.CORRELATION_ID, _correlation),
        ),
        FilterParameter(
            "traceId", "32 hex digits", {}, condition=_values(fields.TRACE_ID, trace_id)
        ),
        FilterParameter("spanId", "16 hex digits", {}, condition=_values(fields.SPAN_ID, span_id)),
    )
}
