"""The parsed search, and the tables of the parameters that it is parsed from. Pure.

The OpenAPI document is generated from the same tables. A new parameter: one row of FILTERS (or of
CONTROLS, and code in `parse`), and its row in docs/api.md.
"""

import difflib
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from config.errors import BadInput
from query.language.filter_parameters import FILTERS, Parameter, one_text
from query.language.names import ATTRIBUTE, NO_NAMES, RESOURCE, Names, canonical
from query.language.parser import conjuncts, parse_query
from query.language.terms import Context, StoredAs
from query.planning.compile import Order
from query.planning.index_use import scans_text
from storage.filtering.filters import (
    EVERYTHING,
    And,
    AttrEquals,
    FieldEquals,
    FieldIn,
    Filter,
    Or,
    ResourceEquals,
    all_of,
    plain,
)
from storage.record.fields import KIND, KIND_WORDS, Kind
from storage.record.times import parse_time

MAX_LIMIT = 1000
MAX_VALUES = 200
"""Parameter values of one search; more are a mistake or an attack, and slow to plan."""

MAX_REPEATS = 50
"""Values of one parameter."""
TEXT_DAYS = 7
_DAY_NS = 86400 * 10**9
AHEAD_NS = _DAY_NS
"""How far ahead of the clock a search without `end` reaches: as far as a time is plausible
(otlp_receiver/mapping/columns/times.py), so that clocks that are fast and local times sent as UTC
are found, and one sender dated 2099 does not fill every first page."""
_READ = frozenset({"q", "start", "end", "order", "limit", "cursor"})
"""Controls that `parse` handles itself."""
_NOT_SELECTING = frozenset({"order", "limit", "cursor", "fields", "explain"})
"""Controls that do not affect which records are selected."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which parameters one kind of search accepts."""

    name: str
    controls: tuple[str, ...]
    order: Order = Order.NEWEST
    limit: int = 100
    most: int = MAX_LIMIT
    """Maximum limit."""
    has_end: bool = True
    """Whether `end` has a default, AHEAD_NS after now; otherwise there is no end."""
    limits_text: bool = True
    """Whether text without a `start` is searched in the last TEXT_DAYS days only."""
    takes_filters: bool = True
    """Whether it accepts FILTERS."""


_RANGE = ("q", "kind", "start", "end")
_PAGE = ("order", "limit", "cursor", "explain")
SEARCH = Shape("search", (*_RANGE, *_PAGE, "fields"))
TIMELINE = Shape("timeline", (*_RANGE, *_PAGE, "fields"), limits_text=False)
TRACE = Shape(
    "trace",
    ("q", "kind", *_PAGE, "fields"),
    order=Order.OLDEST,
    limit=MAX_LIMIT,
    has_end=False,
    limits_text=False,
)
EXPORT = Shape("export", (*_RANGE, "order", "format", "fields", "bom"), limits_text=False)
TAIL = Shape("tail", ("q", "kind"), has_end=False, limits_text=False)
STATS = Shape("stats", (*_RANGE, "by", "interval", "timezone", "explain"))
FACETS = Shape("facets", (*_RANGE, "field", "prefix", "limit", "explain"), limit=10)
PATTERNS = Shape("patterns", (*_RANGE, "limit", "explain"), limit=50)
TRACES = Shape(
    "traces",
    (
        *("q", "start", "end", *_PAGE),
        *("service", "operation", "minDuration", "maxDuration", "status"),
        *("rootMinDuration", "rootMaxDuration", "rootStatus"),
    ),
    limit=50,
    most=200,
)
HOLD = Shape("hold", ("q", "start", "end"), has_end=False, limits_text=False)
PURGE = Shape("purge", (*_RANGE, "token", "reason"), limits_text=False)
CONTEXT = Shape("context", ("before", "after", "explain"), takes_filters=False)

CONTROLS: dict[str, Parameter] = {
    item.name: item
    for item in (
        Parameter("q", "query (docs/query-language.md)", {}),
        Parameter(
            "kind",
            "log, span or audit; audit records are excluded by default",
            {"enum": list(KIND_WORDS)},
        ),
        Parameter("start", "start time (inclusive): RFC 3339, or relative like -1h", {}),
        Parameter("end", "end time (exclusive); default: one day from now", {}),
        Parameter("order", "newest first (desc) or oldest first (asc)", {"enum": ["desc", "asc"]}),
        Parameter(
            "limit", "records per page", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
        ),
        Parameter("cursor", "nextCursor of the previous page, with the same parameters", {}),
        Parameter("format", "export format", {"enum": ["ndjson", "json", "csv", "otlp"]}),
        Parameter("fields", "members of the record to return, comma-separated; default: all", {}),
        Parameter("by", "field to group by", {"enum": ["level", "sourceModule", "action", "kind"]}),
        Parameter("interval", "length of a bucket, like 30s, 5m, 1h, 1d; or auto", {}),
        Parameter("timezone", "where buckets of 1h and more begin, like Europe/Berlin", {}),
        Parameter(
            "bom",
            "true: CSV begins with a byte order mark, so that spreadsheets read UTF-8",
            {"type": "boolean"},
        ),
        Parameter(
            "field",
            "field of the record, or attr.<name>, or resource.<name>; "
            "default: the main fields and the most useful attributes",
            {},
        ),
        Parameter("prefix", "only values with this prefix", {}),
        Parameter(
            "explain",
            "true: the response says what was read and what was skipped (operations.read)",
            {"enum": ["true", "false"]},
        ),
        Parameter("service", "source module of a span of the trace", {}),
        Parameter("operation", "name of a span of the trace", {}),
        Parameter("minDuration", "minimum duration of the trace, like 250ms or 1.5s", {}),
        Parameter("maxDuration", "maximum duration of the trace", {}),
        Parameter("status", "error: some span failed; ok: none did", {"enum": ["ok", "error"]}),
        Parameter("rootMinDuration", "minimum duration of the root span", {}),
        Parameter("rootMaxDuration", "maximum duration of the root span", {}),
        Parameter("rootStatus", "status of the root span", {"enum": ["ok", "error"]}),
        Parameter("token", "confirmation token of the preview; with it, records are purged", {}),
        Parameter("reason", "reason, recorded in the ledger", {}),
        Parameter("before", "number of records before it", {"type": "integer", "minimum": 0}),
        Parameter("after", "number of records after it", {"type": "integer", "minimum": 0}),
    )
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What a client should know about a result."""

    detail: str
    """A sentence."""
    change: tuple[tuple[str, str], ...] = ()
    """Parameters (name, value) that the client may want instead."""


TEXT_NOTICE = Notice(
    f"Searched the last {TEXT_DAYS} days. Set a start time to search further back",
    (("start", "-30d"),),
)


@dataclass(frozen=True, slots=True)
class Search:
    """A validated search; record_scope.py restricts it to the principal's permissions."""

    where: Filter
    kinds: frozenset[Kind]
    """Kinds requested explicitly; none means all but audit."""
    start_ns: int | None
    end_ns: int | None
    order: Order
    limit: int
    cursor: str | None
    own: Mapping[str, tuple[str, ...]]
    """Controls specific to this kind of search, not parsed."""
    digest: bytes
    """Digest of everything that determines which records are selected, in which order."""
    typed: frozenset[str] = frozenset()
    """Names of the given parameters."""
    notices: tuple[Notice, ...] = ()
    """Defaults that were applied."""
    text: str = ""
    """The query as typed."""

    def only(self, name: str) -> str | None:
        """The only value of a specific control."""
        values = self.own.get(name)
        return None if values is None else one_text(name, values)


def parse(
    pairs: Iterable[tuple[str, str]],
    shape: Shape,
    *,
    now_ns: int,
    stored_as: StoredAs,
    within: Filter = EVERYTHING,
    names: Names = NO_NAMES,
) -> Search:
    """The search in a request's parameters. Raises BadInput with the parameter's name.

    `within` is the filter of the path; it is part of the search. `names` are those that stored
    records are known to have.
    """
    given = _grouped(pairs, shape)
    typed = frozenset(given)
    kinds = frozenset(_kind(word) for word in given.pop("kind", ()))
    controls = {
        name: one_text(name, given.pop(name), may_be_empty=name == "q")
        for name in _READ
        if name in given
    }
    own = {name: given.pop(name) for name in shape.controls if name in given}
    filters = [_filter(name, values, stored_as) for name, values in sorted(given.items())]
    query = parse_query(controls.get("q", ""), Context(now_ns, stored_as, names))
    where = all_of(within, *filters, query)
    order = _order(controls.get("order"), shape)
    start_ns = _time(controls, "start", now_ns)
    end_ns = _time(controls, "end", now_ns)
    last_ns = now_ns if end_ns is None else end_ns
    if end_ns is None and shape.has_end:
        end_ns = now_ns + AHEAD_NS
    if start_ns is not None and end_ns is not None and start_ns > end_ns:
        raise BadInput("start must be before end", where="start")
    notices: tuple[Notice, ...] = ()
    if shape.limits_text and start_ns is None and end_ns is not None and scans_text(where):
        start_ns, notices = last_ns - TEXT_DAYS * _DAY_NS, (TEXT_NOTICE,)
    return Search(
        where=where,
        kinds=kinds or _kinds_named(query),
        start_ns=start_ns,
        end_ns=end_ns,
        order=order,
        limit=_limit(controls.get("limit"), shape),
        cursor=controls.get("cursor"),
        own=own,
        typed=typed,
        notices=notices,
        text=controls.get("q", ""),
        digest=_digest(shape, all_of(within, *filters), kinds, order, [controls, own]),
    )


def _grouped(pairs: Iterable[tuple[str, str]], shape: Shape) -> dict[str, tuple[str, ...]]:
    values: dict[str, list[str]] = defaultdict(list)
    for count, (given, value) in enumerate(pairs):
        name = given
        if count >= MAX_VALUES:
            raise BadInput(f"At most {MAX_VALUES} parameters", where=name[:100])
        if name not in shape.controls and shape.takes_filters:
            name = canonical(name)
        is_filter = name in FILTERS or name.startswith(_OPEN_NAMES)
        if not (name in shape.controls or (is_filter and shape.takes_filters)):
            _refuse_unknown(given, shape)
        values[name].append(value)
        if len(values[name]) > MAX_REPEATS:
            raise BadInput(f"At most {MAX_REPEATS} values of {name[:100]}", where=name[:100])
    return {name: tuple(dict.fromkeys(items)) for name, items in values.items()}


_OPEN_NAMES = (ATTRIBUTE, RESOURCE)


def _refuse_unknown(name: str, shape: Shape) -> NoReturn:
    shown = name[:100]
    known = [*(FILTERS if shape.takes_filters else ()), *shape.controls]
    near = difflib.get_close_matches(shown, known, n=1)
    hint = f". Did you mean {near[0]}?" if near else "."
    if shape.takes_filters:
        hint += f" For an attribute, use {ATTRIBUTE}{shown} or {RESOURCE}{shown}"
    raise BadInput(f"Unknown parameter {shown}{hint}", where=shown)


def _filter(name: str, values: tuple[str, ...], stored_as: StoredAs) -> Filter:
    """The filter of a parameter; several values match any of them."""
    if name in FILTERS:
        parameter = FILTERS[name]
        if parameter.stored_name:
            values = tuple(stored_as(parameter.stored_name, value) for value in values)
        return parameter.condition(name, values)
    prefix, node = (ATTRIBUTE, AttrEquals) if name.startswith(ATTRIBUTE) else _RESOURCE
    key = one_text(name, (name.removeprefix(prefix),))
    found = tuple(
        node(key, stored_as(key, one_text(name, (value,), may_be_empty=True))) for value in values
    )
    return found[0] if len(found) == 1 else Or(found)


_RESOURCE = (RESOURCE, ResourceEquals)


def _kind(word: str) -> Kind:
    try:
        return KIND_WORDS[word.lower()]
    except KeyError as error:
        words = ", ".join(KIND_WORDS)
        raise BadInput(f'Unknown kind "{word[:100]}". Use {words}', where="kind") from error


def _order(text: str | None, shape: Shape) -> Order:
    if text is None:
        return shape.order
    try:
        return Order(text)
    except ValueError as error:
        raise BadInput("order must be desc or asc", where="order") from error


def _time(controls: Mapping[str, str], name: str, now_ns: int) -> int | None:
    return parse_time(controls[name], now_ns=now_ns, where=name) if name in controls else None


def _limit(text: str | None, shape: Shape) -> int:
    if text is None:
        return shape.limit
    return whole_number("limit", text, 1, shape.most)


def whole_number(name: str, text: str, least: int, most: int) -> int:
    """The number in a parameter. Raises BadInput."""
    if text.isascii() and text.isdigit() and len(text) <= 6 and least <= int(text) <= most:
        return int(text)
    raise BadInput(f"{name} must be a whole number from {least} to {most}", where=name)


def _kinds_named(query: Filter) -> frozenset[Kind]:
    """The kinds that a query names.

    A kind that all records must have decides; if audit records are one alternative among others,
    all kinds are requested.
    """
    for item in conjuncts(query):
        if isinstance(item, FieldEquals | FieldIn) and item.field == KIND:
            values = (item.value,) if isinstance(item, FieldEquals) else item.values
            return frozenset(value for value in values if isinstance(value, Kind))
    return frozenset(Kind) if _names_audit(query) else frozenset()


def _names_audit(condition: Filter) -> bool:
    match condition:
        case And(of) | Or(of):
            return any(map(_names_audit, of))
        case FieldEquals(field, value):
            return field == KIND and value is Kind.AUDIT
        case _:
            return False


def _digest(
    shape: Shape,
    where: Filter,
    kinds: frozenset[Kind],
    order: Order,
    controls: Iterable[Mapping[str, object]],
) -> bytes:
    # Times and q as given: `-1h` is the same search a minute later; the cursor has the times.
    typed = [{name: of[name] for name in sorted(of.keys() - _NOT_SELECTING)} for of in controls]
    kind_words = sorted(kind.word for kind in kinds)
    selecting = [shape.name, plain(where), kind_words, order.value, typed]
    return hashlib.sha256(json.dumps(selecting).encode()).digest()
