"""One term of the search language as a filter: what each field takes, by its type. Pure."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from config.errors import BadInput
from query.errors import BadQuery
from query.language import regex
from query.language.parameters import (
    FILTERS,
    FilterParameter,
    one_level,
    one_text,
    record_id,
    span_id,
)
from query.language.tokens import Quoting, Token
from storage.filtering.conditions import NUMBER
from storage.filtering.filters import (
    EVERYTHING,
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldPrefix,
    FieldPresent,
    Filter,
    Regex,
    ResourceEquals,
    Text,
    TimeRange,
)
from storage.record.fields import (
    DURATION_NS,
    FIELDS,
    ID,
    KIND,
    KIND_WORDS,
    LEVEL,
    MESSAGE,
    PARENT_SPAN_ID,
    Field,
    FieldValue,
    ValueType,
)
from storage.record.times import parse_time

StoredAs: TypeAlias = Callable[[str, str], str]
"""(attribute name, value as typed) -> value as stored: e-mail addresses are stored as tokens."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a question is read against."""

    now_ns: int
    stored_as: StoredAs


ATTRIBUTE = "attr."
RESOURCE = "resource."
CREATED_AT = "createdAt"
IP_ADDRESS = "ipAddress"

FIELD_NAMES = (*FIELDS, CREATED_AT, IP_ADDRESS)
_BY_LOWER = {name.lower(): name for name in FIELD_NAMES}


def word_term(token: Token, _: Context) -> Filter:
    """A word, a phrase or a regular expression: all about the message."""
    if token.quoting is Quoting.REGEX:
        return _regex_of(token, MESSAGE)
    if token.quoting is Quoting.PHRASE:
        if not token.text:
            raise BadQuery("there is nothing between these quotes", token.at)
        return contains(_plain(token, token.text))
    beginning = _prefix(token)
    if beginning == "":
        return EVERYTHING  # a lone star
    return contains(_plain(token, token.text) if beginning is None else beginning)


def contains(text: str) -> Text:
    """The message contains this, whatever its case."""
    # Comparing letter by letter is cheaper where the case says nothing.
    return Text(text, ignores_case=text.lower() != text.upper())


def field_term(token: Token, context: Context) -> Filter:
    """A term `field:value`."""
    name = _BY_LOWER.get(token.field.lower(), token.field)
    if name == CREATED_AT:
        return _created(token, context)
    if name in FIELDS:
        return _of_field(token, FIELDS[name], context)
    if name == IP_ADDRESS:
        return _address(token)
    if name.startswith(RESOURCE):
        return _resource(token, name.removeprefix(RESOURCE), context)
    if name.startswith(ATTRIBUTE):
        return _attribute(token, name.removeprefix(ATTRIBUTE), context)
    _refuse_misspelt(token)
    return _attribute(token, name, context)


def _refuse_misspelt(token: Token) -> None:
    """A name without dots that is nearly a field's is taken for a mistake, not for an attribute."""
    if token.field.lower() == "minlevel":
        raise BadQuery("minLevel is a parameter; in a question write level:>=WARN", token.at)
    if "." in token.field:
        return
    plain = token.field.lower().replace("_", "").replace("-", "")
    near = difflib.get_close_matches(plain, _BY_LOWER, n=1, cutoff=0.8)
    if near:
        raise BadQuery(
            f"there is no field {token.field}; did you mean {_BY_LOWER[near[0]]}? "
            f"An attribute of that name is {ATTRIBUTE}{token.field}",
            token.at,
        )


# ---- fields of the record ----


def _of_field(token: Token, field: Field, context: Context) -> Filter:
    if token.comparison:
        return _compared(token, field)
    if token.quoting is Quoting.REGEX:
        if field.type is not ValueType.TEXT:
            raise BadQuery(f"{field.name} takes no regular expression", token.value_at)
        return _regex_of(token, field)
    if _is_star(token):
        return FieldPresent(field)
    if (prefix := _prefix(token)) is not None:
        if field.type is not ValueType.TEXT:
            raise BadQuery(f"{field.name} takes no prefix, only whole values", token.value_at)
        return FieldPrefix(field, prefix)
    if field is MESSAGE:
        return contains(_plain(token, token.text))
    return FieldEquals(field, _value(token, field, context))


def _compared(token: Token, field: Field) -> Filter:
    comparison = Comparison(token.comparison)
    if field is LEVEL:
        return FieldCompare(field, comparison, _read(token, one_level))
    if field is DURATION_NS:
        return FieldCompare(field, comparison, nanoseconds(token.text, token.value_at))
    raise BadQuery(
        f"{field.name} has no order to compare by; {CREATED_AT}, {LEVEL.name}, "
        f"{DURATION_NS.name} and numbers in attributes have",
        token.value_at,
    )


def _value(token: Token, field: Field, context: Context) -> FieldValue:
    parameter = FILTERS.get(field.name)
    if parameter is not None:
        return _as_parameter(token, parameter, context)
    if field is DURATION_NS:
        return nanoseconds(token.text, token.value_at)
    reader = _READERS.get(field)
    return _plain(token, token.text) if reader is None else _read(token, reader)


def _as_parameter(token: Token, parameter: FilterParameter, context: Context) -> FieldValue:
    """The value as the request parameter of the same name takes it."""
    text = _plain(token, token.text)
    if parameter.stored_name:
        text = context.stored_as(parameter.stored_name, text)
    try:
        condition = parameter.condition(parameter.name, (text,))
    except BadInput as error:
        raise BadQuery(str(error), token.value_at) from error
    assert isinstance(condition, FieldEquals)
    return condition.value


def _kind(name: str, text: str) -> FieldValue:
    try:
        return KIND_WORDS[text.lower()]
    except KeyError as error:
        raise BadInput(f"{name} is one of {', '.join(KIND_WORDS)}", where=name) from error


_READERS: dict[Field, Callable[[str, str], FieldValue]] = {
    ID: record_id,
    KIND: _kind,
    PARENT_SPAN_ID: span_id,
}

_DURATION = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)(ns|us|ms|s|m|h)?", re.ASCII)
_UNIT_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_LONGEST_NS = 2**63 - 1


def nanoseconds(text: str, at: int) -> int:
    """`250ms`, `1.5s`, or a number of nanoseconds. Raises BadQuery."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise BadQuery("a duration is written like 250ms, 1.5s, 2m, or in nanoseconds", at)
    whole, _, rest = found[1].partition(".")
    unit = _UNIT_NS[found[2] or "ns"]
    return min(int(whole) * unit + int((rest or "0").ljust(9, "0")) * unit // 10**9, _LONGEST_NS)


def _created(token: Token, context: Context) -> Filter:
    try:
        at_ns = parse_time(token.text, now_ns=context.now_ns, where=CREATED_AT)
    except BadInput as error:
        raise BadQuery(str(error), token.value_at) from error
    return {
        "<": TimeRange(None, at_ns),
        "<=": TimeRange(None, at_ns + 1),
        ">": TimeRange(at_ns + 1, None),
        ">=": TimeRange(at_ns, None),
        "": TimeRange(at_ns, at_ns + 1),
    }[token.comparison]


def _address(token: Token) -> Filter:
    if token.comparison or token.quoting is Quoting.REGEX:
        raise BadQuery(f"{IP_ADDRESS} takes an address or a network", token.value_at)
    try:
        return FILTERS[IP_ADDRESS].condition(IP_ADDRESS, (token.text,))
    except BadInput as error:
        raise BadQuery(str(error), token.value_at) from error


# ---- attributes ----


def _attribute(token: Token, name: str, context: Context) -> Filter:
    if not name:
        raise BadQuery("the name of an attribute is missing", token.at)
    name = _plain(token, name)
    if token.comparison:
        if not NUMBER.fullmatch(token.text):
            raise BadQuery("attributes are compared with numbers", token.value_at)
        return AttrCompare(name, Comparison(token.comparison), token.text)
    if token.quoting is Quoting.REGEX:
        pattern = _pattern(token)
        return AttrRegex(name, pattern.text, ignores_case=pattern.ignores_case)
    if _is_star(token):
        return AttrPresent(name)
    if (prefix := _prefix(token)) is not None:
        return AttrPrefix(name, prefix)
    return AttrEquals(name, context.stored_as(name, _plain(token, token.text)))


def _resource(token: Token, name: str, context: Context) -> Filter:
    if not name:
        raise BadQuery("the name of a resource's attribute is missing", token.at)
    is_plain = not token.comparison and token.quoting is not Quoting.REGEX
    if not is_plain or _is_star(token) or _prefix(token) is not None:
        raise BadQuery("attributes of the resource take whole values only", token.value_at)
    return ResourceEquals(_plain(token, name), context.stored_as(name, _plain(token, token.text)))


# ---- values ----


def _is_star(token: Token) -> bool:
    return token.quoting is Quoting.BARE and token.text == "*"


def _prefix(token: Token) -> str | None:
    """What stands before the star; None without one."""
    if token.quoting is not Quoting.BARE or "*" not in token.text:
        return None
    prefix = token.text.rstrip("*")
    star = prefix.find("*")
    if star >= 0:
        raise BadQuery(
            "a star stands only at the end; /a.*b/ is a pattern, and in quotes it is a star",
            token.value_at + star,
        )
    return _plain(token, prefix)


def _regex_of(token: Token, field: Field) -> Filter:
    pattern = _pattern(token)
    return Regex(pattern.text, ignores_case=pattern.ignores_case, field=field)


def _pattern(token: Token) -> regex.Pattern:
    try:
        found = regex.translated(_plain(token, token.text))
    except regex.Refused as error:
        raise BadQuery(error.reason, token.value_at + 1 + error.offset) from error
    return regex.Pattern(found.text, found.ignores_case or token.ignores_case)


def _plain(token: Token, text: str) -> str:
    """The text, when PostgreSQL can hold it."""
    try:
        return one_text("q", (text,), may_be_empty=True)
    except BadInput as error:
        raise BadQuery(str(error), token.value_at) from error


def _read(token: Token, reader: Callable[[str, str], FieldValue]) -> FieldValue:
    try:
        return reader(token.field, token.text)
    except BadInput as error:
        raise BadQuery(str(error), token.value_at) from error
