"""The typed question, and the one table of parameters that it is parsed from. Pure.

The table also makes the OpenAPI document. A new parameter: one line in FILTERS (or in CONTROLS
and in `parse`), its row in docs/reference/api.md.
"""

import difflib
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from config.errors import BadInput
from query.compile import Order
from query.parameters import FILTERS, Parameter, one_text
from storage.fields import KIND_WORDS, Kind
from storage.filters import EVERYTHING, AttrEquals, Filter, Or, ResourceEquals, all_of, plain
from storage.times import parse_time

MAX_LIMIT = 1000
MAX_VALUES = 200
"""Values of one question; more are a mistake or an attack, and plan slowly."""

ATTRIBUTE = "attr."
RESOURCE = "resource."

StoredAs = Callable[[str, str], str]
"""(attribute name, value as typed) -> value as stored: e-mail addresses are stored as tokens."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What one kind of question takes besides the filters of a record."""

    name: str
    controls: tuple[str, ...]
    order: Order = Order.NEWEST
    limit: int = 100
    ends_now: bool = True
    """Whether a missing `end` means now; without it, it means no end."""


SEARCH = Shape("search", ("kind", "start", "end", "order", "limit", "cursor"))
TRACE = Shape(
    "trace",
    ("kind", "order", "limit", "cursor"),
    order=Order.OLDEST,
    limit=MAX_LIMIT,
    ends_now=False,
)
EXPORT = Shape("export", ("kind", "start", "end", "order", "format"))

CONTROLS: dict[str, Parameter] = {
    item.name: item
    for item in (
        Parameter(
            "kind",
            "log, span or audit; audit records are left out unless asked for",
            {"enum": list(KIND_WORDS)},
        ),
        Parameter("start", "not before this time: RFC 3339, or relative like -1h", {}),
        Parameter("end", "before this time; default: now", {}),
        Parameter("order", "newest first (desc) or oldest first (asc)", {"enum": ["desc", "asc"]}),
        Parameter(
            "limit", "records on a page", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
        ),
        Parameter("cursor", "nextCursor of the page before, with the same parameters", {}),
        Parameter("format", "form of the export", {}),
    )
}


@dataclass(frozen=True, slots=True)
class Search:
    """A question as it was asked, checked and typed; scope.py adds what the asker may see."""

    where: Filter
    kinds: frozenset[Kind]
    """Kinds that were asked for by name; none means all but audit."""
    start_ns: int | None
    end_ns: int | None
    order: Order
    limit: int
    cursor: str | None
    format: str | None
    digest: bytes
    """Of everything that decides which records are meant, in which order."""


def parse(
    pairs: Iterable[tuple[str, str]],
    shape: Shape,
    *,
    now_ns: int,
    stored_as: StoredAs,
    within: Filter = EVERYTHING,
) -> Search:
    """The question in the parameters of a request. Raises BadInput naming the parameter.

    `within` is what the path already says; it is part of the question.
    """
    given = _grouped(pairs, shape)
    kinds = frozenset(_kind(word) for word in given.pop("kind", ()))
    controls = {name: one_text(name, given.pop(name)) for name in shape.controls if name in given}
    filters = [_filter(name, values, stored_as) for name, values in sorted(given.items())]
    where = all_of(within, *filters)
    order = _order(controls.get("order"), shape)
    start_ns = _time(controls, "start", now_ns)
    end_ns = _time(controls, "end", now_ns)
    if end_ns is None and shape.ends_now:
        end_ns = now_ns
    if start_ns is not None and end_ns is not None and start_ns > end_ns:
        raise BadInput("start lies after end", where="start")
    return Search(
        where=where,
        kinds=kinds,
        start_ns=start_ns,
        end_ns=end_ns,
        order=order,
        limit=_limit(controls.get("limit"), shape),
        cursor=controls.get("cursor"),
        format=controls.get("format"),
        digest=_digest(shape, where, kinds, order, controls),
    )


def _grouped(pairs: Iterable[tuple[str, str]], shape: Shape) -> dict[str, tuple[str, ...]]:
    values: dict[str, list[str]] = defaultdict(list)
    for count, (name, value) in enumerate(pairs):
        if count >= MAX_VALUES:
            raise BadInput(f"more than {MAX_VALUES} parameters", where=name[:100])
        if not (name in FILTERS or name in shape.controls or name.startswith(_OPEN_NAMES)):
            _refuse_unknown(name, shape)
        values[name].append(value)
    return {name: tuple(dict.fromkeys(items)) for name, items in values.items()}


_OPEN_NAMES = (ATTRIBUTE, RESOURCE)


def _refuse_unknown(name: str, shape: Shape) -> NoReturn:
    shown = name[:100]
    near = difflib.get_close_matches(shown, [*FILTERS, *shape.controls], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadInput(f"there is no parameter {shown}{hint}", where=shown)


def _filter(name: str, values: tuple[str, ...], stored_as: StoredAs) -> Filter:
    """A filter parameter; several values mean any of them."""
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
        raise BadInput(f"kind is one of {', '.join(KIND_WORDS)}", where="kind") from error


def _order(text: str | None, shape: Shape) -> Order:
    if text is None:
        return shape.order
    try:
        return Order(text)
    except ValueError as error:
        raise BadInput("order is desc or asc", where="order") from error


def _time(controls: Mapping[str, str], name: str, now_ns: int) -> int | None:
    return parse_time(controls[name], now_ns=now_ns, where=name) if name in controls else None


def _limit(text: str | None, shape: Shape) -> int:
    if text is None:
        return shape.limit
    if text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    raise BadInput(f"limit is a whole number from 1 to {MAX_LIMIT}", where="limit")


def _digest(
    shape: Shape,
    where: Filter,
    kinds: frozenset[Kind],
    order: Order,
    controls: Mapping[str, str],
) -> bytes:
    # Times as typed: `-1h` is the same question a minute later; the cursor keeps what it meant.
    meant = [
        *(shape.name, plain(where), sorted(kind.word for kind in kinds), order.value),
        *(controls.get("start"), controls.get("end")),
    ]
    return hashlib.sha256(json.dumps(meant).encode()).digest()
