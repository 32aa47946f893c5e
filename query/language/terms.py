"""One term of a query as a filter: which values each field accepts, by its type. Pure."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from config.errors import BadInput
from query.errors import BadQuery
from query.language import regex
from query.language.filter_parameters import (
    FILTERS,
    FilterParameter,
    one_level,
    one_text,
    record_id,
    span_id,
)
from query.language.lexer import Quoting, Token
from query.language.names import (
    ATTRIBUTE,
    CREATED_AT,
    IP_ADDRESS,
    NO_NAMES,
    RESOURCE,
    Alias,
    Names,
    alias_of,
    field_of,
    folded,
    is_known,
)
from query.language.pasted import shape_of
from query.language.paths import EXCEPTION_PATHS, SCOPE, record_paths, stream_paths
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
    Not,
    OnResource,
    Or,
    Regex,
    ResourceEquals,
    Text,
    TimeRange,
    ValueAt,
    ValueTest,
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

ANYWHERE = "*"
"""Of a term: all text of a record."""
EXCEPTION = "exception"
"""Of a term: type, message and stack trace of an exception."""

StoredAs: TypeAlias = Callable[[str, str], str]
"""(attribute name, value as given) -> value as stored: e-mail addresses are stored as tokens."""


@dataclass(frozen=True, slots=True)
class Context:
    """What parsing a query depends on."""

    now_ns: int
    stored_as: StoredAs
    names: Names = NO_NAMES
    """Names that stored records are known to have."""

    def is_known(self, name: str) -> bool:
        """Whether a name is a field, an alias, an exact form, or a known attribute."""
        return is_known(name, self.names)


def word_term(token: Token, _: Context) -> Filter:
    """A word, phrase or regular expression: a filter on the message."""
    if token.quoting is Quoting.REGEX:
        return _regex_of(token, MESSAGE)
    if token.quoting is Quoting.PHRASE:
        if not token.text:
            raise BadQuery("Empty phrase", token.at)
        return contains(_plain(token, token.text))
    prefix = _prefix(token)
    if prefix == "":
        return EVERYTHING  # a single star
    return contains(_plain(token, token.text) if prefix is None else prefix)


def contains(text: str) -> Text:
    """A filter: the message contains this text, ignoring case; letters are composed (NFC)."""
    text = unicodedata.normalize("NFC", text)
    # Without letters, a case-sensitive comparison is equivalent and cheaper.
    return Text(text, ignores_case=text.lower() != text.upper())


def field_term(token: Token, context: Context) -> Filter:
    """A term `name:value`: of a field, an alias, an attribute, or text that looks like a term."""
    found = _named(token, context)
    return Not(found) if token.is_negated else found


def _named(token: Token, context: Context) -> Filter:  # noqa: PLR0911 - one a kind of name
    name = token.field
    if name == ANYWHERE:
        return _of_text(token, ((),))
    if name.lower() == EXCEPTION and not _is_star(token):
        return _of_text(token, EXCEPTION_PATHS)
    if name.startswith(RESOURCE):
        return _resource(token, name.removeprefix(RESOURCE), context)
    if name.startswith(ATTRIBUTE):
        return _attribute(token, name.removeprefix(ATTRIBUTE), context)
    if field := field_of(name):
        return _target(token, field, context)
    if folded(name) == "minlevel" and not token.comparison:
        return _compared(replace(token, comparison=">="), LEVEL)
    if alias := alias_of(name):
        return _of_alias(token, alias, context)
    return _of_attribute(token, context)


def _target(token: Token, name: str, context: Context) -> Filter:
    """A term on a field, or on the attribute of a resource, by its canonical name."""
    if name == CREATED_AT:
        return _created(token, context)
    if name == IP_ADDRESS:
        return _address(token)
    if name.startswith(RESOURCE):
        return _resource(token, name.removeprefix(RESOURCE), context)
    return _of_field(token, FIELDS[name], context)


def _of_alias(token: Token, alias: Alias, context: Context) -> Filter:
    """The field that is meant; where records have an attribute of this name, either."""
    if alias.is_mapped or not context.names.has(token.field):
        return _target(token, alias.target, context)
    both = _anywhere(token, context)
    try:
        return Or((_target(token, alias.target, context), *both))
    except BadQuery:
        return Or(both)  # a value that the field cannot have, such as `severity:5`


def _of_attribute(token: Token, context: Context) -> Filter:
    """An attribute of the record or of its resource; or text, where the term is pasted text."""
    is_pasted = bool(token.whole) and not context.names.has(token.field)
    shape = shape_of(token.whole) if is_pasted else None
    text = contains(_plain(token, token.whole))
    if shape is not None and shape.is_certain:
        return text
    has_equals = is_pasted and token.whole[len(token.field) : len(token.field) + 1] == "="
    both = _anywhere(token, context)
    if shape is not None or (has_equals and not token.comparison):
        return Or((*both, text))
    return Or(both)


def _anywhere(token: Token, context: Context) -> tuple[Filter, ...]:
    """The term on an attribute of the record or its resource, and in maps, lists and the body."""
    name = token.field
    plain = _attribute(token, name, context)
    found = [plain, _resource(token, name, context), _at(plain, record_paths(name))]
    if name == "body" and _prefix(token) is None and token.quoting is not Quoting.REGEX:
        found += _with_text(token, (("body",),))
    if len(paths := stream_paths(name)) > 1 or name.startswith(f"{SCOPE}."):
        found.append(OnResource(_at(plain, paths)))
    return tuple(found)


def _at(
    plain: AttrEquals | AttrCompare | AttrPrefix | AttrRegex | AttrPresent,
    paths: tuple[tuple[str, ...], ...],
) -> ValueAt:
    """The same test of the values at these paths, beyond those that the plain one tests."""
    match plain:
        case AttrEquals(_, value):
            return ValueAt(paths, ValueTest.EQUALS, value, is_beyond=True)
        case AttrCompare(_, comparison, number):
            return ValueAt(paths, ValueTest(comparison.value), number, is_beyond=True)
        case AttrPrefix(_, prefix):
            return ValueAt(paths, ValueTest.PREFIX, prefix, is_beyond=True)
        case AttrRegex(_, pattern, ignores_case):
            return ValueAt(paths, ValueTest.REGEX, pattern, ignores_case, is_beyond=True)
        case AttrPresent():
            return ValueAt(paths, ValueTest.PRESENT, is_beyond=True)


def _with_text(token: Token, paths: tuple[tuple[str, ...], ...]) -> list[Filter]:
    """The text in the message, or in any string at or below these paths."""
    text = _plain(token, token.text)
    below = ValueAt(paths, ValueTest.CONTAINS, text, is_deep=True)
    return [contains(text), below]


def _of_text(token: Token, paths: tuple[tuple[str, ...], ...]) -> Filter:
    """`*:text` and `exception:text`: words wherever they are."""
    if token.comparison or token.quoting is Quoting.REGEX or _is_star(token):
        raise BadQuery(f'{token.field} is searched for words. Use {token.field}:"text"', token.at)
    token = replace(token, text=_prefix(token) or token.text)
    message, below = _with_text(token, paths)
    return Or((message, below)) if token.field == ANYWHERE else below


# ---- fields of the record ----


def _of_field(token: Token, field: Field, context: Context) -> Filter:
    if token.comparison:
        return _compared(token, field)
    if token.quoting is Quoting.REGEX:
        if field.type is not ValueType.TEXT:
            raise BadQuery(f"{field.name} does not support regular expressions", token.value_at)
        return _regex_of(token, field)
    if _is_star(token):
        return FieldPresent(field)
    if (prefix := _prefix(token)) is not None:
        if field.type is not ValueType.TEXT:
            raise BadQuery(
                f"{field.name} does not support prefixes. Use the exact value", token.value_at
            )
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
        f"{field.name} does not support comparisons. {CREATED_AT}, {LEVEL.name}, "
        f"{DURATION_NS.name} and numeric attributes do",
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
    """The value, parsed like the request parameter of the same name."""
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
        words = ", ".join(KIND_WORDS)
        raise BadInput(f'Unknown {name} "{text[:100]}". Use {words}', where=name) from error


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
        raise BadQuery("Invalid duration. Use 250ms, 1.5s, 2m, or nanoseconds", at)
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
        raise BadQuery(f"{IP_ADDRESS} must be an IP address or a network", token.value_at)
    try:
        return FILTERS[IP_ADDRESS].condition(IP_ADDRESS, (token.text,))
    except BadInput as error:
        raise BadQuery(str(error), token.value_at) from error


# ---- attributes ----


def _attribute(
    token: Token, name: str, context: Context
) -> AttrEquals | AttrCompare | AttrPrefix | AttrRegex | AttrPresent:
    if not name:
        raise BadQuery("Attribute name missing", token.at)
    name = _plain(token, name)
    if token.comparison:
        if not NUMBER.fullmatch(token.text):
            raise BadQuery(
                f"{name} can only be compared with a number. For a text, use {name}:value",
                token.value_at,
            )
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
        raise BadQuery("Resource attribute name missing", token.at)
    found = _attribute(token, name, context)
    return (
        ResourceEquals(found.name, found.value)
        if isinstance(found, AttrEquals)
        else (OnResource(found))
    )


# ---- values ----


def _is_star(token: Token) -> bool:
    return token.quoting is Quoting.BARE and token.text == "*"


def _prefix(token: Token) -> str | None:
    """The text before a final star; None without one."""
    if token.quoting is not Quoting.BARE or "*" not in token.text:
        return None
    prefix = token.text.rstrip("*")
    star = prefix.find("*")
    if star >= 0:
        raise BadQuery(
            "`*` is only allowed at the end of a value. Use a regex: /a.*b/, "
            "or quote it to match a literal `*`",
            token.value_at + star,
        )
    return _plain(token, prefix)


def _regex_of(token: Token, field: Field) -> Filter:
    pattern = _pattern(token)
    return Regex(pattern.text, ignores_case=pattern.ignores_case, field=field)


def _pattern(token: Token) -> regex.Pattern:
    try:
        found = regex.translated(_plain(token, token.text))
    except regex.Unsupported as error:
        raise BadQuery(error.reason, token.value_at + 1 + error.offset) from error
    return regex.Pattern(found.text, found.ignores_case or token.ignores_case)


def _plain(token: Token, text: str) -> str:
    """The text, if PostgreSQL can store it. Raises BadQuery."""
    try:
        return one_text("q", (text,), may_be_empty=True)
    except BadInput as error:
        raise BadQuery(str(error), token.value_at) from error


def _read(token: Token, reader: Callable[[str, str], FieldValue]) -> FieldValue:
    try:
        return reader(token.field, token.text)
    except BadInput as error:
        raise BadQuery(str(error), token.value_at) from error
